"""The configured storage hosts are put into the database once per process; from then on the database says which there are."""

from __future__ import annotations

import asyncio

from ..config import BackendAI
from ..store import vfolder_hosts
from ..store.database import Database


class StorageHosts:
    """What every use of folders waits for first."""

    def __init__(self, settings: BackendAI, db: Database) -> None:
        self._hosts = settings.list_storage_hosts()
        self._db = db
        self._is_synced = False
        self._lock = asyncio.Lock()

    async def ready(self) -> None:
        """Return once the database has the configured hosts. Raises BackendUnavailable while it cannot be used."""
        if not self._is_synced:
            async with self._lock:
                if not self._is_synced:
                    await self._db.run_exclusive(vfolder_hosts.sync, self._hosts)
                    self._is_synced = True
