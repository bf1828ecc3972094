"""The longest time that an event loop did nothing but one thing: a heartbeat, and a page of a hub that asks its own loop's."""

from __future__ import annotations

import asyncio
import time

from tornado.web import RequestHandler

BEAT_S = 0.002


class Heart:
    """Beats in the loop that it is started in."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._task = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        before = time.perf_counter()
        while True:
            await asyncio.sleep(BEAT_S)
            now = time.perf_counter()
            self.worst_s = max(self.worst_s, now - before - BEAT_S)
            before = now

    def stop(self) -> None:
        """Beat no more."""
        self._task.cancel()


class GapHandler(RequestHandler):
    """Answers the worst gap in seconds since it was last asked. The first call starts the heart."""

    heart: Heart | None = None

    async def get(self) -> None:
        cls = type(self)
        if cls.heart is None:
            cls.heart = Heart()
        worst, cls.heart.worst_s = cls.heart.worst_s, 0.0
        self.finish(str(worst))


handlers = [(r"/bench-gap", GapHandler)]
