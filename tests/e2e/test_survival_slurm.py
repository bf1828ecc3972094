"""On Slurm: what is killed comes back, and nobody's session is lost or left behind."""

from __future__ import annotations

import asyncio
import subprocess
import time

import pytest_asyncio

from tests.e2e.marks import LAB, PLATFORM
from tests.e2e.stack import ask_kernel, check, list_jobs, until, words

pytestmark = [*PLATFORM, *LAB]
OUTAGE_S = 60


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def timed(researchers):
    """A session of one minute, which ends while other tests run."""
    user = await researchers("lee01")
    page = await user.submit(queue="jupyter", cpu="1", mem="512m", time="1m")
    assert "/hub/spawn-pending/lee01" in page.url, words(page)
    yield user
    await user.end_all()


async def test_a_session_lives_through_the_hubs_death_while_it_waits_and_while_it_runs(slurm, researchers):
    user = await researchers("kim01")
    with slurm.pulled("hold"):
        page = await user.submit(queue="jupyter", cpu="1", mem="512m")
        assert "/hub/spawn-pending/kim01" in page.url, words(page)
        job = await user.until_job()
    slurm.kill_hub()
    slurm.restart_hub()
    assert (await user.model())["pending"] == "spawn"
    events = [event async for event in first_events(user, lambda event: event.get("reason"))]
    assert "held" in events[-1]["reason"], events
    subprocess.run(["scontrol", "release", job], check=True)
    await user.until_ready()
    assert (await user.job_id(), jobs_of(slurm, "kim01")) == (job, [job])
    async with user.kernel() as socket:
        assert await ask_kernel(socket, 1)
        slurm.kill_hub()
        try:
            assert await ask_kernel(socket, 2)
        finally:
            slurm.restart_hub()
        assert await ask_kernel(socket, 3)
        await user.until_ready()
        assert (await user.job_id(), jobs_of(slurm, "kim01")) == (job, [job])
    await user.end_all()
    await until(lambda: not jobs_of(slurm, "kim01"), 30, "the end of the job")


async def test_the_hub_dies_between_the_answer_of_sbatch_and_the_commit(slurm, researchers):
    user = await researchers("kim01")
    with slurm.pulled("hold"), slurm.pulled("delay"):
        await user.submit(queue="jupyter", cpu="1", mem="512m")
        (job,) = await until(lambda: jobs_of(slurm, "kim01"), what="the job")
        assert not await user.job_id()
        slurm.kill_hub()
    slurm.restart_hub()
    assert await user.until_job() == job
    subprocess.run(["scontrol", "release", job], check=True)
    await user.until_ready()
    assert jobs_of(slurm, "kim01") == [job]


async def with_a_session(user):
    """Somebody whose server runs: the one that an earlier test left, or a new one when a test is run alone."""
    model = await user.model()
    if not (model.get("ready") or model.get("pending")):
        await user.submit(queue="jupyter", cpu="1", mem="512m")
    await user.until_ready()
    return user


async def test_the_service_dies(slurm, researchers):
    user = await with_a_session(await researchers("kim01"))
    async with user.kernel() as socket, slurm.client("kim02") as newcomer:
        before = slurm.service_pid()
        slurm.kill_service()
        page = await newcomer.enter()
        assert (page.status, "not possible right now" in words(page)) == (503, True), words(page)
        assert await ask_kernel(socket, 1)
        await until(lambda: slurm.service_pid() not in {0, before}, 45, "the next service")
        await until_healthy(slurm, user)
        page = await newcomer.enter()
        assert "/hub/login" not in page.url, words(page)
        assert await ask_kernel(socket, 2)


async def test_the_database_is_gone_for_a_minute(slurm, researchers, database):
    user = await with_a_session(await researchers("kim01"))
    async with user.kernel() as socket, slurm.client("kim02", "ko") as newcomer:
        _, door = database
        began = time.monotonic()
        door.shut()
        try:
            page = await newcomer.enter()
            assert (page.status, "지금은" in words(page)) == (503, True), words(page)
            status, answer = await user.start("second", queue="jupyter", mem="512m")
            assert (status, "not possible right now" in answer["message"]) == (503, True), answer
            page = await user.get(f"{slurm.url}/services/backendai/launch")
            assert page.status == 503, words(page)
            assert await ask_kernel(socket, 1)
            await asyncio.sleep(OUTAGE_S - (time.monotonic() - began))
            assert await ask_kernel(socket, 2)
        finally:
            door.open()
        await until_healthy(slurm, user)
        page = await newcomer.enter()
        assert "/hub/login" not in page.url, words(page)
        assert await ask_kernel(socket, 3)
    assert (await user.model())["ready"]


async def test_a_job_that_an_administrator_ends(slurm, researchers):
    user = await with_a_session(await researchers("kim01"))
    subprocess.run(["scancel", *jobs_of(slurm, "kim01")], check=True)
    await user.until_stopped()
    await check_is_told(user, "cancelled by an administrator", "관리자")


async def test_a_job_whose_time_is_over(timed):
    await timed.until_stopped(timeout=150)
    await check_is_told(timed, "reached its time limit", "시간 제한")


async def check_is_told(user, english: str, korean: str):
    """The page of the server says why it ended, in both languages, and REST to its owner."""
    address = f"{user.stack.url}/hub/user/{user.name}/"
    page = await user.get(address)
    assert english in words(page), words(page)
    async with user.http.get(address, headers={**check.NAVIGATE, "Accept-Language": "ko"}) as answer:
        assert korean in await answer.text()
    user.token = user.token or await user.take_token()
    for language, part in (("en", english), ("ko", korean)):
        headers = {"Authorization": f"token {user.token}", "Accept-Language": language}

        async def last_over(headers=headers):
            async with user.program.get(f"{user.stack.url}/services/backendai/rest/v1/sessions", headers=headers) as answer:
                last = (await answer.json())["sessions"][0]
            return last if last["status"] in {"TERMINATED", "CANCELLED"} else None

        # It may have ended while another test had taken the database away: the hub then tells the service later.
        last = await until(last_over, 90)
        assert part in last["reason"], last


async def first_events(user, is_enough):
    path = f"/hub/api{user.server_path()}/progress"
    async for event in user.events(f"{user.stack.url}/hub/home", path):
        yield event
        if is_enough(event):
            return


def jobs_of(stack, name: str) -> list[str]:
    """The jobs of one person that are not over."""
    return [job for job in list_jobs(stack) if owner(job) == name]


def owner(job: str) -> str:
    return subprocess.run(["squeue", "-h", "-j", job, "-o", "%u"], capture_output=True, text=True, check=False).stdout.strip()


async def until_healthy(stack, user):
    async def is_healthy() -> bool:
        async with user.http.get(f"{stack.url}/services/backendai/health") as answer:
            return answer.status == 200

    await until(is_healthy, 45, "the health of the service")
