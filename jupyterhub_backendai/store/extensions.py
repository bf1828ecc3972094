"""More time for a session that runs, in the database: checked and written in one transaction, before the engine is asked."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..core.extensions import OVER, Extendable, check_extension, most_s
from ..core.queues import Queue
from ..core.sessions import SessionStatus
from ..errors import N_, Conflict, InvalidParameters, NotFound
from . import audit, ledger
from .models import ComputeSession, Keypair, KeypairResourcePolicy


@dataclass(frozen=True, slots=True)
class Extension:
    """What was written: the session's limit before and now, seconds."""

    session_id: str
    before_s: int
    time_limit_s: int

    @property
    def added_s(self) -> int:
        return self.time_limit_s - self.before_s


def extend(
    db: Session, session_id: str, add_s: int, queue: Queue, longest_s: int | None, *, is_admin: bool, actor: str, source: str = ""
) -> Extension:
    """Give a running session more time (use it exclusively). The engine is asked next; :func:`take_back` when it refuses.

    Raises NotFound, Conflict for a session that does not run, InvalidParameters with every reason why not, QuotaExceeded when the
    credit does not cover it.
    """
    row = db.get(ComputeSession, session_id, with_for_update=True)
    if row is None:
        raise NotFound(N_("There is no session %(id)s."), id=session_id)
    if row.released_at is not None or row.status is not SessionStatus.RUNNING:
        raise Conflict(OVER)
    violations = check_extension(_read(row), add_s, queue, longest_s, find_lifetime_s(db, row.access_key), is_admin=is_admin)
    if violations:
        raise InvalidParameters(violations=violations)
    found = Extension(row.id, row.time_limit_s, row.time_limit_s + add_s)
    row.time_limit_s, row.extended_s, row.extensions = found.time_limit_s, row.extended_s + add_s, row.extensions + 1
    ledger.adjust_hold(db, session_id, found.time_limit_s)
    details = {"added_s": add_s, "time_limit_s": found.time_limit_s, "user": row.user_id}
    audit.record(db, actor=actor, action="session.extend", object=session_id, details=details, source=source)
    return found


def take_back(db: Session, extension: Extension, actor: str, reason: str) -> None:
    """The engine did not give it (use it exclusively)."""
    row = db.get(ComputeSession, extension.session_id, with_for_update=True)
    if row is None:
        return
    row.time_limit_s -= extension.added_s
    row.extended_s, row.extensions = row.extended_s - extension.added_s, row.extensions - 1
    ledger.adjust_hold(db, extension.session_id, row.time_limit_s)
    details = {"added_s": extension.added_s, "reason": reason[:300]}
    audit.record(db, actor=actor, action="session.extend", object=extension.session_id, result="refused", details=details)


def offer_s(db: Session, session_id: str, queue: Queue, longest_s: int | None, *, is_admin: bool = False) -> int:
    """The most that a running session can be given now, 0 for nothing."""
    row = db.get(ComputeSession, session_id)
    if row is None or row.released_at is not None or row.status is not SessionStatus.RUNNING:
        return 0
    return most_s(_read(row), queue, longest_s, find_lifetime_s(db, row.access_key), is_admin=is_admin)


def find_lifetime_s(db: Session, access_key: str) -> int | None:
    """The longest life of a session that a keypair's policy allows, None when it has no limit."""
    policy = KeypairResourcePolicy
    query = select(policy.max_session_lifetime_s).join(Keypair, Keypair.resource_policy == policy.name)
    return db.scalar(query.where(Keypair.access_key == access_key)) or None


def _read(row: ComputeSession) -> Extendable:
    return Extendable(row.time_limit_s, row.extended_s, row.extensions)
