"""Waiting lines in the database: who gets a place, what the others are told, and that a place is given once."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from jupyterhub_backendai.core.scheduling import Placement, Wait
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.errors import InvalidParameters, NotFound
from jupyterhub_backendai.store import models, scheduling, sessions
from tests.factories import GIB, add_user, make_queue, make_spec

QUEUE = make_queue(scheduler="fifo")


@pytest.fixture
async def line(database):
    """kim01, lee01 and park04, and verbs around one queue."""
    for name in ("kim01", "lee01", "park04"):
        await database.run(add_user, name)

    class Line:
        db = database

        async def admit(self, user="kim01", server="", queue=QUEUE, **request):
            spec = make_spec(user, server, **request)
            return await database.run_exclusive(sessions.admit, spec, queue, None)

        async def look(self, queue=QUEUE, later_s=0):
            """Look, give the places; the ids of those that got one."""
            found, _ = await database.run_exclusive(scheduling.look, queue, datetime.now(UTC) + timedelta(seconds=later_s))
            return [place.session_id for place in found.places if await database.run_exclusive(scheduling.give_place, queue, place)]

        async def release(self, admission):
            await database.run_exclusive(sessions.release, admission.session_id)

        async def place(self, admission, queue=QUEUE):
            return await database.run(scheduling.get_place, admission.session_id, lambda _: queue)

    return Line()


async def test_a_full_queue_with_a_line_lets_wait_and_the_next_gets_what_becomes_free(line):
    first = await line.admit(cpu=4, gpu=2)
    second = await line.admit("lee01", cpu=4, gpu=1)
    third = await line.admit("park04", cpu=1)  # would fit beside nobody: the line is strict
    assert [admission.is_waiting for admission in (first, second, third)] == [False, True, True]
    assert second.devices == ()
    assert (await line.place(second)).wait == Wait("new")
    assert await line.look() == []
    assert (await line.place(second)).wait == Wait("resources", 1)
    assert (await line.place(third)).wait == Wait("order", 2)
    usage = (await line.db.run(sessions.list_usage))["local-cpu"]
    assert (usage.sessions, usage.waiting, usage.slots) == (1, 2, make_spec(cpu=4, gpu=2).request.slots)
    await line.release(first)
    assert await line.look() == [second.session_id]
    place = await line.place(second)
    assert (place.wait, place.admission.is_waiting, place.admission.devices) == (None, False, (0,))
    info = await line.db.run(sessions.get, second.session_id)
    assert (info.status, info.wait) == (SessionStatus.SCHEDULED, None)
    assert await line.db.run(scheduling.list_waiting_queues) == {"local-cpu"}


async def test_a_newcomer_does_not_overtake_who_waits(line):
    await line.admit(cpu=3)
    await line.admit("lee01", cpu=2)
    assert (await line.admit("park04", cpu=1)).is_waiting


async def test_asking_twice_while_waiting_gives_the_same_answer(line):
    await line.admit(cpu=4)
    spec = make_spec("lee01")
    again = [await line.db.run_exclusive(sessions.admit, spec, QUEUE, None) for _ in range(2)]
    assert again[0] == again[1]
    assert again[0].is_waiting


async def test_who_gives_up_leaves_the_line(line):
    first = await line.admit(cpu=4)
    second = await line.admit("lee01", cpu=4)
    third = await line.admit("park04")
    await line.release(second)
    place = await line.place(second)
    assert (place.is_over, place.wait) == (True, None)
    assert (await line.db.run(sessions.get, second.session_id)).status is SessionStatus.CANCELLED
    await line.release(first)
    assert await line.look() == [third.session_id]


async def test_waiting_too_long_is_cancelled_with_a_reason(line):
    queue = make_queue(scheduler="fifo", pending_timeout_s=60)
    await line.admit(cpu=4, queue=queue)
    second = await line.admit("lee01", queue=queue)
    assert await line.look(queue, later_s=30) == []
    assert (await line.place(second)).wait
    await line.look(queue, later_s=61)
    place = await line.place(second)
    assert place.is_over
    assert "No place became free" in place.reason
    info = await line.db.run(sessions.get, second.session_id)
    assert (info.status, info.is_live) == (SessionStatus.CANCELLED, False)


async def test_a_blocking_head_is_passed_after_its_tries(line):
    queue = make_queue(scheduler="fifo", num_retries_to_skip=2)
    await line.admit(cpu=3, queue=queue)
    await line.admit("lee01", cpu=4, queue=queue)
    small = await line.admit("park04", cpu=1, queue=queue)
    assert [await line.look(queue) for _ in range(3)] == [[], [], [small.session_id]]


async def test_start_times_and_dependencies(line):
    later = await line.admit("kim01", "later", starts_at="+7200")
    assert later.is_waiting
    assert await line.look() == []
    assert (await line.place(later)).wait.word == "start-time"
    first = await line.admit("kim01", "first", name="train")
    if first.is_waiting:  # behind somebody who waits for a time; the next look lets it pass
        assert await line.look() == [first.session_id]
    second = await line.admit("kim01", "second", depends_on=("train",))
    assert await line.look() == []
    assert (await line.place(second)).wait == Wait("dependency", detail="train")
    await line.db.run(sessions.report, first.session_id, SessionStatus.RUNNING)
    await line.release(first)
    assert await line.look() == [second.session_id]
    assert await line.look(later_s=7201) == [later.session_id]


async def test_a_dependency_that_failed_is_waited_for_for_ever_and_says_so(line):
    first = await line.admit("kim01", "first", name="train")
    second = await line.admit("kim01", "second", depends_on=(first.session_id,))
    await line.db.run(sessions.report, first.session_id, SessionStatus.ERROR, "out of memory")
    await line.release(first)
    assert await line.look() == []
    assert (await line.place(second)).wait == Wait("dependency-failed", detail="train")


@pytest.mark.parametrize("request_", [{"depends_on": ("nothing",)}, {"depends_on": ("lees",)}])
async def test_only_own_sessions_can_be_waited_for(line, request_):
    await line.admit("lee01", name="lees")
    with pytest.raises(InvalidParameters) as caught:
        await line.admit("kim01", **request_)
    assert caught.value.violations[0].field == "depends_on"


async def test_a_queue_without_a_line_says_that_nothing_can_wait_there(line):
    with pytest.raises(InvalidParameters) as caught:
        await line.admit(queue=make_queue(), starts_at="+60", depends_on=("x",))
    assert {violation.field for violation in caught.value.violations} == {"starts_at", "depends_on"}


async def test_drf_favours_who_has_least(line):
    def set_keys(db):
        for user in db.query(models.User):
            db.add(models.Keypair(access_key=f"AK-{user.name}", user_id=user.id, secret_key="x", is_main=True))

    await line.db.run(set_keys)
    queue = make_queue(scheduler="drf")
    await line.admit("kim01", "a", queue=queue, cpu=2)
    blocker = await line.admit("park04", "b", queue=queue, cpu=2)
    await line.admit("kim01", "c", queue=queue, cpu=2)
    lee = await line.admit("lee01", "d", queue=queue, cpu=2)
    assert await line.look(queue) == []
    await line.release(blocker)
    assert await line.look(queue) == [lee.session_id]


async def test_a_place_is_given_once_and_only_while_it_fits(line):
    first = await line.admit(cpu=4)
    waiting = [await line.admit("lee01", str(number), cpu=2) for number in range(4)]
    await line.release(first)
    places = [Placement(admission.session_id, "", ()) for admission in waiting]
    given = await asyncio.gather(*(line.db.run_exclusive(scheduling.give_place, QUEUE, place) for place in [*places, *places]))
    assert sum(given) == 2
    assert not await line.db.run_exclusive(scheduling.give_place, QUEUE, Placement("0" * 32, "", ()))


async def test_an_unknown_session_has_no_place(line):
    with pytest.raises(NotFound):
        await line.db.run(scheduling.get_place, "0" * 32, lambda _: QUEUE)


async def test_who_is_no_longer_active_gets_no_place(line):
    first = await line.admit(cpu=4)
    lee = await line.admit("lee01", cpu=4)
    park = await line.admit("park04", cpu=4)
    await line.release(first)

    def close(db):
        db.query(models.User).filter_by(name="lee01").one().status = models.UserStatus.INACTIVE

    await line.db.run(close)
    assert await line.look() == [park.session_id]
    assert "not active" in (await line.place(lee)).wait.message
    assert not await line.db.run_exclusive(scheduling.give_place, QUEUE, Placement(lee.session_id, "", ()))


async def test_memory_and_devices_are_counted_for_waiting_ones_only_when_placed(line):
    await line.admit(mem=8 * GIB)
    assert (await line.admit("lee01", mem=GIB)).is_waiting


async def test_who_is_over_a_quota_waits_alone_and_is_told_which(line):
    def limit(db):
        policy = models.KeypairResourcePolicy(name="small", total_resource_slots=make_spec(cpu=2, mem=9 * GIB).request.slots)
        db.add(policy)
        db.flush()
        for user in db.query(models.User):
            name = "small" if user.name == "lee01" else "default"
            db.add(models.Keypair(access_key=f"AK-{user.name}", user_id=user.id, secret_key="x", is_main=True, resource_policy=name))

    await line.db.run(limit)
    first = await line.admit(cpu=4)
    lee = [await line.admit("lee01", str(number), cpu=1) for number in range(3)]
    park = await line.admit("park04", cpu=1)
    await line.release(first)
    assert await line.look() == [lee[0].session_id, lee[1].session_id, park.session_id]
    wait = (await line.place(lee[2])).wait
    assert (wait.word, wait.params["owner"], wait.params["slot"]) == ("quota", "small", "cpu")
    assert not await line.db.run_exclusive(scheduling.give_place, QUEUE, Placement(lee[2].session_id, "", ()))
    await line.release(lee[0])
    assert await line.look() == [lee[2].session_id]


async def test_a_look_does_not_wait_for_who_is_just_leaving(line):
    if line.db.engine.dialect.name != "postgresql":
        return  # SQLite locks the whole database, and only for a moment
    await line.admit(cpu=4)
    leaving = await line.admit("lee01")
    staying = await line.admit("park04")
    with Session(line.db.engine) as other, other.begin():
        other.get(models.ComputeSession, leaving.session_id, with_for_update=True)
        async with asyncio.timeout(5):
            assert await line.look() == []
    assert (await line.place(leaving)).wait == Wait("new")
    assert (await line.place(staying)).wait == Wait("order", 2)
