"""A researcher's whole way in Chromium, on Slurm and LDAP: from the first login to a cell that ran, and everything around it."""

from __future__ import annotations

import base64
import contextlib
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from jupyterhub_backendai.core import otp
from tests import lab
from tests.e2e.browsing import SLOW_MS, Visitor, chromium, visit
from tests.e2e.marks import LAB, PLATFORM
from tests.e2e.stack import cancel_jobs, list_jobs, until

pytestmark = [*PLATFORM, *LAB, pytest.mark.browser]
FULL = "cas_v100_2"  # one node, exclusive
OTHERS = "e2e-others"
TYPED = {"name": "첫 세션", "cpu": "2", "mem": "3 GiB"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_left(slurm) -> Iterator[None]:
    """A test that failed leaves no job in the way of the next."""
    yield
    cancel_jobs(slurm)
    for user in ("park04", "kim02"):
        for notebook in Path(lab.SCRATCH.format(user=user), "workspace").glob("Untitled*.ipynb"):
            notebook.unlink()


@pytest.fixture
def others() -> Iterator[Others]:
    found = Others()
    yield found
    found.end()


class Others:
    """Jobs of other people in the queue with the one node."""

    def __init__(self) -> None:
        self.jobs: list[str] = []

    def submit(self, user: str) -> str:
        command = [
            "runuser",
            "-u",
            user,
            "--",
            "sbatch",
            "--parsable",
            "-A",
            "paid",
            "-p",
            FULL,
            "-J",
            OTHERS,
            "-t",
            "30",
            "-o",
            "/dev/null",
        ]
        done = subprocess.run([*command, "--wrap", "sleep 1800"], cwd="/", capture_output=True, text=True, check=True)
        self.jobs.append(done.stdout.strip())
        return self.jobs[-1]

    def cancel(self, job: str) -> None:
        subprocess.run(["scancel", job], check=True)

    def end(self) -> None:
        if self.jobs:
            subprocess.run(["scancel", *self.jobs], check=False)


def ask_job(job: str) -> tuple[str, str, str]:
    """(state, user, partition) of a job, as Slurm says; state "" of one that it has forgotten."""
    command = ["squeue", "-h", "-t", "all", "-j", job, "-o", "%T %u %P"]
    words = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    return (words[0], words[1], words[2]) if words else ("", "", "")


async def until_over(job: str) -> None:
    async def is_over() -> bool:
        return ask_job(job)[0] in {"", "CANCELLED", "COMPLETED", "FAILED", "COMPLETING"}

    await until(is_over, 30, f"the end of job {job}")


async def until_state(job: str, state: str) -> None:
    async def is_so() -> bool:
        return ask_job(job)[0] == state

    await until(is_so, 30, f"{state} of job {job}")


def new_jobs(stack, before: list[str]) -> list[str]:
    return [job for job in list_jobs(stack) if job not in before]


async def enrol(visitor: Visitor, name: str) -> None:
    """The first login of somebody without a token: it has no code, leads to enrolment, and the key that is shown makes one."""
    page = visitor.page
    await page.goto(visitor.stack.url)
    await visitor.shoot("login")
    await visitor.fill_login(name)
    await page.wait_for_url("**/hub/login/step")
    await expect(page.locator("main svg")).to_be_visible()
    await page.click("details summary")
    await visitor.shoot("login-enrol")
    key = base64.b32decode((await page.inner_text("#otp-key")).replace(" ", "").replace("\n", ""))
    await page.fill("#otp", otp.code_at(key, otp.step_of(time.time())))
    await page.press("#otp", "Enter")
    await expect(page.locator("#recovery-codes li")).to_have_count(10)
    await page.click("form.card button[type=submit]")
    await visitor.until_launch()


async def check_refresh(visitor: Visitor, others: Others) -> None:
    """What is typed, the focus and the place on the page stay while the table is read anew, and the figures change."""
    page = visitor.page
    row = page.locator(f"tr[data-queue={FULL}]")
    await expect(page.locator("#queues tbody tr")).to_have_count(5)
    await refresh_until(page, row.locator("[data-cell=alloc]"), "1")
    await expect(row.locator("[data-cell=waiting]")).to_have_text("0")
    for name, text in TYPED.items():
        await page.fill(f"#{name}", text)
    await page.evaluate("window.mark = 1")
    await page.evaluate("document.getElementById('mem').focus({preventScroll: true}); window.scrollTo({top: 60, behavior: 'instant'})")
    before = await page.evaluate("window.scrollY")
    waiting = others.submit("lee02")
    await until_state(waiting, "PENDING")
    await refresh_until(page, row.locator("[data-cell=waiting]"), "1")
    kept = await page.evaluate(
        "[document.activeElement.id, window.scrollY, window.mark, ...['name', 'cpu', 'mem'].map((id) => document.getElementById(id).value)]"
    )
    assert kept == ["mem", before, 1, *TYPED.values()]


async def refresh_until(page: Page, cell: Locator, text: str) -> None:
    """Press Refresh until the cell says so; it takes no focus from a script, as from a finger on another screen."""

    async def is_so() -> bool:
        await page.evaluate("document.getElementById('refresh').click()")
        return await cell.inner_text() == text

    await until(is_so, 15, f"{text} in the table")


async def follow_the_queue(visitor: Visitor, others: Others) -> str:
    """One job runs, one waits, ours comes after both: its place is told until it runs. Returns its id."""
    page, stack = visitor.page, visitor.stack
    running, waiting = others.jobs
    now = page.locator("#stages li.now")
    await expect(now).to_contain_text("Position 2 in the queue.", timeout=SLOW_MS)
    await visitor.shoot("pending-waiting")
    await page.goto(visitor.home_url)
    await expect(visitor.card(TYPED["name"])).to_contain_text("starting")
    await visitor.shoot("home-starting")
    await visitor.card(TYPED["name"]).get_by_text("See where it is").click()
    [job] = list_jobs(stack)
    others.cancel(running)
    await until_state(waiting, "RUNNING")
    await expect(now).to_contain_text("Position 1 in the queue.", timeout=SLOW_MS)
    assert ask_job(job) == ("PENDING", "park04", FULL)
    others.cancel(waiting)
    await visitor.until_notebook()
    return job


async def test_from_the_first_login_to_a_cell(slurm, browser, others):
    await until_state(others.submit("lee01"), "RUNNING")
    async with visit(browser, slurm) as visitor:
        page = visitor.page
        await enrol(visitor, "park04")
        await check_refresh(visitor, others)
        await page.check(f"input[value={FULL}]")
        await visitor.shoot("launch-slurm")
        await visitor.submit()
        job = await follow_the_queue(visitor, others)
        # JupyterLab, a cell, and it is the person's own, at the place of the manual
        root = Path(lab.SCRATCH.format(user="park04"))
        assert await visitor.run_cell() == f"CELL park04 {root}/workspace {FULL} 42"
        await page.goto(visitor.home_url)
        await expect(visitor.card(TYPED["name"])).to_contain_text("running")
        await visitor.shoot("home-running")
        await visitor.stop(TYPED["name"])
        await until_over(job)
        log = root / "log" / f"{job}.log"
        assert (log.is_file(), log.stat().st_uid) == (True, pwd.getpwnam("park04").pw_uid)
        await visitor.shoot("home-not-running")
        await page.goto(f"{slurm.url}/hub/user/park04/")
        await visitor.shoot("not-running")


async def test_cancel_cancels_this_session_and_not_the_one_that_runs(slurm, browser, others):
    for user in ("lee01", "lee02"):
        others.submit(user)
    before = list_jobs(slurm)
    async with visit(browser, slurm) as visitor:
        page = visitor.page
        await visitor.log_in("upper")
        await page.check("input[value=jupyter]")
        await page.check("#interface-notebook")
        await visitor.submit()
        await visitor.until_notebook()
        await expect(page).to_have_url(f"{slurm.url}/user/upper/tree")
        await expect(page.locator("#filebrowser, .jp-FileBrowser").first).to_be_visible(timeout=SLOW_MS)
        [default] = new_jobs(slurm, before)
        assert ask_job(default) == ("RUNNING", "UPPER", "jupyter")
        # A second one beside it, which waits
        await visitor.open_launch()
        await page.check(f"input[value={FULL}]")
        await page.fill("#name", "waits long")
        await visitor.submit()
        assert page.url.endswith("/hub/spawn-pending/upper/waits-long")
        await expect(page.locator("#stages li.now")).to_contain_text("Position 2", timeout=SLOW_MS)
        [named] = new_jobs(slurm, [*before, default])
        await page.click("#cancel")
        await page.wait_for_url("**/hub/home")
        await until_over(named)
        assert ask_job(default) == ("RUNNING", "UPPER", "jupyter")
        await expect(visitor.card("My session")).to_contain_text("running")
        await visitor.stop("My session")
        await until_over(default)
        ended = page.locator(".list-group-item").filter(has_text="My session")
        await expect(ended).to_contain_text("Stopped on request.")
        await expect(ended.get_by_role("link", name="Run again")).to_be_visible()
        await expect(ended.get_by_role("button", name="Remove")).to_have_count(0)


@contextlib.contextmanager
def broken_settings(user: str) -> Iterator[None]:
    """A settings file of the person's own that Jupyter refuses: no server of theirs comes up."""
    account = pwd.getpwnam(user)
    folder = Path(account.pw_dir, ".jupyter")
    is_new = not folder.exists()
    folder.mkdir(exist_ok=True)
    file = folder / "jupyter_server_config.py"
    file.write_text("c.ServerApp.port = '<b>my port</b>'\n")
    for path in (folder, file):
        os.chown(path, account.pw_uid, account.pw_gid)
    try:
        yield
    finally:
        file.unlink()
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)


