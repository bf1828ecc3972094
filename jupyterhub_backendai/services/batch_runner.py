"""Runs batch sessions: hands those that have a place to their engine, follows the jobs, keeps how they ended.

Nothing is kept in memory. A row is marked before its job is handed over, so after a crash, or when another service goes on, the
engine is asked whether it has the job before it is given it again. Only the service with the lease does any of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from ..backends.base import Backend, JobRequest
from ..config import BackendAI
from ..core.batch import conclude
from ..core.sessions import BATCH, JOB_OVER, JobState, JobStatus, SessionStatus
from ..core.waiting import explain_give_up, find_give_up
from ..errors import N_, BackendAIError
from ..store import batch, sessions
from ..store.database import Database
from ..store.sessions import SessionInfo
from .groups import ResourceGroups
from .lease import Lease
from .schedule import Scheduler

log = logging.getLogger("backendai")
INTERVAL_S = 1.0
LEASE, LEASE_S = "batch", 15.0
CANCEL_AGAIN_S = 15.0
NO_ENGINE = N_("The engine of this queue runs no batch sessions.")
NO_ENVIRONMENT = N_("The environment of this session is not there any more.")


class BatchRunner:
    """Looks at every live batch session once a second, or at once when something happened to one."""

    def __init__(
        self,
        settings: BackendAI,
        db: Database,
        groups: ResourceGroups,
        backends: Mapping[str, Backend],
        scheduler: Scheduler,
        *,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._settings, self._db, self._groups, self._backends, self._scheduler = settings, db, groups, backends, scheduler
        self._interval_s = interval_s
        self._lease = Lease(db, LEASE, LEASE_S)
        self._something_happened = asyncio.Event()
        self._cancelled: dict[str, float] = {}

    def wake(self) -> None:
        """Look now."""
        self._something_happened.set()

    async def run(self) -> None:
        """Run batch sessions for ever; cancelled when the service stops."""
        await self._groups.ready()
        try:
            while True:
                self._something_happened.clear()
                try:
                    await self.look()
                except BackendAIError as exc:
                    log.info("No batch session was looked at: %s", exc)
                try:
                    await asyncio.wait_for(self._something_happened.wait(), self._interval_s)
                except TimeoutError:
                    continue
        finally:
            await self._lease.give_back()

    async def look(self) -> None:
        """One look at all that have a place. One that fails holds up no other."""
        live = [info for info in await self._db.run(sessions.list_live, "", BATCH) if info.wait is None]
        if not live or not await self._lease.keep():
            return
        results = await asyncio.gather(*(self._step(info) for info in live), return_exceptions=True)
        for info, result in zip(live, results, strict=True):
            if isinstance(result, BackendAIError):
                log.info("Batch session %s: %s", info.id, result)
            elif isinstance(result, Exception):
                log.error("Batch session %s", info.id, exc_info=result)

    async def _step(self, info: SessionInfo) -> None:
        backend = self._backends.get(info.engine)
        if backend is None:
            await self._finish(info, SessionStatus.ERROR, NO_ENGINE)
        elif info.job_id or info.status is SessionStatus.TERMINATING or not await self._submit(info, backend):
            await self._follow(info, backend)

    async def _submit(self, info: SessionInfo, backend: Backend) -> bool:
        """Hand a session to its engine; False when that was tried before, and the engine must be asked what became of it."""
        queue = self._groups.queues().get(info.queue)
        if queue is None:
            return True  # a queue that is closed takes it when it is open again
        submission = await self._db.run_exclusive(batch.begin, info.id, queue)
        if submission is None:
            return False
        environment = self._settings.list_environments().get(info.environment)
        if environment is None:
            await self._finish(info, SessionStatus.ERROR, NO_ENVIRONMENT)
            return True
        command = [str(argument) for argument in environment["command"]]
        variables = {"BACKENDAI_SESSION_ID": info.id}
        name = self._settings.job_name
        job = JobRequest(submission.admission, variables, command, name, script=submission.command, user=submission.user)
        try:
            job_id = await backend.submit(job)
        except BackendAIError as exc:
            if exc.transient:  # the engine may have it all the same: asked at the next look
                raise
            await self._finish(info, SessionStatus.ERROR, str(exc))
            return True
        await self._db.run_exclusive(batch.keep_job, info.id, job_id)
        log.info("Batch session %s of %s is job %s of %s", info.id, info.user, job_id, info.engine)
        self.wake()
        return True

    async def _follow(self, info: SessionInfo, backend: Backend) -> None:
        status = await backend.status(info.id, info.job_id, info.posix)
        if not info.job_id and status.job_id:
            await self._db.run_exclusive(batch.keep_job, info.id, status.job_id)
        if status.state is JobState.GONE and not info.job_id and info.status is not SessionStatus.TERMINATING:
            await self._db.run_exclusive(batch.take_back, info.id)
        elif status.state in JOB_OVER:
            words, reason = conclude(status, info.posix.uid if info.posix else None)
            await self._finish(info, words, reason, status.exit_code, status)
        elif info.status is SessionStatus.TERMINATING:
            await self._cancel(info, backend, status.job_id)
        elif status.state is JobState.PENDING and (reason := self._find_impatience(info)):
            await self._db.run_exclusive(batch.tell_to_end, info.id, reason)
            self.wake()
        elif status.state is JobState.RUNNING and (info.status is not SessionStatus.RUNNING or info.node != status.node):
            await self._db.run(sessions.report, info.id, SessionStatus.RUNNING, "", status.job_id, status.node)

    def _find_impatience(self, info: SessionInfo) -> str:
        """Why a job that still waits is given up now, "" when it is not."""
        queue = self._groups.queues().get(info.queue)
        give_up_at, by_wish = (
            find_give_up(queue, info.patience_s, (info.waits_since or info.created_at).timestamp()) if queue else (None, False)
        )
        return explain_give_up(by_wish=by_wish).message if give_up_at and time.time() >= give_up_at else ""

    async def _cancel(self, info: SessionInfo, backend: Backend, job_id: str) -> None:
        """Again when nothing has come of it: an engine takes its time to end a job."""
        now = time.monotonic()
        if job_id and now - self._cancelled.get(info.id, -CANCEL_AGAIN_S) >= CANCEL_AGAIN_S:
            self._cancelled[info.id] = now
            backend.starting(info.id)  # it is asked more often until the end is there
            await backend.cancel(job_id, info.posix, info.id)

    async def _finish(
        self, info: SessionInfo, status: SessionStatus, reason: str, exit_code: int | None = None, job: JobStatus | None = None
    ) -> None:
        if job and job.state is not JobState.GONE and info.started_at is None and status is not SessionStatus.CANCELLED:
            # it ended between two looks; it ran all the same
            await self._db.run(sessions.report, info.id, SessionStatus.RUNNING, "", job.job_id, job.node)
        if await self._db.run_exclusive(batch.finish, info.id, status, reason, exit_code):
            if self._cancelled.pop(info.id, None):
                self._backends[info.engine].started(info.id)
            log.info("Batch session %s of %s is over: %s %s", info.id, info.user, status.value, reason)
            self._scheduler.wake(info.id)
