"""How long sessions wait: the history of every queue, read once for everybody, and what owners of waiting sessions want."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any

from .. import i18n
from ..core.fields import MAX_TIME_S, MIN_TIME_S
from ..core.queues import Queue
from ..core.slots import ResourceSlots
from ..core.waiting import find_give_up
from ..core.waits import Accuracy, Expectation, History, PastWait, expect, learn, round_wait, size_of
from ..errors import N_, BackendAIError, InvalidParameters, NotFound
from ..store import waits
from ..store.database import Database
from .base import PrivateHandler

log = logging.getLogger("backendai")
AGE_S = 120.0
MOST_HISTORIES = 2000
ANY_SIZE = ""


class WaitsReader:
    """Reads the waits of a queue when somebody asks and the last reading is older than two minutes."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._past: dict[str, tuple[float, list[PastWait]]] = {}
        self._histories: dict[tuple[str, str, int], tuple[float, History]] = {}
        self._accuracy: dict[str, tuple[float, Accuracy]] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def history(self, queue: str, size: str, since: float) -> History:
        """What the past says about a session of this size that began to wait then (Unix seconds)."""
        key = queue, size, int(since // 3600)
        read_at, history = self._histories.get(key, (0.0, History()))
        if time.monotonic() - read_at > AGE_S:
            history = learn(await self._load(queue), size, since)
            while len(self._histories) >= MOST_HISTORIES:
                del self._histories[next(iter(self._histories))]
            self._histories[key] = time.monotonic(), history
        return history

    async def expect(self, queue: str, slots: ResourceSlots, at: float | None = None) -> Expectation | None:
        """How long a session would wait that is asked for now. None also when the database cannot be read: nobody waits for this."""
        return await self._expect(queue, size_of(slots), time.time() if at is None else at)

    async def _expect(self, queue: str, size: str, at: float) -> Expectation | None:
        try:
            return expect(await self.history(queue, size, at))
        except BackendAIError as exc:
            log.info("The waits of %s cannot be read: %s", queue, exc)
            return None

    async def expect_any(self, queue: str) -> Expectation | None:
        """The same for a session of any size."""
        return await self._expect(queue, ANY_SIZE, time.time())

    async def accuracy(self, queue: str) -> Accuracy:
        """How good the expectations of this queue were."""
        async with self._locks[queue]:
            read_at, found = self._accuracy.get(queue, (0.0, Accuracy()))
            if time.monotonic() - read_at > AGE_S:
                found = await self._db.run(waits.load_accuracy, queue, datetime.now(UTC))
                self._accuracy[queue] = time.monotonic(), found
            return found

    async def _load(self, queue: str) -> list[PastWait]:
        async with self._locks[queue]:  # a hundred people who look at once are one reading
            read_at, past = self._past.get(queue, (0.0, []))
            if time.monotonic() - read_at > AGE_S:
                past = await self._db.run(waits.load_past, queue, datetime.now(UTC))
                self._past[queue] = time.monotonic(), past
            return past


def describe_usual(language: str, expected: Expectation | None) -> str:
    """How long sessions usually wait, in a few words for a line of the launch page; "" when nobody can say."""
    if expected is None or not expected.past:
        return ""
    params: dict[str, Any] = {"past": expected.past, "low": i18n.format_span(language, round_wait(expected.low_s))}
    if expected.high_s is None:
        return i18n.translate(language, N_("often more than %(low)s (of %(past)s sessions)"), params)
    if round_wait(expected.high_s) == 60:
        return i18n.translate(language, N_("usually at once (of %(past)s sessions)"), params)
    params["high"] = i18n.format_span(language, round_wait(expected.high_s))
    if params["low"] == params["high"]:
        return i18n.translate(language, N_("usually about %(high)s (of %(past)s sessions)"), params)
    if round_wait(expected.low_s) == 60:
        return i18n.translate(language, N_("usually up to %(high)s (of %(past)s sessions)"), params)
    return i18n.translate(language, N_("usually %(low)s to %(high)s (of %(past)s sessions)"), params)


async def add_wait_words(handler: Any, rows: list[dict[str, Any]]) -> None:
    """How long sessions of any size usually wait at this time of day, for each line of the table of queues."""
    for row in rows:
        row["wait_words"] = describe_usual(handler.language, await handler.waits.expect_any(row["name"]))


def read_wishes(body: Mapping[str, Any]) -> tuple[str, int | None, bool]:
    """Whose wishes, how long to wait (None: as long as it takes) and whether a mail is wanted. Raises InvalidParameters."""
    user, patience_s, wants_mail = body.get("user"), body.get("patience_s"), body.get("wants_mail")
    is_number = type(patience_s) is int and MIN_TIME_S <= patience_s <= MAX_TIME_S
    if not isinstance(user, str) or not isinstance(wants_mail, bool) or not (patience_s is None or is_number):
        raise InvalidParameters(N_("The request could not be read."))
    return user, patience_s if is_number else None, wants_mail


class HistoryHandler(PrivateHandler):
    """``GET /private/waits?queue=&size=&since=``: what the hub works out expected starts with."""

    async def get(self) -> None:
        try:
            since = float(self.get_argument("since", "")) if self.get_argument("since", "") else time.time()
        except ValueError as exc:
            raise InvalidParameters(N_("The request could not be read.")) from exc
        queue, size = self.get_argument("queue", "")[:64], self.get_argument("size", "")[:16]
        history = History() if not isfinite(since) or queue not in self.groups.queues() else await self.waits.history(queue, size, since)
        self.answer(history.to_json())


class WishesHandler(PrivateHandler):
    """``POST /private/sessions/<id>/wishes``: how long a waiting session shall wait, and whether its owner wants a mail."""

    async def post(self, session_id: str) -> None:
        user, patience_s, wants_mail = read_wishes(self.read_body())
        self.answer(await save_wishes(self, session_id, user, patience_s, wants_mail=wants_mail))


async def save_wishes(handler: Any, session_id: str, user: str, patience_s: int | None, *, wants_mail: bool) -> dict[str, Any]:
    """Keep them. ``give_up_at`` of the answer (Unix seconds, None for never) is the queue's limit too. Raises NotFound."""
    found = await handler.db.run_exclusive(waits.change_wishes, session_id, user, patience_s, wants_mail=wants_mail)
    if found is None:
        raise NotFound(N_("This session waits no more."))
    queue_name, since = found
    queue = handler.groups.queues().get(queue_name) or Queue(queue_name, "")
    give_up_at, by_wish = find_give_up(queue, patience_s, since.timestamp())
    handler.scheduler.wake(session_id)
    handler.batch_runner.wake()
    return {"give_up_at": give_up_at, "gives_up_by_wish": by_wish, "wants_mail": wants_mail}


private_handlers = [
    (r"/private/waits", HistoryHandler),
    (r"/private/sessions/([0-9a-f]{32})/wishes", WishesHandler),
]
