"""One session of one's own: where it is or why it ended, the end of its log, more time for it, and keeping it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from .. import i18n
from ..core.ends import IDLE as IDLE_END
from ..core.ends import WARNINGS, End, shown_s
from ..core.fields import parse_time
from ..core.logs import clean_log
from ..core.sessions import SessionStatus
from ..core.slots import CPU, CUDA_DEVICE, CUDA_SHARES
from ..errors import N_, BackendAIError, InvalidParameters, NotFound, Violation
from ..store import ends, sessions
from ..store.ends import Course, find_session_end
from ..store.history import Past, load_bills
from ..store.sessions import SessionInfo
from . import extensions
from .base import HubUserHandler
from .parts import Parts

NO_LOG = N_("The log cannot be read right now. Try again in a minute.")
HOUR_S = 3600
MAX_REASON = 4000  # as much of it as is kept
LOG_AGE_S, MOST_LOGS, MOST_READINGS = 2.0, 200, 8
# What is offered at once, as far as it is permitted; any other time can be typed by programs.
STEPS_S = (1800, HOUR_S, 2 * HOUR_S, 4 * HOUR_S, 8 * HOUR_S, 24 * HOUR_S)


@dataclass(frozen=True, slots=True)
class Log:
    """The end of what a session printed; ``trouble`` says why it cannot be shown."""

    text: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """What a session has used: how long it ran, and CPU and GPU hours (shares of GPUs count as such), None before it began."""

    elapsed_s: int | None = None
    cpu_hours: Decimal = Decimal(0)
    gpu_hours: Decimal = Decimal(0)


async def find_own(handler: HubUserHandler, session_id: str) -> SessionInfo:
    """A session of who calls. Raises NotFound for everybody else's."""
    session = await handler.db.run(sessions.get, session_id)
    if session is None or session.user != handler.identity.name:
        raise NotFound(N_("There is no session %(id)s."), id=session_id)
    return session


async def load_log(parts: Parts, session: SessionInfo) -> str:
    """The end of a session's log as it is, read as its owner. Raises what the engine raises."""
    backend = parts.backends.get(session.engine)
    if backend is None or not session.job_id:
        return ""
    if session.is_batch:
        return await backend.read_log(session.job_id, session.posix, session.id)
    return await backend.read_server_log(session.id, session.job_id, session.posix, session.user)


async def load_recent_log(parts: Parts, session: SessionInfo) -> str:
    """The same, at most two seconds old: on some engines each reading is a process of its own, and people leave pages open.

    However many ask, a log is read once at a time, and only a few of all logs.
    """
    settings = parts.application.settings
    logs: dict[str, tuple[float, str]] = settings.setdefault("logs", {})
    key = f"{session.id} {session.is_live}"  # the log of a session that is over has its last lines
    read_at, log = logs.get(key, (0.0, ""))
    if read_at and time.monotonic() - read_at < LOG_AGE_S:
        return log
    readings: dict[str, asyncio.Task[str]] = settings.setdefault("log_readings", {})
    reading = readings.get(key)
    if reading is None:
        reading = readings[key] = asyncio.ensure_future(_read_now(parts, session, logs, key))
        reading.add_done_callback(lambda _: readings.pop(key, None))
    return await asyncio.shield(reading)


async def _read_now(parts: Parts, session: SessionInfo, logs: dict[str, tuple[float, str]], key: str) -> str:
    async with parts.application.settings.setdefault("log_turns", asyncio.Semaphore(MOST_READINGS)):
        log = await load_log(parts, session)
    while len(logs) >= MOST_LOGS:
        del logs[next(iter(logs))]
    if log:  # a first line is shown at once
        logs[key] = (time.monotonic(), log)
    return log


async def read_log(parts: Parts, session: SessionInfo) -> Log:
    """The same as people read it, for a page, which says when it cannot be had."""
    try:
        return Log(clean_log(await load_recent_log(parts, session)))
    except BackendAIError:
        return Log(trouble=NO_LOG)


def explain_why(session: SessionInfo, course: Course, language: str) -> str:
    """Why a session ended, and what to do, in the reader's language; "" while it lives, or where there is nothing to say."""
    why = course.why
    if why is not None and not session.is_live:
        try:
            # A session that lived again has another reason by now than the words say.
            if str(why)[:MAX_REASON] == session.status_reason:
                return " ".join(i18n.translate(language, text, why.params) for text in (why.message, why.advice) if text)
        except (KeyError, TypeError, ValueError):  # of another version: its words and places do not fit
            pass
    return i18n.translate(language, session.status_reason) if session.status_reason else ""


def describe_end(end: End | None, language: str, warn_before_s: int, now: float) -> dict[str, Any] | None:
    """When a session will end, for pages and programs; ``warning`` has words once it is near."""
    if end is None:
        return None
    left_s = end.left_s(now)
    # A policy's end is only kept once it is to be announced.
    is_near = end.kind != "time" or end.is_near(now, warn_before_s)
    words = i18n.translate(language, WARNINGS[end.kind], {"span": i18n.format_span(language, shown_s(left_s))}) if is_near else ""
    return {
        "at": datetime.fromtimestamp(end.at, UTC).isoformat(timespec="seconds"),
        "kind": end.kind,
        "left_s": left_s,
        "left": i18n.format_span(language, shown_s(left_s)),
        "warning": words,
        "can_keep": end.kind == IDLE_END,
    }


