"""Slurm's own daemons go away and come back. Last, because everything in the lab waits meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from pathlib import Path

from bs4 import BeautifulSoup

from tests.e2e.marks import LAB, PLATFORM
from tests.e2e.stack import ask_kernel, list_jobs, until, words

pytestmark = [*PLATFORM, *LAB]
LAB = Path(__file__).resolve().parents[2] / "script" / "lab"
STALE = "these are the last figures it gave"


async def run_lab(*arguments: str) -> None:
    done = await asyncio.to_thread(subprocess.run, [LAB, *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@contextlib.asynccontextmanager
async def without(daemon: str, seconds: float):
    """One of Slurm's daemons is away for so long at least; afterwards it is back, whatever happened."""
    await run_lab("down", daemon)
    began = time.monotonic()
    try:
        yield
        await asyncio.sleep(seconds - (time.monotonic() - began))
    finally:
        await run_lab("up", "slurm")


async def says_stale(user) -> bool:
    """Whether the launch page says that the figures are old, and how old."""
    asked_at = time.time()
    page = await user.get(f"{user.stack.url}/services/backendai/launch")
    read_at = float(BeautifulSoup(page.text, "html.parser").find(id="queues")["data-read-at"])
    return page.status == 200 and STALE in words(page) and read_at < asked_at - 2


async def refuse_start(user) -> None:
    """A start is refused in words: at once, or on the pending page when sbatch takes its time."""
    status, answer = await user.start("second", queue="jupyter", cpu="1", mem="512m")
    if status in {201, 202}:  # JupyterHub 6.1 says 201 where the start before this one had failed
        events = [event async for event in user.events(f"{user.stack.url}/hub/home", f"/hub/api{user.server_path('second')}/progress")]
        assert events[-1].get("failed"), events
        message = events[-1]["message"]
    else:
        assert status == 503, answer
        message = answer["message"]
    assert "scheduler cannot be reached" in message


async def ready_session(user) -> str:
    await user.submit(queue="jupyter", cpu="1", mem="512m")
    await user.until_ready()
    return await user.job_id()


async def test_munge_is_away_for_20_s(slurm, researchers):
    user = await researchers("kim01")
    job = await ready_session(user)
    async with user.kernel() as socket:
        async with without("munge", 20):
            assert await ask_kernel(socket, 1)
            await refuse_start(user)
            await until(lambda: says_stale(user), 20, "words about figures that are old")
            assert await ask_kernel(socket, 2)
        await until_fresh(user)
        assert await ask_kernel(socket, 3)
    assert ((await user.model())["ready"], await user.job_id(), list_jobs(slurm)) == (True, job, [job])


async def test_slurmctld_is_away_for_a_minute(slurm, researchers):
    user, waiting = await researchers("kim01"), await researchers("kim02", "ko")
    job = await user.job_id() or await ready_session(user)
    with slurm.pulled("hold"):
        await waiting.submit(queue="jupyter", cpu="1", mem="512m")
        held = await waiting.until_job()
    async with user.kernel() as socket:
        async with without("slurmctld", 60):
            assert await ask_kernel(socket, 1)
            reasons = []
            async for event in waiting.events(f"{slurm.url}/hub/home", f"/hub/api{waiting.server_path()}/progress"):
                reasons.append(event.get("reason") or "")
                if "스케줄러에 연결" in reasons[-1]:
                    break
            await refuse_start(user)
            await until(lambda: says_stale(user), 30, "words about figures that are old")
            assert await ask_kernel(socket, 2)
        await until_fresh(user)
        assert await ask_kernel(socket, 3)
    assert ((await user.model())["ready"], await user.job_id()) == (True, job)
    assert sorted(list_jobs(slurm)) == sorted([job, held])
    subprocess.run(["scontrol", "release", held], check=True)
    await waiting.until_ready()
    assert await waiting.job_id() == held
    await asyncio.gather(user.end_all(), waiting.end_all())
    assert list_jobs(slurm) == []


async def until_fresh(user) -> None:
    async def is_fresh() -> bool:
        page = await user.get(f"{user.stack.url}/services/backendai/launch")
        return page.status == 200 and STALE not in words(page)

    await until(is_fresh, 60, "fresh figures")