async def test_in_korean_a_job_that_fails_shows_its_log_and_what_to_do_and_then_it_runs(slurm, browser):
    """From the login by name, password and code to the end of a session that was cancelled from outside."""
    async with visit(browser, slurm, "ko") as visitor:
        page = visitor.page
        await visitor.log_in("kim02")
        await page.check("input[value=jupyter]")
        await page.fill("#name", "고장")
        await page.fill("#mem", "2 GiB")
        with broken_settings("kim02"):
            await visitor.submit()
            await expect(page.locator("#failure")).to_be_visible(timeout=SLOW_MS)
        failure = page.locator("#failure")
        await expect(failure).to_contain_text("종료 코드 1")
        await expect(failure).to_contain_text("로그에 나온 문제를 고친 뒤 다시 시작하십시오.")
        await expect(failure.locator(".job-log")).to_contain_text("<b>my port</b>")
        await visitor.shoot("pending-failed")
        await page.reload()
        await expect(page.locator("main .lead")).to_have_text("고장")
        await visitor.shoot("not-running-failed")
        # The way back is filled in as it was, and now it runs.
        await page.click("main #start")
        await visitor.until_launch()
        assert [await page.input_value(f"#{name}") for name in ("name", "mem")] == ["고장", "2 GiB"]
        await visitor.submit()
        await visitor.until_notebook()
        [job] = [job for job in list_jobs(slurm) if ask_job(job)[1] == "kim02"]
        # Somebody at the centre ends it: the page of sessions says so.
        subprocess.run(["scancel", job], check=True)
        await until_over(job)
        ended = page.locator(".list-group-item").filter(has_text="고장")

        async def is_said() -> bool:
            await page.goto(visitor.home_url)
            return await ended.filter(has_text="관리자가").count() > 0

        await until(is_said, 40, "why the session ended")
        await visitor.shoot("home-ended")
