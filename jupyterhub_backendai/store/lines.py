"""The waiting lines of queues whose engine has no scheduler: which rows wait, and how one joins.

A session that waits holds nothing of its queue. It is a live row (one per server of the hub), PENDING, without ``scheduled_at``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import and_, exists, or_, select
from sqlalchemy.orm import Session

from ..core.policies import COUNTED_ENGINES
from ..core.sessions import LaunchRequest, SessionStatus, start_moment
from ..errors import N_, Violation
from .models import ComputeSession

WAITING = and_(ComputeSession.released_at.is_(None), ComputeSession.scheduled_at.is_(None), ComputeSession.status == SessionStatus.PENDING)
# A placed session of an engine that we count starts at once; another engine's waits in the engine's own line.
PENDING = or_(WAITING, and_(ComputeSession.engine.not_in(sorted(COUNTED_ENGINES)), ComputeSession.status == SessionStatus.PENDING))


def is_waiting(row: ComputeSession) -> bool:
    """The same for one row."""
    return row.released_at is None and row.scheduled_at is None and row.status is SessionStatus.PENDING


def is_anybody_waiting(db: Session, queue: str) -> bool:
    return bool(db.scalar(select(exists().where(ComputeSession.queue == queue, WAITING))))


def join(row: ComputeSession, request: LaunchRequest, depends_on: list[str]) -> None:
    """Put a new session into the line instead of giving it a place."""
    starts_at = start_moment(request.starts_at, row.created_at.timestamp())
    row.scheduled_at, row.waiting_for, row.depends_on = None, {"word": "new"}, depends_on
    row.starts_at = datetime.fromtimestamp(starts_at, UTC) if starts_at else None


def find_dependencies(db: Session, user_id: str, names: tuple[str, ...]) -> tuple[list[str], list[Violation]]:
    """The ids of a person's own sessions, given by id or by name (the newest of that name); a complaint for each that is not there."""
    found: list[str] = []
    violations: list[Violation] = []
    for name in names:
        own = select(ComputeSession.id).where(ComputeSession.user_id == user_id)
        either = or_(ComputeSession.id == name, ComputeSession.name == name, ComputeSession.server_name == name)
        session_id = db.scalar(own.where(either).order_by(ComputeSession.created_at.desc()).limit(1))
        if session_id is None:
            message = N_("You have no session %(session)s that this one could wait for.")
            violations.append(Violation(message, {"session": name}, "depends_on", "dependency"))
        elif session_id not in found:
            found.append(session_id)
    return found, violations
