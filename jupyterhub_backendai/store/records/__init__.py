"""The store's side of everything that is administered, by the noun's name."""

from __future__ import annotations

from .announcements import AnnouncementRecords
from .audit_log import AuditRecords
from .base import Records, list_slot_kinds
from .domains import DomainRecords
from .images import ImageRecords, RegistryRecords
from .keypairs import KeypairRecords
from .policies import KeypairPolicyRecords, ProjectPolicyRecords, UserPolicyRecords
from .projects import ProjectRecords
from .resource_groups import ResourceGroupRecords
from .resource_presets import PresetRecords
from .sessions import SessionRecords
from .sign_up_invitations import SignUpInvitationRecords
from .slot_types import SlotTypeRecords
from .storage import StorageHostRecords
from .users import UserRecords

__all__ = ["RECORDS", "Records", "list_slot_kinds"]

RECORDS: dict[str, Records] = {
    records.noun.name: records
    for records in (
        DomainRecords(),
        ProjectRecords(),
        UserRecords(),
        SignUpInvitationRecords(),
        KeypairRecords(),
        KeypairPolicyRecords(),
        UserPolicyRecords(),
        ProjectPolicyRecords(),
        PresetRecords(),
        ResourceGroupRecords(),
        ImageRecords(),
        RegistryRecords(),
        StorageHostRecords(),
        SlotTypeRecords(),
        SessionRecords(),
        AnnouncementRecords(),
        AuditRecords(),
    )
}
