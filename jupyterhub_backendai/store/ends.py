"""What a session's row says of its end: the time that it was given later, the end that a policy has in store, why it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..core.ends import CREDIT, End, find_end, is_same
from ..core.reasons import Explanation
from ..core.sessions import BATCH, SessionStatus
from ..errors import N_, NotFound
from . import audit, sessions
from .models import ComputeSession, User, now

MAX_WORDS = 20
_COLUMNS = (
    ComputeSession.id,
    ComputeSession.began_at,
    ComputeSession.extended_s,
    ComputeSession.extensions,
    ComputeSession.kept_at,
    ComputeSession.policy_ends_at,
    ComputeSession.policy_end,
    ComputeSession.ending,
)


@dataclass(frozen=True, slots=True)
class Course:
    """One session's way to its end. ``why`` is None where only ``status_reason`` says it; ``began_at`` is when its engine began it."""

    began_at: datetime | None = None
    extended_s: int = 0
    extensions: int = 0
    kept_at: datetime | None = None
    policy_ends_at: datetime | None = None
    policy_end: str = ""
    why: Explanation | None = field(default=None)


def load_courses(db: Session, session_ids: Sequence[str]) -> dict[str, Course]:
    """By session id, of those that are known."""
    found: dict[str, Course] = {}
    for start in range(0, len(session_ids), 500):
        for row in db.execute(select(*_COLUMNS).where(ComputeSession.id.in_(session_ids[start : start + 500]))):
            found[row.id] = Course(
                row.began_at, row.extended_s, row.extensions, row.kept_at, row.policy_ends_at, row.policy_end, _read_words(row.ending)
            )
    return found


def load_course(db: Session, session_id: str) -> Course:
    """Of one session; an empty one when it is not known."""
    return load_courses(db, [session_id]).get(session_id, Course())


def find_session_end(session: sessions.SessionInfo, course: Course) -> End | None:
    """When and why a running session will end, as far as anybody knows."""
    if session.status is not SessionStatus.RUNNING or not session.is_live:
        return None
    began_at = course.began_at or session.started_at
    policy_at = course.policy_ends_at.timestamp() if course.policy_ends_at else None
    return find_end(began_at.timestamp() if began_at else None, session.time_limit_s, policy_at, course.policy_end)


@dataclass(frozen=True, slots=True)
class Near:
    """A session whose end is near, and how to write to its owner."""

    session_id: str
    user: str
    language: str
    to: str
    name: str
    queue: str
    kind: str
    left_s: int


def take_near(db: Session, warn_before_s: int, at: float | None = None) -> list[Near]:
    """The sessions that are about to end and whose owners were not told of that end; told they are by this (use it exclusively)."""
    moment = now().timestamp() if at is None else at
    row = ComputeSession
    query = (
        select(row, User.name, User.language, User.email)
        .join(User, User.id == row.user_id)
        .where(row.released_at.is_(None), row.status == SessionStatus.RUNNING, User.email != "")
        .order_by(row.created_at, row.id)
    )
    found = []
    for session, user, language, email in db.execute(query):
        began_at = session.began_at or session.started_at
        policy_at = session.policy_ends_at.timestamp() if session.policy_ends_at else None
        end = find_end(began_at.timestamp() if began_at else None, session.time_limit_s, policy_at, session.policy_end)
        if end is None or end.kind == CREDIT or not end.is_near(moment, warn_before_s):  # whoever bills writes of credit
            continue
        if is_same(end.at, session.warned_for.timestamp() if session.warned_for else None):
            continue
        session.warned_for = datetime.fromtimestamp(end.at, UTC)
        title = session.name or ("" if session.session_type == BATCH else session.server_name)
        found.append(Near(session.id, user, language or "", email, title, session.queue, end.kind, end.left_s(moment)))
    return found


def report(
    db: Session, session_id: str, status: SessionStatus, reason: str = "", job_id: str = "", node: str = "", words: Any = None
) -> None:
    """:func:`.sessions.report`, with the reason as ``words`` (an Explanation's JSON) that can be translated."""
    sessions.report(db, session_id, status, reason, job_id, node)
    _keep_words(db, session_id, reason, words)


def release(db: Session, session_id: str, reason: str = "", words: Any = None) -> bool:
    """:func:`.sessions.release`, with the reason as words."""
    is_released = sessions.release(db, session_id, reason)
    _keep_words(db, session_id, reason, words)
    return is_released


def keep(db: Session, session_id: str, actor: str, source: str = "") -> None:
    """Its owner wants to keep a running session that nobody seems to use: idleness counts anew from now. Raises NotFound."""
    row = db.get(ComputeSession, session_id, with_for_update=True)
    if row is None or row.released_at is not None or row.status is not SessionStatus.RUNNING:
        raise NotFound(N_("There is no running session %(id)s."), id=session_id)
    row.kept_at = now()
    if row.policy_end == "idle":
        row.policy_ends_at, row.policy_end = None, ""
    audit.record(db, actor=actor, action="session.keep", object=session_id, source=source)


def foresee(db: Session, session_id: str, ends_at: datetime | None, why: str) -> None:
    """Keep when a policy, or the end of the credit, is going to end a session; None when it is not, or not soon.

    The two are looked at by different parts: neither forgets or puts off what the other foresaw.
    """
    row = db.get(ComputeSession, session_id, with_for_update=True)
    if row is None or row.released_at is not None:
        return
    is_others = bool(row.policy_end) and (row.policy_end == CREDIT) != (why == CREDIT)
    if not (is_others and row.policy_ends_at and (ends_at is None or ends_at >= row.policy_ends_at)):
        row.policy_ends_at, row.policy_end = ends_at, why if ends_at else ""


def _keep_words(db: Session, session_id: str, reason: str, words: Any) -> None:
    """Only for the reason that the row has: whoever had a session ended said why, and the hub only knows that it was asked to."""
    row = db.get(ComputeSession, session_id)
    if row is not None and reason and row.status_reason == reason and (why := _check_words(words)):
        row.ending = why


def _check_words(words: Any) -> dict[str, Any] | None:
    """What the hub sent, if it is an Explanation's JSON of plain values."""
    if not isinstance(words, Mapping) or not isinstance(words.get("message"), str):
        return None
    params = words.get("params") or {}
    if not isinstance(params, Mapping) or len(params) > MAX_WORDS:
        return None
    plain = {str(name)[:64]: value if isinstance(value, int) else str(value)[:500].replace("\0", "") for name, value in params.items()}
    advice = words.get("advice")
    return {"message": words["message"][:1000], "advice": str(advice or "")[:1000], "params": plain}


def _read_words(words: Mapping[str, Any]) -> Explanation | None:
    return Explanation(words["message"], words.get("advice", ""), words.get("params", {})) if words.get("message") else None
