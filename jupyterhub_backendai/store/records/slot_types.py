"""Slots of this site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Text, cast, func, select
from sqlalchemy.orm import Session

from ...core.identity import Actor
from ...core.nouns.slot_types import RESOURCE_SLOT_TYPES, check_slot_name
from ...errors import N_, Conflict, Violation
from ..models import ComputeSession, Domain, Image, KeypairResourcePolicy, Project, ResourceGroup, ResourcePreset, ResourceSlotType
from .base import Records

# Every column that holds amounts by the slot's name, and the rows of it that count.
_USES: tuple[tuple[Any, ...], ...] = (
    (KeypairResourcePolicy.total_resource_slots,),
    (KeypairResourcePolicy.max_pending_session_resource_slots,),
    (Domain.total_resource_slots,),
    (Project.total_resource_slots,),
    (ResourcePreset.resource_slots,),
    (Image.min_slots,),
    (Image.max_slots,),
    (ResourceGroup.definition,),
    (ComputeSession.slots, ComputeSession.released_at.is_(None)),
)


class SlotTypeRecords(Records):
    noun = RESOURCE_SLOT_TYPES
    model = ResourceSlotType

    def column(self, name: str) -> Any:
        # JSON has no order on PostgreSQL; its text has.
        return cast(ResourceSlotType.engines, Text) if name == "engines" else super().column(name)

    def check(self, db: Session, actor: Actor, values: Mapping[str, Any], row: Any | None) -> list[Violation]:  # noqa: ARG002
        return check_slot_name(values["name"]) if row is None else []

    def check_removal(self, db: Session, actor: Actor, row: Any) -> None:  # noqa: ARG002
        if row.engines:
            raise Conflict(N_("The slot %(name)s is there because of: %(engines)s."), name=row.name, engines=", ".join(row.engines))
        uses: dict[str, int] = {}
        for column, *conditions in _USES:
            # The text of a row is JSON whose keys are names of slots.
            named = cast(column, Text).contains(f'"{row.name}"', autoescape=True)
            if count := db.scalar(select(func.count()).where(named, *conditions)):
                uses[column.class_.__tablename__] = uses.get(column.class_.__tablename__, 0) + count
        if uses:
            message = N_("The slot %(name)s is named by: %(uses)s.")
            raise Conflict(message, name=row.name, uses=", ".join(f"{table} ({count})" for table, count in uses.items()))
