"""Somebody's limits and use in the words of a page: of each slot the limit that is hit first, and all of them in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from .. import i18n
from ..core.policies import has_line
from ..core.queues import Queue
from ..core.quota import Ask, Scope, Share, Standing, Usage, check_quota, show_amount
from ..core.slots import CPU, CUDA_DEVICE, KNOWN_SLOTS, MEM, ResourceSlots, SlotKind
from ..errors import N_, Violation
from .admin.show import show_slots, slot_label

# Shown to everybody, limited or not; of the other slots those that somebody limits or uses.
ALWAYS = (CPU, MEM, CUDA_DEVICE)
WHOSE = {
    Scope.KEYPAIR: N_("your keypair, by the policy %(name)s"),
    Scope.USER: N_("you, by the policy %(name)s"),
    Scope.PROJECT: N_("the project %(name)s"),
    Scope.DOMAIN: N_("the domain %(name)s"),
}
_SHARED = frozenset({Scope.PROJECT, Scope.DOMAIN})
HEADS = {Scope.KEYPAIR: N_("My keypair"), Scope.USER: N_("All my keypairs"), Scope.PROJECT: N_("Project"), Scope.DOMAIN: N_("Domain")}


@dataclass(frozen=True, slots=True)
class Bar:
    """One slot under the limit that leaves the least. ``most`` is None when nobody limits it; ``whose`` says who does."""

    label: str
    used: float
    most: float | None
    words: str
    left: str
    whose: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table behind: what, and used and most under each limit."""

    label: str
    cells: tuple[str, ...]


def check_limits(standing: Standing, queue: Queue, slots: ResourceSlots, time_s: int = 0) -> list[Violation]:
    """Every limit that one more session in the queue would break; admission asks the same again, in its own transaction."""
    return check_quota(Ask(slots, time_s, is_waiting=has_line(queue)), standing)


def list_bars(standing: Standing, language: str, kinds: Mapping[str, SlotKind] = KNOWN_SLOTS) -> list[Bar]:
    """The bars of all slots, and of the number of sessions."""
    bars = [_bar(standing, slot, language, kinds) for slot in list_slots(standing, kinds)]
    share = next((share for share in standing.shares if share.limit.sessions is not None), None)
    if share is not None:
        most, used = share.limit.sessions or 0, share.usage.sessions
        left = i18n.translate(language, N_("%(amount)s left"), {"amount": share.remaining_sessions})
        bars.append(Bar(i18n.translate(language, N_("Sessions")), used, most, f"{used} / {most}", left, _whose(share, language)))
    return bars


def list_slots(standing: Standing, kinds: Mapping[str, SlotKind]) -> list[str]:
    """The slots that are worth a line, the known ones first."""
    named = {name for share in standing.shares for name in (*share.limit.slots, *share.usage.slots)}
    shown = [name for name in kinds if name in ALWAYS or name in named]
    return [*shown, *sorted(named - set(kinds))]


def list_lines(standing: Standing, language: str, kinds: Mapping[str, SlotKind] = KNOWN_SLOTS) -> list[Line]:
    """The table behind the bars: a line for each slot and one for sessions, a column for each limit."""
    lines = [
        Line(slot_label(language, slot), tuple(_cell(share, slot, kinds) for share in standing.shares))
        for slot in list_slots(standing, kinds)
    ]
    return [*lines, Line(i18n.translate(language, N_("Sessions")), tuple(_count(share) for share in standing.shares))]


def list_heads(standing: Standing, language: str) -> list[str]:
    """The heads of that table: whose limit, and its name."""
    return [f"{i18n.translate(language, HEADS[share.limit.scope])} ({share.limit.name})" for share in standing.shares]


def list_uses(usages: Mapping[str, Usage], language: str) -> list[tuple[str, int, str]]:
    """What one holds by project or by resource group: name, sessions, amounts in words."""
    return [
        (name, usage.sessions, show_slots(language, {slot: amount for slot, amount in usage.slots.items() if amount}, KNOWN_SLOTS))
        for name, usage in sorted(usages.items())
        if usage.sessions
    ]


def list_group_bars(standing: Standing, queue: Queue, language: str) -> list[Bar]:
    """How full a resource group of our own counting is, by everybody together; nothing for one that an engine counts."""
    used, mine = standing.resource_group.slots, standing.by_resource_group.get(queue.name, Usage()).slots
    return [_group_bar(slot, queue.capacity, used, mine, language) for slot in queue.capacity]


def _group_bar(slot: str, capacity: ResourceSlots, used: ResourceSlots, mine: ResourceSlots, language: str) -> Bar:
    words = f"{show_amount(slot, used.amount(slot))} / {show_amount(slot, capacity[slot])}"
    own = i18n.translate(language, N_("%(amount)s of it yours"), {"amount": show_amount(slot, mine.amount(slot))})
    return Bar(slot_label(language, slot), float(used.amount(slot)), float(capacity[slot]), words, own, "")


def _bar(standing: Standing, slot: str, language: str, kinds: Mapping[str, SlotKind]) -> Bar:
    label = slot_label(language, slot)
    share = find_tightest(standing.shares, slot)
    if share is None:
        used = standing.share(Scope.USER).usage.slots.amount(slot)
        return Bar(label, float(used), None, show_amount(slot, used, kinds), i18n.translate(language, N_("no limit")), "")
    left = i18n.translate(language, N_("%(amount)s left"), {"amount": show_amount(slot, share.remaining(slot), kinds)})
    used, most = share.usage.slots.amount(slot), share.limit.most(slot)
    return Bar(label, float(used), float(most), _cell(share, slot, kinds), left, _whose(share, language))


def find_tightest(shares: Sequence[Share], slot: str) -> Share | None:
    """The share that leaves the least of a slot, of those that leave the same the smaller; None when nobody limits it."""
    limited = [share for share in shares if share.limit.most(slot).is_finite()]
    return min(limited, key=lambda share: (share.remaining(slot), share.limit.most(slot)), default=None)


def _cell(share: Share, slot: str, kinds: Mapping[str, SlotKind]) -> str:
    used: Decimal = share.usage.slots.amount(slot)
    most = share.limit.most(slot)
    # What all people of a project or domain hold is added up only where somebody limits it.
    if most.is_infinite() and share.limit.scope in _SHARED:
        return "∞"
    return f"{show_amount(slot, used, kinds)} / {show_amount(slot, most, kinds)}"


def _count(share: Share) -> str:
    most = share.limit.sessions
    return "∞" if most is None and share.limit.scope in _SHARED else f"{share.usage.sessions} / {'∞' if most is None else most}"


def _whose(share: Share, language: str) -> str:
    return i18n.translate(language, WHOSE[share.limit.scope], {"name": share.limit.name})
