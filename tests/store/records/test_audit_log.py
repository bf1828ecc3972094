from datetime import timedelta

import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.nouns import Query
from jupyterhub_backendai.errors import Forbidden, InvalidParameters, NotFound
from jupyterhub_backendai.store import audit
from jupyterhub_backendai.store.models import AuditEntry, Domain, Keypair, User, now
from jupyterhub_backendai.store.records import RECORDS
from tests.factories import add_user

AUDIT = RECORDS["audit_log"]
ROOT = Actor("root", Role.SUPERADMIN)
ADMIN = Actor("admin", Role.ADMIN, "default")
STRANGER = Actor("park04", Role.ADMIN, "physics")
SOMEBODY = Actor("kim01", Role.USER, "default")
ACTS = [  # the first is the oldest
    ("root", "domain.create", "kim01"),  # a domain of that name, no person
    ("root", "user.update", "kim01"),
    ("root", "user.update", "choi01"),
    ("kim01", "login", "kim01"),
    ("admin", "project.create", "1234"),
    ("park04", "keypair.delete", "AKKIM01"),
    ("root", "user.update", "root"),
    ("system:root", "setting.update", "status"),
]


def add_acts(db):
    kim01 = add_user(db, "kim01")
    add_user(db, "admin", role=Role.ADMIN)
    add_user(db, "root", role=Role.SUPERADMIN)
    db.add_all([Domain(name="physics"), Keypair(access_key="AKKIM01", user_id=kim01, secret_key="x")])
    for name in ("choi01", "park04"):
        db.get(User, add_user(db, name)).domain = "physics"
    for number, (actor, action, name) in enumerate(ACTS):
        result = "refused" if action == "login" else "ok"
        audit.record(db, actor=actor, action=action, object=name, source="192.0.2.1", result=result, details={"number": number})
        db.flush()
        db.query(AuditEntry).filter_by(actor=actor, action=action, object=name).one().at = now() - timedelta(days=len(ACTS) - number)


@pytest.fixture
async def log(database):
    await database.run(add_acts)
    return database


async def list_acts(database, actor=ROOT, **query):
    page = await database.run(AUDIT.list_page, actor, Query(**query))
    assert page.total == len(page.records)
    return [(record.values["actor"], record.values["action"], record.values["object"]) for record in page.records]


async def test_everything_the_newest_first(log):
    assert await list_acts(log) == ACTS[::-1]
    page = await log.run(AUDIT.list_page, ROOT, Query(page_size=1))
    assert (await log.run(AUDIT.find, ROOT, page.records[0].key)).values["details"] == {"number": 7}


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"filters": {"actor": "park04"}}, [5]),
        ({"filters": {"action": "user.update"}}, [6, 2, 1]),
        ({"filters": {"object": "kim01"}}, [3, 1, 0]),
        ({"filters": {"result": "refused"}}, [3]),
        ({"search": "USER."}, [6, 2, 1]),
        ({"sort": "actor", "filters": {"object": "kim01", "action": "login"}}, [3]),
    ],
)
async def test_acts_are_found(log, query, numbers):
    assert await list_acts(log, **query) == [ACTS[number] for number in numbers]


async def test_acts_of_a_time(log):
    since, until = ((now() - timedelta(days=days, hours=1)).isoformat() for days in (3, 2))
    assert await list_acts(log, filters={"since": since, "until": until}) == [ACTS[5]]
    assert len(await list_acts(log, filters={"since": since})) == 3
    with pytest.raises(InvalidParameters) as caught:
        await list_acts(log, filters={"since": "yesterday"})
    assert [violation.field for violation in caught.value.violations] == ["since"]


async def test_a_domains_administrator_reads_of_the_domains_people(log):
    assert await list_acts(log, ADMIN) == [ACTS[number] for number in (5, 4, 3, 1)]
    assert await list_acts(log, STRANGER) == [ACTS[number] for number in (5, 2)]
    page = await log.run(AUDIT.list_page, ROOT, Query(filters={"object": "status"}))
    with pytest.raises(NotFound):
        await log.run(AUDIT.find, ADMIN, page.records[0].key)
    with pytest.raises(NotFound):
        await list_acts(log, SOMEBODY)


async def test_nobody_changes_it(log):
    key = (await log.run(AUDIT.list_page, ROOT, Query())).records[0].key
    for act, *more in ((AUDIT.update, {"actor": "x"}), (AUDIT.remove,)):
        with pytest.raises(Forbidden):
            await log.run(act, ROOT, key, *more)
