"""Usage of the past, added up by the database: sessions and slot-hours of a period, by whom and where.

A domain's administrator gets the own domain's only. Sessions that never started used nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, case, cast, extract, func, literal, or_, select
from sqlalchemy.orm import Session

from ..core.identity import Actor
from ..core.slots import ResourceSlots
from ..core.statistics import Batch, Period, Use, spread, sum_up
from ..errors import NotFound
from .models import ComputeSession, User

COLUMNS: Mapping[str, Any] = {
    "resource_group": ComputeSession.queue,
    "project": ComputeSession.project,
    "user": ComputeSession.user_id,
    "domain": ComputeSession.domain,
}
#: how many groups have a line of their own over time; the others are one
MAX_LINES = 6


@dataclass(frozen=True, slots=True)
class Statistics:
    """What was used: in all, by group (the most hours of CPUs first), and slot-hours over time, of the first groups and of the others.

    ``lines`` has one list of buckets per group, under "" what is left; together they are the whole.
    """

    period: Period
    grouping: str
    total: Use
    people: int
    groups: tuple[tuple[str, Use], ...]
    lines: Mapping[str, Sequence[ResourceSlots]]
    filters: Mapping[str, str] = field(default_factory=dict)


def load_statistics(
    db: Session, actor: Actor, period: Period, grouping: str, at: datetime, filters: Mapping[str, str] | None = None
) -> Statistics:
    """The use of a period until ``at``, grouped by one of ``COLUMNS``. Raises NotFound for people who administer nothing."""
    if not actor.is_admin:
        raise NotFound
    wanted = {name: value for name, value in (filters or {}).items() if value}
    used = _Sessions(period, at, [*_scope(actor), *_conditions(db, wanted)])
    groups = _sum_groups(db, used, COLUMNS[grouping])
    order = sorted(groups, key=lambda key: (-groups[key].slot_hours.amount("cpu"), -groups[key].hours, key))
    first = order[:MAX_LINES]
    lines = _sum_lines(db, used, COLUMNS[grouping], first, is_all=len(order) <= MAX_LINES)
    names = _name(db, order) if grouping == "user" else {key: key for key in order}
    return Statistics(
        period=period,
        grouping=grouping,
        total=sum(groups.values(), Use()),
        people=db.scalar(used.select(func.count(ComputeSession.user_id.distinct()))) or 0,
        groups=tuple((names[key], groups[key]) for key in order),
        lines={names.get(key, ""): spread(batches, period) for key, batches in lines.items()},
        filters=wanted,
    )


class _Sessions:
    """The sessions that ran in a period, with their beginning and end in seconds after its first edge, both within it."""

    def __init__(self, period: Period, at: datetime, conditions: Sequence[ColumnElement[bool]]) -> None:
        first, until = period.edges[0], min(period.edges[-1], max(at, period.edges[0]))
        started, ended = ComputeSession.started_at, ComputeSession.terminated_at
        length_s = round((until - first).total_seconds())
        self.began_s = case((started <= first, 0), else_=_seconds(started) - _epoch(first))
        self.ended_s = case((or_(ended.is_(None), ended >= until), length_s), else_=_seconds(ended) - _epoch(first))
        self.is_new = case((started >= first, 1), else_=0)
        # Of a long list of comparisons each one is made for every row: moments as they are kept, not as seconds.
        inner = [*enumerate(period.edges[1:-1])]
        self.began = _bucket([(started < edge, index) for index, edge in inner])
        self.ended = _bucket([(ended < edge, index) for index, edge in inner])
        self._conditions = (started < until, or_(ended.is_(None), ended > first), *conditions)

    def select(self, *columns: Any) -> Select[Any]:
        return select(*columns).where(*self._conditions)


def _sum_groups(db: Session, used: _Sessions, column: Any) -> dict[str, Use]:
    slots, lasted = ComputeSession.slots, func.sum(used.ended_s - used.began_s)
    batches: dict[str, list[tuple[ResourceSlots, int, int]]] = {}
    for key, amounts, count, seconds in db.execute(used.select(column, slots, func.sum(used.is_new), lasted).group_by(column, slots)):
        batches.setdefault(key, []).append((amounts, int(count), int(seconds)))
    return {key: sum_up(found) for key, found in batches.items()}


def _sum_lines(db: Session, used: _Sessions, column: Any, keys: Sequence[str], *, is_all: bool) -> dict[str, list[Batch]]:
    inner = used.select(
        (column if is_all else case((column.in_(keys), column), else_="")).label("key"),
        ComputeSession.slots.label("slots"),
        used.began.label("began"),
        used.ended.label("ended"),
        used.began_s.label("began_s"),
        used.ended_s.label("ended_s"),
    ).subquery()
    names = (inner.c.key, inner.c.slots, inner.c.began, inner.c.ended)
    rows = db.execute(select(*names, func.count(), func.sum(inner.c.began_s), func.sum(inner.c.ended_s)).group_by(*names))
    found: dict[str, list[Batch]] = {key: [] for key in keys}
    for key, slots, began, ended, count, sum_began, sum_ended in rows:
        found.setdefault(key, []).append(Batch(slots, began, ended, count, int(sum_began), int(sum_ended)))
    return found


def _bucket(cases: Sequence[tuple[ColumnElement[bool], int]]) -> ColumnElement[int]:
    """The number of the bucket that a moment is in; what is not before any edge (or not over) is in the last."""
    return case(*cases, else_=len(cases)) if cases else literal(0)


def _scope(actor: Actor) -> list[ColumnElement[bool]]:
    return [] if actor.is_superadmin else [ComputeSession.domain == actor.domain]


def _conditions(db: Session, filters: Mapping[str, str]) -> list[ColumnElement[bool]]:
    found = []
    for name, value in filters.items():
        # Nobody of that name: an id that nobody has.
        wanted = db.scalar(select(User.id).where(User.name == value)) or "-" if name == "user" else value
        found.append(COLUMNS[name] == wanted)
    return found


def _name(db: Session, user_ids: Sequence[str]) -> dict[str, str]:
    """The names of people by id, in pieces: databases have a limit of parameters per statement."""
    found: dict[str, str] = {}
    for start in range(0, len(user_ids), 500):
        rows = db.execute(select(User.id, User.name).where(User.id.in_(user_ids[start : start + 500])))
        found.update((row.id, row.name) for row in rows)
    return found


def _seconds(column: Any) -> ColumnElement[int]:
    return cast(extract("epoch", column), BigInteger)


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())
