"""An engine whose batch jobs do what a test says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from jupyterhub_backendai.backends.base import JobRequest
from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.core.sessions import JobState, JobStatus
from jupyterhub_backendai.errors import SchedulerUnavailable
from tests.fakes import FakeEngine


@dataclass
class FakeBatchEngine(FakeEngine):
    """Keeps what it was given. ``loses_answer``: it takes a job and does not say so; ``is_away``: it does neither."""

    submitted: list[JobRequest] = field(default_factory=list)
    jobs: dict[str, JobStatus] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    loses_answer: bool = False
    is_away: bool = False

    async def submit(self, job: JobRequest) -> str:
        if self.is_away:
            raise SchedulerUnavailable
        if self.error:
            raise self.error
        self.submitted.append(job)
        session_id = job.admission.session_id
        self.jobs[session_id] = JobStatus(str(len(self.submitted)), JobState.PENDING)
        if self.loses_answer:
            raise SchedulerUnavailable
        return self.jobs[session_id].job_id

    def end(self, session_id: str, state: JobState = JobState.DONE, **fields: object) -> None:
        self.jobs[session_id] = replace(self.jobs[session_id], state=state, **fields)

    async def cancel(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> None:
        self.cancelled.append(job_id)
        self.end(session_id, JobState.FAILED, detail="CANCELLED")

    async def status(self, session_id: str, job_id: str, posix: PosixAccount | None) -> JobStatus:
        if self.is_away:
            return JobStatus(job_id, JobState.UNKNOWN)
        return self.jobs.get(session_id, JobStatus(job_id, JobState.GONE))

    async def statuses(self) -> Mapping[str, JobStatus]:
        return self.jobs

    async def read_log(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> str:
        if self.is_away:
            raise SchedulerUnavailable
        return self.logs.get(session_id, "")
