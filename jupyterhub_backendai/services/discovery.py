"""Resource groups made of Slurm's partitions, where the site wants them to be."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from ..config import BackendAI
from ..core.queues import Queue, QueueFigures
from ..store import discovery
from ..store.database import Database
from .groups import ResourceGroups

log = logging.getLogger("backendai")
ENGINE = "slurm"


def is_wanted(settings: BackendAI) -> bool:
    """Whether partitions become resource groups by themselves here."""
    return bool(settings.slurm_queues)


def choose(rows: Mapping[str, QueueFigures], wanted: str | list[str]) -> list[Queue]:
    """The queues to be had of partitions, in Slurm's order: all that people may see, or those that are named, the hidden ones too.

    The partition ``gpu`` of a cluster that is not the first is called ``gpu@west``, its group ``gpu.west``.
    """
    found = []
    for key, row in rows.items():
        rules = row.rules
        is_shown = rules is None or not (rules.is_hidden or rules.is_root_only)
        if (wanted == "all" and is_shown) or (wanted != "all" and key in wanted):
            partition, _, cluster = key.partition("@")
            name = f"{partition}.{cluster}" if cluster else partition
            clusters = (cluster,) if cluster else ()
            found.append(Queue(name, ENGINE, "" if name == partition else partition, clusters=clusters))
    return found


class Discovery:
    """Makes the groups that there are not yet, once for every list of partitions."""

    def __init__(self, settings: BackendAI, db: Database, groups: ResourceGroups) -> None:
        self._settings, self._db, self._groups = settings, db, groups
        self._settled: frozenset[str] = frozenset()

    async def discover(self, rows: Mapping[str, QueueFigures]) -> None:
        """Look at what Slurm has. Raises BackendUnavailable while the database cannot be used."""
        queues = choose(rows, self._settings.slurm_queues)
        names = frozenset(queue.name for queue in queues)
        if names <= self._settled:
            return
        await self._groups.ready()
        if added := await self._db.run_exclusive(discovery.add_missing, queues):
            log.info("Partitions that became resource groups: %s", ", ".join(added))
            await self._groups.refresh()
        self._settled = names
