"""The embedded default survives what kills its parts."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from pathlib import Path

from tests.e2e.marks import PLATFORM
from tests.e2e.stack import ask_kernel, until, words

pytestmark = PLATFORM


async def test_an_open_kernel_outlives_the_hub(local, people):
    user = await people("user1")
    page = await user.submit(queue="interactive")
    assert "/hub/spawn-pending/user1" in page.url, page.read_message()
    await user.until_ready()
    job = await user.job_id()
    async with user.kernel() as socket:
        assert await ask_kernel(socket, 1)
        local.kill_hub()
        try:
            assert await ask_kernel(socket, 2)
        finally:
            local.restart_hub()
        assert await ask_kernel(socket, 3)
        assert (await user.until_ready(), await user.job_id())[1] == job
    await user.end_all()


async def test_a_start_goes_on_after_the_hubs_death(local, people):
    user = await people("user1")
    await user.submit(queue="interactive")
    job = await user.until_job()
    local.kill_hub()
    local.restart_hub()
    await user.until_ready()
    assert (await user.job_id(), processes_of(local)) == (job, [job])
    # stays, for the next test


async def test_the_database_is_gone(local, people):
    user = await people("user1")
    await user.until_ready()
    database = local.state / "backendai.sqlite"
    away = database.with_suffix(".away")
    async with user.kernel() as socket, local.client("user2", "ko") as newcomer:
        database.rename(away)
        try:
            await until(lambda: is_healthy(local, user, 503), 20, "the end of the health of the service")
            page = await newcomer.enter()
            assert (page.status, "지금은" in words(page)) == (503, True), words(page)
            status, answer = await user.start("second", queue="gpu", gpu="1")
            assert (status, "not possible right now" in answer["message"]) == (503, True), answer
            assert await ask_kernel(socket, 1)
        finally:
            assert not database.exists()
            away.rename(database)
        await until(lambda: is_healthy(local, user, 200), 20, "the health of the service")
        page = await newcomer.enter()
        assert "/hub/login" not in page.url, page.read_message()
        assert await ask_kernel(socket, 2)
    assert len(held(local)) == 1
    # an earlier hub process started it: how it ended is not known
    os.kill(int(await user.job_id()), signal.SIGKILL)
    await user.until_stopped()
    page = await user.get(f"{local.url}/hub/user/user1/")
    assert "ended by itself or was killed from outside" in words(page), words(page)
    await until(lambda: not held(local), 20, "the release of the slots")


async def test_a_server_that_is_killed_from_outside(local, people):
    user = await people("user1")
    await user.submit(queue="interactive")
    await user.until_ready()
    os.kill(int(await user.job_id()), signal.SIGKILL)
    await user.until_stopped()
    page = await user.get(f"{local.url}/hub/user/user1/")
    assert "killed from outside (SIGKILL)" in words(page), words(page)
    await until(lambda: not held(local), 20, "the release of the slots")


async def is_healthy(stack, user, status: int) -> bool:
    async with user.http.get(f"{stack.url}/services/backendai/health") as answer:
        return answer.status == status


def held(stack) -> list[tuple]:
    """The sessions that hold slots."""
    with sqlite3.connect(f"file:{stack.state}/backendai.sqlite?mode=ro", uri=True) as db:
        return db.execute("SELECT id FROM sessions WHERE released_at IS NULL").fetchall()


def processes_of(stack) -> list[str]:
    """The sessions' processes of this stack, as the system sees them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes()
            if b"--session" in line and str(stack.root).encode() in line:
                found.append(path.parent.name)
    return found
