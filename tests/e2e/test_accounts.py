"""People make accounts and come back into them in Chromium: form, mail, link, login; and a password that was forgotten."""

from __future__ import annotations

import re

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.e2e.browsing import Visitor, chromium, visit
from tests.e2e.marks import PLATFORM
from tests.e2e.stack import running
from tests.services.browsing import AXE, RUN
from tests.smtp import mail_thread, text_of

pytestmark = PLATFORM
SETTINGS = """
c.BackendAI.otp_required = False
c.BackendAI.mail_server, c.BackendAI.mail_tls, c.BackendAI.mail_from = "{address}", "none", "hub@example.org"
c.BackendAI.public_hub_url = c.JupyterHub.bind_url + "/hub/"
c.BackendAI.sign_up = c.BackendAI.sign_up_verification_required = c.BackendAI.forgotten_password = True
c.BackendAI.sign_up_terms = {{"en": "Be kind.\\nBe brief.", "ko": "친절히 씁니다."}}
"""
PAGES = {
    "login": 200,
    "account/sign-up": 200,
    "account/forgotten": 200,
    "account/verify?token=x": 404,
    "account/reset?token=x": 404,
    "account/done?what=verify": 200,
}
PASSWORD, OTHER = "good-pass1", "other-pass1"
LINK = re.compile(r"http://\S+/hub/account/\w+\?token=\S+")


@pytest.fixture(scope="module")
def mail():
    with mail_thread() as server:
        yield server


@pytest.fixture(scope="module")
def open_site(mail, request):
    """A platform where people may sign up."""
    with running("local", SETTINGS.format(address=mail.address), lambda: request.session.testsfailed) as stack:
        yield stack


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser():
    async with chromium() as opened:
        yield opened


async def find_link(mail, count: int) -> str:
    """The link in the newest of so many mails."""
    return LINK.search(text_of((await mail.mails(count))[-1])).group()


async def fill(visitor: Visitor, **fields: str) -> None:
    for name, value in fields.items():
        await visitor.page.fill(f"#{name}", value)


async def log_in(visitor: Visitor, name: str, password: str) -> None:
    await visitor.page.goto(f"{visitor.stack.url}/hub/login")
    await fill(visitor, username=name, password=password)
    await visitor.page.press("#password", "Enter")


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_axe_finds_nothing_serious(browser, open_site, language):
    async with visit(browser, open_site, language, bypass_csp=True) as visitor:
        for path, status in PAGES.items():
            answer = await visitor.page.goto(f"{open_site.url}/hub/{path}")
            assert (path, answer.status) == (path, status)
            await visitor.page.evaluate(AXE.read_text())
            assert await visitor.page.evaluate(RUN, []) == [], path


async def test_from_the_login_page_to_the_launch_page_and_back_after_a_forgotten_password(browser, open_site, mail):
    async with visit(browser, open_site) as visitor:
        page, before = visitor.page, len(mail.came)
        name = f"kim{before + 10}"  # a second try finds the first one's account
        await page.goto(f"{open_site.url}/hub/login")
        await page.click("text=Make an account")
        await fill(visitor, username=name.upper(), email=f"{name}@example.org", display_name="김 01", password="weak-pass", again=PASSWORD)
        await page.check("#agrees")
        await page.click("main button[type=submit]")
        await expect(page.locator("#password-wrong")).to_be_visible()
        await expect(page.locator("#email")).to_have_value(f"{name}@example.org")
        await expect(page.locator("#agrees")).to_be_checked()
        await visitor.shoot("account-sign-up-wrong")
        await fill(visitor, password=PASSWORD, again=PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/hub/account/done?what=verify")
        await log_in(visitor, name, PASSWORD)  # not before the link was opened
        await expect(page.locator("[role=alert]")).to_be_visible()

        await page.goto(await find_link(mail, before + 1))
        await expect(page.locator("main")).to_contain_text(name)
        await page.click("main button[type=submit].btn-primary")
        await page.wait_for_url("**/hub/account/done?what=verified")
        await log_in(visitor, name, PASSWORD)
        await visitor.until_launch()

        async with visit(browser, open_site) as elsewhere:
            away = elsewhere.page
            await away.goto(f"{open_site.url}/hub/login")
            await away.click("text=Forgot your password?")
            await fill(elsewhere, username=f"{name}@example.org")
            await away.click("main button[type=submit].btn-primary")
            await away.wait_for_url("**/hub/account/done?what=forgotten")
            link = await find_link(mail, before + 2)
            await away.goto(link)
            await fill(elsewhere, password=OTHER, again="different-1")
            await away.click("main button[type=submit].btn-primary")
            await expect(away.locator("#again-wrong")).to_be_visible()
            await elsewhere.shoot("account-reset-link")
            await away.locator("button[lang=ko]").click()  # the link is still there in another language
            await expect(away.locator("html")).to_have_attribute("lang", "ko")
            await fill(elsewhere, password=OTHER, again=OTHER)
            await away.click("main button[type=submit].btn-primary")
            await away.wait_for_url("**/hub/account/done?what=reset")
            await away.goto(link)
            await expect(away.locator("[role=alert]")).to_be_visible()  # good once
            await log_in(elsewhere, name, PASSWORD)
            await expect(away.locator("[role=alert]")).to_be_visible()
            await log_in(elsewhere, name, OTHER)
            await elsewhere.until_launch()

        # whoever was logged in with the old password is not any more
        await page.goto(f"{open_site.url}/hub/home")
        await page.wait_for_url("**/hub/login**")


@pytest.mark.parametrize("path", ["sign-up", "verify", "forgotten", "reset"])
async def test_a_form_of_another_site_does_nothing(browser, open_site, path):
    async with visit(browser, open_site) as visitor:
        fields = {"username": "choi02", "email": "choi02@example.org", "password": PASSWORD, "again": PASSWORD, "agrees": "1", "token": "x"}
        answer = await visitor.page.request.post(f"{open_site.url}/hub/account/{path}", form=fields)
        assert answer.status == 403


async def test_no_word_of_a_link_is_in_a_log(browser, open_site, mail):
    async with visit(browser, open_site) as visitor:
        await visitor.page.goto(f"{open_site.url}/hub/account/sign-up?invitation=ABCD-EFGH")
        assert "invitation=ABCD-EFGH" in await visitor.page.content(), "a change of the language keeps it"
    tokens = [found.group(1) for mailed in mail.came for found in re.finditer(r"token=(\S+)", text_of(mailed))]
    assert tokens
    tokens.append("ABCD-EFGH")
    for file in (open_site.state / "log").iterdir():
        text = file.read_text(errors="replace")
        assert not [token for token in tokens if token in text], file
