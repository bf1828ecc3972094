"""The waiting lines of queues without a scheduler of their own: who gets a place, and telling those who wait.

A service looks when a session joins a line or gives back a place through it. The one with the lease also looks every second: another
service, a start time or a pending timeout may have changed something. Two that look at once do no harm: places are given under locks.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from datetime import UTC, datetime

from ..core.waiting import Place
from ..errors import N_, BackendAIError, InvalidParameters
from ..store import scheduling
from ..store.database import Database
from .base import PrivateHandler
from .groups import ResourceGroups
from .lease import Lease

log = logging.getLogger("backendai")
INTERVAL_S = 1.0
LEASE, LEASE_S = "schedule", 10.0
LONGEST_WAIT_S = 25.0


class Scheduler:
    """Gives places, and knows who listens for news of one."""

    def __init__(self, db: Database, groups: ResourceGroups, *, interval_s: float = INTERVAL_S) -> None:
        self._db, self._groups, self._interval_s = db, groups, interval_s
        self._lease = Lease(db, LEASE, LEASE_S)
        self._something_happened = asyncio.Event()
        self._listeners: dict[str, set[asyncio.Event]] = {}
        self._is_over = False

    def wake(self, session_id: str = "") -> None:
        """Look at the lines now: somebody joined one or gave back a place. Whoever listens for news of the session hears of it."""
        self._something_happened.set()
        self._tell([session_id])

    async def run(self) -> None:
        """Schedule for ever; cancelled when the service stops."""
        self._is_over = False
        await self._groups.ready()
        try:
            while True:
                is_woken = self._something_happened.is_set()
                self._something_happened.clear()
                began = time.monotonic()
                try:
                    await self.schedule(is_woken=is_woken)
                except BackendAIError as exc:
                    log.info("Nothing was scheduled: %s", exc)
                # A very long line is not read all the time; what happens here is looked at all the same.
                pause_s = max(self._interval_s, 4 * (time.monotonic() - began))
                try:
                    await asyncio.wait_for(self._something_happened.wait(), pause_s)
                except TimeoutError:
                    continue
        finally:
            self._is_over = True
            self._tell(list(self._listeners))
            await self._lease.give_back()

    async def schedule(self, *, is_woken: bool = True) -> list[str]:
        """One look at every line; the ids of the sessions that got a place. Without ``is_woken`` only with the lease."""
        names = await self._db.run(scheduling.list_waiting_queues)
        if not names or not (await self._lease.keep() or is_woken):
            return []
        placed: list[str] = []
        for name in sorted(names):
            queue = self._groups.queues().get(name)
            if queue is None:
                self._tell(await self._db.run(scheduling.note_closed, name))
                continue
            found, changed = await self._db.run(scheduling.look, queue, datetime.now(UTC))
            given = [place.session_id for place in found.places if await self._db.run_exclusive(scheduling.give_place, queue, place)]
            for session_id in given:
                log.info("Session %s has its place in the queue %s", session_id, name)
            self._tell([*given, *changed])
            placed += given
        return placed

    async def find_place(self, session_id: str, seen: str = "", wait_s: float = 0.0) -> tuple[Place, str]:
        """Where a session is, and a word for that answer. ``seen`` is the word of the last one: then wait for another, up to ``wait_s``."""
        deadline = time.monotonic() + wait_s
        event = asyncio.Event()
        listeners = self._listeners.setdefault(session_id, set())
        listeners.add(event)
        try:
            while True:
                event.clear()
                place = await self._db.run(scheduling.get_place, session_id, self._groups.queues().get)
                word = _digest(place)
                left_s = deadline - time.monotonic()
                if word != seen or left_s <= 0 or self._is_over:
                    return place, word
                # Without the lease the news is made elsewhere and has to be read.
                pause_s = left_s if self._lease.is_held else min(left_s, self._interval_s)
                try:
                    await asyncio.wait_for(event.wait(), pause_s)
                except TimeoutError:
                    continue
        finally:
            listeners.discard(event)
            if not listeners:
                self._listeners.pop(session_id, None)

    def _tell(self, session_ids: list[str]) -> None:
        for session_id in session_ids:
            for event in self._listeners.get(session_id, ()):
                event.set()


def _digest(place: Place) -> str:
    return hashlib.sha256(json.dumps(place.to_json(), sort_keys=True, default=str).encode()).hexdigest()[:16]


class PlaceHandler(PrivateHandler):
    """``GET /private/sessions/<id>/place?seen=&wait=``: where a session is; with ``wait`` (seconds) once that is other than ``seen``."""

    async def get(self, session_id: str) -> None:
        try:
            wait_s = min(float(self.get_argument("wait", "0")), LONGEST_WAIT_S)
        except ValueError as exc:
            raise InvalidParameters(N_("The request could not be read.")) from exc
        place, word = await self.scheduler.find_place(session_id, self.get_argument("seen", ""), wait_s)
        self.answer({**place.to_json(), "seen": word})


private_handlers = [(r"/private/sessions/([0-9a-f]{32})/place", PlaceHandler)]
