"""Keeping the gates on disk in step with who may use which folder.

The database decides; our file pages ask it each time. A running session meets the folder's gate instead, so every change is told
to the gate at once (:meth:`FolderAccess.apply`), and everything that changes rights without knowing of folders (somebody leaves a
project, is closed, gets another Unix account) is found by a look at all of them every minute.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Protocol

from ..core.vfolders import IN_TRASH, Folder, Grant
from ..errors import BackendAIError, StorageUnavailable
from ..store import folder_tasks, vfolder_gates
from ..store.database import Database
from ..store.vfolder_gates import Gate
from .lease import Lease

log = logging.getLogger("backendai")
INTERVAL_S, LEASE_S = 60.0, 180.0
MOST_TRIES = 10  # of others who change the same folder meanwhile
AT_ONCE = 8


class Gates(Protocol):
    """Who tells the gates (``services.storage.hosts.Storage``)."""

    async def set_gate(self, folder: Folder, grants: Sequence[Grant]) -> None:
        """Let in exactly these."""


class FolderAccess:
    """``storage`` None: nothing on disk is kept (a service of tests). ``tasks`` is woken when access lists have to follow."""

    def __init__(self, db: Database, storage: Gates | None, tasks: Any = None, *, interval_s: float = INTERVAL_S) -> None:
        self._db, self._storage, self._tasks = db, storage, tasks
        self._interval_s = interval_s
        self._lease = Lease(db, "folder-access", LEASE_S)
        self._locks: dict[str, asyncio.Lock] = {}
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Rights may have changed somewhere: look at all of them soon."""
        self._woken.set()

    async def apply(self, folder_id: str) -> bool:
        """Tell a folder's gate who may use it now. False when its host does not answer: it is told again by itself."""
        return await self._try(folder_id) is None

    async def _try(self, folder_id: str) -> BackendAIError | None:
        """The same; why not, None when all is well."""
        if self._storage is None:
            return None
        lock = self._locks.setdefault(folder_id, asyncio.Lock())
        try:
            async with lock:
                await self._settle(self._storage, folder_id)
        except BackendAIError as exc:
            log.warning("Who may use the folder %s is told to its host later: %s", folder_id, exc)
            return exc
        finally:
            if not lock.locked():
                self._locks.pop(folder_id, None)
        return None

    async def _settle(self, storage: Gates, folder_id: str) -> None:
        """Tell the gate until what it was told is still right afterwards: another process may have told it something older."""
        first: Gate | None = None
        for _ in range(MOST_TRIES):
            gate = await self._db.run(vfolder_gates.load_gate, folder_id)
            if gate is None:
                return
            first = first or gate
            await self._tell(storage, gate)
            again = await self._db.run(vfolder_gates.load_gate, folder_id)
            if again is None:
                return
            if again.wanted == gate.wanted:
                await self._db.run_exclusive(vfolder_gates.note_applied, folder_id, gate.wanted)
                await self._follow_files(Gate(gate.folder, gate.wanted, first.applied))
                return
        raise StorageUnavailable(host=first.folder.host if first else "")  # it changes faster than its host is told

    async def _tell(self, storage: Gates, gate: Gate) -> None:
        """Tell a gate. Where somebody new cannot be let in, whoever is to be kept out is kept out all the same; then raises."""
        try:
            await storage.set_gate(gate.folder, gate.wanted)
        except BackendAIError as exc:
            if not exc.transient and gate.applied:
                await storage.set_gate(gate.folder, [grant for grant in gate.wanted if str(grant.uid) in gate.applied])
            raise

    async def _follow_files(self, gate: Gate) -> None:
        """Have the access lists of the files follow, where somebody's right among them is another one than before."""
        if gate.folder.status in IN_TRASH or not (gate.has_new_rights or gate.has_lost_rights):
            return
        await self._db.run_exclusive(folder_tasks.add, "access", gate.folder.id)
        if self._tasks is not None:
            self._tasks.wake()

    async def look(self) -> int:
        """One look at all folders by one of the services; how many gates were told something new."""
        if self._storage is None or not await self._lease.take():
            return 0
        await self._db.run_exclusive(vfolder_gates.drop_old_overrides)
        behind = await self._db.run(vfolder_gates.list_behind)
        told, away = 0, set[str]()  # a host that does not answer once is not asked a thousand times
        for start in range(0, len(behind), AT_ONCE):
            some = [(folder_id, host) for folder_id, host in behind[start : start + AT_ONCE] if host not in away]
            troubles = await asyncio.gather(*(self._try(folder_id) for folder_id, _ in some))
            away |= {host for (_, host), trouble in zip(some, troubles, strict=True) if trouble is not None and trouble.transient}
            told += troubles.count(None)
            if not await self._lease.keep():
                break
        return told

    async def run(self) -> None:
        """Look every minute, and soon after :meth:`wake`, for ever."""
        try:
            while True:
                self._woken.clear()
                try:
                    await self.look()
                except BackendAIError as exc:
                    log.info("Who may use which folder was not looked at: %s", exc)
                try:
                    await asyncio.wait_for(self._woken.wait(), self._interval_s)
                except TimeoutError:
                    continue
        finally:
            await self._lease.give_back()
