"""Whole logins with the servers of the lab: the directory knows the password, somebody else the code."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import ldap3
import pytest
import pytest_asyncio
from cryptography.fernet import Fernet
from sqlalchemy import select

from jupyterhub_backendai import identity
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core import otp
from jupyterhub_backendai.errors import FactorUnavailable
from jupyterhub_backendai.services.factors import connect_factor
from jupyterhub_backendai.services.login import REFUSED, Attempt, Desk
from jupyterhub_backendai.store import models
from jupyterhub_backendai.store.crypt import Crypt
from jupyterhub_backendai.store.database import Database
from tests import lab
from tests.databases import database, database_url, postgres_url, sqlite_template  # noqa: F401 - fixtures
from tests.slapo_otp import DN, connect_as_root, otp_person  # noqa: F401 - a fixture

pytestmark = pytest.mark.ldap
needs_radius, needs_privacyidea, needs_pam = pytest.mark.radius, pytest.mark.privacyidea, pytest.mark.pam


class Door:
    """A desk with real servers behind it."""

    def __init__(self, db: Database, directory: Path, backend: str, secret: str = "", **settings: Any) -> None:
        (directory / "otp").write_text(secret)
        (directory / "otp").chmod(0o600)
        self.settings = BackendAI(
            **lab.ldap_settings(directory, ldap_servers=[lab.LDAPS_URL], ldap_group_base=""),
            login_pace_s=0,
            otp_backend=backend,
            **({"otp_secret_file": str(directory / "otp")} if secret else {}),
            **settings,
        )
        self.db = db
        self.people = identity.connect(self.settings)
        self.factor = connect_factor(self.settings, db, self.people)
        self.desk = Desk(self.settings, db, self.people, Crypt(Fernet.generate_key().decode()), self.factor)

    async def log_in(self, name: str, code: str = "", password: str | None = None) -> dict[str, Any]:
        return await self.desk.login(Attempt(name, lab.password(name) if password is None else password, code, "192.0.2.1"))

    async def in_time(self, act: Callable[[], Any]) -> dict[str, Any]:
        """The answer to an act with a code, once more when the code's thirty seconds ended meanwhile."""
        step = otp.step_of(time.time())
        answer = await act()
        if answer["outcome"] == "refused" and otp.step_of(time.time()) != step:
            await self.forgive()
            answer = await act()
        return answer

    async def forgive(self) -> None:
        await self.db.run(lambda db: db.query(models.LoginFailure).delete())

    async def reasons(self) -> list[str]:
        def read(db: Any) -> list[str]:
            rows = db.scalars(select(models.AuditEntry).where(models.AuditEntry.action.startswith("login")).order_by(models.AuditEntry.at))
            return [row.details.get("reason", row.result) for row in rows]

        return await self.db.run(read)

    async def close(self) -> None:
        await self.people.close()
        if self.factor:
            await self.factor.close()


@pytest_asyncio.fixture
async def make_door(database: Database, tmp_path: Path) -> AsyncIterator[Callable[..., Door]]:  # noqa: F811
    made: list[Door] = []

    def make(*args: Any, **settings: Any) -> Door:
        made.append(Door(database, tmp_path, *args, **settings))
        return made[-1]

    yield make
    for door in made:
        await door.close()


def radius(make_door: Callable[..., Door], **settings: Any) -> Door:
    return make_door("radius", lab.RADIUS_SECRET, **{"otp_servers": [lab.RADIUS_SERVER], **settings})


@needs_radius
async def test_a_code_over_radius_once(make_door: Callable[..., Door]) -> None:
    door = radius(make_door)
    answer = await door.in_time(lambda: door.log_in("choi02", lab.code("choi02")))
    assert (answer["outcome"], answer["identity"]["name"]) == ("ok", "choi02")
    again = await door.log_in("choi02", lab.code("choi02"))
    assert (again["outcome"], again["message"]) == ("refused", REFUSED)
    assert (await door.reasons())[-1] in {"used-code", "ok"}


@needs_radius
async def test_a_wrong_password_uses_no_code_up(make_door: Callable[..., Door]) -> None:
    door = radius(make_door)
    for password, code in (("wrong", lab.code("choi02")), (None, "000000"), (None, "")):
        answer = await door.log_in("choi02", code, password)
        assert (answer["outcome"], answer["message"], answer["params"]) == ("refused", REFUSED, {})
        await door.forgive()
    assert await door.reasons() == ["wrong-password", "wrong-code", "no-code"]
    assert (await door.in_time(lambda: door.log_in("choi02", lab.code("choi02"))))["outcome"] == "ok"


@needs_radius
async def test_password_and_code_over_radius(make_door: Callable[..., Door]) -> None:
    door = radius(make_door, otp_sends="password+code")
    assert (await door.in_time(lambda: door.log_in("jung02", lab.code("jung02"))))["outcome"] == "ok"


