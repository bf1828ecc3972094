"""The waiting line of the embedded default: everything real, and what holds it up is killed meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3

from tests.e2e.marks import PLATFORM
from tests.e2e.stack import until

pytestmark = PLATFORM


async def find_phase(user, server: str) -> str:
    return ((await user.model(server)).get("state") or {}).get("phase", "")


def find_status(stack) -> str:
    with contextlib.closing(sqlite3.connect(stack.state / "backendai.sqlite")) as db:
        [(status,)] = db.execute("SELECT status FROM sessions WHERE server_name = 'waits'")
    return status


async def test_a_full_queue_with_a_line_is_waited_for_through_deaths_of_hub_and_service(local, people):
    holder, waiter = await people("user1"), await people("user2")
    status, answer = await holder.start("holds", queue="compute", cpu="16", mem="1g")
    assert status in (201, 202), answer
    await holder.until_ready("holds")
    status, answer = await waiter.start("waits", queue="compute", cpu="1", mem="1g")
    assert status == 202, answer
    await until(lambda: find_phase(waiter, "waits"), 20, "the line")
    assert await find_phase(waiter, "waits") == "waiting"
    local.kill_service()
    local.kill_hub()
    local.restart_hub()
    await until(lambda: is_first(waiter), 60, "the first position")
    assert (await waiter.model("waits"))["pending"] == "spawn"
    await holder.stop("holds")
    await holder.until_stopped("holds")
    await until(lambda: waiter.job_id("waits"), 20, "the job")  # woken by the release, not by a minute's look
    await waiter.until_ready("waits")
    await until(lambda: find_status(local) == "RUNNING", 10, "the report")
    await asyncio.gather(holder.end_all(), waiter.end_all())


async def is_first(user) -> bool:
    path = f"/hub/api{user.server_path('waits')}/progress"
    try:
        async for event in user.events(f"{user.stack.url}/hub/home", path):
            if event.get("position") == 1:
                assert event["stage"] == "waiting"
                assert event["reason"]
                return True
    except OSError:
        pass
    return False
