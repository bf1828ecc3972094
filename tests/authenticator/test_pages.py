"""The login pages of a real hub, as a browser uses them."""

from __future__ import annotations

import asyncio
import base64
import time
from pathlib import Path

import aiohttp
import pytest
from sqlalchemy import delete, select

from jupyterhub_backendai.core import otp
from jupyterhub_backendai.store import models
from jupyterhub_backendai.store import otp as tokens

from .conftest import EMERGENCY_PASSWORD, PASSWORD, Browser, Hub, Service, code_of, hub_api

pytestmark = pytest.mark.e2e
REFUSED = "The user name, the password or the one-time password is not right."


async def test_password_and_code_on_one_page(browser: Browser, service: Service, hub: Hub) -> None:
    secret = await service.add_person("kim01", groups=("physics",))
    page = await browser.open("/hub/login?next=%2Fhub%2Ftoken")
    attributes = {field: page.select_one(f"[name={field}]").attrs for field in ("username", "password", "otp")}
    assert attributes["username"]["autocomplete"] == "username"
    assert attributes["password"]["autocomplete"] == "current-password"
    assert attributes["otp"]["autocomplete"] == "one-time-code"
    assert attributes["otp"]["inputmode"] == "numeric"
    assert browser.headers["Cache-Control"] == "no-store"
    await browser.submit("username", username="kim01", password=PASSWORD, otp=code_of(secret))
    assert (browser.status, browser.location) == (302, "/hub/token")
    assert await browser.is_logged_in()
    model = await hub_api(hub, "/users/kim01")
    assert (model["groups"], model["admin"]) == (["quarks"], False)


async def test_the_same_answer_for_every_wrong_thing(browser: Browser, service: Service) -> None:
    secret = await service.add_person("lee01")
    answers = set()
    for username, password, code in [
        ("nobody", PASSWORD, "123456"),
        ("lee01", "wrong", code_of(secret)),
        ("lee01", PASSWORD, f"{(int(code_of(secret)) + 1) % 10**6:06d}"),
        ("kim01\tx", PASSWORD, ""),
    ]:
        await browser.login(username, password, code)
        answers.add((browser.status, browser.error))
        assert "jupyterhub-hub-login" not in browser.cookies()
    assert answers == {(403, REFUSED)}
    # What was typed is still there, but for the secrets; and the wrong password did not use the code up.
    assert browser.page.select_one("[name=password]").get("value") is None
    assert browser.page.select_one("[name=otp]").get("value") is None
    await browser.login("lee01", PASSWORD, code_of(secret))
    assert browser.status == 302


async def test_typed_name_stays(browser: Browser, service: Service) -> None:
    await browser.login('<b>"x', "wrong")
    assert browser.page.select_one("[name=username]")["value"] == '<b>"x'


@pytest.mark.parametrize("typed", ["PARK04", "ｐａｒｋ０４", " park04 "])
async def test_spellings_are_one_person(browser: Browser, service: Service, hub: Hub, typed: str) -> None:
    secret = await service.add_person("park04")
    await browser.login(typed, PASSWORD, code_of(secret))
    assert browser.status == 302, browser.text
    assert (await hub_api(hub, "/users/park04"))["name"] == "park04"


@pytest.mark.parametrize(
    "data", [{}, {"username": "kim01"}, {"password": "x"}, {"username": "", "password": ""}, {"username": "  ", "password": "x"}]
)
async def test_missing_fields_are_said_and_no_fault(browser: Browser, service: Service, data: dict[str, str]) -> None:
    page = await browser.open("/hub/login")
    xsrf = page.select_one("[name=_xsrf]")["value"]
    await browser.open("/hub/login", "POST", data={"_xsrf": xsrf, **data})
    assert (browser.status, browser.error) == (400, "Enter your user name and your password.")


