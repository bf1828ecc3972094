"""`bench poll`: what it costs to look after live sessions on Slurm.

A session is a spawner of a real hub process with a real Slurm job and no notebook. The hub runs alone on its side; the jobs are the
same ones for every side (ours finds them by name and comment, batchspawner by id), so all sides ask the same cluster. Each
window of one poll interval is a sample: CPU seconds of the hub and its children, and the commands that wrappers on PATH saw.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import pwd
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import bench_jobs
from bench_hubs import VENV, PeerHub, peer_config
from bench_jobs import Job
from bench_machine import Wrappers, cpu_s, wait_until_quiet, wrapper_cost_s
from bench_ours import OurHub
from bench_rows import Figure, Row
from instance import find_account

SESSIONS = int(os.environ.get("BENCH_SESSIONS_MANY", "2000"))
FEW = int(os.environ.get("BENCH_SESSIONS_FEW", "20"))
RUNNING_EACH = int(os.environ.get("BENCH_RUNNING_EACH", "20"))
INTERVAL_S = int(os.environ.get("BENCH_POLL_INTERVAL", "30"))
WINDOWS = int(os.environ.get("BENCH_WINDOWS", "6"))
JOB_NAME = "backendai-bench-poll"
COMMANDS = ("sudo", "squeue", "sacct", "scontrol", "sinfo", "scancel", "sbatch")


@dataclass(frozen=True, slots=True)
class Load:
    """One sample a window."""

    cpu_s: tuple[float, ...]
    commands: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """One way to look after sessions: how its hub is made and what a started session left in the hub's database."""

    name: str
    make_hub: Callable[[Path, Wrappers], PeerHub | OurHub]
    state: Callable[[Job], dict[str, object]]


def run() -> list[Row]:
    directory = Path(tempfile.mkdtemp(prefix="bench-poll-", dir="/var/tmp"))
    directory.chmod(0o755)
    try:
        print(f"[bench] poll: submitting {SESSIONS} jobs", flush=True)
        jobs = bench_jobs.submit(JOB_NAME, SESSIONS, RUNNING_EACH, directory)
        print(f"[bench] poll: {sum(bool(job.node) for job in jobs)} jobs run, the others are held", flush=True)
        return asyncio.run(_measure(directory, jobs))
    finally:
        bench_jobs.cancel(JOB_NAME)
        if not os.environ.get("BENCH_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


async def _measure(directory: Path, jobs: list[Job]) -> list[Row]:
    cost_s = wrapper_cost_s(directory / "cost")
    print(f"[bench] poll: a counting wrapper costs {cost_s * 1e3:.2f} ms of CPU; taken off below", flush=True)
    few = await _measure_side(OURS, directory / "few", jobs[:FEW], cost_s)
    ours = await _measure_side(OURS, directory / "ours", jobs, cost_s)
    peer = await _measure_side(PEER, directory / "peer", jobs, cost_s)
    return [
        Row("poll", f"CPU of hub and children, {SESSIONS} sessions", Figure(ours.cpu_s), Figure(peer.cpu_s), "batchspawner 1.3.0",
            f"CPU-s/{INTERVAL_S} s", "<= 0.02"),
        Row("poll", f"commands at {SESSIONS} sessions", Figure(ours.commands), Figure(few.commands), f"ours at {FEW}",
            f"commands/{INTERVAL_S} s", "<= 1.0"),
    ]  # fmt: skip


async def _measure_side(side: Side, directory: Path, jobs: list[Job], cost_s: float) -> Load:
    directory.mkdir()
    wrappers = Wrappers(directory / "bin", COMMANDS, before=True)
    sessions = directory / "sessions" / "sessions.json"
    sessions.parent.mkdir(mode=0o700)
    shutil.chown(sessions.parent, find_account().pw_uid)
    sessions.write_text(json.dumps([{"user": job.user, "name": f"s{number}", "state": side.state(job)} for number, job in enumerate(jobs)]))
    shutil.chown(sessions, find_account().pw_uid)
    hub = side.make_hub(directory / "hub", wrappers)
    await asyncio.to_thread(wait_until_quiet)
    try:
        hub.start(BENCH_SESSIONS=str(sessions))
        await _wait_for_file(sessions.with_suffix(".counts"), INTERVAL_S * 10)
        # the last one taken up is polled for the first time within this
        await asyncio.sleep(INTERVAL_S * 1.1)
        load, before, after = await _sample(side.name, hub, wrappers, sessions, cost_s)
    finally:
        hub.stop()
    print(
        f"[bench] poll {side.name}, {len(jobs)} sessions: CPU {Figure(load.cpu_s)} s, commands {Figure(load.commands)} per {INTERVAL_S} s;"
        f" {after['polls'] - before['polls']} polls, {after['polled']} sessions still polled at the end; {wrappers.counts()}",
        flush=True,
    )
    return load


async def _sample(name: str, hub: PeerHub | OurHub, wrappers: Wrappers, sessions: Path, cost_s: float) -> tuple[Load, dict, dict]:
    before = await _counts(hub, sessions)
    cpu, commands = [cpu_s(hub.pid)], [wrappers.count()]
    started = time.monotonic()
    for number in range(WINDOWS):
        await asyncio.sleep(started + (number + 1) * INTERVAL_S - time.monotonic())
        cpu.append(cpu_s(hub.pid))
        commands.append(wrappers.count())
    called = [float(b - a) for a, b in itertools.pairwise(commands)]
    spent = [b - a - count * cost_s for (a, b), count in zip(itertools.pairwise(cpu), called, strict=True)]
    after = await _counts(hub, sessions)
    if not after["polled"]:
        raise RuntimeError(f"{name}: no session was polled to the end; see {hub.directory}/hub.log")
    return Load(tuple(spent), tuple(called)), before, after


async def _counts(hub: PeerHub | OurHub, sessions: Path) -> dict[str, int]:
    path = sessions.with_suffix(".counts")
    path.unlink(missing_ok=True)
    os.kill(hub.pid, signal.SIGUSR1)
    await _wait_for_file(path, INTERVAL_S * 10)
    return json.loads(path.read_text())


async def _wait_for_file(path: Path, limit_s: float) -> None:
    deadline = time.monotonic() + limit_s
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} did not appear")
        await asyncio.sleep(0.1)


