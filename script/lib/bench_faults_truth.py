"""What is so, past the platform: the processes of sessions on this machine, and what Slurm itself says when nobody disturbs it."""

from __future__ import annotations

import contextlib
import pwd
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from bench_faults_cluster import Cluster

ALIVE = frozenset({"PENDING", "RUNNING", "SUSPENDED", "CONFIGURING", "STOPPED", "REQUEUED", "REQUEUE_HOLD"})


KILL = re.compile(r"REQUEST_KILL_JOB JobId=(\d+) uid (\d+)")


@dataclass(frozen=True, slots=True)
class Job:
    job_id: str
    user: str
    state: str
    session_id: str


def list_processes(stub: Path) -> dict[str, dict[str, int]]:
    """Session id → job id → process, of every session's program that lives."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            if str(stub).encode() not in arguments or b"--session" not in arguments:
                continue
            session_id = Path(arguments[arguments.index(b"--session") + 1].decode()).stem
            environment = dict(item.partition(b"=")[::2] for item in (entry / "environ").read_bytes().split(b"\0"))
            found[session_id][environment.get(b"SLURM_JOB_ID", b"?").decode()] = int(entry.name)
    return dict(found)


async def list_jobs(cluster: Cluster, job_name: str) -> list[Job] | None:
    """Our jobs as the controller has them, None while it does not answer."""
    answer = await cluster.query("squeue", "-a", "-t", "all", "-n", job_name, "-o", "%i|%u|%T|%k", timeout_s=15)
    if answer is None or not answer.startswith("JOBID|"):
        return None
    return [Job(*line.split("|", 3)) for line in answer.splitlines()[1:] if line.count("|") >= 3]


async def list_accounts(cluster: Cluster, job_name: str) -> dict[str, Job] | None:
    """Our jobs by id as accounting has them, None while it does not answer; a state may be ``CANCELLED by 10001``."""
    answer = await cluster.query(
        "sacct", "-X", "-P", "-D", "-a", "-S", "now-1days", "--name", job_name, "-o", "JobIDRaw,User,State,Comment", timeout_s=15
    )
    if answer is None or not answer.startswith("JobIDRaw|"):
        return None
    jobs = [Job(*line.split("|", 3)) for line in answer.splitlines()[1:] if line.count("|") >= 3]
    return {job.job_id: job for job in jobs}


def list_kills(cluster: Cluster) -> set[tuple[str, str]]:
    """(job id, Unix name) of every end that somebody but root asked the controller for: the platform, as the job's user."""
    log = (cluster.base / "log" / "slurmctld.log").read_text(errors="replace")
    return {(job_id, pwd.getpwuid(int(uid)).pw_name) for job_id, uid in KILL.findall(log) if uid != "0"}
