"""Signing up, confirming an address and a forgotten password, on both databases and with a real mail server."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography.fernet import Fernet
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket

from jupyterhub_backendai.client import ServiceClient
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core import throttle
from jupyterhub_backendai.core.accounts import hash_word
from jupyterhub_backendai.core.identity import Person, Role, UserStatus
from jupyterhub_backendai.core.mapping import Mapped
from jupyterhub_backendai.errors import BackendAIError, Forbidden, InvalidParameters, NotFound, TooManyRequests
from jupyterhub_backendai.identity.local import verify
from jupyterhub_backendai.identity.mail import make_mailer
from jupyterhub_backendai.services.accounts import AccountDesk, check_settings
from jupyterhub_backendai.services.app import end_tasks, make_private_app
from jupyterhub_backendai.services.hub import HubClient
from jupyterhub_backendai.services.login import REFUSED
from jupyterhub_backendai.services.login.attempts import Keys
from jupyterhub_backendai.store import accounts, logins, mapping, models, users
from jupyterhub_backendai.store.database import Database
from jupyterhub_backendai.store.models import now
from tests.databases import database, database_url, postgres_url, sqlite_template  # noqa: F401 - fixtures
from tests.fakes import FakeHub
from tests.services.desk import Counter as LoginCounter
from tests.smtp import MailServer, mail_server, text_of

PASSWORD = "good-pass1"
FORM = {"username": "Kim01", "email": "Kim01@Example.org", "display_name": " 김  01 ", "password": PASSWORD, "again": PASSWORD}
SOURCE = "10.0.0.1"
LINK = re.compile(r"https://hub\.example\.org/hub/account/(\w+)\?token=([\w-]+)")


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2's real cost is for tests/identity."""
    from argon2 import PasswordHasher

    monkeypatch.setattr("jupyterhub_backendai.identity.local._hasher", PasswordHasher(1, 8, 1))


@pytest_asyncio.fixture
async def sqlite_db(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Database]:  # noqa: F811
    """For what no database is different about."""
    shutil.copy(sqlite_template, tmp_path / "one.sqlite")
    opened = Database(f"sqlite:///{tmp_path / 'one.sqlite'}")
    yield opened
    await opened.close()


@dataclass
class Counter:
    """A desk with a database, a mail server, and short ways to use them."""

    desk: AccountDesk
    db: Database
    mail: MailServer
    settings: BackendAI

    async def sign_up(self, source: str = SOURCE, language: str = "en", **fields: str) -> dict[str, Any]:
        return await self.desk.sign_up({**FORM, **fields}, source, language)

    async def wrong(self, **fields: str) -> dict[str, str]:
        """What is wrong with a form, by field."""
        with pytest.raises(InvalidParameters) as caught:
            await self.sign_up(**fields)
        return {violation.field: violation.rule for violation in caught.value.violations}

    async def status(self, name: str) -> str:
        return (await self.db.run(lambda db: db.scalar(select(models.User.status).where(models.User.name == name)))).value

    async def token(self, count: int, kind: str) -> str:
        """The word of the link in the newest of so many mails."""
        await self.desk.finish()
        found = LINK.search(text_of((await self.mail.mails(count))[-1]))
        assert found
        assert found.group(1) == kind
        return found.group(2)

    async def log_in(self, name: str) -> Any:
        """What the login makes of somebody whose password was right."""
        mapped = Mapped(True, Role.USER, "default", ("default",))
        return await self.db.run_exclusive(mapping.sync_login, Person(name), mapped, frozenset(), ("AKIA" + "X" * 16, "x"), now())


@asynccontextmanager
async def counter(db: Database, **settings: Any) -> AsyncIterator[Counter]:
    async with mail_server() as server:
        defaults = {"mail_server": server.address, "mail_tls": "none", "mail_from": "hub@example.org", "site_name": "Test"}
        defaults |= {"public_hub_url": "https://hub.example.org/hub/", "sign_up": True, "forgotten_password": True, "directory": "local"}
        made = BackendAI(**{**defaults, **settings})
        check_settings(made)
        mailer = make_mailer(made)
        desk = AccountDesk(made, db, mailer)
        yield Counter(desk, db, server, made)
        await desk.finish()
        await mailer.close()


