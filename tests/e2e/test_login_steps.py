"""Logging in step by step in Chromium: enrolment, recovery codes, an administrator's reset, and a password that must be changed."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from sqlalchemy import update

from jupyterhub_backendai.core import otp
from jupyterhub_backendai.store import models, notes
from jupyterhub_backendai.store import otp as otp_rows
from jupyterhub_backendai.store.database import Database
from tests.e2e.browsing import Visitor, chromium, visit
from tests.e2e.stack import Stack
from tests.e2e.test_administration import run
from tests.services.browsing import AXE, RUN

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
PASSWORD, NEW = "a long first passw0rd", "an0ther longer Passw!"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def somebody(local: Stack) -> str:
    """A new person of the embedded directory, who never came in."""
    name = f"new{secrets.token_hex(4)}"
    status, _, err = await run(local, "user", "add", name, stdin=f"{PASSWORD}\n")
    assert status == 0, err
    return name


async def fill(page: Page, name: str, password: str = PASSWORD, code: str = "") -> None:
    """Type into the login form, and send it by Enter."""
    await page.goto(page.url.partition("/hub/")[0] + "/hub/login" if "/hub/" in page.url else page.url)
    await page.fill("#username", name)
    await page.fill("#password", password)
    await page.fill("#otp", code)
    await page.press("#otp", "Enter")


async def enrol(page: Page) -> tuple[bytes, list[str]]:
    """From the key to the page after the recovery codes; the key and the codes."""
    await page.locator("#otp-key").wait_for(state="attached")
    await page.click("details summary")
    key = base64.b32decode((await page.inner_text("#otp-key")).replace(" ", "").replace("\n", ""))
    await page.fill("#otp", otp.code_at(key, otp.step_of(time.time())))
    await page.press("#otp", "Enter")
    shown = page.locator("#recovery-codes li")
    await expect(shown).to_have_count(10)
    return key, await shown.all_inner_texts()


async def go_on(page: Page) -> None:
    await page.click("form.card button.btn-primary")


async def check_access(page: Page) -> None:
    """What axe finds serious on this page: nothing."""
    await page.evaluate(AXE.read_text())
    assert await page.evaluate(RUN, []) == [], page.url


async def log_out(visitor: Visitor) -> None:
    await visitor.page.goto(f"{visitor.stack.url}/hub/logout")
    await visitor.page.goto(f"{visitor.stack.url}/hub/login")


async def test_enrolment_recovery_and_reset(local: Stack, browser: Browser, somebody: str) -> None:
    async with visit(browser, local) as visitor, visit(browser, local) as office:
        page = visitor.page
        await page.goto(local.url)
        await fill(page, somebody)
        _, codes = await enrol(page)
        await visitor.shoot("login-recovery")
        await page.reload()  # they stay until they are kept
        assert await page.locator("#recovery-codes li").all_inner_texts() == codes
        await go_on(page)
        await visitor.until_launch()

        await log_out(visitor)
        await page.fill("#username", somebody)
        await page.fill("#password", PASSWORD)
        await page.click("details summary")
        await page.fill("#recovery", codes[3].lower())
        await page.press("#recovery", "Enter")
        await expect(page.locator("main")).to_contain_text("9 are left")
        await visitor.shoot("login-notes")
        await go_on(page)
        await visitor.until_launch()

        await log_out(visitor)
        await fill(page, somebody, code=codes[3])
        await expect(page.locator("#login-error")).to_contain_text("is not right")
        await fill(page, somebody, code=codes[4])
        await go_on(page)
        await visitor.until_launch()

        await office.log_in("admin")
        await office.page.goto(f"{local.url}/services/backendai/admin/users/{somebody}")
        await office.page.fill("[id='f-typed_name.reset-otp']", somebody)
        await office.page.press("[id='f-typed_name.reset-otp']", "Enter")
        await office.page.wait_for_url("**notice=otp-reset")

        await page.goto(f"{local.url}/hub/home")
        await page.wait_for_url("**/hub/login**")  # every login ended
        await fill(page, somebody, code=codes[5])
        await page.locator("#otp-key").wait_for(state="attached")  # the codes went with it
        await enrol(page)
        await go_on(page)
        await expect(page.locator("main")).to_contain_text("An administrator took your one-time password away")
        await go_on(page)
        await visitor.until_launch()


async def test_a_password_that_must_be_changed(local: Stack, browser: Browser, somebody: str) -> None:
    database = Database(local.read_settings().database_url, threads=1)
    changing = update(models.LocalAccount).where(models.LocalAccount.name == somebody).values(must_change_password=True)
    await database.run(lambda db: db.execute(changing))
    await database.run(notes.add_note, somebody, otp_rows.RESET, models.now())
    async with visit(browser, local, "ko", bypass_csp=True) as visitor:
        page = visitor.page
        await page.goto(f"{local.url}/hub/login?next=%2Fhub%2Ftoken")
        await check_access(page)
        await page.fill("#username", somebody)
        await page.fill("#password", PASSWORD)
        await page.press("#password", "Enter")
        await page.locator("#new").wait_for()
        await visitor.shoot("login-password")
        await check_access(page)
        for name, text in {"old": PASSWORD, "new": NEW, "again": NEW[:-1]}.items():
            await page.fill(f"#{name}", text)
        await page.press("#again", "Enter")
        await page.locator("#login-error").wait_for()
        for name, text in {"old": PASSWORD, "new": NEW, "again": NEW}.items():
            await page.fill(f"#{name}", text)
        await page.press("#again", "Enter")
        await page.locator("#otp-key").wait_for(state="attached")
        await check_access(page)
        key, _ = await enrol(page)
        await check_access(page)
        await go_on(page)
        await expect(page.locator("main .alert-info")).to_have_count(1)
        await check_access(page)
        await go_on(page)
        await page.wait_for_url("**/hub/token")
        await log_out(visitor)
        await fill(page, somebody, PASSWORD, otp.code_at(key, otp.step_of(time.time()) + 1))
        await page.locator("#login-error").wait_for()
        await fill(page, somebody, NEW, otp.code_at(key, otp.step_of(time.time()) + 1))
        await visitor.until_launch()
    await database.close()
