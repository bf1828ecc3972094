"""Batch sessions of one's own: starting one, what has become of it with the end of its log, and ending it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

from .. import i18n
from ..core.batch import ENDED_BY_OWNER
from ..core.queues import Queue
from ..core.reasons import explain_pending
from ..core.sessions import BATCH, JobState, LaunchRequest, SessionSpec, SessionStatus
from ..core.waiting import explain_wait
from ..errors import N_, BackendAIError, Conflict, InvalidParameters, NotFound, Violation
from ..store import batch, sessions
from ..store.models import new_id
from ..store.sessions import SessionInfo
from .auth import authenticated
from .base import HubUserHandler, PageHandler, Parts
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
NO_LOG = N_("The log cannot be read right now. Try again in a minute.")


@dataclass(frozen=True, slots=True)
class Log:
    """The end of what a job printed; ``trouble`` says why it cannot be shown."""

    text: str = ""
    trouble: str = ""


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


async def load_log(parts: Parts, session: SessionInfo) -> str:
    """The end of a batch session's log, read as its owner. Raises what the engine raises."""
    backend = parts.backends.get(session.engine)
    return await backend.read_log(session.job_id, session.posix, session.id) if backend and session.job_id else ""


async def read_log(parts: Parts, session: SessionInfo) -> Log:
    """The same for a page, which says when it cannot be had."""
    try:
        return Log(await load_log(parts, session))
    except BackendAIError:
        return Log(trouble=NO_LOG)


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


class BatchHandler(PageHandler):
    """GET shows one batch session of the caller's."""

    @authenticated
    async def get(self, session_id: str) -> None:
        session = await find_own(self, session_id)
        command = await self.db.run(batch.read_command, session_id)
        queue = self.groups.queues().get(session.queue)
        log = await read_log(self, session)
        self.render_page(
            "batch.html",
            session=session,
            command=command,
            state=STATES.get(session.status, STATES[SessionStatus.SCHEDULED]),
            queue=queue.label(self.language) if queue else session.queue,
            reason=i18n.translate(self.language, session.status_reason) if session.status_reason else "",
            delay=await explain_delay(self, session, self.language) if session.is_live else "",
            log=log,
            again=describe_again(session, command),
        )


class EndHandler(PageHandler):
    """POST ends one batch session of the caller's."""

    @authenticated
    async def post(self, session_id: str) -> None:
        session = await find_own(self, session_id)
        if session.is_live:
            await end(self, session)
        self.redirect(f"{self.hub_auth.base_url}sessions/{session_id}", status=303)


def describe_again(session: SessionInfo, command: str) -> dict[str, Any]:
    """What the launch form is filled with to run the same once more."""
    slots = session.slots
    return {
        "session_type": BATCH,
        "command": command,
        "queue": session.queue,
        "environment": session.environment,
        "project": session.project,
        "cpu": format(slots.amount("cpu"), "f"),
        "mem": format(slots.amount("mem"), "f"),
        "gpu": format(slots.amount("cuda.device"), "f"),
        "gpu_type": session.gpu_type,
        "time": str(session.time_limit_s),
        "name": session.name,
    }


default_handlers = [(r"sessions/([0-9a-f]{32})", BatchHandler), (r"sessions/([0-9a-f]{32})/end", EndHandler)]
