"""One timer for the polls of all servers.

The hub gives each server a timer of its own. A poll of ours costs microseconds, because it reads a shared answer, so with thousands of
servers most of what polling costs would be waking up for each of them. Here all of one interval are asked in one round.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import ClassVar
from weakref import WeakKeyDictionary

log = logging.getLogger(__name__)

CHUNK = 100


class Place:
    """One server's place in the rounds; the part of tornado's PeriodicCallback that the hub uses."""

    def __init__(self, callback: Callable[[], Awaitable[object]], rounds: Rounds) -> None:
        self._callback, self._rounds = callback, rounds
        self._asking: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """Ask no more; a question that is under way goes on."""
        self._rounds.leave(self)

    def is_running(self) -> bool:
        return self in self._rounds

    def ask(self) -> None:
        """Ask now, unless the last question has no answer yet."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        try:
            await self._callback()
        except Exception:
            log.exception("A poll failed")


class Rounds:
    """The servers that are polled every ``interval_s`` seconds in one event loop."""

    _all: ClassVar[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[float, Rounds]]] = WeakKeyDictionary()

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._places: dict[Place, None] = {}
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def join(cls, callback: Callable[[], Awaitable[object]], interval_s: float) -> Place:
        """Have ``callback`` called in each round from the next one on."""
        by_interval = cls._all.setdefault(asyncio.get_running_loop(), {})
        rounds = by_interval.setdefault(interval_s, cls(interval_s))
        place = Place(callback, rounds)
        rounds._places[place] = None
        if rounds._task is None or rounds._task.done():
            rounds._task = asyncio.create_task(rounds._go())
        return place

    def leave(self, place: Place) -> None:
        self._places.pop(place, None)

    def __contains__(self, place: Place) -> bool:
        return place in self._places

    async def _go(self) -> None:
        while self._places:
            await asyncio.sleep(self._interval_s)
            for number, place in enumerate(list(self._places), 1):
                if place in self._places:
                    place.ask()
                if number % CHUNK == 0:
                    await asyncio.sleep(0)  # others want the loop too
