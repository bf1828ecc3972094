"""Queues (resource groups): what the site configured, what the engine says now, and whether a request fits one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .slots import ResourceSlots


@dataclass(frozen=True, slots=True)
class Queue:
    """A resource group as configured.

    ``max_slots`` are the site's own limits of one session, on top of what the engine has; ``capacity`` is the pretend size of a
    queue of an engine that has none of its own (local). ``projects`` None means every project. Times are seconds.
    """

    name: str
    engine: str
    partition: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    is_free: bool = True
    is_exclusive: bool | None = None
    projects: tuple[str, ...] | None = None
    accounts: Mapping[str, str] = field(default_factory=dict)
    max_slots: ResourceSlots = field(default_factory=ResourceSlots)
    capacity: ResourceSlots = field(default_factory=ResourceSlots)
    max_sessions: int | None = None
    gpu_type: str = ""
    default_time_s: int = 3600
    max_time_s: int | None = None

    def label(self, language: str) -> str:
        """The name to show in a language; English, then the plain name, when the site gave none."""
        return self.labels.get(language) or self.labels.get("en") or self.name

    def account(self, project: str) -> str:
        """The engine's account (Slurm ``--account``) for a project, "" to leave it to the engine's default."""
        return self.accounts.get(project) or self.accounts.get("*", "")


@dataclass(frozen=True, slots=True)
class GPUFigures:
    """GPUs of one type in a queue, on nodes that are up. ``per_node`` is the most that one node has."""

    type: str
    total: int
    free: int
    per_node: int


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """One row of the live table. Node counts are whole nodes; ``max_slots`` is the most that one session can get (of one node).

    ``read_at`` (Unix seconds) and ``error`` are set by whoever keeps rows: an error means that the row is as old as ``read_at``.
    """

    name: str
    nodes_alloc: int = 0
    nodes_idle: int = 0
    nodes_down: int = 0
    nodes_total: int = 0
    gpus: tuple[GPUFigures, ...] = ()
    waiting: int = 0
    running: int = 0
    is_exclusive: bool = False
    is_open: bool = True
    max_time_s: int | None = None
    max_slots: ResourceSlots = field(default_factory=ResourceSlots)
    read_at: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """All rows as read at ``read_at`` (Unix seconds). ``error`` says why a later reading failed; the rows are then stale."""

    queues: Mapping[str, QueueFigures] = field(default_factory=dict)
    read_at: float | None = None
    error: str = ""


def figures_to_json(figures: QueueFigures) -> dict[str, Any]:
    """One row for the browser and REST."""
    return {**asdict(figures), "max_slots": figures.max_slots.to_json()}
