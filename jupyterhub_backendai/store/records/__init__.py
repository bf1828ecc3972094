"""The store's side of everything that is administered, by the noun's name."""

from __future__ import annotations

from .announcements import AnnouncementRecords
from .base import Records, list_slot_kinds
from .domains import DomainRecords
from .images import ImageRecords, RegistryRecords
from .policies import KeypairPolicyRecords, ProjectPolicyRecords, UserPolicyRecords
from .resource_groups import ResourceGroupRecords
from .resource_presets import PresetRecords
from .slot_types import SlotTypeRecords
from .storage import StorageHostRecords

__all__ = ["RECORDS", "Records", "list_slot_kinds"]

RECORDS: dict[str, Records] = {
    records.noun.name: records
    for records in (
        DomainRecords(),
        KeypairPolicyRecords(),
        UserPolicyRecords(),
        ProjectPolicyRecords(),
        PresetRecords(),
        ResourceGroupRecords(),
        ImageRecords(),
        RegistryRecords(),
        StorageHostRecords(),
        SlotTypeRecords(),
        AnnouncementRecords(),
    )
}
