"""Kinds of slots that exist here besides the four that every site has."""

from __future__ import annotations

import re

from ...errors import N_, Violation
from ..slots import KNOWN_SLOTS, SlotKind
from .base import Noun
from .values import Field, Kind

_SLOT = re.compile(r"[a-z][a-z0-9_-]*(?:\.[a-z0-9][a-z0-9_-]*)?")

RESOURCE_SLOT_TYPES = Noun(
    name="resource_slot_types",
    singular="resource_slot_type",
    title=N_("Slots"),
    one=N_("Slot"),
    key="name",
    fields=(
        Field(
            "name",
            Kind.TEXT,
            N_("Name"),
            N_("<device> or <device>.<slot>, such as rocm.device."),
            is_required=True,
            is_fixed=True,
            most=64,
        ),
        Field(
            "kind",
            Kind.CHOICE,
            N_("Counted in"),
            N_("count: whole numbers; bytes: sizes; fraction: numbers with three digits after the point."),
            is_required=True,
            is_fixed=True,
            choices=tuple(kind.value for kind in SlotKind),
        ),
        Field(
            "engines",
            Kind.WORDS,
            N_("Reported by"),
            N_("Engines that have it; a slot that one reports is made by itself."),
            is_computed=True,
        ),
        Field("created_at", Kind.MOMENT, N_("Created"), is_computed=True),
    ),
    columns=("name", "kind", "engines", "created_at"),
    search=("name",),
    filters=("kind",),
    sort="name",
    verbs=frozenset({"create", "delete"}),
    for_domain_admins="read",
)


def check_slot_name(name: str) -> list[Violation]:
    """Whether a slot can have that name: those that every site has are no site's own."""
    if name in KNOWN_SLOTS:
        return [Violation(N_("Every site has the slot %(slot)s."), {"slot": name}, "name", "known")]
    if _SLOT.fullmatch(name):
        return []
    message = N_("A slot is named <device> or <device>.<slot>, in small letters, digits and - _")
    return [Violation(message, {}, "name", "invalid")]
