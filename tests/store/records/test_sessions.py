from datetime import timedelta

import pytest
from sqlalchemy import insert

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.nouns import Query
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.errors import Forbidden, NotFound
from jupyterhub_backendai.store import sessions
from jupyterhub_backendai.store.models import ComputeSession, Domain, Project, User, new_id, now
from jupyterhub_backendai.store.records import RECORDS
from tests.factories import add_user, make_queue, make_slots, make_spec

SESSIONS = RECORDS["sessions"]
ROOT = Actor("root", Role.SUPERADMIN)
ADMIN = Actor("admin", Role.ADMIN, "default")
STRANGER = Actor("park04", Role.ADMIN, "physics")
SOMEBODY = Actor("kim01", Role.USER, "default")
PAST = 100_000


def add_people(db):
    add_user(db, "kim01", "alpha")
    add_user(db, "lee01", "beta")
    db.add(Domain(name="physics"))
    user = db.get(User, add_user(db, "choi01"))
    user.domain = "physics"
    db.add(Project(domain="physics", name="optics"))


@pytest.fixture
async def started(database):
    """kim01 runs one and ran another, lee01 waits for one; by user and server name."""
    await database.run(add_people)
    queues = {"local-cpu": make_queue(), "big": make_queue("big")}
    found = {}
    for user, server, queue, project in (
        ("kim01", "old", "local-cpu", "alpha"),
        ("kim01", "work", "big", "alpha"),
        ("lee01", "lab", "local-cpu", "beta"),
    ):
        spec = make_spec(user=user, server_name=server, queue=queue, project=project, name=f"{server}_1")
        await database.run_exclusive(sessions.admit, spec, queues[queue], None)
        found[server] = spec.session_id
    await database.run(sessions.report, found["work"], SessionStatus.RUNNING)
    await database.run(sessions.release, found["old"], "")
    return found


async def keys(database, actor=ROOT, **query):
    page = await database.run(SESSIONS.list_page, actor, Query(**query))
    assert page.total == len(page.records)
    return [record.key for record in page.records]


async def test_what_a_session_says(database, started):
    values = (await database.run(SESSIONS.find, ROOT, started["work"])).values
    shown = ("user", "domain", "project", "resource_group", "status", "is_live", "slots", "server_name", "engine")
    assert tuple(values[name] for name in shown) == (
        "kim01",
        "default",
        "alpha",
        "big",
        "RUNNING",
        True,
        make_slots(),
        "work",
        "local",
    )
    assert set(values) == set(SESSIONS.noun.field_names)
    assert (await database.run(SESSIONS.find, ROOT, started["old"])).values["is_live"] is False


@pytest.mark.parametrize(
    ("query", "servers"),
    [
        ({}, ["lab", "work", "old"]),
        ({"filters": {"status": "RUNNING"}}, ["work"]),
        ({"filters": {"status": "no-such"}}, []),
        ({"filters": {"is_live": "true"}}, ["lab", "work"]),
        ({"filters": {"is_live": "false"}}, ["old"]),
        ({"filters": {"user": "lee01"}}, ["lab"]),
        ({"filters": {"user": "nobody"}}, []),
        ({"filters": {"project": "alpha", "resource_group": "big"}}, ["work"]),
        ({"filters": {"project": "default/beta"}}, ["lab"]),
        ({"filters": {"project": "physics/beta"}}, []),
        ({"filters": {"domain": "physics"}}, []),
        ({"search": "OLD_"}, ["old"]),
        ({"search": "ee01"}, ["lab"]),
        ({"sort": "-user"}, ["lab", "work", "old"]),
        ({"sort": "resource_group", "filters": {"user": "kim01"}}, ["work", "old"]),
        ({"sort": "user", "filters": {"user": "kim01"}, "search": "work"}, ["work"]),
    ],
)
async def test_sessions_are_found(database, started, query, servers):
    found = await keys(database, **query)
    if query.get("sort") == "-user":  # the two of one person come by their ids
        found[1:] = sorted(found[1:], key=[started["work"], started["old"]].index)
    assert found == [started[server] for server in servers]


async def test_who_may_see_what_and_nobody_changes_one(database, started):
    assert len(await keys(database, ADMIN)) == 3
    assert await keys(database, STRANGER) == []
    with pytest.raises(NotFound):
        await database.run(SESSIONS.find, STRANGER, started["work"])
    with pytest.raises(NotFound):
        await keys(database, SOMEBODY)
    for act, *more in ((SESSIONS.update, {"name": "x"}), (SESSIONS.remove,)):
        with pytest.raises(Forbidden):
            await database.run(act, ROOT, started["work"], *more)
    assert SESSIONS.noun.may(ADMIN, "terminate")
    assert not SESSIONS.noun.may(SOMEBODY, "terminate")


def add_past(db):
    user_id = add_user(db, "jung03")
    at = now()
    row = {
        "user_id": user_id, "domain": "default", "project": "default", "queue": "local-cpu", "engine": "local", "environment": "base",
        "interface": "lab", "status": SessionStatus.TERMINATED, "slots": make_slots(), "time_limit_s": 60,
    }  # fmt: skip
    moments = [at - timedelta(minutes=number) for number in range(PAST)]
    rows = [{**row, "id": new_id(), "created_at": past, "terminated_at": past, "released_at": past} for past in moments]
    db.execute(insert(ComputeSession), rows)


async def test_a_page_of_very_many(database):
    await database.run(add_past)
    for actor in (ROOT, ADMIN):
        page = await database.run(SESSIONS.list_page, actor, Query(page_size=50))
        assert (len(page.records), page.total) == (50, PAST)
        assert page.records[0].values["created_at"] > page.records[-1].values["created_at"]