# -- signing up


def list_names(db: Session) -> list[str]:
    return list(db.scalars(select(models.LocalAccount.name)))


async def test_an_account_at_once(database: Database) -> None:  # noqa: F811
    async with counter(database) as at:
        assert await at.sign_up() == {"outcome": "done"}
        account = await database.run(users.get_local_account, "kim01")
        assert verify(account.password_hash, PASSWORD)
        assert (account.email, account.display_name, account.has_signed_up) == ("kim01@example.org", "김 01", True)
        assert await at.status("kim01") == "active"
        identity = await database.run(users.get_identity, "kim01")
        assert (identity.domain, identity.is_admin, identity.role.value) == ("default", False, "user")
        assert at.mail.came == []


async def test_off_is_not_there(database: Database) -> None:  # noqa: F811
    async with counter(database, sign_up=False, forgotten_password=False) as at:
        with pytest.raises(NotFound):
            await at.sign_up()
        with pytest.raises(NotFound):
            await at.desk.forget_password("kim01", SOURCE, "en")


async def test_everything_wrong_is_said_at_once(database: Database) -> None:  # noqa: F811
    async with counter(database, sign_up_terms={"en": "Be kind."}, sign_up_invitation_required=True) as at:
        bad = {"username": "a b", "email": "nobody", "display_name": "x" * 65, "password": "short", "again": "other"}
        assert set(await at.wrong(**bad)) == {"username", "email", "display_name", "password", "again", "invitation", "agrees"}
        assert await database.run(list_names) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("username", ""),
        ("username", "x" * 65),
        ("username", "root"),
        ("username", "ADMIN"),
        ("username", "boss"),
        ("username", "../etc"),
        ("email", "x" * 60 + "@y.kr"),
        ("email", "kim01@exämple.org"),
        ("email", "a@b.kr\nBcc: c@d.kr"),
        ("email", "a@b@c.kr"),
        ("password", "no-digit-here"),
        ("password", "nospecial1"),
        ("password", "a-1" * 400),
        ("again", "good-pass2"),
    ],
)
async def test_what_is_not_taken(sqlite_db: Database, field: str, value: str) -> None:
    async with counter(sqlite_db, admin_users=["Boss"]) as at:
        fields = {"again": value} if field == "password" else {}
        assert field in await at.wrong(**{field: value, **fields})


async def test_a_name_or_address_that_somebody_has(database: Database) -> None:  # noqa: F811
    async with counter(database) as at:
        await at.sign_up()
        assert await at.wrong() == {"username": "taken", "email": "taken"}
        assert await at.wrong(email="new@example.org", username="ＫＩＭ０１ ") == {"username": "taken"}
        assert await at.wrong(username="lee01", email=" KIM01@example.ORG") == {"email": "taken"}
        # somebody whom the administrator made without a password
        await database.run(lambda db: db.add(models.User(name="park04", email="Park04@x.kr", domain="default")))
        assert await at.wrong(username="park04", email="c@d.kr") == {"username": "taken"}
        assert await at.wrong(username="choi02", email="park04@x.kr") == {"email": "taken"}


async def test_one_of_twenty_at_once(database: Database) -> None:  # noqa: F811
    async with counter(database) as at:
        answers = await asyncio.gather(*(at.sign_up(username=f"kim0{n % 2}") for n in range(20)), return_exceptions=True)
        assert [answer for answer in answers if not isinstance(answer, InvalidParameters)] == [{"outcome": "done"}]
        assert len(await database.run(list_names)) == 1


