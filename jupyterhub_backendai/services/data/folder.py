"""One folder: its files, what it is, who has it, and which sessions use it."""

from __future__ import annotations

from typing import Any

from ... import i18n
from ...core.vfolder_sharing import Holding
from ...core.vfolders import IN_TRASH, UPDATABLE
from ...errors import Forbidden, from_problem
from ...store import vfolder_sharing as shares
from ...store.vfolder_pages import load_marks
from .. import vfolders
from ..auth import authenticated
from ..explorer import load_explorer
from .base import DataPage
from .show import ADMINISTRATOR, Line


class FolderHandler(DataPage):
    """GET shows it to who may use it, and without its files to who administers it."""

    @authenticated
    async def get(self, folder_id: str) -> None:
        access = await vfolders.find(self, self.act_by, folder_id)
        marks = await self.db.run(load_marks, [folder_id])
        line = self.describe(access, marks=marks[folder_id])
        task = (await vfolders.list_tasks(self, [folder_id])).get(folder_id)
        has_files = access.source != ADMINISTRATOR and access.folder.status in UPDATABLE
        explorer = await load_explorer(self, folder_id) if has_files else None
        self.set_status(explorer.status if explorer else 200)
        self.render_data(
            "data/folder.html",
            line=line,
            folder=access.folder,
            task=task,
            trouble=i18n.explain(self.language, from_problem(task.trouble)) if task and task.status == "failed" and task.trouble else "",
            people=await self._list_people(line),
            holdings=await self._list_holdings(line),
            notice=await self.find_notice(),
            explorer=explorer,
            has_files=has_files,
            is_in_trash=access.folder.status in IN_TRASH,
        )

    async def _list_people(self, line: Line) -> list[Any] | None:
        """Who else may use it; None for who may not know."""
        if line.folder.status not in UPDATABLE:
            return None
        try:
            return list(await self.db.run(shares.list_shares, self.caller, line.folder.id))
        except Forbidden:
            return None

    async def _list_holdings(self, line: Line) -> list[Holding]:
        """Sessions that have it: of everybody for who is in charge, else one's own."""
        users = None if line.is_in_charge else [self.identity.name]
        return list(await self.db.run(shares.list_holdings, line.folder.id, users))


default_handlers = [(r"data/([0-9a-f]{32})", FolderHandler)]
