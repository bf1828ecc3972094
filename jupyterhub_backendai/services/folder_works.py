"""Copying folders and deleting them for good, as tasks that a kill at any point only delays; and what kills left behind, swept."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from ..errors import N_, BackendAIError, Conflict, NotFound
from ..store import vfolder_gates, vfolder_grants, vfolder_works
from ..store.database import Database
from ..store.folder_tasks import Task
from .folder_tasks import FolderTasks, Progress
from .lease import Lease
from .storage_hosts import StorageHosts

log = logging.getLogger("backendai")
SWEEP_S, LEASE_S = 3600.0, 1800.0
WORK_S = 24 * 3600
MANY = 20  # names in one line of the log
_LEFT = (".new-", ".trash-")


class FolderWorks:
    """Registers itself with the tasks. ``storage`` is :class:`.storage.hosts.Storage`."""

    def __init__(self, db: Database, storage: Any, tasks: FolderTasks, hosts: StorageHosts) -> None:
        self._db, self._storage, self._tasks, self._hosts = db, storage, tasks, hosts
        self._lease = Lease(db, "folder-sweep", LEASE_S)
        tasks.register("clone", self._clone, self._give_up_clone)
        tasks.register("purge", self._purge, self._give_up_purge)

    async def run(self) -> None:
        """Sweep now and every hour, for ever."""
        await self._hosts.ready()
        await self._lease.repeat(self.sweep_in_turn, SWEEP_S, "What was left behind stays for now")

    # -- copying

    async def _clone(self, task: Task, progress: Progress) -> None:
        copy = await self._db.run(vfolder_works.find_copy, task)
        if copy is None:
            return
        grants = await self._db.run(vfolder_grants.list_grants, copy.target.id)
        await self._storage.make_folder(copy.target, grants)
        await self._db.run_exclusive(vfolder_gates.note_applied, copy.target.id, grants)
        usage = await self._storage.measure(copy.source, copy.posix)
        await self._db.run_exclusive(vfolder_works.reserve_copy, task, usage.size, usage.files)
        progress.total_bytes, progress.total_files = usage.size, usage.files

        def tell(size: int, files: int) -> None:
            progress.done_bytes, progress.done_files = size, files

        copying = asyncio.ensure_future(self._storage.copy(copy.source, copy.target, copy.posix, tell))
        skipped = await self._watch(copying, progress)
        await self._db.run_exclusive(vfolder_works.finish_copy, task, progress.done_bytes, progress.done_files)
        if skipped:
            message = N_(
                "%(count)s things could not be copied: you may not read them, or they are neither files nor directories nor links."
            )
            progress.remark = Conflict(message, count=skipped)

    async def _watch(self, copying: asyncio.Future[int], progress: Progress) -> int:
        """The answer of long work, which ends early when the task is another one's by now."""
        try:
            while not copying.done():
                await asyncio.wait({copying}, timeout=1)
                progress.check()
            return copying.result()
        finally:
            copying.cancel()

    async def _give_up_clone(self, task: Task, exc: BackendAIError) -> None:
        await self._db.run_exclusive(vfolder_works.fail_copy, task.folder_id, str(exc))

    # -- deleting

    async def _purge(self, task: Task, progress: Progress) -> None:
        folder = await self._db.run(vfolder_works.find_purge, task)
        if folder is None:
            return
        progress.total_bytes, progress.total_files = folder.used_bytes, folder.used_files
        await self._storage.remove_folder(folder)
        await self._db.run_exclusive(vfolder_works.finish_purge, folder.id)

    async def _give_up_purge(self, task: Task, exc: BackendAIError) -> None:
        await self._db.run_exclusive(vfolder_works.fail_purge, task.folder_id, str(exc))

    # -- what was left behind

    async def sweep_in_turn(self) -> None:
        """Sweep, unless another service does."""
        if await self._lease.take():
            await self.sweep()
            self._tasks.wake()

    async def sweep(self) -> Mapping[str, int]:
        """Put right what no process works on; how many directories went, by host. A host that does not answer is swept next time."""
        left = await self._db.run_exclusive(vfolder_works.tidy)
        if left.unmade or left.uncopied or left.undeleted:
            log.info("Left behind: %s folders half made, %s half copied, %s half deleted", left.unmade, left.uncopied, left.undeleted)
        swept = {}
        for host in await self._db.run(vfolder_works.list_host_names):
            try:
                swept[host] = await self._sweep_host(host)
            except BackendAIError as exc:
                log.info("The storage host %s is not swept now: %s", host, exc)
        return swept

    async def _sweep_host(self, host: str) -> int:
        try:
            # First what is there, then what should be: a folder that is made meanwhile is in neither, or in the database.
            found = await self._storage.list_folders(host)
        except NotFound:  # no folder was ever made there
            return 0
        scopes = {_plain(name): scope for scope, name in found}
        deletable, unknown = await self._db.run(vfolder_works.list_deletable, list(scopes))
        # half made or half deleted: the name says that nobody uses it
        halves = {_plain(name) for _, name in found if name.startswith(_LEFT)} & set(unknown)
        for folder_id in {*deletable, *halves}:
            await self._storage.remove_directory(host, scopes[folder_id], folder_id)
        await self._sweep_work(host)
        self._complain(host, "directories that belong to no folder, left alone", sorted(set(unknown) - halves))
        missing = await self._db.run(vfolder_works.list_missing, host, list(scopes))
        self._complain(host, "folders have no directory", missing)
        return len({*deletable, *halves})

    async def _sweep_work(self, host: str) -> None:
        """Files that were arriving, or being written, when a process was killed; nobody waits for them for so long."""
        for folder_id, uid in await self._storage.list_work(host, WORK_S):
            left = await self._db.run(vfolder_works.find_left_work, folder_id, uid)
            if left is None:
                continue
            count = await self._storage.sweep_work(left.folder, left.posix, left.uploads, time.time() - WORK_S)
            if count:
                log.info("%s files were left behind in the work directory of the folder %s", count, folder_id)

    def _complain(self, host: str, what: str, ids: list[str]) -> None:
        if ids:
            log.warning("%s: %s %s: %s", host, len(ids), what, ", ".join(ids[:MANY]))


def _plain(name: str) -> str:
    for prefix in _LEFT:
        name = name.removeprefix(prefix)
    return name