async def test_terms_that_were_agreed_to_are_known(database: Database) -> None:  # noqa: F811
    async with counter(database, sign_up_terms={"en": "Be kind.", "ko": "친절히."}) as at:
        assert await at.wrong() == {"agrees": "required"}
        await at.sign_up(agrees="1")
        kept = await database.run(lambda db: db.get(models.LocalAccount, "kim01").agreed_terms)
        assert len(kept) == 64


# -- confirming the address


async def test_a_mailed_link_confirms_the_address(database: Database) -> None:  # noqa: F811
    async with counter(database, sign_up_verification_required=True) as at:
        assert await at.sign_up(language="ko") == {"outcome": "verify"}
        token = await at.token(1, "verify")
        assert at.mail.came[0]["To"] == "kim01@example.org"
        assert await at.status("kim01") == "before-verification"
        with pytest.raises(Forbidden):
            await at.log_in("kim01")
        assert await at.desk.show_link(token, "verify", SOURCE) == {"name": "kim01"}  # looking uses nothing up
        with pytest.raises(NotFound):
            await at.desk.show_link(token, "reset", SOURCE)
        assert await at.desk.verify(token, SOURCE) == {"outcome": "done", "name": "kim01"}
        with pytest.raises(NotFound):
            await at.desk.verify(token, SOURCE)
        assert (await at.log_in("kim01")).is_active


async def test_a_link_is_good_once_and_not_for_ever(database: Database) -> None:  # noqa: F811
    async with counter(database, sign_up_verification_required=True) as at:
        await at.sign_up()
        token = await at.token(1, "verify")
        answers = await asyncio.gather(*(at.desk.verify(token, f"10.0.{n}.1") for n in range(10)), return_exceptions=True)
        assert sum(not isinstance(answer, NotFound) for answer in answers) == 1
        await at.sign_up(username="lee01", email="lee01@example.org")
        token = await at.token(2, "verify")
        await database.run(lambda db: db.execute(update(models.AccountLink).values(expires_at=now())))
        with pytest.raises(NotFound):
            await at.desk.verify(token, SOURCE)
        for wrong in ("", "x", token[:-1], "é" * 100):
            with pytest.raises(NotFound):
                await at.desk.verify(wrong, "10.9.9.9")


async def test_with_verification_nobody_learns_whose_an_address_is(database: Database) -> None:  # noqa: F811
    async with counter(database, sign_up_verification_required=True) as at:
        await at.sign_up()
        await at.desk.verify(await at.token(1, "verify"), SOURCE)
        assert await at.sign_up(username="choi02") == {"outcome": "verify"}
        await at.desk.finish()
        told = text_of((await at.mail.mails(2))[1])
        assert "kim01" in told
        assert "token" not in told
        assert await database.run(users.get_local_account, "choi02") is None
        assert await at.wrong(username="kim01") == await at.wrong(username="kim01", email="nobody@example.org") == {"username": "taken"}


async def test_a_link_that_nobody_opened_gives_name_and_address_back(database: Database) -> None:  # noqa: F811
    async with counter(database, sign_up_verification_required=True) as at:
        await at.sign_up()
        token = await at.token(1, "verify")
        assert await at.wrong(email="new@example.org") == {"username": "taken"}
        long_ago = now() - timedelta(days=3)
        await database.run(lambda db: db.execute(update(models.LocalAccount).values(signed_up_at=long_ago)))
        assert await at.sign_up(email="new@example.org") == {"outcome": "verify"}
        assert (await database.run(users.get_local_account, "kim01")).email == "new@example.org"
        with pytest.raises(NotFound):  # the old link is nobody's
            await at.desk.verify(token, SOURCE)


# -- approval and invitation


