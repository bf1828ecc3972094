"""`bench spawn`: how long from asking for a server to its first answer, on Slurm.

Ours against batchspawner (each a whole hub of its own, at the same time) and against the floor: `sbatch` by hand of the same
single-user server. Interleaved triples with a rotating order; a first triple warms the caches and does not count.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from bench_hubs import CPUS, MEM_MB, PARTITION, SINGLEUSER, TIME_MIN, VENV, PeerHub, RestHub, peer_config
from bench_machine import Wrappers, free_port, wait_until_quiet
from bench_ours import OurHub
from bench_rows import Figure, Row

TRIPLES = int(os.environ.get("BENCH_TRIPLES", "7"))
USER = os.environ.get("BENCH_USER", "kim01")
OPTIONS = {"queue": PARTITION, "cpu": str(CPUS), "mem": f"{MEM_MB}m", "time": f"{TIME_MIN}m", "interface": "lab"}
COMMANDS = ("sbatch", "squeue", "scontrol", "scancel", "sacct", "sinfo")
HUB_ID = f"bench{os.getpid()}"
JOB_NAMES = f"backendai-{HUB_ID},spawner-jupyterhub,bench-floor"
LIMIT_S = 120.0
# nothing answers before; asking earlier would only cost the hub time while it submits
LOOK_AFTER_S, LOOK_EVERY_S = 0.5, 0.05


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds from the request to the job's id and to the first 200."""

    job_s: float
    ready_s: float


Measure = Callable[[], Awaitable[Sample]]


