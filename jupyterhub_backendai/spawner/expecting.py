"""When a waiting session is expected to start: the service knows the past of its queue, and is asked once for all sessions alike."""

from __future__ import annotations

import asyncio
import functools
import time
from dataclasses import replace
from typing import Any

from ..client import ServiceClient
from ..core.sessions import Admission
from ..core.waits import History, add_scheduler, expect, size_of
from ..errors import BackendAIError
from .launchers.base import Stage

AGE_S, AGAIN_S, PATIENCE_S = 300.0, 30.0, 2.0
MOST_KEPT = 2000
ANEW_S = 60.0


class Histories:
    """What the service said of past waits, by queue, size and hour. Nobody waits long for it, and an outage is no news."""

    def __init__(self, service: ServiceClient) -> None:
        self._service = service
        self._kept: dict[tuple[str, str, int], tuple[float, asyncio.Task[History | None]]] = {}

    async def find(self, queue: str, size: str, since: float) -> History:
        """What is known of waits like this; nothing while it cannot be asked."""
        key = queue, size, int(since // 3600)
        ask_again_at, task = self._kept.get(key, (0.0, None))
        if task is None or time.monotonic() > ask_again_at:
            while len(self._kept) >= MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            before = task.result() if task and task.done() and not task.cancelled() else None
            task = asyncio.ensure_future(self._ask(key, since, before))
            self._kept[key] = time.monotonic() + AGE_S, task
        try:
            return await asyncio.wait_for(asyncio.shield(task), PATIENCE_S) or History()
        except TimeoutError:
            return History()

    async def _ask(self, key: tuple[str, str, int], since: float, before: History | None) -> History | None:
        try:
            return await self._service.find_history(key[0], key[1], since)
        except BackendAIError:
            self._kept[key] = time.monotonic() + AGAIN_S, self._kept[key][1]
            return before


@functools.cache
def histories_of(service: ServiceClient) -> Histories:
    """The histories that this process has from a service."""
    return Histories(service)


class Expecting:
    """The expected start of one session, worked out anew each minute, and at once when the scheduler says something else."""

    def __init__(self) -> None:
        self._at, self._of, self._expected = 0.0, (), None

    _of: tuple[Any, ...]
    _expected: dict[str, Any] | None

    async def add(self, stage: Stage, admission: Admission, service: ServiceClient) -> Stage:
        """The stage with the expected start, where somebody can say it."""
        if stage.name != "waiting":
            return stage
        of = (admission.session_id, stage.position, stage.start_at, stage.is_foreseeable)
        now = time.time()
        if of != self._of or now - self._at >= ANEW_S:
            self._at, self._of, self._expected = now, of, await _work_out(stage, admission, service, now)
        return replace(stage, expected=self._expected, since=admission.waits_since)


async def _work_out(stage: Stage, admission: Admission, service: ServiceClient, now: float) -> dict[str, Any] | None:
    since = admission.waits_since or now
    expected = None
    if stage.is_foreseeable:
        history = await histories_of(service).find(admission.queue, size_of(admission.slots), since)
        expected = add_scheduler(expect(history, max(0.0, now - since)), stage.start_at, now)
    return expected.to_json(now) if expected else None
