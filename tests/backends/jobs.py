"""Jobs for the tests of a Slurm, and waiting for their states."""

from __future__ import annotations

import asyncio
import pwd
import secrets
import time
from typing import Any

from jupyterhub_backendai.backends.base import Backend, JobRequest
from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.core.sessions import Admission, JobState, JobStatus
from tests.factories import make_slots


def account(name: str = "kim01") -> PosixAccount:
    entry = pwd.getpwnam(name)
    return PosixAccount(name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def make_job(
    job_name: str, user: str = "kim01", *, environment: dict[str, str] | None = None, options: tuple[str, ...] = (), **fields: Any
):
    """A job that the lab's Slurm starts at once; its program is the helper's stand-in, which ``environment`` tells what to do."""
    slots = make_slots(fields.pop("cpu", 1), fields.pop("mem", 100 * 2**20), fields.pop("gpu", 0))
    admission = Admission(
        **{
            "session_id": secrets.token_hex(16),
            "engine": "slurm",
            "queue": "q",
            "partition": "jupyter",
            "account": "",
            "project": "p",
            "environment": "default",
            "interface": "lab",
            "slots": slots,
            "gpu_type": "",
            "time_s": 600,
            "posix": account(user),
            **fields,
        }
    )
    return JobRequest(admission, environment or {}, ["/usr/bin/python3"], job_name, options)


async def reach(backend: Backend, job: JobRequest, job_id: str, *states: JobState, deadline_s: float = 60) -> JobStatus:
    """Wait until a job is in one of these states."""
    end = time.monotonic() + deadline_s
    while True:
        status = await backend.status(job.admission.session_id, job_id, job.admission.posix)
        if status.state in states:
            return status
        assert time.monotonic() < end, f"still {status}"
        await asyncio.sleep(0.1)
