"""The history of waits, from the rows of sessions, and what the owners of waiting sessions want: a mail, or to give up after a while."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, func, or_, select
from sqlalchemy.orm import Session

from ..core.sessions import BATCH, INTERACTIVE, OVER, SessionStatus
from ..core.slots import ResourceSlots
from ..core.waits import MOST_PAST, PAST_S, Accuracy, Expectation, PastWait, measure, size_of
from ..errors import N_, NotFound
from .models import ComputeSession, User, now

# So many of the newest sessions of a queue are looked at: those of one size and hour are fewer, by far.
_MOST_ROWS = 10 * MOST_PAST
_MOST_MAILS = 100
NEWS = timedelta(days=1)
_COLUMNS = ("created_at", "starts_at", "depends_on", "began_at", "started_at", "released_at", "status", "slots", "told")


@dataclass(frozen=True, slots=True)
class Due:
    """A mail that somebody wants: of a session that is ready, or over."""

    session_id: str
    user: str
    language: str
    to: str
    name: str
    server_name: str
    queue: str
    is_batch: bool
    status: SessionStatus
    has_begun: bool
    reason: str
    ending: Mapping[str, Any]
    wait_s: float


def load_past(db: Session, queue: str, at: datetime) -> list[PastWait]:
    """The newest waits in a queue, those that go on among them."""
    found = (_read_wait(row, at) for row in _list_rows(db, queue, at))
    return [wait for wait in found if wait is not None]


def load_accuracy(db: Session, queue: str, at: datetime) -> Accuracy:
    """How good the expectations were that the newest sessions of a queue were admitted with."""
    told = []
    for row in _list_rows(db, queue, at):
        wait = _read_wait(row, at) if row.told else None
        if wait and wait.has_begun:
            told.append((Expectation.from_json(row.told), wait.wait_s))
    return measure(told[:MOST_PAST])


def _list_rows(db: Session, queue: str, at: datetime) -> Sequence[Row[tuple[object, ...]]]:
    query = select(*(getattr(ComputeSession, name) for name in _COLUMNS))
    query = query.where(ComputeSession.queue == queue, ComputeSession.created_at > at - timedelta(seconds=PAST_S))
    return db.execute(query.order_by(ComputeSession.created_at.desc()).limit(_MOST_ROWS)).all()


def _read_wait(row: Row[tuple[object, ...]], at: datetime) -> PastWait | None:
    """None for one that says nothing about the queue: it waited for other sessions, or was never handed in."""
    if row.depends_on or (row.status is SessionStatus.ERROR and not row.began_at and not row.started_at):
        return None
    since = max(row.created_at, row.starts_at or row.created_at)
    begun = row.began_at or row.started_at
    end = begun or row.released_at or at
    if end < since:
        return None  # it was to start later, and was given up before that
    slots: ResourceSlots = row.slots
    return PastWait(since.timestamp(), (end - since).total_seconds(), size_of(slots), begun is not None)


def change_wishes(db: Session, session_id: str, user: str, patience_s: int | None, *, wants_mail: bool) -> tuple[str, datetime] | None:
    """Keep what the owner of a waiting session wants. Its queue and since when its wait counts, None when it waits no more.

    Raises NotFound.
    """
    row = db.get(ComputeSession, session_id, with_for_update=True)
    if row is None or db.get_one(User, row.user_id).name != user:
        raise NotFound(N_("There is no session %(id)s."), id=session_id)
    if row.released_at is not None or row.status in OVER or row.started_at is not None:
        return None
    row.patience_s, row.wants_mail = patience_s, wants_mail
    return row.queue, row.created_at if row.starts_at is None else max(row.created_at, row.starts_at)


def list_mails_due(db: Session) -> list[Due]:
    """The mails that are to be written now, oldest session first: of notebooks that are ready, of jobs that are over, of what failed."""
    is_ready = and_(ComputeSession.status == SessionStatus.RUNNING, ComputeSession.session_type == INTERACTIVE)
    query = select(ComputeSession, User).join(User, User.id == ComputeSession.user_id)
    query = query.where(ComputeSession.wants_mail.is_(True), ComputeSession.mailed_at.is_(None))
    query = query.where(or_(is_ready, ComputeSession.status.in_(sorted(OVER, key=lambda status: status.value))))
    # what happened long ago, while there was no mail server, is no news
    moment = func.coalesce(ComputeSession.terminated_at, ComputeSession.began_at, ComputeSession.started_at, ComputeSession.created_at)
    query = query.where(moment > now() - NEWS)
    return [_due(row, user) for row, user in db.execute(query.order_by(ComputeSession.created_at).limit(_MOST_MAILS))]


def take_mail(db: Session, session_id: str) -> bool:
    """Mark a mail as written; True for the one that did, who then sends it. A mail is lost rather than sent twice."""
    row = db.get(ComputeSession, session_id, with_for_update=True)
    if row is None or row.mailed_at is not None:
        return False
    row.mailed_at = now()
    return True


def _due(row: ComputeSession, user: User) -> Due:
    end = row.began_at or row.started_at or row.released_at or datetime.now(UTC)
    return Due(
        session_id=row.id,
        user=user.name,
        language=user.language or "",
        to=user.email or "",
        name=row.name or row.server_name,
        server_name=row.server_name,
        queue=row.queue,
        is_batch=row.session_type == BATCH,
        status=row.status,
        has_begun=row.started_at is not None,
        reason=row.status_reason,
        ending=row.ending,
        wait_s=max(0.0, (end - max(row.created_at, row.starts_at or row.created_at)).total_seconds()),
    )
