"""One person's sessions, all of them: in pages, by filters, newest first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from ..core.sessions import OVER, SessionStatus
from .ends import Course, load_courses
from .models import ComputeSession, SessionBill, User
from .records.like import like
from .sessions import SessionInfo, list_by_id

LIVE, ENDED, FAILED = STATES = ("live", "ended", "failed")
PAGE_SIZE, MAX_PAGE_SIZE = 50, 500


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """What somebody looks for; "" and None are everything. ``since`` and ``until`` bound when a session was asked for."""

    state: str = ""
    queue: str = ""
    project: str = ""
    session_type: str = ""
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    page: int = 1
    size: int = PAGE_SIZE


@dataclass(frozen=True, slots=True)
class Bill:
    """What a session of a priced queue costs: money per hour, the most, and what was charged in the end (None: not settled yet)."""

    rate: Decimal
    most: Decimal
    charged: Decimal | None


@dataclass(frozen=True, slots=True)
class Past:
    """One session with its course, and its bill where its queue has prices."""

    session: SessionInfo
    course: Course
    bill: Bill | None = None


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One page, and how many sessions there are on all."""

    sessions: tuple[Past, ...]
    total: int
    page: int
    pages: int
    queues: tuple[str, ...] = ()


def list_page(db: Session, user: str, query: HistoryQuery) -> HistoryPage:
    """The sessions of a person that fit; a page beyond the last is the last. ``queues`` are all that the person's are of."""
    user_id = db.scalar(select(User.id).where(User.name == user))
    if user_id is None:
        return HistoryPage((), 0, 1, 1)
    own = ComputeSession.user_id == user_id
    conditions = [own, *_conditions(query)]
    total = db.scalar(select(func.count()).select_from(ComputeSession).where(*conditions)) or 0
    size = min(max(1, query.size), MAX_PAGE_SIZE)
    pages = max(1, -(-total // size))
    page = min(max(1, query.page), pages)
    ids = list(db.scalars(_order(select(ComputeSession.id).where(*conditions)).offset((page - 1) * size).limit(size)))
    found, courses, bills = list_by_id(db, ids), load_courses(db, ids), load_bills(db, ids)
    queues = tuple(db.scalars(select(ComputeSession.queue).where(own).distinct().order_by(ComputeSession.queue)))
    return HistoryPage(tuple(Past(found[id_], courses[id_], bills.get(id_)) for id_ in ids), total, page, pages, queues)


def load_bills(db: Session, session_ids: Sequence[str]) -> dict[str, Bill]:
    """The bills of these sessions, by id; free ones have none."""
    row = SessionBill
    found = db.execute(
        select(row.session_id, row.rate, row.most, row.charged, row.refunded, row.settled_at).where(row.session_id.in_(session_ids))
    )
    return {id_: Bill(rate, most, charged - refunded if settled_at else None) for id_, rate, most, charged, refunded, settled_at in found}


def _order(found: Select[str]) -> Select[str]:
    return found.order_by(ComputeSession.created_at.desc(), ComputeSession.id)


def _conditions(query: HistoryQuery) -> list[ColumnElement[bool]]:
    row = ComputeSession
    found: list[ColumnElement[bool]] = []
    if query.state == LIVE:
        found.append(row.released_at.is_(None))
    elif query.state == ENDED:
        found.append(and_(row.released_at.is_not(None), row.status != SessionStatus.ERROR))
    elif query.state == FAILED:
        found.append(and_(row.status == SessionStatus.ERROR, row.status.in_(OVER)))
    for column, value in ((row.queue, query.queue), (row.project, query.project), (row.session_type, query.session_type)):
        if value:
            found.append(column == value)
    if query.text:
        pattern = "%" + re.sub(r"([%_\\])", r"\\\1", query.text) + "%"
        found.append(or_(like(row.name, pattern), like(row.server_name, pattern), row.id == query.text))
    if query.since:
        found.append(row.created_at >= query.since)
    if query.until:
        found.append(row.created_at < query.until)
    return found
