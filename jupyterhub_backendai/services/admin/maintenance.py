"""Work on the platform: put right what is counted, take the configuration out and in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...core.documents import MAX_SIZE_BYTES, Difference, format_document, parse_document
from ...core.nouns import NOUNS
from ...errors import N_, BackendAIError, BackendUnavailable, InvalidParameters, Violation
from ...store import audit, configuration
from ..auth import administrative
from ..reconcile import Reconciler
from ..rest.admin import forget_all
from ..rest.recalculate import describe as describe_plan
from .base import AdminHandler
from .show import plain_text

VERBS = {"create": N_("make"), "update": N_("change"), "delete": N_("delete")}


@dataclass(frozen=True, slots=True)
class Step:
    """One difference as the preview shows it: the act, the noun's title, the thing, and what changes as (field, before, after)."""

    verb: str
    title: str
    key: str
    fields: Sequence[tuple[str, str, str]]
    people: int


def describe(difference: Difference) -> Step:
    """A difference for people's eyes; the words are translated where it is drawn."""
    names = dict.fromkeys([*difference.before, *difference.after])
    fields = [(name, plain_text(difference.before.get(name)), plain_text(difference.after.get(name))) for name in names]
    if difference.verb == "create":
        fields = [(name, before, after) for name, before, after in fields if after not in {"–", "{}", "[]"}]
    noun = NOUNS.get(difference.noun)
    return Step(
        VERBS.get(difference.verb, difference.verb), noun.one if noun else difference.noun, difference.key, fields, difference.people
    )


class MaintenanceHandler(AdminHandler):
    """The page; superadministrators only."""

    @administrative
    async def get(self) -> None:
        self.show()

    def show(self, status: int = 200, **values: Any) -> None:
        """The page, with a document that is looked at, what it would change, and what is wrong with it."""
        self.require_superadmin()
        page: dict[str, Any] = {"document": "", "prune": False, "steps": None, "summary": [], "found": None, **values}
        self.render_admin("admin/maintenance.html", "maintenance", status=status, **page)


class RecalculateHandler(MaintenanceHandler):
    """Compare what is reserved with the hub and the engines now; the answer says what was done."""

    @administrative
    async def post(self) -> None:
        self.require_superadmin()
        reconciler: Reconciler | None = self.application.settings.get("reconciler")
        if reconciler is None:
            raise BackendUnavailable
        found = describe_plan(await reconciler.reconcile())
        who = {"actor": self.actor.name, "source": self.actor.source}
        await self.db.run(audit.record, action="usage.recalculate", details=found, **who)
        self.show(found=found)


class ExportHandler(AdminHandler):
    """The configuration as a file."""

    @administrative
    async def get(self) -> None:
        self.require_superadmin()
        people = self.get_query_argument("people", "") == "1"
        document = await self.db.run(configuration.export, self.actor, people=people)
        text = await asyncio.to_thread(format_document, document)
        self.set_header("Content-Type", "application/yaml; charset=utf-8")
        self.set_header("Content-Disposition", 'attachment; filename="backendai-configuration.yaml"')
        self.finish(text)


class ImportHandler(MaintenanceHandler):
    """Look at what a document would change (``look``), then make it so (``apply``). All of it, or nothing."""

    @administrative
    async def post(self) -> None:
        self.require_superadmin()
        prune, is_applied = bool(self.get_body_argument("prune", "")), self.get_body_argument("act", "") == "apply"
        text = ""
        try:
            text = self._read()
            document = await asyncio.to_thread(parse_document, text)
            function = configuration.apply if is_applied else configuration.plan
            found = await self.db.run_exclusive(function, self.actor, document, prune=prune)
        except BackendAIError as exc:
            if exc.status >= 500:
                raise
            _, summary = self.explain_all(exc)
            self.show(exc.status, document=text, prune=prune, summary=summary)
            return
        if not is_applied:
            self.show(document=text, prune=prune, steps=[describe(item) for item in found])
            return
        await forget_all(self.application.settings)
        self.redirect(f"{self.base}maintenance?notice={'applied' if found else 'unchanged'}", status=303)

    def _read(self) -> str:
        """The file that was sent, else the text that was typed."""
        files = self.request.files.get("file") or []
        data = files[0].body if files and files[0].body else (self.request.body_arguments.get("document") or [b""])[-1]
        if not data.strip():
            raise InvalidParameters(violations=[Violation(N_("Choose a file, or put the text here."), {}, "document", "required")])
        if len(data) > MAX_SIZE_BYTES:
            raise InvalidParameters(N_("The document has %(size)s bytes; at most %(most)s are taken."), size=len(data), most=MAX_SIZE_BYTES)
        try:
            return data.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeError as exc:
            raise InvalidParameters(N_("The document is not text in UTF-8.")) from exc


default_handlers = [
    (r"admin/maintenance", MaintenanceHandler),
    (r"admin/maintenance/recalculate", RecalculateHandler),
    (r"admin/maintenance/configuration\.yaml", ExportHandler),
    (r"admin/maintenance/configuration", ImportHandler),
]
