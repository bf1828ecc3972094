"""The parts of the service that work with folders, made in the order in which they need each other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ..config import BackendAI
from ..store.database import Database
from .folder_access import FolderAccess
from .folder_measuring import FolderMeasuring
from .folder_ownership import FolderOwners
from .folder_tasks import FolderTasks
from .folder_works import FolderWorks
from .quotas import Quotas
from .storage.hosts import make_door, make_storage
from .storage.pools import Pools
from .storage.uploads import Uploads
from .storage_hosts import StorageHosts


class FolderParts:
    """All of them. ``by_name`` is what the applications know, ``works`` run for ever."""

    def __init__(self, settings: BackendAI, db: Database) -> None:
        door = make_door(settings)
        quotas = Quotas(db, door)
        self._storage = make_storage(settings, quotas.prepare, door)
        self._uploads = Uploads(db, Pools(), self._storage, room=quotas)
        tasks = FolderTasks(db)
        access = FolderAccess(db, self._storage, tasks)
        every_s, live_every_s = settings.measure_folders_every_s, settings.measure_used_folders_every_s
        measuring = FolderMeasuring(db, self._storage, tasks, every_s=every_s, live_every_s=live_every_s)
        hosts = StorageHosts(settings, db)
        sweeper = FolderWorks(db, self._storage, tasks, hosts)
        self.by_name: dict[str, Any] = {
            "storage": self._storage,
            "uploads": self._uploads,
            "storage_hosts": hosts,
            "quotas": quotas,
            "folder_tasks": tasks,
            "folder_access": access,
        }
        self.works: Sequence[Callable[[], Awaitable[None]]] = (
            self._storage.run,
            self._uploads.run,
            tasks.run,
            sweeper.run,
            access.run,
            quotas.run,
            measuring.run,
        )

    async def close(self) -> None:
        """Put away uploads under way, and end the workers; before the database goes."""
        await self._uploads.close()
        self._storage.close()


def add_missing(parts: dict[str, Any], settings: BackendAI, db: Database) -> None:
    """What an application works with, where nobody gave it. Without ``storage`` there are rows, and no files."""
    parts.setdefault("storage_hosts", StorageHosts(settings, db))
    parts.setdefault("folder_tasks", FolderTasks(db))
    parts.setdefault("quotas", Quotas(db, settings.helper_socket))
    storage = parts.get("storage")
    parts.setdefault("folder_access", FolderAccess(db, storage, parts["folder_tasks"]))
    if storage:
        FolderOwners(db, storage, parts["folder_access"]).register(parts["folder_tasks"])
    parts.setdefault("uploads", Uploads(db, Pools(), storage, room=parts["quotas"]))
