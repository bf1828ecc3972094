"""What the service answers when the hub asks who somebody is now, on both databases, with a directory that knows what a test tells it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.identity import Identity, LocalAccount, Person, Role, Standing, UserStatus
from jupyterhub_backendai.errors import BackendUnavailable, DirectoryUnavailable
from jupyterhub_backendai.services.login import identities
from jupyterhub_backendai.services.login.identities import IdentityDesk
from jupyterhub_backendai.store import users
from jupyterhub_backendai.store.database import Database
from tests.databases import database, database_url, postgres_url, sqlite_template  # noqa: F401 - fixtures
from tests.factories import add_user


class FakeDirectory:
    """A directory that says of everybody what ``standing`` is, once ``gate`` is open."""

    def __init__(self) -> None:
        self.standing = Standing(Person("kim01", groups=("physics",)))
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[tuple[str, LocalAccount | None]] = []

    async def find(self, name: str, account: LocalAccount | None = None) -> Standing:
        self.asked.append((name, account))
        await self.gate.wait()
        if self.error:
            raise self.error
        return self.standing


class Counter:
    """A desk with its parts."""

    def __init__(self, db: Database, **settings: Any) -> None:
        self.db, self.directory = db, FakeDirectory()
        rules = {"project_groups": {"physics": "quarks"}, "admin_groups": ["admins"]}
        self.desk = IdentityDesk(BackendAI(**{"directory": "ldap", **rules, **settings}), db, self.directory)

    async def ask(self, name: str = "kim01") -> Identity | None:
        return await self.desk.get_identity(name)


@pytest_asyncio.fixture
async def counter(database: Database) -> AsyncIterator[Counter]:  # noqa: F811
    await database.run(add_user, "kim01")
    yield Counter(database)


async def test_groups_and_role_follow(counter: Counter) -> None:
    assert (await counter.ask()).projects == ("quarks",)
    counter.directory.standing = Standing(Person("kim01", groups=("admins",), email="new@example.com"))
    found = await counter.ask()
    assert (found.role, found.projects, found.email) == (Role.SUPERADMIN, ("default",), "new@example.com")


@pytest.mark.parametrize("state", ["locked", "closed", "expired"])
async def test_who_may_not_work_is_nobody_and_keeps_the_rows(counter: Counter, state: str) -> None:
    before = await counter.ask()
    counter.directory.standing = Standing(Person("kim01"), state)
    assert await counter.ask() is None
    counter.directory.standing = Standing(None, "removed", detail="unknown")
    assert await counter.ask() is None
    assert await counter.db.run(users.find_identity, "kim01") == before


async def test_whom_no_rule_lets_in_is_nobody(database: Database) -> None:  # noqa: F811
    await database.run(add_user, "kim01")
    counter = Counter(database, allowed_groups=["physics"])
    assert await counter.ask()
    counter.directory.standing = Standing(Person("kim01"))
    assert await counter.ask() is None


async def test_a_directory_that_cannot_say_changes_nothing(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    before = await counter.ask()
    counter.directory.error = DirectoryUnavailable()
    assert await counter.ask() == before
    counter.directory.error = None
    counter.directory.gate.clear()  # silence
    monkeypatch.setattr(identities, "DIRECTORY_S", 0.05)
    assert await counter.ask() == before


async def test_who_never_came_or_is_closed_here_is_not_asked_about(counter: Counter) -> None:
    assert await counter.ask("lee01") is None
    await counter.db.run(users.set_status, "kim01", UserStatus.INACTIVE)
    assert await counter.ask() is None
    assert counter.directory.asked == []


async def test_many_at_once_ask_once(counter: Counter) -> None:
    counter.directory.gate.clear()
    asking = [asyncio.create_task(counter.ask()) for _ in range(20)]
    while not counter.directory.asked:
        await asyncio.sleep(0)
    asking[0].cancel()  # whoever goes away takes nobody along
    counter.directory.gate.set()
    found = await asyncio.gather(*asking[1:])
    assert {identity.projects for identity in found} == {("quarks",)}
    assert len(counter.directory.asked) == 1
    await counter.ask()
    assert len(counter.directory.asked) == 2


async def test_our_own_database_away_is_said_and_not_taken_for_an_answer(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: Any) -> Any:
        raise BackendUnavailable

    monkeypatch.setattr(counter.db, "run", away)
    with pytest.raises(BackendUnavailable):
        await counter.ask()


async def test_the_embedded_directory_is_given_its_row(database: Database) -> None:  # noqa: F811
    await database.run(add_user, "kim01")
    await database.run(users.set_local_account, "kim01", "hash", groups=("physics",))
    counter = Counter(database, directory="local")
    assert await counter.ask()
    assert counter.directory.asked[0][1].groups == ("physics",)
