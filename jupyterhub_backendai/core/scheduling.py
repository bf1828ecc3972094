"""Who of those that wait in a resource group gets a place next, and where. For engines without a scheduler of their own.

Backend.AI's rules (contract §7.3): ``fifo``, ``lifo``, and ``drf``: the oldest pending session of the access key whose dominant share
(the largest used ÷ capacity over all slots) is the lowest. Everything that was read is an argument; times are Unix seconds.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import add, attrgetter
from typing import Any

from .policies import Holding
from .queues import Queue
from .slots import CUDA_DEVICE, ResourceSlots

#: Only so many are told their position: nobody can do anything with "you are the 4,711th", and each change of it is a write.
POSITIONS = 100
# Slots are exact to this many parts of one; see slots.parse_amount.
_PARTS = 1000


@dataclass(frozen=True, slots=True)
class Pending:
    """A session that waits. ``retries`` is how often it was first in line and did not fit; its owner gives it up after ``patience_s``."""

    session_id: str
    access_key: str
    slots: ResourceSlots
    created_at: float
    starts_at: float | None = None
    depends_on: tuple[str, ...] = ()
    retries: int = 0
    patience_s: int | None = None


@dataclass(frozen=True, slots=True)
class Dependency:
    """A session that another one waits for: live, ended well, or failed (also one that nobody knows any more)."""

    name: str
    is_over: bool = False
    is_good: bool = False
    ended_at: float = 0.0


@dataclass(slots=True)
class Node:
    """A machine of the group: what it has, and what is taken of it (this changes as sessions are placed)."""

    name: str
    capacity: ResourceSlots
    used: ResourceSlots = field(default_factory=ResourceSlots)
    devices: set[int] = field(default_factory=set)

    def could_hold(self, slots: ResourceSlots) -> bool:
        """Whether it would fit if nothing else were there. GPUs that a node does not name do not exist; other slots are not limited."""
        return all(slots[name] <= self.capacity.amount(name) for name in slots if self._counts(name, slots))

    def can_hold(self, slots: ResourceSlots) -> bool:
        """Whether it fits beside what is there now."""
        return all(
            self.used.amount(name) + slots[name] <= self.capacity.amount(name) for name in slots if self._counts(name, slots)
        ) and len(self.free_devices()) >= slots.amount(CUDA_DEVICE)

    def free_devices(self) -> list[int]:
        """The numbers of the whole devices that nobody has."""
        return [number for number in range(int(self.capacity.amount(CUDA_DEVICE))) if number not in self.devices]

    def take(self, slots: ResourceSlots) -> tuple[int, ...]:
        """Put a session here; its device numbers, the lowest free ones."""
        devices = tuple(self.free_devices()[: int(slots.amount(CUDA_DEVICE))])
        self.used += slots
        self.devices.update(devices)
        return devices

    def share(self) -> float:
        """How full it is: the largest used ÷ capacity."""
        return max((float(self.used.amount(name) / total) for name, total in self.capacity.items() if total), default=0.0)

    def _counts(self, name: str, slots: ResourceSlots) -> bool:
        return bool(slots[name]) and (name in self.capacity or name == CUDA_DEVICE)


class Anywhere(Node):
    """All that an engine with a scheduler of its own has: whether and where there is room, it says itself."""

    def could_hold(self, slots: ResourceSlots) -> bool:  # noqa: ARG002
        return True

    can_hold = could_hold

    def take(self, slots: ResourceSlots) -> tuple[int, ...]:  # noqa: ARG002
        return ()


@dataclass(frozen=True, slots=True)
class Placement:
    """A place for a session."""

    session_id: str
    node: str
    devices: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a session goes on waiting. ``word`` is one of :mod:`.waiting`'s; ``position`` counts from 1 among those that could start.

    A rule that is not of the line (a quota) says so itself, in ``message`` and ``params``.
    """

    word: str
    position: int | None = None
    detail: str = ""
    start_at: float | None = None
    message: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)


class Gate:
    """What else must be so at the moment a session gets its place: quotas. This one lets everybody through."""

    def check(self, session: Pending) -> Wait | None:  # noqa: ARG002 - for subclasses
        """Why the session may not start now; it keeps nobody else back."""
        return None

    def let_in(self, session: Pending) -> None:
        """The session got a place and counts from now on."""


@dataclass(frozen=True, slots=True)
class Round:
    """What one look at a group decided. ``tried`` are those to whose retries one is added."""

    places: tuple[Placement, ...] = ()
    waits: Mapping[str, Wait] = field(default_factory=dict)
    timed_out: tuple[str, ...] = ()
    tried: tuple[str, ...] = ()


