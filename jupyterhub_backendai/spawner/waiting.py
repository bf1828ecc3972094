"""Waiting for a place in a line of the service's. It has no time limit of the hub's, and outages of the service are waited for too."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from ..client import ServiceClient
from ..core.reasons import Explanation
from ..core.scheduling import Wait
from ..core.sessions import Admission, SessionStatus
from ..core.waiting import explain_wait
from ..errors import N_, BackendAIError, NotFound, StartFailed, Violation
from .launchers.base import Ending, Launcher, Stage

ASK_S, PAUSE_S = 20.0, 1.0
FORGOTTEN = N_("The waiting line does not know this session any more. Start it again.")


async def wait_for_place(service: ServiceClient, launcher: Launcher) -> Admission:
    """The admission with a place; until then the launcher shows where in line the session is. Raises StartFailed when it never will."""
    queue, session_id, seen = launcher.admission.queue, launcher.admission.session_id, ""
    while True:
        try:
            place, seen = await service.find_place(session_id, seen, ASK_S)
        except BackendAIError as exc:
            if isinstance(exc, NotFound):
                raise _end(launcher, FORGOTTEN) from exc
            if not exc.transient:
                raise
            launcher.show(_unreachable(launcher.stage, queue))
            seen = ""
            await asyncio.sleep(PAUSE_S)
            continue
        if place.admission:
            return place.admission
        if place.wait is None:
            raise _end(launcher, place.reason or FORGOTTEN)
        launcher.show(show_wait(queue, place.wait))


def show_wait(queue: str, wait: Wait) -> Stage:
    """What the pending page shows of a wait."""
    message = Violation(N_("Waiting in the queue %(queue)s."), {"queue": queue})
    if wait.position:
        message = Violation(N_("Waiting in the queue %(queue)s, position %(position)s."), {"queue": queue, "position": wait.position})
    return Stage("waiting", 20, message, wait.position, explain_wait(wait), wait.start_at)


def _unreachable(stage: Stage, queue: str) -> Stage:
    before = stage if stage.name == "waiting" else Stage("waiting", 20, Violation(N_("Waiting in the queue %(queue)s."), {"queue": queue}))
    return replace(before, reason=Explanation(N_("The waiting line cannot be reached at the moment. Your session keeps its place.")))


def _end(launcher: Launcher, reason: str) -> StartFailed:
    launcher.ending = Ending(SessionStatus.CANCELLED, Explanation(reason))
    return StartFailed(reason)
