"""What the service must be told of a session: in order, in the background, again and again until it takes it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ..errors import BackendAIError

Call = Callable[[], Awaitable[None]]
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 15.0

_running: set[asyncio.Task[None]] = set()  # the loop itself keeps weak references only


class Reports:
    """The calls of one session. They outlive its spawner object; what the hub's end cuts off, the service's reconciler finds."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._last: asyncio.Task[None] | None = None

    def send(self, what: str, call: Call) -> asyncio.Task[None]:
        """Make a call after those before it. The task ends when the service took or refused it."""
        task = asyncio.get_running_loop().create_task(self._send(what, call, self._last))
        self._last = task
        _running.add(task)
        task.add_done_callback(_running.discard)
        return task

    async def _send(self, what: str, call: Call, before: asyncio.Task[None] | None) -> None:
        if before:
            await asyncio.wait({before})
        pause = FIRST_PAUSE_S
        while True:
            try:
                await call()
            except BackendAIError as exc:
                if not exc.transient and exc.status < 500:
                    self._log.warning("The service refused to note: %s: %s", what, exc)
                    return
                self._log.warning("The service did not take: %s: %s; trying again in %.0f s", what, exc, pause)
            else:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
