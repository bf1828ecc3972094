"""Usage over time: the days, weeks or months of a period, and slot-hours exactly divided among them.

Sessions are never walked one by one. What a database can add up is enough: of all sessions that began in one bucket and ended in
another, how many there were and the sums of their beginnings and ends. What was used until a moment T is then the amount times
(T - beginning) of all that had begun, less the amount times (T - end) of all that had ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from itertools import pairwise

from ..errors import N_, InvalidParameters, Violation
from .slots import ResourceSlots

GROUPINGS = ("resource_group", "project", "user", "domain")
UNITS = ("day", "week", "month")
MAX_BUCKETS = 100
DEFAULT_DAYS = 30
HOUR_S = 3600
_ZERO = Decimal(0)
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days from ``first`` to ``last`` (both included), cut into buckets; ``edges`` are their bounds, one more than buckets."""

    first: date
    last: date
    unit: str
    edges: tuple[datetime, ...]

    @property
    def offsets_s(self) -> tuple[int, ...]:
        """The edges in seconds after the first."""
        return tuple(round((edge - self.edges[0]).total_seconds()) for edge in self.edges)


@dataclass(frozen=True, slots=True)
class Batch:
    """Sessions of the same amounts that began in bucket ``began`` and ended in bucket ``ended``; sums in seconds after the first edge."""

    slots: ResourceSlots
    began: int
    ended: int
    count: int
    sum_began_s: int
    sum_ended_s: int


@dataclass(frozen=True, slots=True)
class Use:
    """What was used: how many sessions began, how long they ran together, and slot-hours by slot (bytes times hours for memory)."""

    sessions: int = 0
    hours: Decimal = Decimal(0)
    slot_hours: ResourceSlots = field(default_factory=ResourceSlots)

    def __add__(self, other: Use) -> Use:
        return Use(self.sessions + other.sessions, self.hours + other.hours, self.slot_hours + other.slot_hours)


def parse_period(arguments: Mapping[str, str], at: datetime) -> Period:
    """A period from the parameters ``from``, ``to`` (dates, both included) and ``unit``; the last 30 days without any.

    ``at`` is now, in the zone whose days are meant. Raises InvalidParameters with everything that is wrong.
    """
    found: list[Violation] = []
    last = _parse_date("to", arguments.get("to", ""), at.date(), found)
    first = _parse_date("from", arguments.get("from", ""), last - timedelta(days=DEFAULT_DAYS - 1), found)
    unit = arguments.get("unit", "") or "day"
    if unit not in UNITS:
        found.append(Violation(N_("Choose one of: %(choices)s."), {"choices": ", ".join(UNITS)}, "unit"))
    if first > last:
        found.append(Violation(N_("The end must not be before the beginning."), {}, "to"))
    if not found:
        days = cut(first, last, unit)
        if len(days) <= MAX_BUCKETS + 1:
            return Period(first, last, unit, tuple(_midnight(day, at.tzinfo) for day in days))
        params = {"most": MAX_BUCKETS, "found": len(days) - 1}
        found.append(Violation(N_("That is %(found)s parts and at most %(most)s can be shown: choose longer ones."), params, "unit"))
    raise InvalidParameters(violations=found)


def cut(first: date, last: date, unit: str) -> list[date]:
    """The first days of all buckets, and the day after the last one. Weeks begin on Mondays; the outer buckets may be shorter."""
    days, end = [first], last + timedelta(days=1)
    while days[-1] < end:
        day = days[-1]
        if unit == "month":
            following = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        else:
            following = day + timedelta(days=7 - day.weekday() if unit == "week" else 1)
        days.append(min(following, end))
        if len(days) > 100 * MAX_BUCKETS:  # nobody gets to see so many
            break
    return days


def spread(batches: Iterable[Batch], period: Period) -> list[ResourceSlots]:
    """Slot-hours of each bucket."""
    edges = period.offsets_s
    # By slot and bucket: what the line of use gains in slope and in height when sessions begin and end there.
    lines: dict[str, list[list[Decimal]]] = {}
    for batch in batches:
        for slot, amount in batch.slots.items():
            line = lines.setdefault(slot, [[_ZERO, _ZERO] for _ in edges[1:]])
            line[batch.began][0] += amount * batch.count
            line[batch.began][1] -= amount * batch.sum_began_s
            line[batch.ended][0] -= amount * batch.count
            line[batch.ended][1] += amount * batch.sum_ended_s
    found = {slot: _integrate(line, edges) for slot, line in lines.items()}
    return [ResourceSlots({slot: amounts[index] for slot, amounts in found.items()}) for index in range(len(edges) - 1)]


def sum_up(batches: Iterable[tuple[ResourceSlots, int, int]]) -> Use:
    """The use of sessions, given as amounts, how many began, and how many seconds they ran together."""
    sessions, seconds, used = 0, 0, dict[str, Decimal]()
    for slots, count, lasted_s in batches:
        sessions, seconds = sessions + count, seconds + lasted_s
        for name, amount in slots.items():
            used[name] = used.get(name, _ZERO) + amount * lasted_s
    return Use(sessions, Decimal(seconds) / HOUR_S, ResourceSlots({name: amount / HOUR_S for name, amount in used.items()}))


def _integrate(line: Sequence[Sequence[Decimal]], edges: Sequence[int]) -> list[Decimal]:
    used, slope, height = [_ZERO], _ZERO, _ZERO
    for (more_slope, more_height), edge in zip(line, edges[1:], strict=True):
        slope, height = slope + more_slope, height + more_height
        used.append(slope * edge + height)
    return [(after - before) / HOUR_S for before, after in pairwise(used)]


def _parse_date(name: str, text: str, default: date, found: list[Violation]) -> date:
    if not text:
        return default
    match = _DATE.fullmatch(text)
    try:
        day = date(*(int(part) for part in match.groups())) if match else None
    except ValueError:
        day = None
    if day is None or not 1970 < day.year < 9999:
        found.append(Violation(N_("Give a date as year-month-day, such as 2026-01-31."), {}, name))
        return default
    return day


def _midnight(day: date, zone: tzinfo | None) -> datetime:
    return datetime.combine(day, time(), zone)
