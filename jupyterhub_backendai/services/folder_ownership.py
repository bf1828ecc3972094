"""Giving a folder to somebody else, and the access lists of files: work on folders that outlives a request (``folder_tasks``)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from ..core.identity import Actor
from ..core.vfolders import Folder, Grant, Permission
from ..errors import N_, BackendAIError, Conflict
from ..store import vfolder_gates, vfolder_grants, vfolder_ownership
from ..store.database import Database
from ..store.folder_tasks import Task
from ..store.vfolder_ownership import KIND, Move
from .folder_access import FolderAccess
from .folder_tasks import FolderTasks, Progress
from .parts import Parts

log = logging.getLogger("backendai")


async def change_ownership(parts: Parts, actor: Actor, folder_id: str, to: str) -> Folder:
    """Begin to give a person's folder to somebody else, by user name or mail address."""
    folder = await parts.db.run_exclusive(vfolder_ownership.begin, actor, folder_id, to)
    parts.folder_tasks.wake()
    return folder


class FolderOwners:
    """Does the tasks ``access`` and ``ownership``; both are right when they are done twice, and after a kill at any point."""

    def __init__(self, db: Database, storage: Any, access: FolderAccess) -> None:
        self._db, self._storage, self._access = db, storage, access

    def register(self, tasks: FolderTasks) -> None:
        """Have them done here."""
        tasks.register("access", self.follow_files)
        tasks.register(KIND, self.move, self.give_up)

    async def follow_files(self, task: Task, progress: Progress) -> None:
        """Bring the access lists of a folder's files up to date, everybody's own by a worker of theirs: nobody else may."""
        gate = await self._db.run(vfolder_gates.load_gate, task.folder_id)
        if gate is None:
            return
        progress.done_files = await self._apply(gate.folder, gate.wanted, progress)
        again = await self._db.run(vfolder_gates.load_gate, task.folder_id)
        if again is not None and again.wanted != gate.wanted:  # it changed while we were at it
            await self.follow_files(task, progress)

    async def _apply(self, folder: Folder, grants: Sequence[Grant], progress: Progress) -> int:
        """How many lists were changed. The first one who looks says who else has files there: a project may have hundreds of people."""
        changed, owners = 0, {-1}
        for account in await self._db.run(vfolder_gates.list_accounts, folder.id):
            progress.check()
            if owners & {-1, account.uid}:
                seen = set[int]()
                changed += await self._storage.apply_access(folder, grants, account, others=seen)
                owners = seen if owners == {-1} else owners
        return changed

    async def move(self, task: Task, progress: Progress) -> None:
        """Copy, switch, delete the old directory."""
        move = await self._db.run(vfolder_ownership.load_move, task.folder_id, task.source_id, task.user_id)
        if move is None:
            return
        if not move.is_switched:
            await self._copy(move, progress)
            progress.check()
            if not await self._db.run_exclusive(vfolder_ownership.switch, move):
                return
        await self._access.apply(move.target.id)
        await self._storage.remove_folder(move.source)

    async def _copy(self, move: Move, progress: Progress) -> None:
        """Everything into a new directory, as the new owner, who may read the old one for that long."""
        taker = Grant(_uid(move.taker), Permission.READ_ONLY, _gid(move.taker))
        grants = [*await self._db.run(vfolder_grants.list_grants, move.source.id)]
        if not self._storage.is_single_user:
            grants = [*(grant for grant in grants if grant.uid != taker.uid), taker]
        await self._storage.set_gate(move.source, grants)
        await self._apply(move.source, grants, progress)
        # Nobody else from now on: what somebody wrote after it was copied would be lost.
        await self._storage.set_gate(move.source, [taker])
        whole = Grant(_uid(move.taker), Permission.READ_WRITE_DELETE, _gid(move.taker), is_owner=True)
        await self._storage.make_folder(move.target, [whole])

        def tell(size: int, files: int) -> None:
            progress.done_bytes, progress.done_files = size, files

        skipped = await self._storage.copy(move.source, move.target, move.taker, tell)
        if skipped:
            message = N_("%(count)s files of the folder %(name)s cannot be read by the new owner. Nothing was changed.")
            raise Conflict(message, count=skipped, name=move.source.name)

    async def give_up(self, task: Task, exc: BackendAIError) -> None:
        """It stays the owner's; what was copied is deleted."""
        move = await self._db.run(vfolder_ownership.load_move, task.folder_id, task.source_id, task.user_id)
        if move is None or move.is_switched:
            return
        try:
            await self._storage.remove_folder(move.target)
        except BackendAIError as trouble:
            log.warning("What was copied of the folder %s is left to the next sweep: %s", task.folder_id, trouble)
        if await self._db.run_exclusive(vfolder_ownership.give_up, task.folder_id, task.source_id, str(exc)):
            await self._access.apply(task.folder_id)


def _uid(account: Any) -> int:
    return account.uid if account else -1


def _gid(account: Any) -> int:
    return account.gid if account else -1