def run() -> list[Row]:
    directory = Path(tempfile.mkdtemp(prefix="bench-spawn-", dir="/var/tmp"))
    directory.chmod(0o755)
    try:
        samples = asyncio.run(_measure(directory))
    finally:
        if not os.environ.get("BENCH_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)
    return _rows(samples)


def _rows(samples: dict[str, list[Sample]]) -> list[Row]:
    def figure(side: str, name: str) -> Figure:
        return Figure(tuple(getattr(sample, name) for sample in samples[side]))

    ready, job = "POST to the first 200 of api/status", "POST to the job's id"
    return [
        Row("spawn", ready, figure("ours", "ready_s"), figure("peer", "ready_s"), "batchspawner 1.3.0", "s", "<= 1.0"),
        Row("spawn", ready, figure("ours", "ready_s"), figure("floor", "ready_s"), "sbatch by hand", "s", "<= 1.2"),
        Row("spawn", job, figure("ours", "job_s"), figure("peer", "job_s"), "batchspawner 1.3.0", "s", "<= 1.0"),
    ]


async def _measure(directory: Path) -> dict[str, list[Sample]]:
    wrappers = Wrappers(directory / "bin", COMMANDS, before=False)
    ours = OurHub(directory / "ours", HUB_ID, wrappers)
    peer = PeerHub(directory / "peer", peer_config(str(wrappers.directory / "sbatch")))
    try:
        ours.start()
        peer.start()
        # no connection is kept: the proxies close idle ones, and one that dies under a POST would spoil the sample
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
            await ours.log_in(USER)
            await peer.call(http, "POST", f"/users/{USER}")
            return await _interleave(
                {
                    "ours": lambda: _measure_hub(http, ours, wrappers, OPTIONS),
                    "peer": lambda: _measure_hub(http, peer, wrappers, {}),
                    "floor": lambda: _measure_floor(http, peer, wrappers, directory),
                }
            )
    finally:
        ours.stop()
        peer.stop()
        _remove_logs()


def _remove_logs() -> None:
    """As the user: what the peer's and the floor's jobs wrote into the home directory."""
    account = pwd.getpwnam(USER)
    command = f"cd {shlex.quote(account.pw_dir)} && rm -f jupyterhub_slurmspawner_*.log bench-floor.log"
    subprocess.run(["/bin/sh", "-c", command], user=account.pw_uid, group=account.pw_gid, extra_groups=[], cwd="/", check=False)


async def _interleave(sides: dict[str, Measure]) -> dict[str, list[Sample]]:
    order = list(sides)
    samples: dict[str, list[Sample]] = {side: [] for side in order}
    for number in range(TRIPLES + 1):
        for side in order:
            await asyncio.to_thread(wait_until_quiet)
            sample = await sides[side]()
            print(f"[bench] spawn {number} {side}: job id {sample.job_s:.3f} s, ready {sample.ready_s:.3f} s", flush=True)
            if number:
                samples[side].append(sample)
        order.append(order.pop(0))
    return samples


async def _measure_hub(http: aiohttp.ClientSession, hub: RestHub, sbatch: Wrappers, options: dict[str, str]) -> Sample:
    started = time.time()
    post = asyncio.create_task(hub.call(http, "POST", f"/users/{USER}/server", options))
    try:
        ready = await _first_200(http, f"{hub.url}/user/{USER}/api/status", hub.token, post)
        return Sample(_job_time(sbatch, started) - started, ready - started)
    finally:
        await post
        await _stop_server(http, hub)


async def _stop_server(http: aiohttp.ClientSession, hub: RestHub) -> None:
    status, text = await hub.call(http, "DELETE", f"/users/{USER}/server")
    if status not in (202, 204):
        raise RuntimeError(f"{hub.name}: stop answered {status} {text}")
    await _until(lambda: _is_stopped(http, hub), "the server to stop")
    await _until(_no_jobs, "the job to end")


async def _is_stopped(http: aiohttp.ClientSession, hub: RestHub) -> bool:
    status, text = await hub.call(http, "GET", f"/users/{USER}")
    return status == 200 and '"server": null' in text and '"pending": null' in text


async def _no_jobs() -> bool:
    out = await asyncio.to_thread(subprocess.run, ["/usr/bin/squeue", "-h", "-u", USER, "-n", JOB_NAMES], capture_output=True)
    return out.returncode == 0 and not out.stdout.strip()


async def _until(ask: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not await ask():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited too long for {what}")
        await asyncio.sleep(0.3)


async def _first_200(http: aiohttp.ClientSession, url: str, token: str, post: asyncio.Task[tuple[int, str]] | None = None) -> float:
    """When the server answered first (Unix seconds); a start that is refused ends it."""
    await asyncio.sleep(LOOK_AFTER_S)
    deadline = time.monotonic() + LIMIT_S
    headers = {"Authorization": f"token {token}"}
    while time.monotonic() < deadline:
        try:
            async with http.get(url, headers=headers, allow_redirects=False) as response:
                if response.status == 200:
                    return time.time()
        except aiohttp.ClientConnectionError:
            pass
        if post and post.done() and post.result()[0] >= 300:
            raise RuntimeError(f"the start was refused: {post.result()}")
        await asyncio.sleep(LOOK_EVERY_S)
    raise TimeoutError(f"no 200 from {url}")


def _job_time(sbatch: Wrappers, since: float) -> float:
    found = sbatch.first_since("sbatch", since)
    if found is None:
        raise RuntimeError("no call of sbatch was seen")
    return found


async def _measure_floor(http: aiohttp.ClientSession, hub: RestHub, sbatch: Wrappers, directory: Path) -> Sample:
    """The same server by hand, in front of the same (peer's) hub, asked without a proxy."""
    account, port = pwd.getpwnam(USER), free_port()
    script = directory / "floor.sh"
    script.write_text(f"#!/bin/sh\nexec {SINGLEUSER}\n")
    started = time.time()
    job_id = await asyncio.to_thread(_submit_floor, str(sbatch.directory / "sbatch"), account, _floor_environment(hub, port), script)
    try:
        ready = await _first_200(http, f"http://127.0.0.1:{port}/user/{USER}/api/status", hub.token)
        return Sample(_job_time(sbatch, started) - started, ready - started)
    finally:
        await asyncio.to_thread(subprocess.run, ["/usr/bin/scancel", job_id])
        await _until(_no_jobs, "the job to end")


def _submit_floor(sbatch: str, account: pwd.struct_passwd, environment: dict[str, str], script: Path) -> str:
    limits = [f"--partition={PARTITION}", f"--cpus-per-task={CPUS}", f"--mem={MEM_MB}M", f"--time={TIME_MIN}"]
    home = account.pw_dir
    command = [sbatch, "--parsable", "--job-name=bench-floor", f"--chdir={home}", f"--output={home}/bench-floor.log", *limits, str(script)]
    out = subprocess.run(
        command,
        check=False,
        env=environment | {"HOME": home, "USER": USER},
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
    )
    if out.returncode:
        raise RuntimeError(f"sbatch: {out.stderr.strip()}")
    return out.stdout.strip()


def _floor_environment(hub: RestHub, port: int) -> dict[str, str]:
    prefix = f"/user/{USER}/"
    return {
        "PATH": f"{VENV}/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "JUPYTERHUB_API_TOKEN": hub.token,
        "JUPYTERHUB_API_URL": f"{hub.url}/hub/api",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_CLIENT_ID": f"jupyterhub-user-{USER}",
        "JUPYTERHUB_HOST": "",
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{prefix}oauth_callback",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": f'["access:servers!server={USER}/", "access:servers!user={USER}"]',
        "JUPYTERHUB_OAUTH_SCOPES": f'["access:servers!server={USER}/", "access:servers!user={USER}"]',
        "JUPYTERHUB_SERVER_NAME": "",
        "JUPYTERHUB_SERVICE_PREFIX": prefix,
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}{prefix}",
        "JUPYTERHUB_USER": USER,
    }
