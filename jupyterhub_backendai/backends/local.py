"""The local engine: processes on the hub's own machine. It has no scheduler, so there is little to ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from ..core.identity import PosixAccount
from ..core.queues import QueueFigures
from ..core.sessions import JobState, JobStatus
from ..errors import N_, BackendUnavailable
from .base import Backend, JobRequest

Usage = Callable[[], Awaitable[Mapping[str, QueueFigures]]]


class LocalBackend(Backend):
    """How full the pretend queues are is known by admission, which hands in ``usage``; the hub starts and stops the processes."""

    name = "local"

    def __init__(self, usage: Usage | None = None) -> None:
        self._usage = usage

    async def submit(self, job: JobRequest) -> str:
        raise BackendUnavailable(N_("Local sessions are started by the hub itself."))

    async def cancel(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> None:
        """Nothing: the hub stops its own processes."""

    async def status(self, session_id: str, job_id: str, posix: PosixAccount | None) -> JobStatus:
        return JobStatus(job_id, JobState.UNKNOWN)

    async def statuses(self) -> Mapping[str, JobStatus]:
        return {}

    async def capacity(self) -> Mapping[str, QueueFigures]:
        return await self._usage() if self._usage else {}

    async def read_log(self, job_id: str, posix: PosixAccount | None) -> str:
        return ""
