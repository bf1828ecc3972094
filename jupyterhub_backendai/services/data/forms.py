"""What can be done with one folder, as forms: rename, options, copy, trash, restore, delete for good, leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.vfolders import MAX_NAME, Permission
from ...errors import N_, InvalidParameters, Violation
from ...store import vfolder_sharing as shares
from ...store.vfolder_changes import NewFolder
from .. import vfolder_sharing as sharing
from .. import vfolders
from .base import FolderForm
from .show import Line


class RenameForm(FolderForm):
    template = "data/rename.html"

    async def act(self, fields: Mapping[str, str], *ids: str) -> str:
        folder = await vfolders.rename(self, self.act_by, ids[0], fields.get("name", "").strip())
        return self.go_back("renamed", folder.id)


class OptionsForm(FolderForm):
    template = "data/options.html"

    async def act(self, fields: Mapping[str, str], *ids: str) -> str:
        permission = read_permission(fields["permission"]) if "permission" in fields else None
        folder = await vfolders.update_options(self, self.act_by, ids[0], permission=permission, cloneable="cloneable" in fields)
        return self.go_back("changed", folder.id)


class CloneForm(FolderForm):
    template = "data/clone.html"

    async def load_more(self, line: Line) -> dict[str, Any]:
        return {"suggestion": f"{line.folder.name[: MAX_NAME - 5]}-copy"}

    async def act(self, fields: Mapping[str, str], *ids: str) -> str:
        source = (await self.find_line(ids[0])).folder
        new = NewFolder(fields.get("name", "").strip(), usage_mode=source.usage_mode, cloneable="cloneable" in fields)
        folder, _ = await vfolders.clone(self, self.act_by, ids[0], new)
        return self.go_back("copying", folder.id, self.base)


class TrashForm(FolderForm):
    template = "data/trash.html"

    async def load_more(self, line: Line) -> dict[str, Any]:
        return {"holdings": await self.db.run(shares.list_holdings, line.folder.id)}

    async def act(self, fields: Mapping[str, str], *ids: str) -> str:  # noqa: ARG002 - nothing to type
        folder = await vfolders.move_to_trash(self, self.act_by, ids[0])
        is_there = self.back.partition("?")[0] == self.base
        return self.go_back("trashed", folder.id, "" if is_there else self.base)


class RestoreForm(FolderForm):
    template = "data/restore.html"

    async def act(self, fields: Mapping[str, str], *ids: str) -> str:  # noqa: ARG002 - nothing to type
        folder = await vfolders.restore(self, self.act_by, ids[0])
        return self.go_back("restored", folder.id)


class PurgeForm(FolderForm):
    template = "data/purge.html"

    async def act(self, fields: Mapping[str, str], *ids: str) -> str:
        folder = await vfolders.purge(self, self.act_by, ids[0], fields.get("name", ""))
        return self.go_back("purging", folder.id, f"{self.base}?tab=trash")


class LeaveForm(FolderForm):
    template = "data/leave.html"

    async def act(self, fields: Mapping[str, str], *ids: str) -> str:  # noqa: ARG002 - nothing to type
        await sharing.leave(self, self.caller, ids[0])
        is_there = self.back.partition("?")[0] == self.base
        return self.go_back("left", "", "" if is_there else self.base)


def read_permission(text: str) -> Permission:
    """What members get. Raises InvalidParameters."""
    try:
        return Permission(text)
    except ValueError as exc:
        raise InvalidParameters(violations=[Violation(N_("Choose one of the list."), {}, "permission", "invalid")]) from exc


_ID = r"([0-9a-f]{32})"
default_handlers = [
    (rf"data/{_ID}/rename", RenameForm),
    (rf"data/{_ID}/options", OptionsForm),
    (rf"data/{_ID}/clone", CloneForm),
    (rf"data/{_ID}/trash", TrashForm),
    (rf"data/{_ID}/restore", RestoreForm),
    (rf"data/{_ID}/purge", PurgeForm),
    (rf"data/{_ID}/leave", LeaveForm),
]
