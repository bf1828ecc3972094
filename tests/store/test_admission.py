import asyncio
import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.errors import BackendUnavailable, InvalidParameters, QuotaExceeded
from jupyterhub_backendai.store import models, sessions, settings
from tests.factories import GIB, add_user, make_queue, make_slots, make_spec

ROOT = Path(__file__).parents[2]
QUEUE = make_queue(capacity=make_slots(99, 99 * GIB, 9))


def limit(db, scope, **fields):
    """Limits of the default policy, or of the project or domain ``default``."""
    rows = {
        "keypair": lambda: db.get(models.KeypairResourcePolicy, "default"),
        "project": lambda: db.query(models.Project).filter_by(name="default").one(),
        "domain": lambda: db.get(models.Domain, "default"),
    }
    row = rows[scope]()
    for name, value in fields.items():
        setattr(row, name, value)


@pytest.fixture
async def people(database):
    for name in ("kim01", "lee01"):
        await database.run(add_user, name)
    return database


def admit(database, server_name="", user="kim01", queue=QUEUE, **request):
    return database.run_exclusive(sessions.admit, make_spec(user, server_name, **request), queue, None)


async def test_every_limit_that_is_hit_is_named_with_who_set_it(people):
    for scope, cpu in (("keypair", 4), ("project", 5), ("domain", 6)):
        await people.run(limit, scope, total_resource_slots=ResourceSlots({"cpu": cpu}))
    await people.run(limit, "keypair", max_concurrent_sessions=1)
    await admit(people, "a", cpu=3)
    with pytest.raises(QuotaExceeded) as caught:
        await admit(people, "b", cpu=4)
    assert [(violation.params["owner"], violation.field) for violation in caught.value.violations] == [
        ("default", "cpu"),
        ("default", ""),
        ("default", "cpu"),
        ("default", "cpu"),
    ]
    assert str(caught.value.violations[2]) == (
        "The project default may have 5 of cpu and 3 are in use; you asked for 4, at most 2 fits now."
    )


@pytest.mark.parametrize(
    ("scope", "fields", "request_", "error"),
    [
        ("keypair", {"total_resource_slots": ResourceSlots({"cpu": 2})}, {"cpu": 3}, InvalidParameters),
        ("keypair", {"default_for_unspecified": "limited"}, {}, InvalidParameters),
        ("keypair", {"max_concurrent_sessions": 0}, {}, InvalidParameters),
        ("keypair", {"max_session_lifetime_s": 600}, {"time_s": 601}, InvalidParameters),
        ("keypair", {"max_containers_per_session": 0}, {}, InvalidParameters),
        ("project", {"total_resource_slots": ResourceSlots({"mem": GIB})}, {"mem": 2 * GIB}, InvalidParameters),
        ("domain", {"total_resource_slots": ResourceSlots({"cuda.device": 1})}, {"gpu": 2}, InvalidParameters),
    ],
)
async def test_what_can_never_fit_is_another_error(people, scope, fields, request_, error):
    await people.run(limit, scope, **fields)
    with pytest.raises(error) as caught:
        await admit(people, **request_)
    assert type(caught.value) is error
    assert {violation.rule for violation in caught.value.violations} == {"quota-limit"}
    assert await people.run(sessions.list_live) == ()


@pytest.mark.parametrize("scope", ["project", "domain"])
async def test_what_another_person_holds_counts_until_it_is_released(people, scope):
    await people.run(limit, scope, total_resource_slots=ResourceSlots({"cpu": "2", "mem": "Infinity"}))
    first = await admit(people, user="lee01", cpu=2)
    with pytest.raises(QuotaExceeded):
        await admit(people)
    await people.run_exclusive(sessions.release, first.session_id)
    await admit(people)


async def test_the_default_time_shrinks_to_the_longest_life(people):
    await people.run(limit, "keypair", max_session_lifetime_s=600)
    assert (await admit(people)).time_s == 600


async def test_a_quota_lets_wait_where_there_is_a_line_up_to_the_limit_of_those_who_wait(people):
    queue = make_queue(capacity=make_slots(99, 99 * GIB), scheduler="fifo")
    await people.run(limit, "keypair", max_concurrent_sessions=1, max_pending_session_count=1)
    await admit(people, "a", queue=queue)
    await admit(people, "b", queue=queue)
    assert (await people.run(sessions.list_usage))[queue.name].waiting == 1
    with pytest.raises(QuotaExceeded, match="1 sessions that wait"):
        await admit(people, "c", queue=queue)


async def test_a_frozen_platform_admits_nothing_and_knows_what_it_admitted(people):
    spec = make_spec()
    admission = await people.run_exclusive(sessions.admit, spec, QUEUE, None)
    await people.run(settings.set_setting, Actor("root", Role.SUPERADMIN), "status", {"value": "frozen"})
    with pytest.raises(BackendUnavailable, match="under maintenance"):
        await admit(people, "b")
    assert await people.run_exclusive(sessions.admit, spec, QUEUE, None) == admission


async def ask_from_processes(url, count, people, processes=8):
    arguments = (url, str(count), str(people), str(processes))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.admit_limited", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    answers = json.loads((await process.communicate())[0])
    assert len({answer["process"] for answer in answers}) == processes
    return answers


@pytest.mark.parametrize(
    ("scope", "people", "count"), [("keypair", 1, 200), ("project", 40, 40), ("domain", 40, 40)], ids=["keypair", "project", "domain"]
)
async def test_many_at_once_get_exactly_what_the_limit_allows(database, database_url, scope, people, count):
    def prepare(db):
        for number in range(people):
            add_user(db, f"user{number:03}")
        limit(db, scope, **({"max_concurrent_sessions": 5} if scope == "keypair" else {"total_resource_slots": ResourceSlots({"cpu": 5})}))

    await database.run(prepare)
    answers = await ask_from_processes(database_url, count, people)
    assert [other for answer in answers for other in answer["others"]] == []
    assert sum(answer["admitted"] for answer in answers) == 5
    assert sum((Counter(answer["refused"]) for answer in answers), Counter()) == {"QuotaExceeded": count - 5}
    assert len(await database.run(sessions.list_live)) == 5
