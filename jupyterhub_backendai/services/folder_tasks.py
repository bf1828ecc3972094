"""Long work on folders (copying, deleting, who may use the files, measuring): done at least once, by whichever service is there.

A part registers how a kind of task is done; what it does must be right when it is done twice, and after a kill at any point.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BackendAIError
from ..store import folder_tasks
from ..store.database import Database
from ..store.folder_tasks import Task

log = logging.getLogger("backendai")
AT_ONCE, LOOK_S, BEAT_S = 3, 5.0, 10.0
WAIT_S, LONGEST_WAIT_S, TRIES = 5.0, 600.0, 12


class TaskLost(Exception):
    """Another process does this task by now, or nobody wants it any more."""


@dataclass(slots=True)
class Progress:
    """How far a task is; whoever does it says so here, as often as it likes. ``is_lost``: stop, it is another one's by now.

    ``remark`` is kept with a task that is done all the same: what its owner should know.
    """

    done_bytes: int = 0
    total_bytes: int | None = None
    done_files: int = 0
    total_files: int | None = None
    is_lost: bool = False
    remark: BackendAIError | None = None

    def check(self) -> None:
        """Raises TaskLost."""
        if self.is_lost:
            raise TaskLost


Run = Callable[[Task, Progress], Awaitable[None]]
GiveUp = Callable[[Task, BackendAIError], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind is done; ``give_up`` hears why it never will be, after so many tries. A fault that stays is not tried again."""

    run: Run
    give_up: GiveUp | None = None
    tries: int = TRIES


class FolderTasks:
    """The tasks of this process. ``run`` never returns; ``run_due`` does what is due now and is what tests call."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._kinds: dict[str, Kind] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._woken = asyncio.Event()

    def register(self, kind: str, run: Run, give_up: GiveUp | None = None, tries: int = TRIES) -> None:
        """Tasks of this kind are done so."""
        self._kinds[kind] = Kind(run, give_up, tries)

    def wake(self) -> None:
        """Something is due: look at once."""
        self._woken.set()

    async def run(self) -> None:
        """Work for ever; when cancelled, what is under way is put back for the next one."""
        try:
            while True:
                self._woken.clear()
                try:
                    await self._begin_due()
                except BackendAIError as exc:
                    log.info("The work on folders cannot be looked at: %s", exc)
                await self._wait()
        finally:
            await self._stop()

    async def run_due(self) -> int:
        """Do everything that is due and what follows from it; how many tasks were tried."""
        count = 0
        while await self._begin_due():
            count += len(self._running)
            await asyncio.gather(*self._running.values())
        return count

    async def _wait(self) -> None:
        waiting = asyncio.create_task(self._woken.wait())
        try:
            await asyncio.wait({waiting, *self._running.values()}, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()

    async def _begin_due(self) -> int:
        """So many of each kind: a right that is taken away does not wait until somebody's terabytes are copied."""
        count = 0
        for kind in self._kinds:
            free = AT_ONCE - sum(work.get_name() == kind for work in self._running.values())
            tasks = await self._db.run_exclusive(folder_tasks.claim, [kind], free) if free > 0 else []
            for task in tasks:
                self._running[task.id] = asyncio.create_task(self._do(task), name=kind)
            count += len(tasks)
        return count

    async def _stop(self) -> None:
        """Whoever comes next need not wait until these look dead."""
        running = list(self._running.values())
        for work in running:
            work.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _do(self, task: Task) -> None:
        progress = Progress()
        beating = asyncio.create_task(self._beat(task, progress))
        try:
            await self._try(task, progress)
        except TaskLost:
            log.info("The work %s on the folder %s is another one's by now", task.kind, task.folder_id)
        except BackendAIError as exc:  # the database is away: the task is found again when it looks dead
            log.warning("The work %s on the folder %s is left for later: %s", task.kind, task.folder_id, exc)
        except asyncio.CancelledError:
            await self._put_back(task)
            raise
        finally:
            beating.cancel()
            self._running.pop(task.id, None)
            self._woken.set()

    async def _put_back(self, task: Task) -> None:
        try:
            await self._db.run_exclusive(folder_tasks.put_back, task)
        except (BackendAIError, RuntimeError) as exc:
            log.info("The work %s is found again later: %s", task.kind, exc)

    async def _try(self, task: Task, progress: Progress) -> None:
        kind, began = self._kinds[task.kind], time.monotonic()
        try:
            await kind.run(task, progress)
        except BackendAIError as exc:
            await self._fail(kind, task, exc, is_final=not exc.transient)
            return
        except TaskLost:
            raise
        except Exception:
            log.exception("The work %s on the folder %s failed", task.kind, task.folder_id)
            await self._fail(kind, task, BackendAIError(), is_final=False)
            return
        await self._db.run(folder_tasks.beat, task, _numbers(progress))
        remark = progress.remark.to_problem() if progress.remark else {}
        if await self._db.run_exclusive(folder_tasks.finish, task, remark):
            log.info("The work %s on the folder %s took %.1f s", task.kind, task.folder_id, time.monotonic() - began)

    async def _fail(self, kind: Kind, task: Task, exc: BackendAIError, *, is_final: bool) -> None:
        log.warning("The work %s on the folder %s did not succeed (try %s): %s", task.kind, task.folder_id, task.tries, exc)
        if not is_final and task.tries < kind.tries:
            wait_s = min(WAIT_S * 2 ** (task.tries - 1), LONGEST_WAIT_S)
            await self._db.run_exclusive(folder_tasks.put_back, task, exc.to_problem(), wait_s)
            return
        if await self._db.run_exclusive(folder_tasks.fail, task, exc.to_problem()) and kind.give_up:
            await kind.give_up(task, exc)

    async def _beat(self, task: Task, progress: Progress) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            try:
                progress.is_lost = not await self._db.run(folder_tasks.beat, task, _numbers(progress))
            except BackendAIError as exc:
                log.info("How far the work on the folder %s is cannot be kept: %s", task.folder_id, exc)


def _numbers(progress: Progress) -> Mapping[str, Any]:
    return {name: getattr(progress, name) for name in ("done_bytes", "total_bytes", "done_files", "total_files")}
