"""Resource presets: named amounts that a session can be started with."""

from __future__ import annotations

from ...errors import N_, Violation
from ..slots import CPU, MEM, ResourceSlots, format_bytes
from .base import Noun
from .values import Field, Kind

RESOURCE_PRESETS = Noun(
    name="resource_presets",
    singular="resource_preset",
    title=N_("Resource presets"),
    one=N_("Resource preset"),
    key="name",
    fields=(
        Field("name", Kind.NAME, N_("Name"), is_required=True, is_fixed=True),
        Field("labels", Kind.LABELS, N_("Shown as"), most=64),
        Field(
            "resource_group",
            Kind.REFERENCE,
            N_("Resource group"),
            N_("Offered in this resource group only; empty is all."),
            of="resource_groups",
        ),
        Field("resource_slots", Kind.SLOTS, N_("Slots"), is_required=True),
        Field("shared_memory_bytes", Kind.BYTES, N_("Shared memory"), N_("A part of the memory; 0 leaves it to the engine.")),
        Field("position", Kind.INTEGER, N_("Position"), N_("Lower numbers come first."), most=10_000),
        Field("created_at", Kind.MOMENT, N_("Created"), is_computed=True),
    ),
    columns=("name", "resource_group", "resource_slots", "shared_memory_bytes", "position"),
    search=("name",),
    filters=("resource_group",),
    sort="position",
    for_domain_admins="read",
)


def check_preset(slots: ResourceSlots, shared_memory_bytes: int) -> list[Violation]:
    """What keeps these amounts from being a session: no CPU or memory, something infinite, more shared memory than memory."""
    found = [
        Violation(N_("A session needs some %(slot)s."), {"slot": name}, f"resource_slots.{name}", "required")
        for name in (CPU, MEM)
        if not slots.amount(name)
    ]
    found += [
        Violation(N_("A session cannot have infinite %(slot)s."), {"slot": name}, f"resource_slots.{name}", "infinite")
        for name, amount in slots.items()
        if amount.is_infinite()
    ]
    if shared_memory_bytes and not found and shared_memory_bytes >= slots.amount(MEM):
        message = N_("Shared memory is a part of the memory, so it must be less than %(mem)s.")
        found.append(Violation(message, {"mem": format_bytes(int(slots.amount(MEM)))}, "shared_memory_bytes", "too-much"))
    return found
