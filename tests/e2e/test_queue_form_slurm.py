"""The launch form on the lab's Slurm: a session on shares of a GPU, and an exclusive queue that says what it gives and costs and is waited for."""

from __future__ import annotations

import re
import subprocess
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.e2e.browsing import SLOW_MS, chromium, visit
from tests.e2e.marks import LAB, PLATFORM
from tests.e2e.stack import list_jobs, until

pytestmark = [*PLATFORM, *LAB, pytest.mark.browser]
EXCLUSIVE = "cas_v100_4"  # one node: 40 CPUs, 4 GPUs


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest.fixture
def taken() -> Iterator[str]:
    """Somebody else's job holds the one node of the exclusive queue."""
    command = ["runuser", "-u", "lee01", "--", "sbatch", "--parsable", "-A", "paid", "-p", EXCLUSIVE, "-J", "e2e-form", "-t", "10"]
    done = subprocess.run(
        [*command, "-o", "/dev/null", "--wrap", "sleep 600"], cwd="/", capture_output=True, text=True, check=True, timeout=30
    )
    yield done.stdout.strip()
    subprocess.run(["scancel", done.stdout.strip()], check=False, timeout=30)


def describe_job(job: str) -> str:
    """Everything that the controller says of a job."""
    return subprocess.run(["scontrol", "show", "job", "-o", job], capture_output=True, text=True, check=True, timeout=30).stdout


def new_job(stack, before: list[str]) -> str:
    [job] = [job for job in list_jobs(stack) if job not in before]
    return job


async def extend(visitor, title: str) -> None:
    """Give a session that runs more time, on its own page."""
    page = visitor.page
    await page.goto(f"{visitor.stack.url}/services/backendai/sessions")
    await page.get_by_role("link", name=title).first.click()
    await expect(page.locator("#time-limit")).to_contain_text("30 min")
    await page.click("#extend button")
    await expect(page.locator("#refusal")).to_have_count(0)
    await expect(page.locator("#time-limit")).to_contain_text("1 h")
    await visitor.shoot("session-extended")


async def check_wait(visitor) -> None:
    """The page says when it begins, at the latest, and takes for how long to wait."""
    page = visitor.page
    now = page.locator("#stages li.now")
    await expect(now).to_contain_text("Expected start:", timeout=SLOW_MS)  # Slurm's own: nobody has waited here before
    await expect(now).to_contain_text("The scheduler says so")
    await page.select_option("#patience", "43200")
    await page.click("#keep-wishes")
    await expect(page.locator("#kept")).to_have_text("Saved.")
    await visitor.shoot("pending-wait-slurm")


async def test_shares_of_a_gpu_and_more_time(slurm, browser):
    before = list_jobs(slurm)
    async with visit(browser, slurm) as visitor:
        page = visitor.page
        await visitor.log_in("kim01")
        await page.check("input[value=jupyter]")
        await expect(page.locator("#shares")).to_be_visible()
        assert [await page.get_attribute("#shares", name) for name in ("step", "max")] == ["0.125", "1"]
        await page.fill("#shares", "0.3")
        await expect(page.locator("[data-problem]")).to_be_visible()  # no whole number of parts: said before the click
        await page.fill("#shares", "0.25")
        await expect(page.locator("[data-problem]")).to_have_count(0)
        await expect(page.locator("#account option")).to_have_text(["automatic: free", "free", "paid"])
        await page.fill("#name", "shared")
        await page.fill("#time", "0:30")
        await visitor.shoot("launch-form-shares")
        await visitor.submit()
        await visitor.until_notebook()
        words = describe_job(job := new_job(slurm, before))
        assert re.search(r"TresPerNode=\S*shard(:v100)?:2\b|gres/shard(:v100)?=2\b", words), words
        assert "gres/gpu=" not in words
        assert "TimeLimit=00:30:00" in words
        await extend(visitor, "shared")
        assert "TimeLimit=01:" in describe_job(job)
        await visitor.stop("shared")


async def test_an_exclusive_queue_its_price_and_a_wait(slurm, browser, taken):
    before = list_jobs(slurm)
    async with visit(browser, slurm) as visitor:
        page = visitor.page
        await visitor.log_in("kim02")
        await page.check(f"input[value={EXCLUSIVE}]")
        await expect(page.locator("#sum-node")).to_contain_text("40 CPUs, 4 GPUs (v100)")
        await page.fill("#gpu", "1")
        await page.fill("#time", "2h")
        await page.select_option("#gpu_type", "v100")
        await expect(page.locator("#sum-price")).to_contain_text("2,400 KRW an hour")  # 40 × 10 + 4 × 500
        await expect(page.locator("#sum-most")).to_have_text("4,800 KRW for 2 h")
        await page.fill("#name", "whole")
        await visitor.shoot("launch-form-exclusive")
        await visitor.submit()
        await expect(page.locator("#stages li.now")).to_contain_text(re.compile(r"Position \d"), timeout=SLOW_MS)
        job = new_job(slurm, before)
        await check_wait(visitor)
        assert "OverSubscribe=NO" in describe_job(job)
        subprocess.run(["scancel", taken], check=True, timeout=30)

        async def has_the_node() -> bool:
            return "JobState=RUNNING" in describe_job(job)

        await until(has_the_node, 60, "the node")
        words = describe_job(job)
        assert re.search(r"TRES=cpu=40,\S*gres/gpu=4\b", words), words
        await visitor.until_notebook()
        await visitor.stop("whole")