async def test_approval_is_asked_for_and_told(database: Database) -> None:  # noqa: F811
    async with counter(database, sign_up_approval_required=True, sign_up_notify=["boss@example.org"]) as at:
        assert await at.sign_up(language="en") == {"outcome": "approval"}
        (asked,) = await at.mail.mails(1)
        assert asked["To"] == "boss@example.org"
        assert "https://hub.example.org/services/backendai/admin/users/kim01" in text_of(asked)
        with pytest.raises(Forbidden):
            await at.log_in("kim01")
        await database.run(users.set_status, "kim01", UserStatus.ACTIVE)
        # as many services as there are tell it once
        running = [asyncio.create_task(at.desk.run()) for _ in range(3)]
        await at.mail.mails(2)
        await end_tasks(running)
        told = (await at.mail.mails(2))[1:]
        assert [mail["To"] for mail in told] == ["kim01@example.org"]
        assert "https://hub.example.org/hub/login" in text_of(told[0])
        assert (await at.log_in("kim01")).is_active


async def test_link_and_approval_both(database: Database) -> None:  # noqa: F811
    async with counter(database, sign_up_approval_required=True, sign_up_verification_required=True, sign_up_notify=["b@x.kr"]) as at:
        await at.sign_up()
        token = await at.token(1, "verify")
        assert await at.desk.verify(token, SOURCE) == {"outcome": "approval", "name": "kim01"}
        assert (await at.mail.mails(2))[1]["To"] == "b@x.kr"
        assert await at.status("kim01") == "before-verification"


async def invite(db: Database, word: str = "WORD", **fields: Any) -> None:
    values = {"token_hash": hash_word(word), "domain": "default", "name": word, **fields}
    await db.run(users.insert_missing, models.Domain, name=values["domain"], description="", is_active=True, created_at=now())
    await db.run(lambda db: db.add(models.SignUpInvitation(**values)))


async def test_an_invitation_is_for_so_many(database: Database) -> None:  # noqa: F811
    async with counter(database, sign_up_invitation_required=True) as at:
        assert await at.wrong() == {"invitation": "required"}
        assert await at.wrong(invitation="nothing") == {"invitation": "unknown"}
        await invite(database, max_uses=2)
        words = [at.sign_up(username=f"p{n}", email=f"p{n}@x.kr", invitation="wo-rd ") for n in range(5)]
        answers = await asyncio.gather(*words, return_exceptions=True)
        assert answers.count({"outcome": "done"}) == 2
        assert len(await database.run(list_names)) == 2


async def test_an_invitation_says_where_and_to_whom(database: Database) -> None:  # noqa: F811
    async with counter(database, sign_up_invitation_required=True) as at:
        await database.run(lambda db: db.add(models.Domain(name="physics")))
        await database.run(lambda db: db.add(models.Project(domain="physics", name="quarks")))
        await invite(
            database, domain="physics", projects=["quarks", "gone"], email="Kim01@example.org", expires_at=now() + timedelta(days=1)
        )
        assert await at.wrong(username="choi02", email="choi02@x.kr", invitation="WORD") == {"invitation": "unknown"}
        await at.sign_up(invitation="WORD")
        identity = await database.run(users.get_identity, "kim01")
        assert (identity.domain, identity.projects) == ("physics", ("quarks",))
        assert (await at.log_in("kim01")).domain == "physics"
        await invite(database, "LATE", expires_at=now() - timedelta(seconds=1))
        assert await at.wrong(username="lee01", email="b@x.kr", invitation="LATE") == {"invitation": "unknown"}


async def test_who_guesses_words_waits(database: Database) -> None:  # noqa: F811
    async with counter(database, sign_up_invitation_required=True) as at:
        for n in range(10):
            await at.wrong(invitation=f"guess{n}")
        with pytest.raises(TooManyRequests):
            await asyncio.gather(*(at.sign_up(invitation=f"more{n}") for n in range(3)))
        await invite(database, "RIGHT")
        with pytest.raises(TooManyRequests):  # nor does the right word say that it is one
            await at.sign_up(invitation="RIGHT")


# -- a forgotten password