def _hub_command() -> list[str]:
    return [str(VENV / "bin" / "python"), str(Path(__file__).with_name("bench_poll_hub.py"))]


def _peer_hub(directory: Path, wrappers: Wrappers) -> PeerHub:
    config = peer_config("sbatch") + f"c.Spawner.poll_interval = {INTERVAL_S}\n"
    return PeerHub(directory, config, command=_hub_command(), path=str(wrappers.directory))


def _our_hub(directory: Path, wrappers: Wrappers) -> OurHub:
    # polling needs no service, and nothing of it shall run beside what is measured
    config = f"""
c.JupyterHub.services[0] = {{"name": "backendai", "api_token": "{secrets.token_hex(16)}"}}
c.Spawner.poll_interval = {INTERVAL_S}
"""
    return OurHub(directory, JOB_NAME.removeprefix("backendai-"), wrappers, more=config, hub=_hub_command())


def _peer_state(job: Job) -> dict[str, object]:
    status = f"RUNNING {job.node}" if job.node else "PENDING n/a"
    return {"job_id": job.job_id, "job_status": status}


def _our_state(job: Job) -> dict[str, object]:
    account = pwd.getpwnam(job.user)
    posix = {"name": job.user, "uid": account.pw_uid, "gid": account.pw_gid, "home": account.pw_dir}
    admission = {
        "session_id": job.session_id, "engine": "slurm", "queue": "jupyter", "partition": "jupyter", "account": "free",
        "project": "default", "environment": "default", "interface": "lab", "slots": {"cpu": "1", "mem": "1073741824"},
        "gpu_type": "", "time_s": 7200, "devices": [], "posix": posix,
    }  # fmt: skip
    child = {"job_id": job.job_id, "node": job.node, "port": 9}
    return {"phase": "running", "session_id": job.session_id, "token_id": None, "admission": admission, "child": child}


PEER = Side("batchspawner", _peer_hub, _peer_state)
OURS = Side("ours", _our_hub, _our_state)
