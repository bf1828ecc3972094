"""Everything that is administered, in the order of the administrator's menu."""

from __future__ import annotations

from .announcements import ANNOUNCEMENTS
from .base import Change, Noun, Page, Query, Record, parse_query
from .domains import DOMAINS
from .images import CONTAINER_REGISTRIES, IMAGES
from .policies import KEYPAIR_RESOURCE_POLICIES, PROJECT_RESOURCE_POLICIES, USER_RESOURCE_POLICIES
from .resource_groups import RESOURCE_GROUPS
from .resource_presets import RESOURCE_PRESETS
from .slot_types import RESOURCE_SLOT_TYPES
from .storage import STORAGE_HOSTS
from .values import Field, Kind

__all__ = ["NOUNS", "Change", "Field", "Kind", "Noun", "Page", "Query", "Record", "parse_query"]

NOUNS: dict[str, Noun] = {
    noun.name: noun
    for noun in (
        DOMAINS,
        KEYPAIR_RESOURCE_POLICIES,
        USER_RESOURCE_POLICIES,
        PROJECT_RESOURCE_POLICIES,
        RESOURCE_PRESETS,
        RESOURCE_GROUPS,
        IMAGES,
        CONTAINER_REGISTRIES,
        STORAGE_HOSTS,
        RESOURCE_SLOT_TYPES,
        ANNOUNCEMENTS,
    )
}