def choose(
    queue: Queue,
    pending: Sequence[Pending],
    held: Iterable[tuple[str, Holding]],
    nodes: Sequence[Node],
    dependencies: Mapping[str, Dependency],
    at: float,
    gate: Gate | None = None,
) -> Round:
    """Give places to as many as fit, in the order of the group's scheduler.

    ``held`` are (access key, holding) of the sessions that have a place, and what they hold is in the ``nodes`` already. The first
    that does not fit keeps the others back, until it was tried ``num_retries_to_skip`` times (0: for ever).
    """
    waits: dict[str, Wait] = {}
    timed_out: list[str] = []
    ready: list[Pending] = []
    for session in pending:
        wait = _check(session, nodes, dependencies, at)
        if wait is None and _is_timed_out(queue, session, dependencies, at):
            timed_out.append(session.session_id)
        elif wait is None:
            ready.append(session)
        else:
            waits[session.session_id] = wait
    holdings = list(held)
    order = _order(queue.scheduler, ready, holdings, nodes)
    places, passed, tried = _place(queue, order, len(holdings), nodes, gate or Gate())
    waits |= _tell(passed, order)
    return Round(tuple(places), waits, tuple(timed_out), tuple(tried))


def _place(
    queue: Queue, order: _Order, count: int, nodes: Sequence[Node], gate: Gate
) -> tuple[list[Placement], list[tuple[Pending, Wait]], list[str]]:
    """The places, those that were passed over with the reason, and those that count a try."""
    places: list[Placement] = []
    passed: list[tuple[Pending, Wait]] = []
    tried: list[str] = []
    while (session := order.next()) is not None:
        if wait := gate.check(session):
            order.passed()
            passed.append((session, wait))
            continue
        is_full = queue.max_sessions is not None and count + len(places) >= queue.max_sessions
        node = None if is_full else _find_node(queue, session.slots, nodes)
        if node:
            places.append(Placement(session.session_id, node.name, node.take(session.slots)))
            gate.let_in(session)
            order.placed()
            continue
        may_be_passed = not is_full and queue.num_retries_to_skip > 0
        if may_be_passed and session.retries < queue.num_retries_to_skip:
            tried.append(session.session_id)
        order.passed()
        passed.append((session, Wait("sessions" if is_full else "resources")))
        if not may_be_passed or session.retries < queue.num_retries_to_skip:
            break
    return places, passed, tried


def _tell(passed: Sequence[tuple[Pending, Wait]], order: _Order) -> dict[str, Wait]:
    """What those are told that could start but have no place."""
    found = {session.session_id: wait for session, wait in passed if wait.message}
    in_line = [(session, wait) for session, wait in passed if not wait.message]
    found |= {session.session_id: Wait(wait.word, position) for position, (session, wait) in enumerate(in_line, 1)}
    far = Wait("order")
    for position, session in enumerate(order.rest(), len(in_line) + 1):
        found[session.session_id] = Wait("order", position) if position <= POSITIONS else far
    return found


def _find_node(queue: Queue, slots: ResourceSlots, nodes: Sequence[Node]) -> Node | None:
    """Where it fits: the fullest node (concentrated) or the emptiest (dispersed); among equals the first."""
    fitting = [node for node in nodes if node.can_hold(slots)]
    if len(fitting) < 2:
        return fitting[0] if fitting else None
    return (max if queue.agent_selection_strategy == "concentrated" else min)(fitting, key=Node.share)


# -- what must be so before a session is in line


def _check(session: Pending, nodes: Sequence[Node], dependencies: Mapping[str, Dependency], at: float) -> Wait | None:
    if session.starts_at is not None and session.starts_at > at:
        return Wait("start-time", start_at=session.starts_at)
    for session_id in session.depends_on:
        dependency = dependencies.get(session_id, Dependency(session_id[:8], is_over=True))
        if not dependency.is_over:
            return Wait("dependency", detail=dependency.name)
        if not dependency.is_good:
            return Wait("dependency-failed", detail=dependency.name)
    if not any(node.could_hold(session.slots) for node in nodes):
        return Wait("too-large")
    return None


def _is_timed_out(queue: Queue, session: Pending, dependencies: Mapping[str, Dependency], at: float) -> bool:
    """Only time in line counts: not that before its own start time, nor that before what it depends on ended."""
    limits = [limit_s for limit_s in (session.patience_s, queue.pending_timeout_s) if limit_s]
    if not limits:
        return False
    since = max(session.created_at, session.starts_at or 0.0)
    for session_id in session.depends_on:
        since = max(since, dependencies[session_id].ended_at)
    return at - since >= min(limits)


# -- the order


def _order(scheduler: str, ready: Sequence[Pending], held: Sequence[tuple[str, Holding]], nodes: Sequence[Node]) -> _Order:
    if scheduler == "drf":
        used: dict[str, ResourceSlots] = {}
        for access_key, holding in held:
            used[access_key] = used[access_key] + holding.slots if access_key in used else holding.slots
        return DominantShares(ready, used, sum((node.capacity for node in nodes), ResourceSlots()))
    return _Line(sorted(ready, key=_AGE, reverse=scheduler == "lifo"))