async def test_a_new_password_by_mail(database: Database) -> None:  # noqa: F811
    async with counter(database) as at:
        await at.sign_up()
        for typed in (" KIM01 ", "kim01@EXAMPLE.org"):
            await at.desk.forget_password(typed, SOURCE, "en")
            await at.desk.finish()
        first, second = [LINK.search(text_of(mail)).group(2) for mail in await at.mail.mails(2)]
        assert {mail["To"] for mail in at.mail.came} == {"kim01@example.org"}
        with pytest.raises(InvalidParameters):
            await at.desk.reset_password(first, "weak", "weak", SOURCE)
        lock = Keys("kim01", SOURCE).lock
        await database.run_exclusive(logins.count_failure, lock, throttle.Budget(1, 1200), now())
        assert await at.desk.reset_password(first, "other-pass1", "other-pass1", SOURCE) == "kim01"
        assert await database.run(logins.remaining_wait_s, lock, now()) == 0
        account = await database.run(users.get_local_account, "kim01")
        assert verify(account.password_hash, "other-pass1")
        for token in (first, second):  # the other link is over too
            with pytest.raises(NotFound):
                await at.desk.reset_password(token, PASSWORD, PASSWORD, SOURCE)
        assert "changed" in (await at.mail.mails(3))[2]["Subject"]


async def test_nobody_learns_who_is_there(database: Database) -> None:  # noqa: F811
    async with counter(database) as at:
        await at.sign_up()
        for typed in ("nobody", "nobody@example.org", "", "kim01\n", "%", "x" * 900):
            assert await at.desk.forget_password(typed, SOURCE, "en") is None
        await at.desk.finish()
        assert at.mail.came == []


async def test_no_way_back_for_who_is_closed(database: Database) -> None:  # noqa: F811
    async with counter(database) as at:
        await at.sign_up()
        await at.desk.forget_password("kim01", SOURCE, "en")
        token = await at.token(1, "reset")
        await database.run(users.set_status, "kim01", UserStatus.INACTIVE)
        await at.desk.forget_password("kim01", SOURCE, "en")
        await at.desk.finish()
        assert len(at.mail.came) == 1
        await database.run(lambda db: db.execute(update(models.LocalAccount).values(is_active=False)))
        with pytest.raises(NotFound):
            await at.desk.reset_password(token, "other-pass1", "other-pass1", SOURCE)


async def test_a_changed_address_voids_the_link(database: Database) -> None:  # noqa: F811
    async with counter(database) as at:
        await at.sign_up()
        await at.desk.forget_password("kim01", SOURCE, "en")
        token = await at.token(1, "reset")
        await database.run(lambda db: db.execute(update(models.LocalAccount).values(email="new@example.org")))
        with pytest.raises(NotFound):
            await at.desk.reset_password(token, "other-pass1", "other-pass1", SOURCE)


async def test_nobody_fills_a_mailbox(database: Database) -> None:  # noqa: F811
    async with counter(database) as at:
        await at.sign_up()
        for n in range(9):
            await at.desk.forget_password("kim01", f"10.0.{n}.1", "en")
            await at.desk.finish()
        assert len(await at.mail.mails(5)) == 5
        with pytest.raises(TooManyRequests):
            await asyncio.gather(*(at.desk.forget_password("nobody", SOURCE, "en") for _ in range(25)))


async def test_who_never_opened_the_first_link_gets_it_again(database: Database) -> None:  # noqa: F811
    async with counter(database, sign_up_verification_required=True) as at:
        await at.sign_up()
        await at.token(1, "verify")
        await at.desk.forget_password("kim01", SOURCE, "en")
        assert await at.desk.verify(await at.token(2, "verify"), SOURCE) == {"outcome": "done", "name": "kim01"}


async def test_mail_in_korean(sqlite_db: Database) -> None:
    async with counter(sqlite_db, sign_up_verification_required=True) as at:
        await at.sign_up(language="ko")
        await at.token(1, "verify")
        assert at.mail.came[0]["Subject"].startswith("Test: ")


