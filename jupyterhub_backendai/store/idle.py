"""Running sessions with the limits of their keypair's policy, and telling one to end."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ..core.idle import Watched
from ..core.sessions import SessionStatus
from . import audit
from .models import ComputeSession, Keypair, KeypairResourcePolicy, User

_ACTOR = "system:idle"


def list_watched(db: Session) -> list[Watched]:
    """The running sessions that a policy limits in time. One without a keypair has no policy, and so no limit."""
    policy = KeypairResourcePolicy
    query = (
        select(ComputeSession, User.name, policy.idle_timeout_s, policy.max_session_lifetime_s)
        .join(User, User.id == ComputeSession.user_id)
        .join(Keypair, Keypair.access_key == ComputeSession.access_key)
        .join(policy, policy.name == Keypair.resource_policy)
        .where(ComputeSession.released_at.is_(None), ComputeSession.status == SessionStatus.RUNNING)
        .where(or_(policy.idle_timeout_s.is_not(None), policy.max_session_lifetime_s.is_not(None)))
    )
    return [
        Watched(
            row.id,
            user,
            row.server_name,
            _seconds(row.started_at),
            idle_timeout_s,
            lifetime_s,
            _seconds(row.kept_at),
            _seconds(row.policy_ends_at),
        )
        for row, user, idle_timeout_s, lifetime_s in db.execute(query)
    ]


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None


def tell_to_end(db: Session, session_id: str, reason: str, action: str, actor: str = _ACTOR) -> bool:
    """Keep why a running session is going to be ended, before the hub is asked to. False when it is not running any more."""
    if not mark_ending(db, session_id, reason):
        return False
    row = db.get_one(ComputeSession, session_id)
    audit.record(db, actor=actor, action=action, object=session_id, details={"user": row.user_id, "server": row.server_name})
    return True


def mark_ending(db: Session, session_id: str, reason: str) -> bool:
    """The same for whoever writes the audit log."""
    row = db.get(ComputeSession, session_id, with_for_update=True)
    if row is None or row.released_at is not None or row.status is not SessionStatus.RUNNING:
        return False
    row.status, row.status_reason = SessionStatus.TERMINATING, reason
    return True


def take_back(db: Session, session_id: str) -> None:
    """The hub did not end it: it runs on, and the next look decides anew."""
    row = db.get(ComputeSession, session_id, with_for_update=True)
    if row is not None and row.released_at is None and row.status is SessionStatus.TERMINATING:
        row.status, row.status_reason = SessionStatus.RUNNING, ""
