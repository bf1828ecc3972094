"""The slots that the engines have: asked now and then, so that policies and presets can name them without anybody typing them in."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping

from ..backends.base import Backend
from ..core.queues import Queue
from ..core.slots import KNOWN_SLOTS, SlotKind
from ..errors import BackendAIError
from ..store import slot_types
from ..store.database import Database
from .groups import ResourceGroups

log = logging.getLogger("backendai")
INTERVAL_S = 600.0


class SlotLearner:
    """Asks every engine; one that does not answer keeps its slots."""

    def __init__(self, db: Database, backends: Mapping[str, Backend], groups: ResourceGroups) -> None:
        self._db, self._backends, self._groups = db, backends, groups

    async def run(self) -> None:
        """Learn for ever."""
        await self._groups.ready()
        while True:
            try:
                await self.learn()
            except BackendAIError as exc:
                log.warning("What slots the engines have cannot be kept: %s", exc)
            await asyncio.sleep(INTERVAL_S)

    async def learn(self) -> list[str]:
        """Ask now; the names that are new."""
        reports: dict[str, Mapping[str, SlotKind]] = {}
        queues = list(self._groups.queues().values())
        for engine, backend in list(self._backends.items()):
            try:
                reports[engine] = {**list_configured(queues, engine), **await backend.slot_kinds()}
            except BackendAIError as exc:
                log.warning("The slots of %s cannot be read: %s", engine, exc)
        new = await self._db.run_exclusive(slot_types.learn, reports)
        if new:
            log.info("New slots: %s", ", ".join(new))
        return new


def list_configured(queues: Iterable[Queue], engine: str) -> dict[str, SlotKind]:
    """The slots that the queues of an engine name; one that is handed out in parts is a fraction."""
    found: dict[str, SlotKind] = {}
    for slots in (part for queue in queues if queue.engine == engine for part in (queue.capacity, queue.max_slots)):
        for name, amount in slots.items():
            is_whole = amount.is_infinite() or amount == amount.to_integral_value()
            if name not in KNOWN_SLOTS and (name not in found or not is_whole):
                found[name] = SlotKind.COUNT if is_whole else SlotKind.FRACTION
    return found
