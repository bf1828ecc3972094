"""Resource presets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func
from sqlalchemy.orm import Session

from ...core.identity import Actor
from ...core.nouns.resource_presets import RESOURCE_PRESETS, check_preset
from ...core.slots import ResourceSlots
from ...errors import Violation
from ..models import ResourceGroup, ResourcePreset
from .base import Records, check_references


class PresetRecords(Records):
    noun = RESOURCE_PRESETS
    model = ResourcePreset

    def column(self, name: str) -> Any:
        # "" on the outside is NULL in the row: the filter `resource_group=` finds those that are offered everywhere.
        return func.coalesce(ResourcePreset.resource_group, "") if name == "resource_group" else super().column(name)

    def values_of(self, db: Session, rows: Sequence[Any]) -> list[dict[str, Any]]:
        return [
            {
                **values,
                "resource_group": values["resource_group"] or "",
                "shared_memory_bytes": values["shared_memory_bytes"] or 0,
            }
            for values in super().values_of(db, rows)
        ]

    def check(self, db: Session, actor: Actor, values: Mapping[str, Any], row: Any | None) -> list[Violation]:  # noqa: ARG002
        group = values.get("resource_group", "")
        found = check_references(db, "resource_group", [group] if group else [], ResourceGroup.name)
        # What a change does not name stays as it is in the row; a new preset has all of it named.
        slots: ResourceSlots = values.get("resource_slots", row and row.resource_slots)
        shared = values.get("shared_memory_bytes", row and row.shared_memory_bytes)
        return found + check_preset(slots, shared or 0)

    def assign(self, db: Session, row: Any, values: Mapping[str, Any]) -> None:
        if "resource_group" in values:
            values = {**values, "resource_group": values["resource_group"] or None}
        super().assign(db, row, values)