async def test_a_mail_server_that_is_away_stops_nobody(sqlite_db: Database) -> None:
    async with counter(sqlite_db, sign_up_verification_required=True, mail_server="127.0.0.1:1") as at:
        assert await at.sign_up() == {"outcome": "verify"}
        await at.desk.forget_password("kim01", SOURCE, "en")
        await at.desk.finish()


@pytest.mark.parametrize(
    "settings",
    [
        {"sign_up": True, "directory": "ldap"},
        {"forgotten_password": True, "mail_server": ""},
        {"sign_up_verification_required": True, "public_hub_url": ""},
    ],
)
async def test_settings_that_cannot_work(settings: dict[str, Any]) -> None:
    defaults = {"mail_server": "localhost:25", "mail_from": "a@b.kr", "public_hub_url": "https://x/hub/"}
    with pytest.raises(BackendAIError):
        check_settings(BackendAI(**{**defaults, **settings}))


async def test_old_links_are_forgotten(database: Database) -> None:  # noqa: F811
    at = now()
    await database.run_exclusive(accounts.add_link, "x" * 64, "reset", "kim01", "a@b.kr", at - timedelta(days=2))
    await database.run(accounts.remove_stale_links, at)
    assert await database.run(lambda db: db.scalar(select(models.AccountLink.id))) is None


# -- what the login and the private listener make of it


async def test_who_is_not_verified_yet_takes_no_step_that_leads_nowhere(database: Database) -> None:  # noqa: F811
    at = LoginCounter(database)
    await at.add("kim01", token=False)
    async with counter(database, sign_up_verification_required=True) as accounts_counter:
        await accounts_counter.sign_up()
        answer = await at.log_in("kim01")
        assert (answer["outcome"], answer["message"]) == ("refused", mapping.REFUSALS[UserStatus.BEFORE_VERIFICATION])
        await at.forgive()
        assert (await at.log_in("kim01", password="wrong"))["message"] == REFUSED
        await accounts_counter.desk.verify(await accounts_counter.token(1, "verify"), SOURCE)
        await at.forgive()
        assert (await at.log_in("kim01"))["step"] == "enrol"


async def test_over_the_private_listener(sqlite_db: Database, tmp_path: Path) -> None:
    secrets = {"private": "s" * 32, "cookie": "c" * 32, "crypt": Fernet.generate_key().decode()}
    (tmp_path / "secrets.json").write_text(json.dumps(secrets))
    (tmp_path / "secrets.json").chmod(0o600)
    async with counter(sqlite_db, state_dir=str(tmp_path)) as at:
        hub = FakeHub()
        runner = await hub.start()
        client = HubClient(hub.url, hub.let_in("backendai", "service-token", kind="service"))
        server = HTTPServer(make_private_app(at.settings, sqlite_db, people=None, mail=None, hub=client, account_desk=at.desk))
        server.add_socket(bind_unix_socket(str(tmp_path / "private.sock"), 0o600))
        service = ServiceClient(at.settings.private_url, "s" * 32)
        assert await service.account("sign-up", **FORM, source=SOURCE, language="en") == {"outcome": "done"}
        with pytest.raises(InvalidParameters) as caught:
            await service.account("sign-up", **FORM, source=SOURCE, language="en")
        assert {violation.field for violation in caught.value.violations} == {"username", "email"}
        for bad in ({"typed": "x" * 2000}, {"typed": "a\x00b"}, {"typed": ["kim01"]}, {"typed": "\ud800"}):
            with pytest.raises(InvalidParameters):
                await service.account("forgotten", **bad)
        assert await service.account("forgotten", typed="kim01", source=SOURCE, language="en") == {}
        token = await at.token(1, "reset")
        assert await service.account("link", token=token, kind="reset", source=SOURCE) == {"name": "kim01"}
        assert await service.account("reset", token=token, password="other-pass1", again="other-pass1", source=SOURCE) == {"name": "kim01"}
        with pytest.raises(NotFound):
            await service.account("verify", token=token, source=SOURCE)
        await service.close()
        server.stop()
        await server.close_all_connections()
        await client.close()
        await runner.cleanup()
