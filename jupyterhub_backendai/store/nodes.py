"""What our live sessions hold on each node."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..core.slots import ResourceSlots
from .models import ComputeSession


@dataclass(frozen=True, slots=True)
class NodeUse:
    """The sessions of a node and what they hold together."""

    sessions: int = 0
    slots: ResourceSlots = field(default_factory=ResourceSlots)


def list_node_use(db: Session) -> dict[tuple[str, str], NodeUse]:
    """By engine and node; ``""`` is the node of sessions that have none (yet)."""
    columns = (ComputeSession.engine, ComputeSession.node, ComputeSession.slots)
    query = select(*columns, func.count()).where(ComputeSession.released_at.is_(None)).group_by(*columns)
    found: dict[tuple[str, str], NodeUse] = {}
    for engine, node, slots, count in db.execute(query):
        before = found.get((engine, node), NodeUse())
        # a few sizes make up most sessions: one row for each of them
        total = ResourceSlots({name: amount * count for name, amount in slots.items()})
        found[engine, node] = NodeUse(before.sessions + count, before.slots + total)
    return found
