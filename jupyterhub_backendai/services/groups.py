"""The resource groups and images that are offered now: one snapshot of the database for everybody who asks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import replace

from sqlalchemy.orm import Session

from .. import backends as engines
from ..backends.base import Backend
from ..config import BackendAI
from ..core.identity import Identity
from ..core.images import Image
from ..core.queues import Queue
from ..errors import N_, BackendAIError, NotFound, Violation
from ..store import images, resource_groups
from ..store.database import Database

log = logging.getLogger("backendai")
REFRESH_S, USABLE_S = 10.0, 30.0
MAX_KNOWN = 10_000


class ResourceGroups:
    """The configured groups and images are put into the database once; from then on the database says what there is.

    Before that the configuration stands in, so that what does not need the database can go on. ``backends`` gets the engine of a
    group that only the database has.
    """

    def __init__(self, settings: BackendAI, db: Database, backends: MutableMapping[str, Backend] | None = None) -> None:
        self._settings, self._db, self._backends = settings, db, backends
        self._queues: Mapping[str, Queue] = settings.list_queues()
        self._images: Mapping[str, Image] = {name: Image(name, entry["labels"]) for name, entry in settings.list_environments().items()}
        self._is_synced = False
        self._lock = asyncio.Lock()
        self._usable: dict[tuple[str, tuple[str, ...], str], tuple[float, Collection[str]]] = {}

    def queues(self) -> Mapping[str, Queue]:
        """The active groups by name, in the order of the table."""
        return self._queues

    def images(self) -> Mapping[str, Image]:
        """The images that sessions can be started with, by name, in the order of the configuration."""
        return self._images

    async def ready(self) -> None:
        """Return once the database has the configured groups. Raises BackendUnavailable while it cannot be used."""
        if not self._is_synced:
            async with self._lock:
                if not self._is_synced:
                    await self._db.run_exclusive(_sync, self._settings)
                    await self._read()
                    self._is_synced = True

    async def refresh(self) -> None:
        """Read anew; call it after every change. Raises BackendUnavailable, and the last snapshot stays."""
        self._usable.clear()
        await self._renew()

    async def _renew(self) -> None:
        if self._is_synced:
            await self._read()
        else:
            await self.ready()

    async def _read(self) -> None:
        queues, offered = await self._db.run(_read)
        order = [*self._settings.list_environments()]
        self._images = {name: offered[name] for name in order if name in offered}
        self._queues = queues
        self._connect()

    async def list_usable(self, identity: Identity) -> dict[str, Queue]:
        """The groups that a person may use for one project or another, in the order of the table."""
        await self.ready()
        names = await self._db.run(resource_groups.list_usable_by, identity.name, identity.projects, identity.role)
        return {name: queue for name, queue in self._queues.items() if name in names}

    async def list_lately_usable(self, identity: Identity) -> dict[str, Queue]:
        """The same for a table that is drawn anew all the time: who may see what is up to half a minute old."""
        key, now = (identity.name, tuple(identity.projects), identity.role.value), time.monotonic()
        known = self._usable.get(key)
        if known is None or now - known[0] > USABLE_S:
            if len(self._usable) > MAX_KNOWN:
                self._usable.clear()
            known = self._usable[key] = (now, frozenset(await self.list_usable(identity)))
        return {name: queue for name, queue in self._queues.items() if name in known[1]}

    async def check_usable(self, identity: Identity, queue: Queue, project: str) -> list[Violation]:
        """Whether a person may use a group for one project ("" is the first of theirs); admission asks the same again."""
        own = project or next(iter(identity.projects), "")
        if own not in identity.projects or queue.name in await self.list_usable(replace(identity, projects=(own,))):
            return []
        message = N_("The queue %(queue)s is not open to the project %(project)s.")
        return [Violation(message, {"queue": queue.name, "project": own}, "queue", "queue")]

    async def run(self) -> None:
        """Keep the snapshot fresh for ever: another process may have changed something."""
        await self.ready()
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self._renew()
            except BackendAIError as exc:
                log.warning("The resource groups cannot be read: %s", exc)

    def _connect(self) -> None:
        """Engines that are not ours have no backend: their sessions are seen through the hub."""
        if self._backends is None:
            return
        for engine in {queue.engine for queue in self._queues.values()} - set(self._backends):
            with contextlib.suppress(NotFound):
                self._backends[engine] = engines.connect(self._settings, engine)


def _sync(db: Session, settings: BackendAI) -> None:
    resource_groups.sync(db, settings.list_queues())
    images.sync(db, settings.list_environments())


def _read(db: Session) -> tuple[dict[str, Queue], dict[str, Image]]:
    return resource_groups.list_queues(db), images.list_offered(db)
