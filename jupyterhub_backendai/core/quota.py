"""Quotas: what a keypair, a person, a project and a domain may hold at a time, what they hold, and what a request breaks.

Amounts: the most restrictive holds. A slot that a limit does not name is unlimited, except in a keypair policy that says "limited":
there it means none (Backend.AI 24.03, contract §7.5). What may be done on a storage host is the union over all who grant it (§7.6).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from ..errors import N_, Violation
from .fields import format_duration
from .slots import CPU, CUDA_DEVICE, INFINITY, KNOWN_SLOTS, MEM, ResourceSlots, SlotKind, format_amount

# What does not fit now (it may later), and what never will under this limit.
NOT_NOW, NEVER = "quota", "quota-limit"
_FIELDS = {CPU: "cpu", MEM: "mem", CUDA_DEVICE: "gpu"}
_ZERO = Decimal(0)


class Scope(enum.Enum):
    """Whose limit it is. A person's slots, over all keypairs, are limited by the policy of the main keypair."""

    KEYPAIR = "keypair"
    USER = "user"
    PROJECT = "project"
    DOMAIN = "domain"


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that one scope may hold at a time; None is unlimited.

    ``name`` says who set it: the policy of a keypair (and of a person), else the project or domain itself. ``is_limited``: a slot that
    ``slots`` does not name is not there at all. Sessions that wait are limited by the ``pending`` pair.
    """

    scope: Scope
    name: str
    slots: ResourceSlots = field(default_factory=ResourceSlots)
    is_limited: bool = False
    sessions: int | None = None
    pending_sessions: int | None = None
    pending_slots: ResourceSlots | None = None
    lifetime_s: int | None = None
    containers: int | None = None

    def most(self, slot: str) -> Decimal:
        """The most of one slot, maybe infinite."""
        return self.slots.get(slot, _ZERO if self.is_limited else INFINITY)


@dataclass(frozen=True, slots=True)
class Usage:
    """What live sessions hold together; those that wait in a line of ours hold nothing yet and are only in the ``pending`` pair.

    Sessions that wait in an engine's own line (Slurm) are in both: nobody asks us again before they start.
    """

    sessions: int = 0
    slots: ResourceSlots = field(default_factory=ResourceSlots)
    pending_sessions: int = 0
    pending_slots: ResourceSlots = field(default_factory=ResourceSlots)

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.sessions + other.sessions,
            self.slots + other.slots,
            self.pending_sessions + other.pending_sessions,
            self.pending_slots + other.pending_slots,
        )


@dataclass(frozen=True, slots=True)
class Share:
    """One scope's limit and what is used of it."""

    limit: Limit
    usage: Usage = field(default_factory=Usage)

    def remaining(self, slot: str) -> Decimal:
        """What is left of one slot: never negative, maybe infinite."""
        return max(self.limit.most(slot) - self.usage.slots.amount(slot), _ZERO)

    @property
    def remaining_sessions(self) -> int | None:
        """How many more sessions may run, None when as many as you like."""
        return None if self.limit.sessions is None else max(self.limit.sessions - self.usage.sessions, 0)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where somebody stands, in one project: every limit and what is used of it, the keypair's first.

    ``by_project`` and ``by_resource_group`` are what the person's own live sessions hold there, ``resource_group`` what
    everybody's hold in the group that was asked about.
    """

    user: str
    domain: str
    project: str
    access_key: str
    shares: tuple[Share, ...] = ()
    projects: tuple[str, ...] = ()
    by_project: Mapping[str, Usage] = field(default_factory=dict)
    by_resource_group: Mapping[str, Usage] = field(default_factory=dict)
    resource_group: Usage = field(default_factory=Usage)

    def share(self, scope: Scope) -> Share:
        """The share of one scope; an unlimited one when nobody limits it."""
        return next((share for share in self.shares if share.limit.scope is scope), Share(Limit(scope, "")))

    def remaining(self, slot: str) -> Decimal:
        """What is left of one slot under every limit together, maybe infinite."""
        return min((share.remaining(slot) for share in self.shares), default=INFINITY)

    @property
    def lifetime_s(self) -> int | None:
        """The longest that a session may live, seconds; None is for ever."""
        return min((share.limit.lifetime_s for share in self.shares if share.limit.lifetime_s), default=None)


@dataclass(frozen=True, slots=True)
class Ask:
    """What one more session wants. ``time_s`` 0 leaves the time to the defaults, which shrink to what is allowed.

    ``is_waiting``: it goes into a line of ours and holds nothing until it leaves it. ``is_pending``: it waits, in ours or an engine's.
    """

    slots: ResourceSlots
    time_s: int = 0
    containers: int = 1
    is_pending: bool = False
    is_waiting: bool = False


def check_quota(ask: Ask, standing: Standing, kinds: Mapping[str, SlotKind] = KNOWN_SLOTS) -> list[Violation]:
    """Every limit that the session would break, each with who set it, what is used, what was asked and what would fit.

    The rule of a violation is ``quota`` for what does not fit now and ``quota-limit`` for what never can.
    """
    found: list[Violation] = []
    for share in _distinct(standing.shares):
        found += _check_slots(share, ask, kinds)
        found += _check_sessions(share, ask)
        found += _check_pending(share, ask, kinds)
        found += _check_shape(share.limit, ask)
    return found


def shorten(time_s: int, standing: Standing) -> int:
    """A time that nobody asked for (a default), made to fit the longest lifetime; seconds."""
    longest = standing.lifetime_s
    return min(time_s, longest) if longest else time_s


def merge_host_permissions(*granted: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    """What somebody may do on each storage host: whatever the domain, a project or the keypair's policy grants."""
    merged: dict[str, frozenset[str]] = {}
    for hosts in granted:
        for host, permissions in hosts.items():
            merged[host] = merged.get(host, frozenset()) | frozenset(permissions)
    return merged


