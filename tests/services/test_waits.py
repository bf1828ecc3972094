"""The private calls about waits: what the past says, what owners wish, and what was told at the admission."""

import time

import pytest
from sqlalchemy import select

from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.core.waits import Expectation, History, expect
from jupyterhub_backendai.errors import InvalidParameters, NotFound
from jupyterhub_backendai.services.waits import WaitsReader, describe_usual
from jupyterhub_backendai.store import models
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import make_slots, make_spec
from tests.factories_waits import add_past_session
from tests.services.private import figures, people, service, settings

__all__ = ["database", "database_url", "figures", "people", "postgres_url", "service", "settings", "sqlite_template"]


def fill(db, count=20, queue="batch", wait_s=60.0):
    kim = db.scalars(select(models.User.id).where(models.User.name == "kim01")).one()
    for number in range(count):
        add_past_session(db, kim, queue, wait_s * (number + 1), ago_s=86400.0)


def find_told(db, session_id):
    return db.get_one(models.ComputeSession, session_id).told


async def test_the_hub_asks_for_the_past_of_a_queue(service, people):
    await people.run(fill)
    found = await service.find_history("batch", "cpu-small", time.time())
    assert (found.past, found.basis) == (20, "size-hour")
    assert expect(found) == Expectation(120.0, 600.0, 1080.0, 20)
    assert (await service.find_history("batch", "gpu-1", time.time())).basis == "hour"
    assert await service.find_history("nowhere", "cpu-small", time.time()) == History()
    assert await service.find_history("batch", "cpu-small", float("nan")) == History()
    assert await service.find_history("vip", "cpu-small", time.time()) == History()
    with pytest.raises(InvalidParameters):
        await service._call("GET", "/private/waits?queue=batch&since=yesterday")


async def test_a_history_is_read_once_for_everybody(people):
    await people.run(fill)
    reader = WaitsReader(people)
    before = await reader.history("batch", "cpu-small", time.time())
    await people.run(fill)
    assert await reader.history("batch", "cpu-small", time.time()) is before
    assert (await reader.history("batch", "gpu-1", time.time())).past == 20
    assert await reader.expect("batch", make_slots(1)) == expect(before)
    assert (await reader.accuracy("batch")).told == 0


async def test_what_was_expected_is_kept_with_the_session(service, people, figures):
    figures.set_row("batch")
    first = make_spec(queue="batch")
    await service.admit(first)
    assert await people.run(find_told, first.session_id) == {}
    await people.run(fill, 20, "local-cpu")
    second = make_spec(user="lee01", project="alpha")
    await service.admit(second)
    told = Expectation.from_json(await people.run(find_told, second.session_id))
    assert (told.low_s, told.middle_s, told.high_s, told.past) == (120, 600, 1080, 20)


async def test_owners_say_how_long_to_wait(service, people, figures):
    figures.set_row("batch")
    spec = make_spec(queue="batch")
    admission = await service.admit(spec)
    assert (admission.give_up_at, admission.wants_mail) == (None, False)
    kept = await service.save_wishes(spec.session_id, "kim01", 7200, wants_mail=True)
    assert kept["give_up_at"] == pytest.approx(admission.waits_since + 7200)
    assert (kept["gives_up_by_wish"], kept["wants_mail"]) == (True, True)
    again = await service.admit(spec)
    assert (again.give_up_at, again.wants_mail) == (kept["give_up_at"], True)
    assert (await service.save_wishes(spec.session_id, "kim01", None, wants_mail=False))["give_up_at"] is None
    with pytest.raises(NotFound):
        await service.save_wishes(spec.session_id, "lee01", 7200, wants_mail=True)
    with pytest.raises(NotFound):
        await service.save_wishes(models.new_id(), "kim01", 7200, wants_mail=True)
    for wrong in (59, 10**9, True, "7200", 1.5):
        with pytest.raises(InvalidParameters):
            await service.save_wishes(spec.session_id, "kim01", wrong, wants_mail=True)
    await service.report(spec.session_id, SessionStatus.RUNNING.value)
    with pytest.raises(NotFound):
        await service.save_wishes(spec.session_id, "kim01", 7200, wants_mail=True)


@pytest.mark.parametrize(
    ("expected", "english"),
    [
        (None, ""),
        (Expectation(1, 2, 3, 0, by_scheduler=True), ""),
        (Expectation(1, 2, 3, 9), "usually at once (of 9 sessions)"),
        (Expectation(1, 300, 1230, 120), "usually up to 20 min (of 120 sessions)"),
        (Expectation(290, 600, 1230, 120), "usually 5 min to 20 min (of 120 sessions)"),
        (Expectation(290, 300, 310, 120), "usually about 5 min (of 120 sessions)"),
        (Expectation(7300, 90000, None, 50), "often more than 2 h (of 50 sessions)"),
    ],
)
def test_what_is_usual_in_words(expected, english):
    assert describe_usual("en", expected) == english
