"""Resource groups that are made by themselves of what an engine has."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from ..core.nouns.resource_groups import check_name
from ..core.queues import Queue, queue_from_json, queue_to_json
from . import audit
from .models import AuditEntry, ResourceGroup
from .resource_groups import SYSTEM

ACTION = "resource_group.discover"


def add_missing(db: Session, queues: Sequence[Queue]) -> tuple[str, ...]:
    """Make the groups that there are not, open to everybody, behind the others (use it exclusively); returns their names.

    A partition that some group of the same engine has is left alone, also when that group is not active: an administrator closed it.
    From then on the group is administrators' to change, and one that they removed does not come back, open to everybody; twice
    changes nothing.
    """
    if db.get_bind().dialect.name == "postgresql":
        db.execute(text("SELECT pg_advisory_xact_lock(hashtext('backendai-groups'))"))
    rows = list(db.scalars(select(ResourceGroup)))
    names = {row.name for row in rows}
    taken = {_place(queue_from_json(row.name, row.engine, row.definition or {})) for row in rows}
    position = (db.scalar(select(func.max(ResourceGroup.position))) or 0) + 1
    added: list[str] = []
    made_before = set(db.scalars(select(AuditEntry.object).where(AuditEntry.action == ACTION).distinct()))
    for queue in queues:
        if _place(queue) in taken or queue.name in names or queue.name in made_before or check_name(queue.name):
            continue
        definition = queue_to_json(queue)
        db.add(ResourceGroup(name=queue.name, engine=queue.engine, is_open=True, position=position + len(added), definition=definition))
        audit.record(db, actor=SYSTEM, action=ACTION, object=queue.name, source=queue.engine, details={"after": definition})
        added.append(queue.name)
    db.flush()
    return tuple(added)


def _place(queue: Queue) -> tuple[str, str, tuple[str, ...]]:
    return queue.engine, queue.partition or queue.name, queue.clusters
