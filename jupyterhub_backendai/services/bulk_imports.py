"""Large files of things: looked at, and made so, in the background, with a progress to look at.

Passwords are hashed before the one transaction begins that makes everything so: hashing takes a fraction of a second each, and
nobody else could write meanwhile. The file itself stays in memory, because it may hold passwords: when the service ends in between,
nothing has been changed, and the file has to be chosen again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from ..core.identity import Actor
from ..core.nouns import Kind, Noun
from ..errors import N_, BackendAIError, NotFound
from ..store import bulk_imports
from ..store.bulk_imports import DONE, FAILED, HASHING, LOOKED, LOOKING, WRITING, Progress
from ..store.bulk_rows import PIECE, Row, Step, Undone, make, make_known
from ..store.database import Database
from ..store.models import new_id
from ..store.records import Records
from ..store.safe import KEY, find_safe

log = logging.getLogger("backendai")
TOLD_EVERY_S = 2.0
KEPT_S = 1800.0
HASHERS = 2
LOST = N_("The service was restarted meanwhile. Nothing was changed; choose the file again.")


@dataclass(slots=True)
class Job:
    """One file while it is in memory: its lines, and what they would do."""

    progress: Progress
    records: Records
    actor: Actor
    rows: Sequence[Row]
    begun_at: float
    steps: Sequence[Step] = ()
    is_over: Callable[[], Any] | None = None


class Hashes:
    """Passwords that were hashed beforehand; each hash is given once, so that equal passwords have different ones."""

    def __init__(self, hash_password: Callable[[str], str]) -> None:
        self._found: dict[str, list[str]] = {}
        self._hash_password = hash_password

    def add(self, password: str, hashed: str) -> None:
        self._found.setdefault(password, []).append(hashed)

    def take(self, password: str) -> str:
        found = self._found.get(password)
        return found.pop() if found else self._hash_password(password)


class BulkImporter:
    """Works on large files, one after the other."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._hashing = ThreadPoolExecutor(HASHERS, thread_name_prefix="bulk-hashes")

    async def look(self, records: Records, actor: Actor, rows: Sequence[Row]) -> str:
        """Begin to look at what the lines would do; the id to ask by."""
        now = time.monotonic()
        self._jobs = {key: job for key, job in self._jobs.items() if now - job.begun_at < KEPT_S}
        progress = Progress(new_id(), records.noun.name, actor.name, LOOKING, 0, len(rows))
        job = self._jobs[progress.id] = Job(progress, records, actor, rows, now)
        await self._tell(job)
        self._start(job, self._look)
        return progress.id

    async def apply(self, import_id: str, records: Records, actor: Actor, is_over: Callable[[], Any]) -> None:
        """Begin to make so what was looked at. Raises NotFound when the file is not in memory any more."""
        job = self._jobs.get(import_id)
        if job is None or job.actor.name != actor.name or job.records is not records:
            raise NotFound(LOST)
        if job.progress.state == LOOKED and not job.progress.result["wrong"]:
            job.actor, job.is_over = actor, is_over
            await self._tell(job, HASHING, 0, count_passwords(records.noun, job.rows))
            self._start(job, self._apply)

    async def find(self, import_id: str, noun: Noun, actor: Actor) -> tuple[Progress, Sequence[Step]]:
        """How far it is, and the steps as far as they are known here. Raises NotFound, also for somebody else's."""
        progress = await self._db.run(bulk_imports.find, import_id, noun.name, actor.name)
        if progress is None:
            raise NotFound
        job = self._jobs.get(import_id)
        if job is not None:
            return job.progress, job.steps
        if progress.is_lost or progress.state == LOOKED:
            progress = replace(progress, state=FAILED, result={"message": LOST})
        return progress, ()

    async def close(self) -> None:
        """End what is under way; nothing of it stays."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._hashing.shutdown(wait=False, cancel_futures=True)

    def _start(self, job: Job, work: Callable[[Job], Any]) -> None:
        task = asyncio.create_task(self._run(job, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job, work: Callable[[Job], Any]) -> None:
        try:
            async with self._turn:
                await work(job)
        except Exception as exc:
            error = exc if isinstance(exc, BackendAIError) else BackendAIError()
            log.warning("The file of %s cannot be worked on: %s", job.progress.noun, exc, exc_info=error is not exc)
            job.progress = replace(job.progress, state=FAILED, result={"message": error.message, "params": dict(error.params)})
            await self._db.run(bulk_imports.keep, job.progress)

    async def _look(self, job: Job) -> None:
        await self._find_steps(job)
        await self._tell(job, LOOKED, len(job.steps), result=sum_up(job.steps))

    async def _find_steps(self, job: Job) -> None:
        """Do it in pieces that are rolled back, so that nobody waits for long; what comes twice is known over all of them."""
        seen: set[str] = set()
        steps: list[Step] = []
        for begin in range(0, len(job.rows), PIECE):
            try:
                await self._db.run_exclusive(make, job.records, job.actor, job.rows[begin : begin + PIECE], is_applied=False, seen=seen)
            except Undone as undone:
                steps += undone.steps
            await self._tell(job, LOOKING, len(steps))
        job.steps = steps

    async def _apply(self, job: Job) -> None:
        hashes = await self.hash(job.records, job.rows, lambda done: self._tell(job, HASHING, done))
        await self._tell(job, WRITING, 0, len(job.rows))
        written = replace(job.progress, state=DONE, done=len(job.rows), result=sum_up(job.steps))
        try:
            # The word of the end is of the same transaction: it is there exactly when everything else is.
            await self._db.run_long(_write_known, job.records, job.actor, job.rows, job.steps, hashes, written)
        except BackendAIError as exc:
            if exc.status >= 500:
                raise
            await self._find_steps(job)  # what is wrong by now, in all of the lines
            await self._tell(job, FAILED, 0, result={**sum_up(job.steps), "message": exc.message, "params": dict(exc.params)})
            return
        job.progress = written
        if job.is_over:
            await job.is_over()

    async def hash(self, records: Records, rows: Sequence[Row], tell: Callable[[int], Any] | None = None) -> Hashes | None:
        """The hashes of all passwords in the lines, made outside of any transaction; None where none is kept here."""
        names = [item.name for item in records.noun.fields if item.kind is Kind.SECRET]
        passwords = [str(row.data[name]) for row in rows for name in names if row.data.get(name)]
        safe = self._db.info[KEY]
        if not passwords or safe.hash_password is None:
            return None
        hashes, told = Hashes(safe.hash_password), time.monotonic()
        loop = asyncio.get_running_loop()
        for begin in range(0, len(passwords), HASHERS):
            some = passwords[begin : begin + HASHERS]
            found = await asyncio.gather(*(loop.run_in_executor(self._hashing, safe.hash_password, password) for password in some))
            for password, hashed in zip(some, found, strict=True):
                hashes.add(password, hashed)
            if tell and time.monotonic() - told > TOLD_EVERY_S:
                told = time.monotonic()
                await tell(begin + len(some))
        return hashes

    async def _tell(
        self, job: Job, state: str = LOOKING, done: int = 0, total: int | None = None, *, result: Mapping[str, Any] | None = None
    ) -> None:
        job.progress = replace(
            job.progress, state=state, done=done, total=job.progress.total if total is None else total, result=result or job.progress.result
        )
        await self._db.run(bulk_imports.keep, job.progress)


def write(db: Session, records: Records, actor: Actor, rows: Sequence[Row], hashes: Hashes | None) -> Sequence[Step]:
    """Make a few lines so, with the hashes that were made before. Raises Undone."""
    _use(db, hashes)
    return make(db, records, actor, rows, is_applied=True)


def _write_known(
    db: Session, records: Records, actor: Actor, rows: Sequence[Row], steps: Sequence[Step], hashes: Hashes | None, written: Progress
) -> None:
    _use(db, hashes)
    make_known(db, records, actor, rows, steps)
    bulk_imports.keep(db, written)


def _use(db: Session, hashes: Hashes | None) -> None:
    if hashes is not None:
        db.info[KEY] = replace(find_safe(db), hash_password=hashes.take)


def count_passwords(noun: Noun, rows: Sequence[Row]) -> int:
    """How many cells of the lines are secrets, which take time to hash."""
    names = [item.name for item in noun.fields if item.kind is Kind.SECRET]
    return sum(bool(row.data.get(name)) for row in rows for name in names)


def sum_up(steps: Sequence[Step]) -> dict[str, Any]:
    """What the lines come to, and the first that are wrong, in a form that can be kept."""
    counts = {verb: sum(step.verb == verb and not step.errors for step in steps) for verb in ("create", "update", "")}
    wrong = [step for step in steps if step.errors]
    return {"counts": counts, "wrong": len(wrong)}
