"""Everything that is administered, in the order of the administrator's menu."""

from __future__ import annotations

from .announcements import ANNOUNCEMENTS
from .audit_log import AUDIT_LOG
from .base import Change, Noun, Page, Query, Record, parse_query
from .domains import DOMAINS
from .images import CONTAINER_REGISTRIES, IMAGES
from .keypairs import KEYPAIRS
from .policies import KEYPAIR_RESOURCE_POLICIES, PROJECT_RESOURCE_POLICIES, USER_RESOURCE_POLICIES
from .projects import PROJECTS
from .resource_groups import RESOURCE_GROUPS
from .resource_presets import RESOURCE_PRESETS
from .sessions import SESSIONS
from .sign_up_invitations import SIGN_UP_INVITATIONS
from .slot_types import RESOURCE_SLOT_TYPES
from .storage import STORAGE_HOSTS
from .users import USERS
from .values import Field, Kind

__all__ = ["NOUNS", "Change", "Field", "Kind", "Noun", "Page", "Query", "Record", "parse_query"]

NOUNS: dict[str, Noun] = {
    noun.name: noun
    for noun in (
        DOMAINS,
        PROJECTS,
        USERS,
        SIGN_UP_INVITATIONS,
        KEYPAIRS,
        KEYPAIR_RESOURCE_POLICIES,
        USER_RESOURCE_POLICIES,
        PROJECT_RESOURCE_POLICIES,
        RESOURCE_PRESETS,
        RESOURCE_GROUPS,
        IMAGES,
        CONTAINER_REGISTRIES,
        STORAGE_HOSTS,
        RESOURCE_SLOT_TYPES,
        SESSIONS,
        ANNOUNCEMENTS,
        AUDIT_LOG,
    )
}