@needs_radius
@pytest.mark.parametrize("form", ["one-page", "two-step"])
async def test_the_server_asks_on_a_page_of_its_own(make_door: Callable[..., Door], form: str) -> None:
    door = radius(make_door, otp_sends="password", otp_form=form)
    assert (await door.log_in("lim02", "", "wrong"))["outcome"] == "refused"
    await door.forgive()

    async def walk(code: str | None = None) -> dict[str, Any]:
        asked = await door.log_in("lim02")
        assert (asked["outcome"], asked["step"]) == ("step", "code")
        page = await door.desk.show_step(asked["ticket"])
        assert page["message"] == "Please enter the number on your card:"
        return await door.desk.confirm_step(asked["ticket"], {"otp": code or lab.code("lim02")})

    wrong = await walk("000000")
    assert (wrong["outcome"], wrong["message"], wrong["over"]) == ("refused", REFUSED, True)
    await door.forgive()
    assert (await door.in_time(walk))["outcome"] == "ok"


@needs_radius
async def test_password_and_code_on_two_pages(make_door: Callable[..., Door]) -> None:
    door = radius(make_door, otp_sends="password+code", otp_form="two-step")

    async def walk() -> dict[str, Any]:
        asked = await door.log_in("jung02")
        assert (asked["outcome"], asked["step"]) == ("step", "code")
        return await door.desk.confirm_step(asked["ticket"], {"otp": lab.code("jung02")})

    assert (await door.in_time(walk))["outcome"] == "ok"


async def test_silence_lets_nobody_in_and_counts_against_nobody(make_door: Callable[..., Door]) -> None:
    door = radius(make_door, otp_servers=["127.0.0.1:9"], otp_timeout_s=0.2)
    for _ in range(8):
        with pytest.raises(FactorUnavailable):
            await door.log_in("choi02", "123456")
    assert await door.reasons() == []


@needs_privacyidea
async def test_a_code_for_privacyidea(make_door: Callable[..., Door]) -> None:
    with contextlib.closing(sqlite3.connect(lab.PRIVACYIDEA_DATABASE, timeout=10)) as tokens, tokens:
        tokens.execute("UPDATE token SET count = 0, failcount = 0")
    door = make_door("privacyidea", otp_servers=[lab.PRIVACYIDEA_URL], otp_ca_file=str(lab.LDAP_CA))
    assert (await door.in_time(lambda: door.log_in("choi03", lab.code("choi03"))))["outcome"] == "ok"
    told = await door.log_in("yoon03", "123456")  # who has no token hears so, after the right password
    assert (told["outcome"], told["message"] == REFUSED) == ("refused", False)
    assert (await door.log_in("yoon03", "123456", "wrong"))["message"] == REFUSED


@needs_pam
async def test_a_code_for_pam(make_door: Callable[..., Door]) -> None:
    lab.PAM_KEYS.write_text(f"HOTP/T30/6 kim03 - {lab.seed('kim03').hex()}\n")
    lab.PAM_KEYS.chmod(0o600)
    door = make_door("pam", otp_pam_service="backendai-lab-code")
    assert (await door.log_in("kim03", "000000"))["message"] == REFUSED
    await door.forgive()
    assert (await door.in_time(lambda: door.log_in("kim03", lab.code("kim03"))))["outcome"] == "ok"


async def test_a_code_behind_the_password(make_door: Callable[..., Door], otp_person: str) -> None:  # noqa: F811
    door = make_door("ldap-append", ldap_user_filter="(&(uid={name})(objectClass=oathTOTPUser))")
    for name, code, password in (
        (otp_person, "", None),
        (otp_person, "000000", None),
        ("kang04", "123456", None),
        ("nobody", "123456", "x"),
    ):
        answer = await door.log_in(name, code, password)
        assert (answer["outcome"], answer["message"]) == ("refused", REFUSED)
        await door.forgive()
    assert await door.reasons() == ["no-code", "wrong-password", "unknown", "unknown"]
    answer = await door.in_time(lambda: door.log_in(otp_person, lab.code(otp_person)))
    assert (answer["outcome"], answer["identity"]["name"]) == ("ok", otp_person)


async def test_a_new_password_where_the_code_stands_behind_it(make_door: Callable[..., Door], otp_person: str) -> None:  # noqa: F811
    door = make_door("ldap-append")
    with connect_as_root() as root:
        root.modify(DN, {"pwdReset": [(ldap3.MODIFY_REPLACE, ["TRUE"])]})
    answer = await door.in_time(lambda: door.log_in(otp_person, lab.code(otp_person)))
    assert (answer["outcome"], answer["step"]) == ("step", "password")
    assert (await door.desk.show_step(answer["ticket"]))["asks_code"]
    new = {"old": lab.password(otp_person), "new": "An0ther!password", "again": "An0ther!password"}
    refused = await door.desk.confirm_step(answer["ticket"], new)
    assert (refused["outcome"], refused["message"]) == ("refused", "The current password is not right.")
    answer = await door.desk.confirm_step(answer["ticket"], {**new, "otp": lab.code(otp_person, 1)})
    assert (answer["outcome"], answer.get("said", "")) == ("ok", "")
