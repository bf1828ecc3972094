"""Kinds of slots as the engines report them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..core.nouns.slot_types import check_slot_name
from ..core.slots import SlotKind
from . import audit
from .models import ResourceSlotType

ACTOR = "system"


def learn(db: Session, reports: Mapping[str, Mapping[str, SlotKind]]) -> list[str]:
    """Make the slots that engines (by name) report, and return the new ones (use it exclusively); twice changes nothing.

    How a slot is counted is never changed. One that no engine reports any more stays, because policies may name it; it can be
    removed then.
    """
    rows = {row.name: row for row in db.scalars(select(ResourceSlotType))}
    new = []
    for engine, kinds in sorted(reports.items()):
        for name, kind in sorted(kinds.items()):
            if check_slot_name(name) or len(name) > 64:
                continue
            if name not in rows:
                rows[name] = ResourceSlotType(name=name, kind=kind.value, engines=[])
                db.add(rows[name])
                new.append(name)
                after = {"name": name, "kind": kind.value, "engines": [engine]}
                details = {"before": None, "after": after}
                audit.record(db, actor=ACTOR, action="resource_slot_type.create", object=name, source=engine, details=details)
        for name, row in rows.items():
            engines = {*row.engines} - {engine} | ({engine} if name in kinds else set())
            if engines != {*row.engines}:
                row.engines = sorted(engines)
    db.flush()
    return new