def slot_field(slot: str) -> str:
    """The form field of a slot."""
    return _FIELDS.get(slot, slot)


def show_amount(slot: str, amount: Decimal, kinds: Mapping[str, SlotKind] = KNOWN_SLOTS) -> str:
    """An amount of a slot for people."""
    return format_amount(amount, kinds.get(slot, SlotKind.FRACTION))


def _distinct(shares: Iterable[Share]) -> Iterable[Share]:
    """The shares without a person's that says nothing beyond the keypair's: nobody wants to read the same refusal twice."""
    keypair = next((share for share in shares if share.limit.scope is Scope.KEYPAIR), None)
    for share in shares:
        is_same = share.limit.scope is Scope.USER and keypair is not None and share.limit.name == keypair.limit.name
        if not (is_same and keypair and share.usage.slots == keypair.usage.slots):
            yield share


def _check_slots(share: Share, ask: Ask, kinds: Mapping[str, SlotKind]) -> Iterable[Violation]:
    for slot, asked in ask.slots.items():
        most, free = share.limit.most(slot), share.remaining(slot)
        never = asked > most
        if not asked or not (never or (asked > free and not ask.is_waiting)):
            continue
        numbers = {"total": most, "used": share.usage.slots.amount(slot), "asked": asked, "free": free}
        params = {"owner": share.limit.name, "slot": slot, **{name: show_amount(slot, value, kinds) for name, value in numbers.items()}}
        yield Violation(_SLOTS[share.limit.scope], params, slot_field(slot), NEVER if never else NOT_NOW)


def _check_sessions(share: Share, ask: Ask) -> Iterable[Violation]:
    most, used = share.limit.sessions, share.usage.sessions
    if most is None or (most and (ask.is_waiting or used < most)):
        return
    params = {"owner": share.limit.name, "most": most, "used": used}
    message = N_("The keypair policy %(owner)s allows %(most)s sessions at a time and %(used)s are live. End one of them first.")
    yield Violation(message, params, "", NOT_NOW if most else NEVER)


def _check_pending(share: Share, ask: Ask, kinds: Mapping[str, SlotKind]) -> Iterable[Violation]:
    if not ask.is_pending:
        return
    limit, usage = share.limit, share.usage
    if limit.pending_sessions is not None and usage.pending_sessions >= limit.pending_sessions:
        params = {"owner": limit.name, "most": limit.pending_sessions, "used": usage.pending_sessions}
        message = N_(
            "The keypair policy %(owner)s allows %(most)s sessions that wait and %(used)s wait now. Try again when one has started."
        )
        yield Violation(message, params, "", NOT_NOW if limit.pending_sessions else NEVER)
    for slot, most in (limit.pending_slots or {}).items():
        asked, used = ask.slots.amount(slot), usage.pending_slots.amount(slot)
        if asked and asked + used > most:
            numbers = {"total": most, "used": used, "asked": asked, "free": max(most - used, _ZERO)}
            shown = {name: show_amount(slot, value, kinds) for name, value in numbers.items()}
            yield Violation(
                _PENDING_SLOTS, {"owner": limit.name, "slot": slot, **shown}, slot_field(slot), NEVER if asked > most else NOT_NOW
            )


def _check_shape(limit: Limit, ask: Ask) -> Iterable[Violation]:
    if limit.lifetime_s and ask.time_s > limit.lifetime_s:
        params = {"owner": limit.name, "most": format_duration(limit.lifetime_s), "asked": format_duration(ask.time_s)}
        message = N_("The keypair policy %(owner)s lets a session live at most %(most)s; you asked for %(asked)s.")
        yield Violation(message, params, "time", NEVER)
    if limit.containers is not None and ask.containers > limit.containers:
        containers = {"owner": limit.name, "most": limit.containers, "asked": ask.containers}
        message = N_("The keypair policy %(owner)s allows %(most)s containers in a session; you asked for %(asked)s.")
        yield Violation(message, containers, "cluster_size", NEVER)


_SLOTS = {
    Scope.KEYPAIR: N_(
        "The keypair policy %(owner)s allows %(total)s of %(slot)s and %(used)s are in use;"
        " you asked for %(asked)s, at most %(free)s fits now."
    ),
    Scope.USER: N_(
        "The keypair policy %(owner)s allows you %(total)s of %(slot)s over all keypairs and %(used)s are in use;"
        " you asked for %(asked)s, at most %(free)s fits now."
    ),
    Scope.PROJECT: N_(
        "The project %(owner)s may have %(total)s of %(slot)s and %(used)s are in use; you asked for %(asked)s, at most %(free)s fits now."
    ),
    Scope.DOMAIN: N_(
        "The domain %(owner)s may have %(total)s of %(slot)s and %(used)s are in use; you asked for %(asked)s, at most %(free)s fits now."
    ),
}
_PENDING_SLOTS = N_(
    "The keypair policy %(owner)s allows %(total)s of %(slot)s for sessions that wait and %(used)s are asked for already;"
    " you asked for %(asked)s, at most %(free)s fits now."
)
