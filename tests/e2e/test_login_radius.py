"""Somebody whose centre keeps the one-time passwords: the RADIUS server asks, on a page of its own, in Chromium."""

from __future__ import annotations

import time

import pytest
from playwright.async_api import expect

from jupyterhub_backendai.core import otp
from tests import lab
from tests.e2e.browsing import SHOTS, Visitor, chromium, visit
from tests.e2e.stack import running

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session"), pytest.mark.ldap, pytest.mark.radius, pytest.mark.browser]
SETTINGS = f"""
import os
for name, text in (("ldap", {lab.LDAP_BIND_PASSWORD!r}), ("radius", {lab.RADIUS_SECRET!r})):
    with open(os.open(os.path.join(state, name + "-secret"), os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
        file.write(text)
c.BackendAI.directory = "ldap"
c.BackendAI.ldap_servers, c.BackendAI.ldap_ca_file = [{lab.LDAPS_URL!r}], {str(lab.LDAP_CA)!r}
c.BackendAI.ldap_bind_dn, c.BackendAI.ldap_bind_password_file = {lab.LDAP_BIND_DN!r}, os.path.join(state, "ldap-secret")
c.BackendAI.ldap_user_base = {lab.LDAP_USER_BASE!r}
c.BackendAI.otp_backend, c.BackendAI.otp_sends = "radius", "password"
c.BackendAI.otp_servers, c.BackendAI.otp_secret_file = [{lab.RADIUS_SERVER!r}], os.path.join(state, "radius-secret")
"""


@pytest.fixture(scope="module")
def centre(request):
    """A platform that asks the lab's directory and its FreeRADIUS."""
    with running("local", SETTINGS, lambda: request.session.testsfailed) as stack:
        yield stack


async def until_asked(visitor: Visitor, password: str) -> None:
    page = visitor.page
    await page.goto(visitor.stack.url)
    await page.fill("#username", "lim02")
    await page.fill("#password", password)
    await page.press("#password", "Enter")


async def answer(visitor: Visitor, code: str) -> None:
    await visitor.page.fill("#otp", code)
    await visitor.page.press("#otp", "Enter")


async def test_the_server_asks_and_is_answered(centre):
    async with chromium() as browser, visit(browser, centre) as visitor:
        page = visitor.page
        await until_asked(visitor, lab.password("lim02"))
        await expect(page.locator("#challenge")).to_have_text("Please enter the number on your card:")
        await page.screenshot(path=SHOTS / "login-radius.png", full_page=True)
        await answer(visitor, "000000")
        await expect(page.locator("#username")).to_be_visible()  # the server takes one answer: it begins anew
        while True:
            step = otp.step_of(time.time())
            await until_asked(visitor, lab.password("lim02"))
            await page.locator("#challenge").wait_for()
            await answer(visitor, lab.code("lim02"))
            await page.wait_for_load_state()
            if "/hub/login" not in page.url or otp.step_of(time.time()) == step:
                break
        await visitor.until_launch()
