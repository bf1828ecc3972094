"""``POST admin/rescan``: look through container registries; ``GET``: how far that is, and what the last look came to."""

from __future__ import annotations

from typing import Any

from ... import i18n
from ...core.identity import Actor
from ...errors import N_, InvalidParameters, Violation
from ..base import JSONHandler
from ..rescan import Scan, is_running
from .admin import AdminHandler, PrivateAdminHandler, require_superadmin

COUNTS = ("added", "updated", "unchanged", "gone", "failed", "skipped")


class RescanHandler(JSONHandler):
    """For superadmins. The work goes on after the answer (202); one registry by name, else all and the configuration file."""

    actor: Actor

    async def get(self) -> None:
        require_superadmin(self.actor)
        self.answer(describe_all(await self.rescanner.list_scans(), self.language))

    async def post(self) -> None:
        require_superadmin(self.actor)
        name = self.read_body().get("registry", "")
        if not isinstance(name, str):
            raise InvalidParameters(violations=[Violation(N_("This must be text."), {}, "registry", "invalid")])
        await self.rescanner.rescan(self.actor, name)
        await self.groups.refresh()
        self.answer(describe_all(await self.rescanner.list_scans(), self.language), 202)


def describe_all(scans: list[Scan], language: str) -> dict[str, Any]:
    """Every registry for programs."""
    return {"is_running": is_running(scans), "items": [describe(scan, language) for scan in scans]}


def describe(scan: Scan, language: str) -> dict[str, Any]:
    """One look: ``state`` is running, done, failed, or "" for a registry that was never looked through."""
    message = str(scan.result.get("message", ""))
    return {
        "registry": scan.registry,
        "state": scan.state,
        "repositories": {"done": scan.repositories_done, "total": scan.repositories},
        "images": {"done": scan.images_done, "total": scan.images},
        **{name: scan.result.get(name) for name in COUNTS},
        "error": i18n.translate(language, message, scan.result.get("params") or None),
    }


class PublicRescanHandler(RescanHandler, AdminHandler):
    """Over HTTP."""


class PrivateRescanHandler(RescanHandler, PrivateAdminHandler):
    """On the private listener."""


default_handlers = [(r"rest/v1/admin/rescan", PublicRescanHandler)]
private_handlers = [(r"/private/rest/v1/admin/rescan", PrivateRescanHandler)]
