"""A whole hub with the lab's LDAP behind it, and with a directory that says nothing."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
from ldap3 import MODIFY_REPLACE

from tests import lab
from tests.identity.conftest import StandIn, stand_in  # noqa: F401 - a fixture
from tests.slapo_otp import connect_as_root

from .conftest import Browser, Hub, Service, code_of, hub_api

pytestmark = [pytest.mark.e2e, pytest.mark.ldap]


@pytest.fixture
def make_service(start_service: Callable[..., Service], tmp_path: Path) -> Callable[..., Service]:
    groups = {"project_groups": {"prj001": "physics", "prj003": "chemistry"}, "admin_groups": ["jhub-admins"]}

    def make(**changes: object) -> Service:
        return start_service(**lab.ldap_settings(tmp_path, **groups, **changes))

    return make


@pytest.mark.parametrize(
    ("name", "groups", "admin"), [("kim01", ["physics"], True), ("kim02", ["chemistry"], False), ("upper", ["default"], False)]
)
async def test_first_login_with_ldap(
    browser: Browser, make_service: Callable[..., Service], hub: Hub, name: str, groups: list[str], admin: bool
) -> None:
    make_service(ldap_servers=[lab.LDAPS_URL] if name == "kim01" else [lab.LDAP_URL])
    await browser.login(name.upper(), lab.password("UPPER" if name == "upper" else name))
    assert browser.location == "/hub/login/step", browser.text
    page = await browser.open(browser.location)
    secret = base64.b32decode(page.select_one("#otp-key").get_text().replace(" ", ""))
    await browser.submit("otp", otp=code_of(secret))
    await browser.open(browser.location)
    await browser.submit("_xsrf")
    assert await browser.is_logged_in()
    model = await hub_api(hub, f"/users/{name}")
    assert (sorted(model["groups"]), model["admin"]) == (groups, admin)
    await browser.open("/hub/logout")
    await browser.login(name, lab.password("UPPER" if name == "upper" else name), code_of(secret, 1))
    assert browser.status == 302


async def test_who_must_change_the_password_hears_what_the_directory_wants(
    browser: Browser, make_service: Callable[..., Service], hub: Hub
) -> None:
    make_service()
    await browser.login("jang05", lab.password("jang05"))
    assert (browser.status, browser.location) == (302, "/hub/login/step")
    await browser.open(browser.location)
    assert browser.page.select_one("[name=new]")["autocomplete"] == "new-password"
    for new, again, words in [
        ("a long new word", "another", "The new password was not typed the same twice."),
        ("", "", "Type the current password and the new one."),
        ("kurz", "kurz", "The new password is too short."),
    ]:
        await browser.submit("new", old=lab.password("jang05"), new=new, again=again)
        assert (browser.status, words in browser.error) == (403, True), browser.error
    await browser.submit("new", old="wrong", new="a long new word", again="a long new word")
    assert (browser.status, "The current password is not right." in browser.error) == (403, True), browser.error
    assert await hub_api(hub, "/users/jang05") is None
    assert not await browser.is_logged_in()


@pytest.fixture
def reset_person() -> Iterator[str]:
    """Somebody of the lab's directory whose password an administrator reset."""
    root, name = connect_as_root(), f"reset{secrets.token_hex(3)}"
    dn = f"uid={name},{lab.LDAP_USER_BASE}"
    root.add(dn, "inetOrgPerson", {"cn": name, "sn": name, "userPassword": lab.password(name)})
    root.modify(dn, {"pwdReset": [(MODIFY_REPLACE, ["TRUE"])]})
    yield name
    root.delete(dn)
    root.unbind()


async def test_a_changed_password_leads_on_to_where_one_was_going(
    browser: Browser, make_service: Callable[..., Service], reset_person: str
) -> None:
    make_service(otp_required=False)
    await browser.login(reset_person, lab.password(reset_person), query="?next=%2Fhub%2Ftoken")
    await browser.open(browser.location)
    new = "a wholly new Passw0rd!"
    await browser.submit("new", old=lab.password(reset_person), new=new, again=new)
    assert (browser.status, browser.location) == (302, "/hub/token"), browser.error
    assert await browser.is_logged_in()
    await browser.open("/hub/logout")
    await browser.login(reset_person, lab.password(reset_person))
    assert browser.status == 403
    await browser.login(reset_person, new)
    assert browser.status == 302


async def test_a_silent_directory_stops_nobody_else(
    browser: Browser,
    make_service: Callable[..., Service],
    hub: Hub,
    stand_in: Callable[..., StandIn],  # noqa: F811
) -> None:
    silent = stand_in()
    make_service(ldap_servers=[f"ldaps://127.0.0.1:{silent.port}"], ldap_receive_timeout_s=2.0)
    events = []

    async def log_in() -> None:
        await browser.login("kim01", lab.password("kim01"))
        events.append(f"login {browser.status}")

    waiting = asyncio.create_task(log_in())
    assert await asyncio.to_thread(silent.accepted.wait, 10)
    async with aiohttp.ClientSession() as other:
        for path in ("/hub/health", "/hub/login", "/hub/health"):
            async with other.get(hub.url + path) as response:
                events.append(f"{path} {response.status}")
    await waiting
    assert events == ["/hub/health 200", "/hub/login 200", "/hub/health 200", "login 503"]
    assert "not possible right now" in browser.error
