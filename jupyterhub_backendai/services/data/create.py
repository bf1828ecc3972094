"""A new folder: what it is for, its name, where it is, whose it is, and what others may do with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core.identity import Identity, Role
from ...core.vfolders import MAX_MODEL_NAME, MAX_NAME, HostPermission, Permission, UsageMode
from ...errors import N_, InvalidParameters, Violation
from ...store.models import Project
from ...store.vfolder_changes import NewFolder
from .. import vfolders
from .base import FormPage
from .forms import read_permission
from .show import AUTOMOUNT, USAGE_MODES
from .usage import load_usage

AUTOMOUNT_MODE = "automount"
MODES = {**{mode.value: words for mode, words in USAGE_MODES.items()}, AUTOMOUNT_MODE: AUTOMOUNT}
MODE_HELP = {
    UsageMode.GENERAL.value: N_("Files of any kind; you choose it when you launch a session."),
    UsageMode.MODEL.value: N_("Trained models; others may copy it where you let them."),
    UsageMode.DATA.value: N_("Data sets that are mostly read."),
    AUTOMOUNT_MODE: N_("In your home directory in every session, without being chosen. Its name begins with a dot, such as .local."),
}


class CreateForm(FormPage):
    """``data/new``; ``usage_mode``, ``project`` and ``name`` of the address fill the form in."""

    template = "data/create.html"

    async def load(self, *ids: str) -> dict[str, Any]:  # noqa: ARG002 - no ids
        hosts = await vfolders.list_own_hosts(self, self.act_by)
        gauges = (await load_usage(self)).gauges
        words = {gauge.usage.host: gauge.words for gauge in gauges if gauge.usage.id.startswith("user:")}
        hosts = [{**host, "words": words.get(host["name"], "")} for host in hosts]
        projects = await self.db.run(list_projects, self.identity)
        asked = {name: self.get_query_argument(name, "")[:128] for name in ("usage_mode", "name", "project", "host")}
        return {
            "hosts": [host for host in hosts if HostPermission.CREATE.value in host["permissions"]] if not projects else hosts,
            "projects": projects,
            "modes": MODES,
            "mode_help": MODE_HELP,
            "asked": asked,
            "most": MAX_NAME,
            "most_of_models": MAX_MODEL_NAME,
        }

    async def act(self, fields: Mapping[str, str], *ids: str) -> str:  # noqa: ARG002 - no ids
        mode, name = fields.get("usage_mode", UsageMode.GENERAL.value), fields.get("name", "").strip()
        if mode not in MODES:
            raise InvalidParameters(violations=[Violation(N_("Choose one of the list."), {}, "usage_mode", "invalid")])
        if mode == AUTOMOUNT_MODE:
            name = name if name.startswith(".") or not name else f".{name}"
        elif name.startswith("."):
            message = N_("A folder whose name begins with a dot mounts by itself in every session. Choose Automount, or another name.")
            raise InvalidParameters(violations=[Violation(message, {}, "name", "automount")])
        new = NewFolder(
            name,
            fields.get("host", ""),
            fields.get("project", ""),
            UsageMode.GENERAL if mode == AUTOMOUNT_MODE else UsageMode(mode),
            read_permission(fields.get("permission", Permission.READ_WRITE.value)),
            cloneable="cloneable" in fields,
        )
        access = await vfolders.create(self, self.act_by, new)
        return self.go_back("created", access.folder.id, f"{self.base}/{access.folder.id}")


def list_projects(db: Session, identity: Identity) -> list[tuple[str, str]]:
    """The projects whose folders somebody may make, as (id, words): none for most people."""
    if identity.role is Role.USER:
        return []
    query = select(Project.id, Project.name, Project.domain).where(Project.is_active.is_(True)).order_by(Project.domain, Project.name)
    if identity.role is Role.ADMIN:
        query = query.where(Project.domain == identity.domain)
    return [(id_, name if domain == identity.domain else f"{name} ({domain})") for id_, name, domain in db.execute(query)]


default_handlers = [(r"data/new", CreateForm)]
