"""One waiting session of one's own: why it waits, when it is expected to start, and what its owner wants of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from .. import i18n
from ..core.fields import MAX_TIME_S, MIN_TIME_S, parse_time
from ..core.reasons import Explanation, explain_pending, is_foreseeable
from ..core.scheduling import Wait
from ..core.sessions import OVER, JobState
from ..core.waiting import FORESEEABLE, explain_wait, find_give_up
from ..core.waits import add_scheduler, expect, size_of
from ..errors import N_, Conflict, InvalidParameters, Violation
from ..store.sessions import SessionInfo
from .parts import Parts

NOT_WAITING = N_("This session waits no more.")


def is_waiting(session: SessionInfo) -> bool:
    """Whether it still has to begin."""
    return session.is_live and session.started_at is None and session.status not in OVER


async def describe_wait(parts: Parts, session: SessionInfo, language: str) -> dict[str, Any]:
    """The wait for programs. Moments are Unix seconds; what nobody can say is None."""
    since = (session.waits_since or session.created_at).timestamp()
    queue = parts.groups.queues().get(session.queue)
    give_up_at = find_give_up(queue, session.patience_s, since)[0] if queue else None
    found: dict[str, Any] = {
        "is_waiting": is_waiting(session),
        "since": since,
        "give_up_at": give_up_at,
        "patience_s": session.patience_s,
        "mail": session.wants_mail,
        **dict.fromkeys(("position", "start_at", "expected")),
        "reason": "",
    }
    return {**found, **await _look(parts, session, language, since)} if found["is_waiting"] else found


async def _look(parts: Parts, session: SessionInfo, language: str, since: float) -> dict[str, Any]:
    if session.wait:
        return await _join(parts, session, explain_wait(session.wait), language, since, session.wait, session.wait.word in FORESEEABLE)
    backend = parts.backends.get(session.engine)
    status = await backend.status(session.id, session.job_id, session.posix) if backend else None
    if status is None or status.state is not JobState.PENDING:
        return {}
    wait = Wait("engine", status.position, start_at=status.start_at)
    return await _join(parts, session, explain_pending(status.reason), language, since, wait, is_foreseeable(status.reason))


async def _join(
    parts: Parts, session: SessionInfo, why: Explanation, language: str, since: float, wait: Wait, is_like_others: bool
) -> dict[str, Any]:
    reason = " ".join(i18n.translate(language, text, why.params) for text in (why.message, why.advice) if text)
    expected, now = None, time.time()
    if is_like_others:
        history = await parts.waits.history(session.queue, size_of(session.slots), since)
        expected = add_scheduler(expect(history, max(0.0, now - since)), wait.start_at, now)
    return {
        "position": wait.position,
        "start_at": wait.start_at,
        "reason": reason,
        "expected": expected.to_json(now) if expected else None,
    }


def read_wishes(session: SessionInfo, body: Mapping[str, Any]) -> tuple[int | None, bool]:
    """How long to wait and whether a mail is wanted; what is not named stays. Raises InvalidParameters, Conflict."""
    if not is_waiting(session):
        raise Conflict(NOT_WAITING)
    found = [
        Violation(N_("There is no field %(field)s here."), {"field": name[:64]}, name[:64])
        for name in body
        if name not in {"patience", "mail"}
    ]
    patience_s, wants_mail = session.patience_s, body.get("mail", session.wants_mail)
    if "patience" in body:
        try:
            patience_s = None if body["patience"] in (None, "") else parse_time(str(body["patience"]))
        except ValueError:
            patience_s = -1
        if patience_s is not None and not MIN_TIME_S <= patience_s <= MAX_TIME_S:
            message = N_("Give the time as hours:minutes or with a unit, such as 2h or 30m; at least one minute.")
            found.append(Violation(message, {}, "patience"))
    if not isinstance(wants_mail, bool):
        found.append(Violation(N_("Choose one of: %(choices)s."), {"choices": "true, false"}, "mail"))
    if found:
        raise InvalidParameters(violations=found)
    return patience_s, bool(wants_mail)