async def test_without_xsrf_nothing_happens(browser: Browser, service: Service) -> None:
    secret = await service.add_person("dora")
    await browser.open("/hub/login")
    fields = {"username": "dora", "password": PASSWORD, "otp": code_of(secret)}
    await browser.open("/hub/login", "POST", data=fields)
    assert (browser.status, browser.error) == (403, "This form is too old. Try again.")
    assert not await browser.is_logged_in()
    for path in ("/hub/login/step", "/hub/language"):
        await browser.open(path, "POST", data={"otp": "123456", "language": "ko"})
        assert browser.status == 403


async def test_broken_bytes_are_no_fault(browser: Browser, service: Service) -> None:
    page = await browser.open("/hub/login")
    xsrf = page.select_one("[name=_xsrf]")["value"]
    body = f"_xsrf={xsrf}&username=%ff%fe&password=x".encode()
    await browser.open("/hub/login", "POST", data=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (browser.status, browser.error) == (400, "The request could not be read.")
    await browser.submit("username", username="k" * 20_000, password="p" * 20_000)
    assert (browser.status, browser.error) == (403, REFUSED)


@pytest.mark.parametrize(
    "target", ["//evil.example/x", "https://evil.example/", "/\\evil.example", "evil", "javascript:alert(1)", "///evil.example"]
)
async def test_next_never_leaves_the_hub(browser: Browser, service: Service, target: str) -> None:
    secret = await service.add_person("choi02")
    await browser.open("/hub/login")
    await browser.login("choi02", PASSWORD, code_of(secret), query="?next=" + target.replace("\\", "%5C").replace(":", "%3A"))
    assert browser.status == 302
    assert browser.location.startswith("/")
    assert not browser.location.startswith(("//", "/\\"))
    assert browser.location.startswith(("/hub/", "/%5C"))


async def test_first_login_sets_up_the_one_time_password(browser: Browser, service: Service, hub: Hub) -> None:
    await service.add_person("fred", with_token=False)
    await browser.login("fred", query="?next=%2Fhub%2Ftoken")
    assert (browser.status, browser.location) == (302, "/hub/login/step")
    ticket = next(cookie for cookie in browser.headers.getall("Set-Cookie") if cookie.startswith("backendai-login-ticket="))
    assert "HttpOnly" in ticket
    assert "Path=/hub/login" in ticket
    assert "SameSite=Lax" in ticket
    page = await browser.open("/hub/login/step")
    assert browser.headers["Cache-Control"] == "no-store"
    assert page.select_one("svg path")
    assert page.select_one("a[href^='otpauth://totp/Test%20site:fred?secret=']")
    key = page.select_one("#otp-key").get_text()
    # Nobody is known to the hub and nobody is logged in before the last step.
    assert await hub_api(hub, "/users/fred") is None
    assert not await browser.is_logged_in()
    await browser.open("/hub/login/step")
    secret = base64.b32decode(key.replace(" ", ""))
    await browser.submit("otp", otp="000000" if code_of(secret) != "000000" else "000001")
    assert (browser.status, browser.error.startswith("This code is not right")) == (403, True)
    assert browser.page.select_one("#otp-key").get_text() == key
    code = code_of(secret)
    await browser.submit("otp", otp=f"{code[:3]} {code[3:]}")
    assert (browser.status, browser.location) == (302, "/hub/login/step")
    # The recovery codes stay until they are kept, and nobody is logged in before.
    shown = [[item.get_text() for item in (await browser.open("/hub/login/step")).select("#recovery-codes li")] for _ in range(2)]
    assert shown[0] == shown[1]
    assert len(set(shown[0])) == 10
    assert not await browser.is_logged_in()
    await browser.open("/hub/login/step")
    await browser.submit("_xsrf")
    assert (browser.status, browser.location) == (302, "/hub/token")
    assert await browser.is_logged_in()
    assert "backendai-login-ticket" not in browser.cookies()
    # The code that confirmed the token is used up.
    assert not await service.db.run(tokens.consume_step, "fred", otp.step_of(0), 0)


async def test_a_ticket_is_good_once_and_for_its_browser(browser: Browser, service: Service) -> None:
    await service.add_person("gina", with_token=False)
    await browser.login("gina")
    ticket = browser.cookies()["backendai-login-ticket"]
    page = await browser.open("/hub/login/step")
    secret = base64.b32decode(page.select_one("#otp-key").get_text().replace(" ", ""))
    await browser.submit("otp", otp=code_of(secret))
    await browser.open("/hub/login/step")
    await browser.submit("_xsrf")
    await browser.open("/hub/logout")
    browser.http.cookie_jar.update_cookies({"backendai-login-ticket": ticket})
    await browser.open("/hub/login/step")
    assert (browser.status, browser.error) == (410, "This login took too long or was finished already. Log in again.")
    assert browser.page.select_one("[name=username]")
    browser.http.cookie_jar.update_cookies({"backendai-login-ticket": "made-up"})
    await browser.open("/hub/login/step")
    assert browser.status == 410


async def test_enrolment_without_a_ticket_leads_to_the_form(browser: Browser, service: Service) -> None:
    await browser.open("/hub/login/step")
    assert (browser.status, browser.location) == (302, "/hub/login")


async def test_while_the_service_is_away_nobody_comes_in_and_everybody_stays(browser: Browser, service: Service) -> None:
    secret = await service.add_person("hana")
    await browser.login("hana", PASSWORD, code_of(secret))
    assert browser.status == 302
    await service.stop()
    assert await browser.is_logged_in()
    browser.http.cookie_jar.clear()
    await browser.login("hana", PASSWORD, code_of(secret, 1))
    assert browser.status == 503
    assert "not possible right now" in browser.error.lower()
    assert browser.headers["Retry-After"]
    assert browser.page.select_one("[name=username]")["value"] == "hana"
    assert not await browser.is_logged_in()
    await browser.login("rescue", "wrong")
    assert browser.status == 503
    service.start()
    await browser.login("hana", PASSWORD, code_of(secret, 1))
    assert browser.status == 302


async def test_the_emergency_administrator_comes_in_only_then(browser: Browser, service: Service) -> None:
    await browser.login("rescue", EMERGENCY_PASSWORD)
    assert browser.status == 403
    await service.stop()
    deadline = time.monotonic() + 20
    while browser.status != 302 and time.monotonic() < deadline:  # one attempt every few seconds, for all together
        await browser.login("rescue", EMERGENCY_PASSWORD)
    assert await browser.is_logged_in()
    await browser.open("/hub/admin")
    assert browser.status == 200


async def test_who_is_closed_is_logged_out_soon(browser: Browser, service: Service) -> None:
    secret = await service.add_person("ivan")
    await browser.login("ivan", PASSWORD, code_of(secret))
    assert await browser.is_logged_in()

    def close(db) -> None:
        db.scalars(select(models.LocalAccount).where(models.LocalAccount.name == "ivan")).one().is_active = False

    await service.db.run(close)
    deadline = time.monotonic() + 20
    while await browser.is_logged_in():
        assert time.monotonic() < deadline, "still logged in"


async def test_language(browser: Browser, service: Service) -> None:
    page = await browser.open("/hub/login?next=%2Fhub%2Ftoken")
    assert page.html["lang"] == "en"
    await browser.submit("language", language="ko")
    assert (browser.status, browser.location) == (303, "/hub/login?next=%2Fhub%2Ftoken")
    page = await browser.open(browser.location)
    assert page.html["lang"] == "ko"
    await browser.login("nobody", "wrong")
    assert browser.page.html["lang"] == "ko"
    await browser.submit("language", language="tlh")
    assert browser.status == 400
    await browser.open("/hub/login")
    await browser.submit("language", language="en", next="//evil.example/")
    assert (browser.status, browser.location) == (303, "/hub/")


async def test_who_fails_again_and_again_waits(browser: Browser, service: Service) -> None:
    secret = await service.add_person("jack")
    for _ in range(3):
        await browser.login("jack", "wrong")
    await browser.login("jack", PASSWORD, code_of(secret))
    assert (browser.status, browser.error.startswith("Too many attempts. Wait ")) == (429, True)
    assert int(browser.headers["Retry-After"]) >= 1
    assert not await browser.is_logged_in()


async def test_the_code_on_a_page_of_its_own(browser: Browser, service: Service) -> None:
    service.settings.otp_form = "two-step"
    secret = await service.add_person("nora")
    pages = []
    for name, password, code in [("nora", "wrong", code_of(secret)), ("nobody", PASSWORD, "123456"), ("nora", PASSWORD, "")]:
        await browser.login(name, password, query="?next=%2Fhub%2Ftoken")
        assert (browser.status, browser.location) == (302, "/hub/login/step")
        page = await browser.open("/hub/login/step")
        await browser.submit("otp", otp=code)
        pages.append((page.title.text, page.select_one("form.card").get_text().split(), browser.status, browser.error))
        assert not await browser.is_logged_in()
    assert [page == pages[0] for page in pages] == [True] * 3
    assert pages[0][2:] == (403, REFUSED)
    await browser.open("/hub/login/step")
    await browser.submit("otp", otp=code_of(secret))
    assert (browser.status, browser.location) == (302, "/hub/token")
    assert await browser.is_logged_in()


async def test_nobody_says_where_they_are_but_proxies_of_the_site(browser: Browser, service: Service) -> None:
    headers = {"X-Real-Ip": "203.0.113.1", "X-Forwarded-For": "203.0.113.2, 198.51.100.7"}
    page = await browser.open("/hub/login", headers=headers)
    fields = {"_xsrf": page.select_one("[name=_xsrf]")["value"], "username": "olaf", "password": "wrong"}
    await browser.open("/hub/login", "POST", data=fields, headers=headers)
    assert browser.status == 403
    sources = await service.db.run(lambda db: list(db.scalars(select(models.AuditEntry.source).where(models.AuditEntry.actor == "olaf"))))
    assert sources == ["198.51.100.7"]


async def test_the_hubs_rest_interface_asks_for_the_code_too(browser: Browser, service: Service) -> None:
    secret = await service.add_person("kate")
    await service.add_person("liam", with_token=False)
    used = code_of(secret, -1)
    await browser.login("kate", PASSWORD, used)
    assert browser.status == 302
    browser.http.cookie_jar.clear()

    async def ask(name: str, **auth: object) -> int:
        await browser.open(f"/hub/api/users/{name}/tokens", "POST", json={"auth": {"username": name, **auth}})
        return browser.status

    assert await ask("kate", password=PASSWORD) == 403
    assert await ask("kate", password=PASSWORD, decided={"identity": {"name": "kate"}}) == 403
    assert await ask("kate", password=["x"], otp=1) == 403
    assert await ask("liam", password=PASSWORD) == 403
    await service.db.run(lambda db: db.execute(delete(models.LoginFailure)))
    assert await ask("kate", password=PASSWORD, otp=used) == 403
    assert await ask("kate", password=PASSWORD, otp=code_of(secret)) == 201


async def test_a_silent_service_stops_nobody_else(browser: Browser, service: Service, hub: Hub) -> None:
    await service.stop()
    accepted, events, writers = asyncio.Event(), [], []

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        accepted.set()

    path = service.settings.private_url.removeprefix("unix://")
    server = await asyncio.start_unix_server(say_nothing, path)

    async def log_in() -> None:
        await browser.login("mia")
        events.append(f"login {browser.status}")

    waiting = asyncio.create_task(log_in())
    await asyncio.wait_for(accepted.wait(), 10)
    async with aiohttp.ClientSession() as other:
        for address in ("/hub/health", "/hub/login"):
            async with other.get(hub.url + address) as response:
                events.append(f"{address} {response.status}")
    server.close()
    Path(path).unlink(missing_ok=True)
    for writer in writers:
        writer.transport.abort()
    await waiting
    assert events == ["/hub/health 200", "/hub/login 200", "login 503"]
