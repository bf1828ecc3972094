"""Batch sessions in the database: handing one to its engine once, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from ..core.batch import NOT_SUBMITTED
from ..core.queues import Queue
from ..core.sessions import BATCH, OVER, Admission, SessionStatus
from . import sessions
from .admissions import describe_admission
from .lines import is_waiting
from .models import ComputeSession, User

# A mark on a row whose job is being handed over, while nobody knows whether the engine has it.
_HANDED_OVER = {"word": "handed-over"}


@dataclass(frozen=True, slots=True)
class Submission:
    """What the engine is to be given."""

    admission: Admission
    user: str
    command: str


def server_name(session_id: str) -> str:
    """What stands in the column of the hub's servers. The hub allows no slash in a name, so no server can be meant by it."""
    return f"{BATCH}/{session_id}"


def read_command(db: Session, session_id: str) -> str:
    """The commands of a batch session, "" of any other."""
    return db.scalar(select(ComputeSession.command).where(ComputeSession.id == session_id)) or ""


def begin(db: Session, session_id: str, queue: Queue) -> Submission | None:
    """Mark a session that has its place as being handed over. None: it was marked before, has a job, or wants no more to begin."""
    row = db.get(ComputeSession, session_id, with_for_update=True, options=[undefer(ComputeSession.command)])
    if row is None or row.status not in {SessionStatus.PENDING, SessionStatus.SCHEDULED} or is_waiting(row):
        return None
    if row.job_id or row.waiting_for == _HANDED_OVER or row.released_at is not None:
        return None
    row.waiting_for = _HANDED_OVER
    user = db.get_one(User, row.user_id)
    return Submission(describe_admission(db, row, queue, user), user.name, row.command)


def take_back(db: Session, session_id: str) -> None:
    """The engine surely has no job of the session: it may be handed over again."""
    row = db.get(ComputeSession, session_id, with_for_update=True)
    if row is not None and not row.job_id and row.waiting_for == _HANDED_OVER:
        row.waiting_for = {}


def keep_job(db: Session, session_id: str, job_id: str) -> None:
    """The engine has it."""
    row = db.get(ComputeSession, session_id, with_for_update=True)
    if row is not None and row.released_at is None:
        row.job_id, row.waiting_for = job_id, {}


def finish(db: Session, session_id: str, status: SessionStatus, reason: str = "", exit_code: int | None = None) -> bool:
    """Keep how a session ended and free what it held; True the one time that it did. One that was told to end keeps why."""
    row = db.get(ComputeSession, session_id, with_for_update=True)
    if row is None or row.released_at is not None:
        return False
    if row.status is SessionStatus.TERMINATING and status is not SessionStatus.TERMINATED:
        status, reason = SessionStatus.CANCELLED, row.status_reason
    row.exit_code, row.waiting_for = exit_code, {}
    sessions.report(db, session_id, status, reason)
    if not reason:
        row.status_reason = ""
    return sessions.release(db, session_id)


def tell_to_end(db: Session, session_id: str, reason: str) -> bool:
    """Have a live session ended (use it exclusively). True when it is over by that, because its engine does not have it yet."""
    row = db.get(ComputeSession, session_id, with_for_update=True)
    if row is None or row.released_at is not None or row.status in OVER:
        return False
    if row.job_id or row.waiting_for == _HANDED_OVER or row.status is SessionStatus.RUNNING:
        row.status, row.status_reason = SessionStatus.TERMINATING, row.status_reason or reason
        return False
    return finish(db, session_id, SessionStatus.CANCELLED, reason or NOT_SUBMITTED)
