"""Nodes: the machines behind the queues, as their engines tell of them now."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .slots import ResourceSlots


class NodeState(enum.Enum):
    """Where a node is, in few words. DRAINING gives nothing to new sessions and lets the running ones end; DRAINED has none left."""

    IDLE = "idle"
    BUSY = "busy"
    DRAINING = "draining"
    DRAINED = "drained"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Node:
    """One machine. ``gpus`` are (all, used) by type; ``load`` is the operating system's of one minute, None when nobody tells.

    ``detail`` is the engine's own word (``MIXED+DRAIN``), ``reason`` what somebody wrote when taking it out. ``sessions`` and
    ``session_slots`` are those of ours that live there, filled in by whoever knows the sessions.
    """

    name: str
    engine: str
    state: NodeState
    detail: str = ""
    slots: ResourceSlots = field(default_factory=ResourceSlots)
    used: ResourceSlots = field(default_factory=ResourceSlots)
    gpus: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    load: float | None = None
    partitions: tuple[str, ...] = ()
    reason: str = ""
    sessions: int = 0
    session_slots: ResourceSlots = field(default_factory=ResourceSlots)

    def to_json(self) -> dict[str, Any]:
        """The node for programs."""
        return {
            "name": self.name,
            "engine": self.engine,
            "state": self.state.value,
            "detail": self.detail,
            "slots": self.slots.to_json(),
            "used": self.used.to_json(),
            "gpus": [{"type": kind, "total": total, "used": used} for kind, (total, used) in self.gpus.items()],
            "load": self.load,
            "partitions": list(self.partitions),
            "reason": self.reason,
            "sessions": self.sessions,
            "session_slots": self.session_slots.to_json(),
        }