def measure_use(session: SessionInfo, course: Course, now: datetime) -> Use:
    """From its beginning to its end, or until now."""
    began_at = course.began_at or session.started_at
    if began_at is None:
        return Use()
    over_at = session.terminated_at or session.released_at or now
    elapsed_s = max(0, int((over_at - began_at).total_seconds()))
    hours = Decimal(elapsed_s) / HOUR_S
    gpus = session.slots.amount(CUDA_DEVICE) + session.slots.amount(CUDA_SHARES)
    return Use(elapsed_s, session.slots.amount(CPU) * hours, gpus * hours)


def list_steps(most_s: int) -> list[int]:
    """The times that a page offers, never more than the most; the most itself last."""
    steps = [step for step in STEPS_S if step <= most_s]
    return steps if not most_s or most_s in steps else [*steps, most_s]


def parse_more(text: str) -> int:
    """A time that is asked for on top, seconds. Raises InvalidParameters."""
    try:
        return parse_time(text)
    except ValueError as exc:
        message = N_("Give a time, such as 90m, 2h or 1-00:00:00.")
        raise InvalidParameters(violations=[Violation(message, {}, "time", "invalid")]) from exc


async def extend_own(handler: HubUserHandler, session: SessionInfo, text: str) -> int:
    """Give a session of the caller's more time; its limit from now on."""
    source = handler.request.remote_ip or ""
    return await extensions.extend(handler, session, parse_more(text), handler.identity.name, source=source)


async def keep_own(handler: HubUserHandler, session: SessionInfo) -> None:
    """The caller still wants a session that nobody seems to use."""
    await handler.db.run_exclusive(ends.keep, session.id, handler.identity.name, handler.request.remote_ip or "")


async def describe_own(handler: HubUserHandler, session: SessionInfo) -> dict[str, Any]:
    """What programs read of a session beyond its row: its end, what it used and what it cost."""
    course = await handler.db.run(ends.load_course, session.id)
    bill = (await handler.db.run(load_bills, [session.id])).get(session.id)
    offer_s = await extensions.offer_s(handler, session) if is_running(session) else 0
    return describe_past(handler, Past(session, course, bill)) | {"most_more_s": offer_s}


def describe_past(handler: HubUserHandler, past: Past) -> dict[str, Any]:
    """The same for a list, without what has to be asked for each. Hours and money are texts of plain numbers."""
    session, course, bill = past.session, past.course, past.bill
    use = measure_use(session, course, datetime.now(UTC))
    currency = handler.config.make_billing().currency
    return {
        "reason": explain_why(session, course, handler.language),
        "end": describe_end(find_session_end(session, course), handler.language, handler.config.warn_before_s, time.time()),
        "extended_s": course.extended_s,
        "extensions": course.extensions,
        "elapsed_s": use.elapsed_s,
        "cpu_hours": f"{use.cpu_hours:.6f}",
        "gpu_hours": f"{use.gpu_hours:.6f}",
        "cost": None
        if bill is None
        else {
            "currency": currency.name,
            "at_most": f"{bill.most:f}",
            "charged": None if bill.charged is None else f"{bill.charged:f}",
        },
    }


async def list_now(parts: Parts, user: str, language: str, base_url: str) -> list[dict[str, Any]]:
    """Somebody's live sessions with their ends, for the pages that warn: small, and asked every minute.

    ``base_url`` is where a browser finds the service.
    """
    live = await parts.db.run(sessions.list_live, user)
    courses = await parts.db.run(ends.load_courses, [session.id for session in live])
    now, before_s = time.time(), parts.config.warn_before_s
    found = []
    for session in live:
        end = find_session_end(session, courses.get(session.id, Course()))
        offer_s = await extensions.offer_s(parts, session) if end else 0
        found.append(
            {
                "id": session.id,
                "server": None if session.is_batch else session.server_name,
                "name": session.name or ("" if session.is_batch else session.server_name),
                "status": session.status.value,
                "url": f"{base_url}sessions/{session.id}",
                "time_limit_s": session.time_limit_s,
                "can_extend": bool(offer_s),
                "end": describe_end(end, language, before_s, now),
            }
        )
    return found


def find_url(handler: HubUserHandler, session: SessionInfo, servers: Mapping[str, Any]) -> tuple[str, bool]:
    """Where a live notebook is, and whether it is ready: its own address, or the page on which it starts; "" where the hub has none."""
    server = servers.get(session.server_name)
    if not server or not (server.get("ready") or server.get("pending")):
        return "", False
    if server.get("ready"):
        return str(server.get("url") or ""), True
    path = quote(f"{session.user}/{session.server_name}".rstrip("/"), safe="/@")
    return f"{handler.hub_auth.hub_prefix}spawn-pending/{path}", False


def is_running(session: SessionInfo) -> bool:
    """Whether it runs, and nobody has it ended."""
    return session.is_live and session.status is SessionStatus.RUNNING