_AGE = attrgetter("created_at", "session_id")


class _Order:
    """Says who is next; each answer of :meth:`next` is followed by :meth:`placed` or :meth:`passed`."""

    def next(self) -> Pending | None:
        raise NotImplementedError

    def placed(self) -> None:
        """It got a place."""
        raise NotImplementedError

    def passed(self) -> None:
        """It got none: it leaves the line of this round."""
        raise NotImplementedError

    def rest(self) -> Sequence[Pending]:
        """Who would follow, if all got a place."""
        raise NotImplementedError


class _Line(_Order):
    """First come (or last come), first served."""

    def __init__(self, sessions: Sequence[Pending]) -> None:
        self._sessions, self._at = sessions, 0

    def next(self) -> Pending | None:
        return self._sessions[self._at] if self._at < len(self._sessions) else None

    def placed(self) -> None:
        self._at += 1

    passed = placed

    def rest(self) -> Sequence[Pending]:
        return self._sessions[self._at :]


class DominantShares(_Order):
    """DRF with a heap over access keys: a choice costs the logarithm of their number, however many sessions wait.

    Shares are compared exactly: amounts become whole numbers in units of which every slot's capacity has the same number. A slot
    without a capacity has no share. Among equal shares, the key whose oldest session is older comes first.
    """

    def __init__(self, pending: Sequence[Pending], used: Mapping[str, ResourceSlots], capacity: ResourceSlots) -> None:
        # Sorting costs next to nothing when the sessions come in order of age, as the database gives them.
        self._sessions = sorted(pending, key=_AGE)
        all_slots = [session.slots for session in self._sessions]
        # By identity: the same amounts are the same object as a rule (presets), and comparing them would cost more than it saves.
        self._ids = list(map(id, all_slots))
        distinct = dict(zip(self._ids, all_slots, strict=True)) | {id(slots): slots for slots in used.values()}
        self._weigh = _make_scale(capacity, list(distinct.values()))
        self._weights = {number: self._weigh(slots) for number, slots in distinct.items()}
        # The ranks of age of each key's sessions, the oldest last.
        self._lines: dict[str, list[int]] = defaultdict(list)
        for rank in range(len(self._sessions) - 1, -1, -1):
            self._lines[self._sessions[rank].access_key].append(rank)
        nothing = self._weigh(ResourceSlots())
        self._used = {key: self._weights[id(used[key])] if key in used else nothing for key in self._lines}
        self._heap = [(max(self._used[key]), line[-1]) for key, line in self._lines.items()]
        heapq.heapify(self._heap)

    def next(self) -> Pending | None:
        return self._sessions[self._heap[0][1]] if self._heap else None

    def placed(self) -> None:
        session = self._sessions[self._heap[0][1]]
        self._used[session.access_key] = tuple(map(add, self._used[session.access_key], self._weights[id(session.slots)]))
        self.passed()

    def passed(self) -> None:
        key = self._sessions[self._heap[0][1]].access_key
        line = self._lines[key]
        line.pop()
        if line:
            heapq.heapreplace(self._heap, (max(self._used[key]), line[-1]))
        else:
            heapq.heappop(self._heap)

    def rest(self) -> Sequence[Pending]:
        # A key's shares only grow along its line, so taking the lowest head again and again is the same as sorting all of them.
        weights = [self._weights[number] for number in self._ids]
        keys: list[int] = []
        count = len(self._sessions)
        for key, line in self._lines.items():
            if line:
                ranks = line[::-1]
                columns = zip(*[weights[rank] for rank in ranks], strict=True)
                before = [accumulate(column, initial=first) for first, column in zip(self._used[key], columns, strict=True)]
                # (share, rank) as one number
                keys += [share * count + rank for share, rank in zip(map(max, *before), ranks, strict=False)]
        keys.sort()
        return [self._sessions[key % count] for key in keys]


def _make_scale(capacity: ResourceSlots, amounts: Sequence[ResourceSlots]) -> Callable[[ResourceSlots], tuple[int, ...]]:
    """Amounts as whole numbers, so that the same number means the same share of the capacity in every slot.

    They are counted in the largest unit that all ``amounts`` are a multiple of: small numbers are faster to compare.
    """
    totals = {name: int(total * _PARTS) for name, total in capacity.items() if total and total.is_finite()}
    units = {name: math.gcd(total, *(int(slots.amount(name) * _PARTS) for slots in amounts)) for name, total in totals.items()}
    common = math.lcm(*(total // units[name] for name, total in totals.items()))
    factors = [(name, units[name], common * units[name] // total) for name, total in totals.items()]
    factors += [("", 1, 0)] * (2 - len(factors))  # max() wants two

    def weigh(slots: ResourceSlots) -> tuple[int, ...]:
        return tuple(int(slots.amount(name) * _PARTS) // unit * factor for name, unit, factor in factors)

    return weigh
