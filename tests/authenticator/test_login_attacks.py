"""What a thief of a ticket, another site and a reader of the log get out of a login."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from jupyterhub_backendai.authenticator import emergency
from jupyterhub_backendai.store import models

from .conftest import EMERGENCY_PASSWORD, PASSWORD, Browser, Hub, Service, code_of

pytestmark = pytest.mark.e2e
TICKET = "backendai-login-ticket"


@pytest_asyncio.fixture
async def thief(hub: Hub) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), headers={"Accept-Language": "en"}) as http:
        yield Browser(hub, http)


async def test_a_stolen_ticket_is_worth_one_login_at_most(browser: Browser, thief: Browser, service: Service) -> None:
    await service.add_person("rosa", with_token=False)
    await browser.login("rosa")
    page = await browser.open("/hub/login/step")
    secret = base64.b32decode(page.select_one("#otp-key").get_text().replace(" ", ""))
    await thief.open("/hub/login")
    thief.http.cookie_jar.update_cookies({TICKET: browser.cookies()[TICKET]})
    await thief.open("/hub/login/step")
    code = code_of(secret)
    await asyncio.gather(browser.submit("otp", otp=code), thief.submit("otp", otp=code))
    assert sorted([browser.status, thief.status]) == [302, 410]
    assert await service.db.run(lambda db: db.query(models.OTPToken).filter_by(user_name="rosa").count()) == 1
    assert await service.db.run(lambda db: db.query(models.RecoveryCode).filter_by(user_name="rosa").count()) == 10


async def test_a_login_page_keeps_no_session_that_somebody_brought(browser: Browser, service: Service) -> None:
    secret = await service.add_person("tina")
    fixed = "f" * 32
    browser.http.cookie_jar.update_cookies({"jupyterhub-session-id": fixed})
    await browser.login("tina", PASSWORD, code_of(secret))
    assert browser.status == 302
    assert browser.cookies()["jupyterhub-session-id"] != fixed


async def test_a_form_of_another_site_reaches_no_step(browser: Browser, service: Service) -> None:
    await service.add_person("uma", with_token=False)
    await browser.login("uma")
    page = await browser.open("/hub/login/step")
    secret = base64.b32decode(page.select_one("#otp-key").get_text().replace(" ", ""))
    for headers in ({}, {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}):
        await browser.open("/hub/login/step", "POST", data={"otp": code_of(secret)}, headers=headers)
        assert browser.status == 403
    assert await service.db.run(lambda db: db.query(models.OTPToken).filter_by(user_name="uma").count()) == 0


async def test_nothing_that_was_typed_is_in_the_log_or_an_address(browser: Browser, service: Service, hub: Hub) -> None:
    await service.add_person("vera", with_token=False)
    await browser.login("vera", "not-her-password", "314159")
    await browser.login("vera", query="?next=%2Fhub%2Ftoken")
    ticket = browser.cookies()[TICKET]
    page = await browser.open("/hub/login/step")
    key = page.select_one("#otp-key").get_text().replace(" ", "")
    code = code_of(base64.b32decode(key))
    await browser.submit("otp", otp=code)
    page = await browser.open("/hub/login/step")
    words = [item.get_text() for item in page.select("#recovery-codes li")]
    await browser.open("/hub/login/step")
    await browser.submit("_xsrf")
    text = hub.log.read_text() + " ".join(browser.history)
    assert "vera" in text
    assert not [word for word in ("not-her-password", "314159", PASSWORD, ticket, key, *words) if word in text]

    def read(db) -> str:
        rows = [(row.actor, row.action, row.object, str(row.details)) for row in db.query(models.AuditEntry)]
        return str(rows) + str([(row.user_name, row.payload, row.next) for row in db.query(models.LoginTicket)])

    kept = await service.db.run(read)
    assert not [word for word in ("not-her-password", PASSWORD, ticket, key, *words) if word in kept]


async def test_strangers_do_not_keep_the_emergency_administrator_out(hub: Hub) -> None:
    path = str(hub.state / "emergency")
    for number in range(3):
        assert not await emergency.check(path, "rescue", "guess", f"203.0.{number}.1")
    assert await emergency.check(path, "rescue", EMERGENCY_PASSWORD, "10.77.0.1")
    assert not await emergency.check(path, "rescue", EMERGENCY_PASSWORD, "10.77.0.2"), "not at once from the same network"
