"""Logins on browsers, at a real hub: one is ended, and the others go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from http.cookies import Morsel
from types import SimpleNamespace

import aiohttp
import pytest
import pytest_asyncio
from tornado.httputil import HTTPHeaders

from jupyterhub_backendai.authenticator.active_logins import ActiveLogins
from jupyterhub_backendai.core.logins import hash_session
from jupyterhub_backendai.store import active_logins
from jupyterhub_backendai.store.models import now

from .conftest import PASSWORD, Browser, Hub, Service, code_of

pytestmark = pytest.mark.e2e
SESSION = "jupyterhub-session-id"
HUB = "jupyterhub-hub-login"


@pytest_asyncio.fixture
async def second(hub: Hub) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), headers={"User-Agent": "Second/1.0"}) as http:
        yield Browser(hub, http)


async def eventually(ask: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + 10
    while not await ask():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def list_logins(service: Service, name: str) -> list[active_logins.BrowserLogin]:
    return await service.db.run(active_logins.list_logins, name, now())


def login_of(browser: Browser) -> str:
    return hash_session(browser.cookies()[SESSION])


async def test_one_login_ends_and_the_other_goes_on(browser: Browser, second: Browser, service: Service) -> None:
    secret = await service.add_person("twin")
    await browser.login("twin", PASSWORD, code_of(secret))
    await second.login("twin", PASSWORD, code_of(secret, 1))
    logins = await list_logins(service, "twin")
    assert {login.id for login in logins} == {login_of(browser), login_of(second)}
    assert {login.source for login in logins} == {"127.0.0.1"}
    assert "Second/1.0" in {login.agent for login in logins}
    assert await browser.is_logged_in()
    assert await second.is_logged_in()
    await service.db.run(active_logins.end_logins, "twin", [login_of(browser)])

    async def is_out() -> bool:
        # The other one asks all the time, and keeps nobody in but itself.
        assert await second.is_logged_in()
        return not await browser.is_logged_in()

    await eventually(is_out)
    for _ in range(5):
        assert await second.is_logged_in()
        assert not await browser.is_logged_in()


async def test_a_browser_without_its_session_is_nobody(browser: Browser, service: Service) -> None:
    """Who has the hub's cookie alone, or tells another session, has no login."""
    secret = await service.add_person("lone")
    await browser.login("lone", PASSWORD, code_of(secret))
    assert await browser.is_logged_in()
    for session in ("", "0" * 32):
        cookie = f"{HUB}={_raw(browser, HUB)}" + (f"; {SESSION}={session}" if session else "")
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), headers={"Cookie": cookie}) as http,
            http.get(f"{browser.hub.url}/hub/home", allow_redirects=False) as answer,
        ):
            assert answer.status == 302
            assert "/hub/login" in answer.headers["Location"]
    assert await browser.is_logged_in()


def _raw(browser: Browser, name: str) -> str:
    found: Morsel[str] = next(cookie for cookie in browser.http.cookie_jar if cookie.key == name)
    return found.coded_value


async def test_each_login_has_a_session_of_its_own_that_lasts_as_the_hubs_cookie(browser: Browser, service: Service) -> None:
    secret = await service.add_person("again")
    await browser.open("/hub/login")
    await browser.login("again", PASSWORD, code_of(secret))
    first = browser.cookies()[SESSION]
    [cookie] = [cookie for cookie in browser.http.cookie_jar if cookie.key == SESSION]
    assert cookie["expires"]
    assert cookie["httponly"]
    await browser.open("/hub/logout")
    assert await list_logins(service, "again") == []
    assert not await browser.is_logged_in()
    await browser.login("again", PASSWORD, code_of(secret, 1))
    assert browser.cookies()[SESSION] != first
    assert [login.id for login in await list_logins(service, "again")] == [login_of(browser)]


async def test_an_outage_logs_nobody_out(browser: Browser, service: Service) -> None:
    secret = await service.add_person("stays")
    await browser.login("stays", PASSWORD, code_of(secret))
    await service.stop()
    started = time.monotonic()
    while time.monotonic() - started < 1.5:  # longer than an answer is good
        assert await browser.is_logged_in()
    service.start()
    assert await browser.is_logged_in()


async def test_nobody_but_our_service_says_that_logins_are_over(browser: Browser, service: Service, hub: Hub) -> None:
    body = {"name": "twin", "ids": [], "all": True}
    for headers in ({"Authorization": f"token {hub.token}"}, {"Authorization": "token wrong"}, {}):
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(f"{hub.url}/hub/api/backendai/logins/forget", json=body) as answer,
        ):
            assert answer.status in (403, 404)


async def test_an_answer_that_was_overtaken_by_an_end_is_not_kept() -> None:
    """The service says that a login lives; before the hub reads that, it ends."""
    user = SimpleNamespace(name="kim01")
    handler = SimpleNamespace(
        _jupyterhub_user=user,
        get_session_cookie=lambda: "a",
        request=SimpleNamespace(connection=None, remote_ip="127.0.0.1", headers=HTTPHeaders()),
        authenticator=SimpleNamespace(trusted_proxies=()),
    )
    logins, asked = ActiveLogins(300), []

    async def look(name: str, session: str, _source: str) -> bool:
        asked.append((name, session))
        if len(asked) == 1:
            logins.forget(handler, "kim01", [])
        return True

    async def refresh(*_: object) -> bool:
        return True

    service = SimpleNamespace(look_at_login=look)
    for count in (1, 2, 2):
        assert await logins.refresh(service, user, handler, refresh)
        assert asked == [("kim01", "a")] * count
