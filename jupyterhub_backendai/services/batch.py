"""Batch sessions of one's own: starting one, why it waits, and ending it. Its page is :mod:`.session_page`'s."""

from __future__ import annotations

import re
import time
from typing import Any

from .. import i18n
from ..core.batch import ENDED_BY_OWNER
from ..core.queues import Queue
from ..core.reasons import explain_pending
from ..core.sessions import BATCH, YES, JobState, LaunchRequest, SessionSpec, SessionStatus
from ..core.slots import CUDA_SHARES
from ..core.waiting import explain_wait
from ..errors import N_, Conflict, InvalidParameters, NotFound, Violation
from ..store import batch, sessions
from ..store.models import new_id
from ..store.sessions import SessionInfo
from .base import HubUserHandler
from .parts import Parts
from .sessions import check_environment, find_figures, find_queue

STATES = {
    SessionStatus.PENDING: ("wait", "wait", N_("waiting")),
    SessionStatus.SCHEDULED: ("wait", "wait", N_("starting")),
    SessionStatus.RUNNING: ("run", "idle", N_("running")),
    SessionStatus.TERMINATING: ("down", "down", N_("stopping")),
    SessionStatus.TERMINATED: ("run", "idle", N_("ended well")),
    SessionStatus.CANCELLED: ("down", "down", N_("cancelled")),
    SessionStatus.ERROR: ("down", "down", N_("failed")),
}
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


def is_id(text: str) -> bool:
    """Whether a text can be a session's id."""
    return bool(_ID.fullmatch(text))


def is_taken(parts: Parts, queue: Queue) -> bool:
    """Whether batch sessions can run in a queue."""
    return BATCH in queue.allowed_session_types and queue.engine in parts.backends


async def start(handler: HubUserHandler, request: LaunchRequest, wanted_id: str = "") -> str:
    """Admit a batch session of who calls; its id. Raises what an admission raises.

    A ``wanted_id`` that the caller has a live session of is that session: a form that is sent twice starts one.
    """
    known = await handler.db.run(sessions.get, wanted_id) if wanted_id else None
    if known and known.is_live and known.is_batch and known.user == handler.identity.name:
        return known.id
    session_id = new_id() if known else wanted_id or new_id()
    queue = find_queue(await handler.groups.list_usable(handler.identity), request.queue)
    check_environment(handler.groups.images(), request.environment)
    if not is_taken(handler, queue):
        message = N_("The queue %(queue)s takes no batch sessions.")
        raise InvalidParameters(violations=[Violation(message, {"queue": queue.name}, "queue", "session-type")])
    figures = find_figures(queue, handler.figures.figures().queues.get(queue.name), time.time())
    spec = SessionSpec(session_id, handler.identity.name, batch.server_name(session_id), request)
    admission = await handler.db.run_exclusive(sessions.admit, spec, queue, figures)
    if admission.is_waiting:
        handler.scheduler.wake()
    handler.batch_runner.wake()
    return session_id


async def find_own(handler: HubUserHandler, session_id: str) -> SessionInfo:
    """A batch session of who calls. Raises NotFound for everybody else's."""
    session = await handler.db.run(sessions.get, session_id)
    if session is None or session.user != handler.identity.name or not session.is_batch:
        raise NotFound(N_("There is no session %(id)s."), id=session_id)
    return session


async def end(parts: Parts, session: SessionInfo, reason: str = ENDED_BY_OWNER) -> None:
    """Have a batch session ended. Raises Conflict for one that is over."""
    if not session.is_live:
        raise Conflict(N_("This session is over already."))
    if await parts.db.run_exclusive(batch.tell_to_end, session.id, reason):
        parts.scheduler.wake(session.id)
    parts.batch_runner.wake()


async def explain_delay(parts: Parts, session: SessionInfo, language: str) -> str:
    """Why a live session does not run yet, "" when nobody says."""
    if session.wait:
        why = explain_wait(session.wait)
    elif session.status is SessionStatus.PENDING and session.job_id and (backend := parts.backends.get(session.engine)):
        status = await backend.status(session.id, session.job_id, session.posix)
        if status.state is not JobState.PENDING or not status.reason:
            return ""
        why = explain_pending(status.reason)
    else:
        return ""
    return " ".join(i18n.translate(language, text, why.params) for text in (why.message, why.advice) if text)


def describe_again(session: SessionInfo, command: str) -> dict[str, Any]:
    """What the launch form is filled with to run the same once more, a notebook or a batch session."""
    slots = session.slots
    shares = slots.amount(CUDA_SHARES)
    return {
        **session.choice.to_options(),
        "patience": session.patience_s or "",
        "mail": YES if session.wants_mail else "",
        "session_type": session.session_type,
        "command": command,
        "queue": session.queue,
        "environment": session.environment,
        "interface": session.interface,
        "shares": format(shares, "f") if shares else "",
        "project": session.project,
        "cpu": format(slots.amount("cpu"), "f"),
        "mem": format(slots.amount("mem"), "f"),
        "gpu": format(slots.amount("cuda.device"), "f"),
        "gpu_type": session.gpu_type,
        "time": str(session.time_limit_s),
        "name": session.name,
    }
