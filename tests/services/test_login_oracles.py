"""What a stranger could learn from our answers, or keep of a login that is over: each was a hole once, or nearly."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest_asyncio
from sqlalchemy import select, update

from jupyterhub_backendai.core import throttle
from jupyterhub_backendai.identity.append import AppendedCode
from jupyterhub_backendai.services.login import Desk
from jupyterhub_backendai.store import active_logins, logins, models, notes
from jupyterhub_backendai.store.database import Database
from tests.databases import database, database_url, postgres_url, sqlite_template  # noqa: F401 - fixtures

from .desk import Counter, code

HOME, NEIGHBOUR, CAFE = "10.0.0.1", "10.0.0.99", "192.0.2.7"


@pytest_asyncio.fixture
async def counter(database: Database) -> AsyncIterator[Counter]:  # noqa: F811
    yield Counter(database)


async def _answers(counter: Counter, name: str, password: str, times: int, source: str = CAFE) -> list[str]:
    """What is said to somebody who waits for no single attempt."""
    said = []
    for _ in range(times):
        answer = await counter.log_in(name, "000000", password=password, source=source)
        said.append(answer["message"])
        await counter.db.run(logins.clear_failures, f"user:{name}@{throttle.source_net(source)}")
    return said


async def test_a_lock_does_not_say_that_the_password_was_right(database: Database) -> None:  # noqa: F811
    counter = Counter(database, password_lock_after=2)
    counter.settings.directory = "local"
    for name in ("kim01", "lee01"):
        await counter.add(name)
    assert await _answers(counter, "kim01", "right", 4) == await _answers(counter, "lee01", "wrong", 4)


async def test_a_budget_does_not_say_that_the_password_was_right(database: Database) -> None:  # noqa: F811
    counter = Counter(database, directory_locks_after=5)
    for name in ("kim01", "lee01"):
        await counter.add(name)
    assert await _answers(counter, "kim01", "right", 4) == await _answers(counter, "lee01", "wrong", 4)


async def test_a_slow_network_does_not_say_who_was_in_it(counter: Counter) -> None:
    await counter.add("kim01")
    assert (await counter.log_in("kim01", code(), source=HOME))["outcome"] == "ok"
    for number in range(throttle.SOURCE.free):
        await counter.log_in(f"guess{number}", password="x", source=NEIGHBOUR)
    known = await counter.log_in("kim01", code(1), password="wrong", source=NEIGHBOUR)
    stranger = await counter.log_in("lee01", code(1), password="wrong", source=NEIGHBOUR)
    assert (known["message"], known.get("throttled")) == (stranger["message"], stranger.get("throttled"))


async def test_all_other_logins_ended_ends_those_under_way(counter: Counter) -> None:
    """Whoever has the old password may be in the middle of a login when it is changed."""
    await counter.add("kim01", token=False)
    under_way = await counter.log_in("kim01")
    assert under_way["step"] == "enrol"
    await counter.db.run(active_logins.end_other_logins, "kim01")
    assert (await counter.db.run(lambda db: db.scalars(select(models.LoginTicket)).all())) == []


async def test_what_is_in_a_ticket_is_not_kept_after_its_time(counter: Counter) -> None:
    await counter.add("kim01", token=False)
    await counter.log_in("kim01")
    past = models.now() - timedelta(minutes=1)
    await counter.db.run(lambda db: db.execute(update(models.LoginTicket).values(expires_at=past)))
    await counter.db.run(logins.remove_stale, models.now())
    assert await counter.count(models.LoginTicket) == 0


async def test_a_token_set_up_in_the_meantime_is_asked_for(counter: Counter) -> None:
    """A login that began without one, and waits at another step, is not let past it."""
    await counter.add("kim01", token=False)
    counter.directory.reasons["kim01"] = "must-change"
    waits = await counter.log_in("kim01")
    assert waits["step"] == "password"
    await counter.add("kim01")
    answer = await counter.go_on(waits, old="right", new="new-password", again="new-password")
    assert answer["outcome"] != "ok"


async def test_nor_is_who_put_it_off_let_past_one_of_another_browser(database: Database) -> None:  # noqa: F811
    counter = Counter(database, otp_forced_from=[{"from": "2999-01-01"}])
    await counter.add("kim01", token=False)
    await counter.db.run(notes.add_note, "kim01", "Something.", models.now())
    waits = await counter.go_on(await counter.log_in("kim01"), later="1")
    assert waits["step"] == "notes"
    await counter.add("kim01")
    assert (await counter.go_on(waits))["outcome"] == "refused"


async def test_a_code_page_of_the_directory_is_no_way_around_its_lock(database: Database) -> None:  # noqa: F811
    """The directory sees password and code as one password, and counts each."""
    counter = Counter(database, otp_form="two-step", otp_backend="ldap-append", directory_locks_after=5)
    counter.desk = Desk(counter.settings, database, counter.directory, counter.crypt, AppendedCode(counter.directory))
    await counter.add("kim01", token=False)
    person = f"user:kim01@{throttle.source_net(CAFE)}"
    for _ in range(6):
        answer = await counter.log_in("kim01", password="wrong", source=CAFE)
        while answer["outcome"] == "step":
            refused = await counter.go_on(answer, otp="000000")
            await counter.db.run(logins.clear_failures, person)
            if refused.get("over"):
                break
        await counter.db.run(logins.clear_failures, person)
    assert len(counter.directory.asked) == 2


async def test_the_page_for_a_new_password_stays_below_the_directorys_lock(database: Database) -> None:  # noqa: F811
    counter = Counter(database, directory_locks_after=5)
    await counter.add("kim01")
    counter.directory.reasons["kim01"] = "must-change"
    answer = await counter.log_in("kim01", code(), source=CAFE)
    assert answer["step"] == "password"
    wrong = {"old": "wrong", "new": "a long password", "again": "a long password"}
    assert [(await counter.go_on(answer, **wrong))["over"] for _ in range(2)] == [False, True]
    assert (await counter.log_in("kim01", code(1), source=CAFE))["throttled"]


async def test_what_is_no_name_gets_the_code_page_as_well(database: Database) -> None:  # noqa: F811
    counter = Counter(database, otp_form="two-step")
    await counter.add("kim01")
    for name in ("x" * 1000, "kim01\x00", "\ud7a3" * 300):
        answer = await counter.log_in(name, password="wrong", source=CAFE, next_url="/hub/\x00")
        assert answer["step"] == "code"
        assert (await counter.go_on(answer, otp="000000"))["outcome"] == "refused"
