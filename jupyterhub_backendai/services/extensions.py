"""Giving a session that runs more time: written down first, then asked of the engine, and taken back where that says no."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from dataclasses import replace

from ..core.clusters import pick_figures
from ..core.policies import COUNTED_ENGINES
from ..core.queues import Queue
from ..core.scheduler_limits import longest_s
from ..core.sessions import LaunchRequest, max_time_s
from ..errors import N_, BackendAIError, Conflict, NotFound
from ..store import extensions
from ..store.sessions import SessionInfo
from .parts import Parts

log = logging.getLogger("backendai")
_MAX_LOCKS = 1000
_locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)


async def extend(parts: Parts, session: SessionInfo, add_s: int, actor: str, *, is_admin: bool = False, source: str = "") -> int:
    """The session's time limit from now on, seconds. Raises Conflict and InvalidParameters with every reason why not.

    One after the other for a session: the engine is told the whole limit, and an older one must not arrive last.
    """
    queue = find_queue_of(parts, session)
    most_s = find_longest_s(parts, queue, session)
    _tidy()
    async with _locks[session.id]:
        wanted = await parts.db.run_exclusive(
            extensions.extend, session.id, add_s, queue, most_s, is_admin=is_admin, actor=actor, source=source
        )
        try:
            await _ask_engine(parts, session, wanted.time_limit_s)
        except BackendAIError as exc:
            await parts.db.run_exclusive(extensions.take_back, wanted, actor, str(exc))
            raise
    log.info("Session %s of %s has %s s from now on, by %s", session.id, session.user, wanted.time_limit_s, actor)
    return wanted.time_limit_s


async def offer_s(parts: Parts, session: SessionInfo, *, is_admin: bool = False) -> int:
    """The most that a session can be given now, 0 for nothing."""
    try:
        queue = find_queue_of(parts, session)
    except NotFound:
        return 0
    return await parts.db.run(extensions.offer_s, session.id, queue, find_longest_s(parts, queue, session), is_admin=is_admin)


def find_queue_of(parts: Parts, session: SessionInfo) -> Queue:
    """The queue that a session runs in. Raises NotFound for one that is gone."""
    queue = parts.groups.queues().get(session.queue)
    if queue is None:
        raise NotFound(N_("The queue %(queue)s is gone."), queue=session.queue)
    return queue


def find_longest_s(parts: Parts, queue: Queue, session: SessionInfo) -> int | None:
    """The longest time of such a session there, by the site, by the engine and by what the engine lets its owner have; None without one.

    An engine holds its operator, who gives the time, to no limit of anybody's: here it is seen to.
    """
    row = pick_figures(queue, parts.figures.figures().queues.get(queue.name), session.choice.cluster)
    choice = replace(session.choice, reservation="")  # its end is a moment, and no length
    request = LaunchRequest(queue=queue.name, project=session.project, slots=session.slots, gpu_type=session.gpu_type, choice=choice)
    own = longest_s(request, queue, row, session.project, session.posix)
    return min((time_s for time_s in (max_time_s(queue, row), own[1] if own else None) if time_s is not None), default=None)


async def _ask_engine(parts: Parts, session: SessionInfo, time_s: int) -> None:
    backend = parts.backends.get(session.engine)
    if backend is not None:
        await backend.extend(session.job_id, session.posix, time_s, session.id)
    elif session.engine not in COUNTED_ENGINES:  # the hub's own processes ask us for their limit
        raise Conflict(N_("Sessions of the engine %(engine)s cannot be given more time."), engine=session.engine)


def _tidy() -> None:
    if len(_locks) > _MAX_LOCKS:
        for session_id in [id_ for id_, lock in _locks.items() if not lock.locked()]:
            del _locks[session_id]
