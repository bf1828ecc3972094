"""Who is logged in, while the directory changes: a whole hub and an OpenLDAP of the test's own. The hub asks again each second."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import ldap3
import pytest

from jupyterhub_backendai.core.identity import Role, UserStatus
from jupyterhub_backendai.store import models, users
from tests import lab
from tests.forwarder import Forwarder
from tests.slapd import BASE, Slapd

from .conftest import Browser, Hub, Service, hub_api

pytestmark = [pytest.mark.e2e, pytest.mark.ldap]
PEOPLE, PROJECTS = f"ou=people,{BASE}", f"ou=project,{BASE}"


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    server = Slapd(tmp_path_factory.mktemp("refresh") / "ldap")
    server.make()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@dataclass
class Somebody:
    """A person of the directory for one test, and one group of theirs."""

    ldap: Any
    name: str

    @property
    def dn(self) -> str:
        return f"uid={self.name},{PEOPLE}"

    @property
    def password(self) -> str:
        return lab.password(self.name)

    @property
    def group(self) -> str:
        return f"cn=team-{self.name},{PROJECTS}"

    def change(self, **attributes: Any) -> None:
        """Set attributes of the entry; None takes one away."""
        changes = {name: [(ldap3.MODIFY_REPLACE, [] if value is None else [value])] for name, value in attributes.items()}
        self.ldap.modify(self.dn, changes)

    def leave_group(self) -> None:
        self.ldap.modify(self.group, {"member": [(ldap3.MODIFY_REPLACE, [f"uid=kim01,{PEOPLE}"])]})

    def remove(self) -> None:
        self.ldap.delete(self.dn)


@pytest.fixture
def somebody(slapd: Slapd) -> Iterator[Somebody]:
    person = Somebody(slapd.as_root(), f"t{secrets.token_hex(4)}")
    number = 20_000 + secrets.randbelow(40_000)  # the directory wants each once
    posix = {"uidNumber": number, "gidNumber": number, "homeDirectory": f"/home/{person.name}", "loginShell": "/bin/bash"}
    names = {"cn": person.name, "sn": person.name, "userPassword": person.password, "departmentNumber": "hpc"}
    person.ldap.add(person.dn, ["inetOrgPerson", "posixAccount"], {**names, **posix})
    person.ldap.add(person.group, ["groupOfNames"], {"member": person.dn})
    yield person
    person.ldap.unbind()


@pytest.fixture
def make_service(start_service: Callable[..., Service], slapd: Slapd, tmp_path: Path) -> Callable[..., Service]:
    own = {
        "otp_required": False,
        "local_posix": False,
        "ldap_servers": [slapd.url],
        "ldap_ca_file": str(slapd.ca),
        "ldap_user_base": PEOPLE,
        "ldap_group_base": PROJECTS,
        "ldap_connect_timeout_s": 1.0,
        "ldap_receive_timeout_s": 1.0,
        "mapping_rules": [
            {"attribute": "departmentNumber", "value": "left", "allow": False},
            {"group": "team-(?P<team>.*)", "projects": "{team}"},
            {"attribute": "departmentNumber", "value": "boss", "role": "superadmin"},
        ],
    }

    def make(**changes: Any) -> Service:
        return start_service(**lab.ldap_settings(tmp_path, **{**own, **changes}))

    return make


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + 15
    while not await condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.1)


async def make_token(browser: Browser, name: str) -> str:
    """A token that somebody makes for a program of theirs."""
    assert await browser.is_logged_in()
    await browser.open(f"/hub/api/users/{name}/tokens", "POST", json={}, headers={"X-XSRFToken": browser.cookies()["_xsrf"]})
    assert browser.status == 201, browser.text
    return str(json.loads(browser.text)["token"])


async def status_of(hub: Hub, token: str) -> int:
    async with aiohttp.ClientSession(headers={"Authorization": f"token {token}"}) as http, http.get(f"{hub.url}/hub/api/user") as found:
        return found.status


async def is_out(browser: Browser) -> bool:
    return not await browser.is_logged_in()


async def test_groups_rights_and_the_unix_account_follow_while_somebody_is_logged_in(
    browser: Browser, make_service: Callable[..., Service], hub: Hub, somebody: Somebody
) -> None:
    service = make_service()
    await browser.login(somebody.name, somebody.password)
    assert await browser.is_logged_in(), browser.text
    model = await hub_api(hub, f"/users/{somebody.name}")
    assert (model["groups"], model["admin"]) == ([somebody.name], False)
    somebody.leave_group()
    somebody.change(departmentNumber="boss", homeDirectory="/scratch/new")

    async def is_admin() -> bool:
        assert await browser.is_logged_in()
        model = await hub_api(hub, f"/users/{somebody.name}")
        return (model["groups"], model["admin"]) == (["default"], True)

    await until(is_admin, "the hub's groups and rights")
    found = await service.db.run(users.find_identity, somebody.name)
    assert (found.role, found.projects, found.posix.home) == (Role.SUPERADMIN, ("default",), "/scratch/new")

    async def is_user() -> bool:
        assert await browser.is_logged_in()
        return not (await hub_api(hub, f"/users/{somebody.name}"))["admin"]

    # As long as nobody else is one, a superadmin stays.
    somebody.change(departmentNumber="hpc", homeDirectory="/scratch/other")

    async def is_moved() -> bool:
        assert await browser.is_logged_in()
        return (await service.db.run(users.find_identity, somebody.name)).posix.home == "/scratch/other"

    await until(is_moved, "the second change")
    assert not await is_user()
    await service.db.run(lambda db: db.add(models.User(name="root", domain="default", role=Role.SUPERADMIN)))
    await until(is_user, "no superadmin any longer")


@pytest.mark.parametrize(
    ("attribute", "value", "before"),
    [
        ("pwdAccountLockedTime", "000001010000Z", None),
        ("loginShell", "/usr/sbin/nologin", "/bin/bash"),
        ("departmentNumber", "left", "hpc"),
    ],
)
async def test_who_is_locked_closed_or_refused_is_out_and_comes_back(
    browser: Browser, make_service: Callable[..., Service], hub: Hub, somebody: Somebody, attribute: str, value: str, before: str | None
) -> None:
    make_service()
    await browser.login(somebody.name, somebody.password)
    token = await make_token(browser, somebody.name)
    assert await status_of(hub, token) == 200
    somebody.change(**{attribute: value})
    await until(lambda: is_out(browser), "the browser is out")

    async def token_is_refused() -> bool:
        return await status_of(hub, token) == 403

    await until(token_is_refused, "programs are out too")
    somebody.change(**{attribute: before})
    await until(browser.is_logged_in, "the browser is in again")
    assert await status_of(hub, token) == 200


async def test_who_is_removed_is_out(browser: Browser, make_service: Callable[..., Service], hub: Hub, somebody: Somebody) -> None:
    make_service()
    await browser.login(somebody.name, somebody.password)
    assert await browser.is_logged_in()
    somebody.remove()
    await until(lambda: is_out(browser), "the browser is out")
    await browser.login(somebody.name, somebody.password)
    assert browser.status == 403


async def test_who_is_closed_here_is_out_for_good(
    browser: Browser, make_service: Callable[..., Service], hub: Hub, somebody: Somebody
) -> None:
    """The cookies of before do not work any longer when the account is opened again."""
    service = make_service()
    await browser.login(somebody.name, somebody.password)
    assert await browser.is_logged_in()
    await service.db.run(users.set_status, somebody.name, UserStatus.INACTIVE)
    await until(lambda: is_out(browser), "the browser is out")
    await service.db.run(users.set_status, somebody.name, UserStatus.ACTIVE)
    assert await is_out(browser)
    await browser.login(somebody.name, somebody.password)
    assert await browser.is_logged_in()


async def test_an_outage_of_the_directory_logs_nobody_out(
    browser: Browser, make_service: Callable[..., Service], hub: Hub, slapd: Slapd, somebody: Somebody
) -> None:
    forwarder = Forwarder("127.0.0.1", slapd.port)
    await forwarder.start()
    service = make_service(ldap_servers=[f"ldap://127.0.0.1:{forwarder.port}"])
    await browser.login(somebody.name, somebody.password)
    assert await browser.is_logged_in(), browser.text
    await forwarder.stop()
    before = await service.db.run(users.find_identity, somebody.name)
    end = time.monotonic() + 2.5  # longer than the hub believes an answer
    while time.monotonic() < end:
        assert await browser.is_logged_in()
        await asyncio.sleep(0.2)
    assert await service.db.run(users.find_identity, somebody.name) == before
    await forwarder.start()
    somebody.remove()
    await until(lambda: is_out(browser), "the directory is asked again")
    await forwarder.stop()


async def test_every_spelling_of_a_name_is_one_person(
    browser: Browser, make_service: Callable[..., Service], hub: Hub, somebody: Somebody
) -> None:
    service = make_service()
    wide = "".join(chr(ord(char) + 0xFEE0) for char in somebody.name)
    for typed in (somebody.name, somebody.name.upper(), f"  {somebody.name} ", wide, wide.upper(), f"{somebody.name}\u3000"):
        browser.http.cookie_jar.clear()
        await browser.login(typed, somebody.password)
        assert await browser.is_logged_in(), typed
    assert await service.db.run(lambda db: db.query(models.User).count()) == 1
    assert await service.db.run(lambda db: db.query(models.Keypair).count()) == 1
    models_of_hub = await hub_api(hub, "/users")
    assert [model["name"] for model in models_of_hub if model["name"].casefold().startswith("t")].count(somebody.name) == 1
    # neither blanks within, nor characters that are not seen
    for typed in (f"{somebody.name[:3]} {somebody.name[3:]}", f"{somebody.name}\u200b", f"{somebody.name}\u00ad"):
        browser.http.cookie_jar.clear()
        await browser.login(typed, somebody.password)
        assert browser.status in (403, 429), typed
    assert await service.db.run(lambda db: db.query(models.User).count()) == 1
