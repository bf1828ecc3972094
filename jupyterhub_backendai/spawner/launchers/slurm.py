"""Sessions as Slurm jobs of their own users.

batchspawner's class gives the names of settings (``c.SlurmSpawner.*``) and nothing else: it starts, asks and stops through
``backends``, which knows one job script for everybody and one reader for all jobs.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

from batchspawner import SlurmSpawner
from jupyterhub.utils import url_path_join
from traitlets import default

from ...backends import connect
from ...backends.base import Backend, JobRequest
from ...core.reasons import PUT_BACK, Explanation, explain_alive, explain_end, explain_pending, is_foreseeable
from ...core.sessions import JOB_OVER, JobState, JobStatus, SessionStatus
from ...errors import N_, BackendAIError, BackendUnavailable, NoPosixAccount, SchedulerUnavailable, Violation
from .base import Ending, Launcher, Stage

CANCEL_FOR_S, OVER_FOR_S, MOST_CANCELS = 120.0, 20.0, 20
PUT_BACK_S = CANCEL_AGAIN_S = 5.0


class SlurmLauncher(Launcher, SlurmSpawner):
    """One session, one job, under the user's POSIX account."""

    @default("env_keep")
    def _env_keep(self) -> list[str]:
        return ["LANG", "LC_ALL"]  # PATH and the like of the hub's machine mean nothing on a node

    @property
    def backend(self) -> Backend:
        return connect(self.settings, "slurm")

    @property
    def interval_s(self) -> float:  # type: ignore[override]
        return self.settings.starting_interval_s

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Nothing to add: HOME and the rest are the job user's own, whose name need not be the hub's."""
        return env

    def get_env(self) -> dict[str, str]:
        env: dict[str, str] = super().get_env()
        if address := self.settings.find_hub_address(self.admission.queue, self.admission.choice.cluster):
            env["JUPYTERHUB_API_URL"] = address
            env["JUPYTERHUB_ACTIVITY_URL"] = url_path_join(address, "users", self.user.escaped_name, "activity")
        return {**env, **self.session_env()}

    async def submit(self) -> str:
        if self.admission.posix is None:
            raise NoPosixAccount
        command = self.environment_command()
        environment = {name: str(value) for name, value in self.get_env().items()}
        return await self.backend.submit(JobRequest(self.admission, environment, command, self.settings.job_name, self._options()))

    def _options(self) -> list[str]:
        """The site's own settings of batchspawner that a queue does not decide."""
        return [f"--{name}={value}" for name, value in (("qos", self.req_qos), ("reservation", self.req_reservation)) if value]

    async def until_serving(self) -> str:
        self.backend.starting(self.admission.session_id)
        try:
            return await super().until_serving()
        finally:
            self.backend.started(self.admission.session_id)

    async def refresh(self) -> None:
        await self.backend.refresh()

    async def ask(self) -> JobStatus:
        return await self.backend.status(self.admission.session_id, self.job_id, self.admission.posix)

    async def address(self, node: str) -> str:
        return await self.backend.node_address(node)

    async def read_log(self) -> str:
        return await self.backend.read_log(self.job_id, self.admission.posix, self.admission.session_id) if self.job_id else ""

    async def cancel(self, now: bool) -> None:
        """Cancel until the engine has taken it, then wait a little until it says that the job is over.

        A job that it does not call over by then is cancelled again in the background: that the command ended well is no proof.
        """
        if self._cancels:
            await asyncio.sleep(CANCEL_AGAIN_S)
        try:
            await self._tell_to_end()
            if await self._is_over_soon():
                return
        except BackendAIError as exc:  # whatever it says: a job that was to end must not live on with nobody to reach it
            self.log.warning("The job %s of session %s is not ended yet: %s", self.job_id, self.admission.session_id, exc)
        self._cancels += 1
        if self._cancels < MOST_CANCELS:
            self._end_later(now)
        else:
            self.log.error("The job %s of session %s does not end", self.job_id, self.admission.session_id)

    _cancels = 0

    async def _tell_to_end(self) -> None:
        give_up, pause = time.monotonic() + CANCEL_FOR_S, 0.5
        while True:
            try:
                if not self.job_id:  # the answer of sbatch was lost, or the hub ended before it was saved
                    await self.backend.refresh()
                    found = await self.ask()
                    self.job_id = found.job_id
                    if found.state is JobState.GONE:
                        return
                    if not found.job_id:
                        raise SchedulerUnavailable
                elif (await self.ask()).state is JobState.GONE:
                    return  # its id may be another job's by now
                await self.backend.cancel(self.job_id, self.admission.posix, self.admission.session_id)
                await self.backend.refresh()
            except BackendUnavailable:
                if time.monotonic() > give_up:
                    raise
                await asyncio.sleep(pause)
                pause = min(pause * 2, 10)
            else:
                return

    async def _is_over_soon(self) -> bool:
        give_up = time.monotonic() + OVER_FOR_S
        while (await self.ask()).state not in JOB_OVER:
            if time.monotonic() > give_up:
                return False
            await asyncio.sleep(0.25)
            await self.backend.refresh()
        return True

    async def poll(self) -> int | None:
        """As every launcher's; and a job that ran and waits again has lost its server, which nothing brings back."""
        status = await self.ask()
        if status.state is not JobState.PENDING or not self.node:
            self._put_back_at = 0.0
            return await super().poll()
        now = time.monotonic()
        self._put_back_at = self._put_back_at or now
        if now - self._put_back_at < PUT_BACK_S:
            return None
        if self.ending is None:
            self.ending = Ending(SessionStatus.ERROR, PUT_BACK)
            self._end_later(now=True)
        return 1

    _put_back_at = 0.0

    def waiting_stage(self, status: JobStatus) -> Stage:
        if status.state is JobState.UNKNOWN:
            return replace(self.stage, reason=self._unreachable() if self.job_id else None)
        self._unknown_since = 0.0
        message = Violation(N_("Waiting in the queue %(queue)s."), {"queue": self.admission.queue})
        if status.position:
            params = {"queue": self.admission.queue, "position": status.position}
            message = Violation(N_("Waiting in the queue %(queue)s, position %(position)s."), params)
        reason = explain_alive(status.detail) or (explain_pending(status.reason) if status.reason else None)
        return Stage("waiting", 20, message, status.position, reason, status.start_at, is_foreseeable(status.reason))

    def _unreachable(self) -> Explanation:
        """What is shown is old, and how old."""
        self._unknown_since = self._unknown_since or time.monotonic()
        minutes = int((time.monotonic() - self._unknown_since) / 60)
        if not minutes:
            return Explanation(N_("The scheduler cannot be reached at the moment. Your job keeps its place."))
        words = N_("The scheduler cannot be reached; what you see is %(minutes)s min old. Your job keeps its place.")
        return Explanation(words, params={"minutes": minutes})

    _unknown_since = 0.0

    def explain_end(self, status: JobStatus) -> Ending:
        failed = status.state is not JobState.DONE and status.detail.split(" ", 1)[0] not in {
            "CANCELLED",
            "TIMEOUT",
            "DEADLINE",
            "PREEMPTED",
        }
        uid = self.admission.posix.uid if self.admission.posix else None
        return Ending(SessionStatus.ERROR if failed else SessionStatus.TERMINATED, explain_end(status, uid))
