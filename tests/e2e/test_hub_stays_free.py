"""While a server that we need takes the call and says nothing, everybody else is served: told by the order of events."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import pytest_asyncio

from tests import lab
from tests.e2e.marks import LAB, PLATFORM
from tests.e2e.stack import ask_kernel, until, words

pytestmark = [*PLATFORM, *LAB]
HANG_S = 10
ROUNDS = 5  # the fewest that must be through while the other waits; there are far more


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def other(slurm, researchers):
    """Somebody whose session runs."""
    user = await researchers("kim01")
    await user.submit(queue="jupyter", cpu="1", mem="512m")
    await user.until_ready()
    yield user
    await user.end_all()


async def look_around(other, until_done: asyncio.Future, paths: tuple[str, ...], *, seconds: float = HANG_S) -> int:
    """Ask for the pages of somebody else again and again while something waits; how often all of them came."""
    rounds, began = 0, time.monotonic()
    async with other.kernel() as socket:
        while not until_done.done() and time.monotonic() - began < seconds:
            for path in paths:
                page = await other.get(other.stack.url + path)
                assert page.status == 200, (path, words(page))
            assert await ask_kernel(socket, rounds)
            rounds += not until_done.done()
            await asyncio.sleep(0.2)
    return rounds


HUB = ("/hub/health", "/hub/home")
ALL = (*HUB, "/services/backendai/launch", "/services/backendai/health")


@contextlib.contextmanager
def stopped(pid: int):
    """A process that lets callers in and says nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_while_the_directory_says_nothing(slurm, other, directory):
    async with slurm.client("lee02") as newcomer:
        directory.shut()  # connections that are kept would be heard
        directory.open()
        with directory.silent():
            login = asyncio.ensure_future(log_in_first(newcomer))
            await until(lambda: directory.held, 10, "the call to the directory")
            assert await look_around(other, login, ALL) >= ROUNDS
            page = await login
        assert (page.status, "not possible right now" in words(page)) == (503, True), words(page)
        await until(lambda: is_let_in(newcomer), 15, "a directory that is asked again")


async def test_while_squeue_says_nothing(slurm, other, researchers):
    user = await researchers("kim02")
    with slurm.pulled("hang"):
        await user.submit(queue="jupyter", cpu="1", mem="512m")
        start = asyncio.ensure_future(user.until_ready())
        await until(lambda: is_running(slurm.root / "bin" / "squeue"), 15, "a squeue that hangs")
        assert await look_around(other, start, ALL) >= ROUNDS
        assert not start.done()
        assert is_running(slurm.root / "bin" / "squeue")
    await start
    await user.end_all()


async def test_while_the_helper_says_nothing(slurm, other, researchers):
    user = await researchers("kim02")
    with stopped(slurm.pid("helper")):
        page = await user.submit(queue="jupyter", cpu="1", mem="512m")
        assert "/hub/spawn-pending/kim02" in page.url, words(page)
        start = asyncio.ensure_future(user.until_job())
        assert await look_around(other, start, ALL) >= ROUNDS
        assert not start.done()
    await start
    await user.end_all()


async def test_while_the_service_says_nothing(slurm, other, researchers):
    user = await researchers("kim02")
    user.token = user.token or await user.take_token()
    async with slurm.client("lee02") as newcomer:
        with stopped(slurm.service_pid()):
            start = asyncio.ensure_future(user.start(queue="jupyter", cpu="1", mem="512m"))
            login = asyncio.ensure_future(log_in_first(newcomer))
            assert await look_around(other, login, HUB) >= ROUNDS
            assert not login.done()
        page = await login
        assert page.url.endswith("/hub/login/step"), words(page)
        status, answer = await start
        assert status in {201, 202, 503}, answer
    await user.end_all()


async def log_in_first(newcomer):
    """Somebody without a one-time password, who sets it up next."""
    return await newcomer.log_in(newcomer.stack.url, "lee02", lab.password("lee02"), "")


async def is_let_in(newcomer) -> bool:
    return (await log_in_first(newcomer)).url.endswith("/hub/login/step")


def is_running(program: Path) -> bool:
    """Whether a process runs that script."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(program).encode() in path.read_bytes().split(b"\0"):
                return True
    return False
