"""Everything that is administered, in the order of the administrator's menu."""

from __future__ import annotations

from .base import Change, Noun, Page, Query, Record, parse_query
from .domains import DOMAINS
from .policies import KEYPAIR_RESOURCE_POLICIES, PROJECT_RESOURCE_POLICIES, USER_RESOURCE_POLICIES
from .resource_presets import RESOURCE_PRESETS
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
    )
}
