"""How much each folder holds: counted by a worker of whoever may read it, in the background.

Where no kernel counts, the sum is what quotas go by; everywhere it says which folders are the biggest.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ..errors import BackendAIError, NoPosixAccount
from ..store import folder_tasks, vfolder_gates, vfolder_quota_lists, vfolder_quotas
from ..store.models import now
from ..store.vfolder_rules import find_any
from .lease import Lease

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from ..core.identity import PosixAccount
    from ..core.vfolders import Folder
    from ..store.database import Database
    from ..store.folder_tasks import Task
    from .folder_tasks import FolderTasks, Progress

log = logging.getLogger("backendai")
MEASURE = "measure"
LOOK_S, LEASE_S, AGAIN_S = 60.0, 180.0, 3600.0
# Folders that wait for their turn: a night's worth of them must not keep a copy or a deletion waiting.
IN_LINE = 8


class FolderMeasuring:
    """Registers itself with the tasks. ``every_s``: how old a number may be; ``live_every_s``: where a session may write right now."""

    def __init__(self, db: Database, storage: Any, tasks: FolderTasks, *, every_s: float = 86400, live_every_s: float = 900) -> None:
        self._db, self._storage, self._tasks = db, storage, tasks
        self._every_s, self._live_every_s = every_s, live_every_s
        self._lease = Lease(db, "folder-measuring", LEASE_S)
        tasks.register(MEASURE, self._measure, tries=2)

    async def run(self) -> None:
        """Want the folders measured that are due, for ever."""
        await self._lease.repeat(self.look, LOOK_S, "Folders are not measured now")

    async def look(self) -> int:
        """Once; how many are measured."""
        if not await self._lease.take():
            return 0
        count = await self._db.run_exclusive(want_due, self._every_s, self._live_every_s)
        if count:
            self._tasks.wake()
        return count

    async def _measure(self, task: Task, progress: Progress) -> None:
        found = await self._db.run(_find, task.folder_id)
        if found is None:
            return
        folder, account = found
        try:
            usage = await self._storage.measure(folder, account)
        except NoPosixAccount:
            return  # nobody could have written anything
        progress.done_bytes, progress.done_files = usage.size, usage.files
        is_right = await self._db.run_exclusive(vfolder_quotas.set_measured, folder.id, usage, folder.used_bytes, now())
        if not is_right:
            await want(self._db, folder.id)


def want_due(db: Session, every_s: float, live_every_s: float) -> int:
    """Want the folders measured that nobody has measured for too long (use it exclusively); how many."""
    free = IN_LINE - folder_tasks.count_live(db, MEASURE)
    if free <= 0:
        return 0
    due = vfolder_quota_lists.list_due(db, now(), every_s=every_s, live_every_s=live_every_s, again_after_s=AGAIN_S, limit=free)
    for folder_id in due:
        folder_tasks.add(db, MEASURE, folder_id)
    return len(due)


async def want(db: Database, folder_id: str) -> None:
    """Have a folder measured soon, because something was deleted or changed in it. Never raises: the number is put right at night."""
    try:
        await db.run_exclusive(vfolder_quotas.want_measured, folder_id)
    except BackendAIError as exc:
        log.info("The folder %s is measured later: %s", folder_id, exc)


def _find(db: Session, folder_id: str) -> tuple[Folder, PosixAccount | None] | None:
    """A folder that can be looked into, and as whom: its owner, or one of its project."""
    if not vfolder_quotas.is_measurable(db, folder_id):
        return None
    accounts = vfolder_gates.list_accounts(db, folder_id)
    return find_any(db, folder_id), accounts[0] if accounts else None
