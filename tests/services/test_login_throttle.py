"""Who has to wait at the login, and who must not have to because of somebody else."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from sqlalchemy import select

from jupyterhub_backendai.core import throttle
from jupyterhub_backendai.services import login
from jupyterhub_backendai.store import logins, models, notes
from jupyterhub_backendai.store.database import Database
from tests.databases import database, database_url, postgres_url, sqlite_template  # noqa: F401 - fixtures

from .desk import Counter, code

HOME, CAFE = "10.0.0.1", "192.0.2.7"


@pytest_asyncio.fixture
async def counter(database: Database) -> AsyncIterator[Counter]:  # noqa: F811
    yield Counter(database)


async def count(counter: Counter, key: str, failures: int) -> None:
    """As if so many had failed just now."""

    def keep(db: Any) -> None:
        db.merge(models.LoginFailure(key=key, count=failures, until=None, updated_at=models.now()))

    await counter.db.run(keep)


async def test_strangers_do_not_keep_the_owner_out(counter: Counter) -> None:
    await counter.add("kim01")
    assert (await counter.log_in("kim01", code(), source=HOME))["outcome"] == "ok"
    for _ in range(5):
        await counter.log_in("kim01", password="wrong", source=CAFE)
    assert (await counter.log_in("kim01", code(1), source=CAFE))["throttled"]
    await count(counter, "user:kim01", 1000)
    await count(counter, login.attempts.EVERYBODY, 1000)
    started = time.monotonic()
    assert (await counter.log_in("kim01", code(1), source=HOME))["outcome"] == "ok"
    assert time.monotonic() - started < throttle.LONGEST_DELAY_S


async def test_a_known_network_does_not_wait_for_its_neighbours(counter: Counter) -> None:
    await counter.add("kim01")
    await counter.add("lee01")
    assert (await counter.log_in("kim01", code(), source=HOME))["outcome"] == "ok"
    for number in range(30):
        await counter.log_in(f"guess{number}", password="x", source="10.0.0.99")
    assert (await counter.log_in("lee01", code(), source=HOME))["throttled"]
    assert (await counter.log_in("kim01", code(1), source=HOME))["outcome"] == "ok"


async def test_a_name_under_attack_is_slow_and_open(counter: Counter) -> None:
    await counter.add("kim01")
    await count(counter, "user:kim01", throttle.STRANGERS.free)
    started = time.monotonic()
    assert (await counter.log_in("kim01", code(), source=CAFE))["outcome"] == "ok"
    assert time.monotonic() - started >= 0.25


async def test_codes_are_not_tried_on_and_on_from_everywhere(counter: Counter) -> None:
    await counter.add("kim01")
    for number in range(throttle.CODES.free):
        assert (await counter.log_in("kim01", "000000", source=f"10.{number}.0.1"))["message"] == login.REFUSED
    refused = await counter.log_in("kim01", code(), source=CAFE)
    assert (refused["outcome"], refused["message"], "throttled" in refused) == ("refused", login.REFUSED, False)
    assert (await counter.reasons())[-1] == "too-many-codes"
    told = await counter.db.run(notes.list_notes, "kim01")
    assert ["change your password now" in note.message for note in told] == [True]
    # the right one from a known place is taken all the same
    await counter.db.run(logins.remember_source, "kim01", throttle.source_net(HOME), models.now())
    assert (await counter.log_in("kim01", code(), source=HOME))["step"] == "notes"


async def test_the_directory_does_not_lock_because_of_us(database: Database) -> None:  # noqa: F811
    counter = Counter(database, directory_locks_after=5, directory_locks_within_s=300.0)
    await counter.add("kim01")
    assert (await counter.log_in("kim01", code(), source=HOME))["outcome"] == "ok"
    counter.directory.asked.clear()
    for number in range(6):
        for source in (f"10.{number}.0.1", HOME):
            await counter.log_in("kim01", password="wrong", source=source)
    assert len(counter.directory.asked) == 4
    assert (await counter.log_in("kim01", code(1), source=HOME))["throttled"]


async def test_what_is_known_is_kept_in_the_database(counter: Counter, database_url: str) -> None:  # noqa: F811
    await counter.add("kim01")
    for _ in range(3):
        await counter.log_in("kim01", password="wrong")
    other = Database(database_url)  # as after a restart
    again = Counter(other)
    again.directory = counter.directory
    assert (await again.log_in("kim01", code()))["throttled"]
    await other.close()


async def test_old_rows_are_removed(counter: Counter) -> None:
    await counter.db.run(logins.remember_source, "kim01", "10.0.0.0/24", models.now() - logins.KEEP_SOURCE * 2)
    await counter.db.run(logins.remember_source, "kim01", "10.0.1.0/24", models.now())
    await counter.db.run(logins.remove_stale, models.now())
    assert await counter.db.run(lambda db: list(db.scalars(select(models.LoginSource.net)))) == ["10.0.1.0/24"]


async def test_more_than_ten_wrong_passwords_lock_the_network_out_and_nobody_else(database: Database) -> None:  # noqa: F811
    counter = Counter(database)
    counter.settings.directory = "local"
    await counter.add("kim01")
    for _ in range(10):
        assert "throttled" not in await counter.log_in("kim01", password="wrong", source=CAFE)
        await counter.forgive()
    assert (await counter.log_in("kim01", code(), source=CAFE))["outcome"] == "ok"  # in a row: the right one begins anew
    for _ in range(11):
        assert "throttled" not in await counter.log_in("kim01", password="wrong", source=CAFE)
        await counter.db.run(logins.clear_failures, f"user:kim01@{throttle.source_net(CAFE)}")
    answer = await counter.log_in("kim01", code(1), source=CAFE)
    assert answer["throttled"]
    assert 1190 <= answer["params"]["seconds"] <= 1200
    assert (await counter.log_in("kim01", code(1), source=HOME))["outcome"] == "ok"
