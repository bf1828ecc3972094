"""Slurm jobs that stand for sessions: a `sleep` each, under the people's own accounts, with the name and comment that ours carry."""

from __future__ import annotations

import pwd
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

# Those of the lab's people whose Unix name is also the hub's
USERS = ("kim01", "kim02", "lee01", "lee02", "park04", "choi01", "jung01")
RUN_LIMITS = "--partition=jupyter --account=free --time=120"
# an open partition does not let one person wait with hundreds of jobs
HELD_LIMITS = "--partition=cas_v100_4 --account=paid --time=120 --hold"
SCRIPT = """#!/bin/sh
exec sleep 7200
"""
SUBMIT = f"""
while read -r session run; do
  [ "$run" = 1 ] && limits="{RUN_LIMITS}" || limits="{HELD_LIMITS}"
  /usr/bin/sbatch --parsable --job-name="$1" --comment="$session" --ntasks=1 --mem=100M --output=/dev/null \\
    --no-requeue --chdir=/ $limits "$2" || exit 1
done
"""


@dataclass(frozen=True, slots=True)
class Job:
    """A session's job; ``node`` is "" while it is held."""

    session_id: str
    user: str
    job_id: str
    node: str = ""


def submit(job_name: str, count: int, running_each: int, directory: Path) -> list[Job]:
    """``count`` jobs spread over the people, of each the first ``running_each`` to run and the rest held."""
    script = directory / "sleep.sh"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    sessions = [(uuid.uuid4().hex, USERS[index % len(USERS)]) for index in range(count)]
    jobs: list[Job] = []
    for user in USERS:
        own = [session_id for session_id, owner in sessions if owner == user]
        ids = _submit_as(user, job_name, own, running_each, script)
        jobs += [Job(session_id, user, job_id) for session_id, job_id in zip(own, ids, strict=True)]
    return _with_nodes(jobs, job_name)


def _submit_as(user: str, job_name: str, sessions: list[str], running: int, script: Path) -> list[str]:
    lines = "".join(f"{session_id} {int(index < running)}\n" for index, session_id in enumerate(sessions))
    account = pwd.getpwnam(user)
    out = subprocess.run(
        ["/bin/sh", "-c", SUBMIT, "submit", job_name, str(script)],
        check=False,
        input=lines,
        capture_output=True,
        text=True,
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        env={"PATH": "/usr/bin:/bin", "HOME": account.pw_dir},
        cwd="/",
    )
    if out.returncode:
        raise RuntimeError(f"sbatch as {user}: {out.stderr.strip()}")
    return [line.partition(";")[0] for line in out.stdout.split()]


def _with_nodes(jobs: list[Job], job_name: str) -> list[Job]:
    """The jobs with their nodes, once nothing is about to start any more."""
    nodes: dict[str, str] = {}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        before, nodes = nodes, _nodes(job_name)
        if before == nodes and len(nodes) == len(jobs):
            break
        time.sleep(3)
    return [Job(job.session_id, job.user, job.job_id, nodes.get(job.job_id, "")) for job in jobs]


def _nodes(job_name: str) -> dict[str, str]:
    out = subprocess.run(["/usr/bin/squeue", "-h", "-n", job_name, "-o", "%i|%T|%B"], capture_output=True, text=True, check=True)
    rows = (line.split("|") for line in out.stdout.splitlines())
    return {job_id: node if state == "RUNNING" else "" for job_id, state, node in rows}


def cancel(job_name: str) -> None:
    """End every job of that name."""
    for user in USERS:
        subprocess.run(["/usr/bin/scancel", f"--name={job_name}", f"--user={user}"], check=False)
