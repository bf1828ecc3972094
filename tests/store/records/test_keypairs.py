import asyncio

import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.nouns import Query
from jupyterhub_backendai.errors import Conflict, InvalidParameters, NotFound
from jupyterhub_backendai.store import sessions
from jupyterhub_backendai.store.models import AuditEntry, Domain, Keypair, KeypairResourcePolicy, User, now
from jupyterhub_backendai.store.records import RECORDS
from jupyterhub_backendai.store.safe import KEY
from tests.factories import add_user, make_queue, make_spec

KEYPAIRS = RECORDS["keypairs"]
ROOT = Actor("root", Role.SUPERADMIN)
ADMIN = Actor("admin", Role.ADMIN, "default")
STRANGER = Actor("park04", Role.ADMIN, "physics")
SOMEBODY = Actor("kim01", Role.USER, "default")


def add_people(db):
    add_user(db, "kim01")
    root_id = add_user(db, "root", role=Role.SUPERADMIN)
    db.add_all([Domain(name="physics"), KeypairResourcePolicy(name="big")])
    db.add(Keypair(access_key="AKROOT", user_id=root_id, secret_key="x", is_main=True))


@pytest.fixture
async def people(kept):
    await kept.run(add_people)
    return kept


async def add(database, actor=ROOT, **data):
    return (await database.run(KEYPAIRS.add, actor, {"user": "kim01", **data})).after.key


async def refuse(database, function, *arguments):
    with pytest.raises(InvalidParameters) as caught:
        await database.run(function, *arguments)
    return {violation.field: violation.rule for violation in caught.value.violations}


async def list_main(database):
    page = await database.run(KEYPAIRS.list_page, ROOT, Query(filters={"user": "kim01", "is_main": "true"}))
    return [record.key for record in page.records]


async def test_the_secret_is_told_once_and_kept_encrypted(people):
    change = await people.run(KEYPAIRS.add, ROOT, {"user": "kim01", "rate_limit": 100})
    key, secret = change.after.key, change.extras["secret_key"]
    assert {name: change.after.values[name] for name in ("user", "domain", "is_main", "is_active", "rate_limit", "resource_policy")} == {
        "user": "kim01",
        "domain": "default",
        "is_main": True,  # the first one of somebody who had none
        "is_active": True,
        "rate_limit": 100,
        "resource_policy": "default",
    }
    stored, rows = await people.run(lambda db: (db.get(Keypair, key).secret_key, [entry.details for entry in db.query(AuditEntry)]))
    assert people.info[KEY].crypt.decrypt(stored, f"keypair:{key}") == secret
    found = await people.run(KEYPAIRS.find, ROOT, key)
    assert secret not in f"{rows}{found}{stored}"
    assert not (await people.run(KEYPAIRS.update, ROOT, key, {"rate_limit": 5})).extras


async def test_one_keypair_is_the_main_one(people):
    first, second = await add(people), await add(people)
    assert await list_main(people) == [first]
    await people.run(KEYPAIRS.update, ROOT, second, {"is_main": True})
    assert await list_main(people) == [second]
    acts = await people.run(
        lambda db: [(row.object, row.details["after"]) for row in db.query(AuditEntry).filter_by(action="keypair.update")]
    )
    assert sorted(acts) == sorted([(first, {"is_main": False}), (second, {"is_main": True})])
    third = await add(people, is_main=True)
    assert await list_main(people) == [third]
    assert await refuse(people, KEYPAIRS.update, ROOT, third, {"is_main": False}) == {"is_main": "last-main"}
    assert await refuse(people, KEYPAIRS.update, ROOT, third, {"is_active": False}) == {"is_active": "inactive-main"}
    await people.run(KEYPAIRS.update, ROOT, first, {"is_active": False})
    assert await refuse(people, KEYPAIRS.update, ROOT, first, {"is_main": True}) == {"is_main": "inactive-main"}
    assert await refuse(people, KEYPAIRS.add, ROOT, {"user": "kim01", "is_main": True, "is_active": False}) == {"is_main": "inactive-main"}


async def test_two_that_become_the_main_one_at_a_time_leave_one(people):
    keys = [await add(people) for _ in range(4)]
    await asyncio.gather(*(people.run(KEYPAIRS.update, ROOT, key, {"is_main": True}) for key in keys))
    assert len(await list_main(people)) == 1
    await asyncio.gather(*(add(people, is_main=True) for _ in range(3)))
    assert len(await list_main(people)) == 1


async def test_what_is_used_stays(people):
    main, other = await add(people), await add(people)
    with pytest.raises(Conflict, match="main"):
        await people.run(KEYPAIRS.remove, ROOT, main)
    with pytest.raises(Conflict, match="inactive first"):
        await people.run(KEYPAIRS.remove, ROOT, other)
    session = await people.run_exclusive(sessions.admit, make_spec(), make_queue(), None)
    await people.run(KEYPAIRS.update, ROOT, other, {"is_active": False})

    def use(db, key):
        db.query(sessions.ComputeSession).one().access_key = key

    await people.run(use, other)
    with pytest.raises(Conflict, match="1 live sessions"):
        await people.run(KEYPAIRS.remove, ROOT, other)
    await people.run(lambda db: setattr(db.query(sessions.ComputeSession).one(), "released_at", now()))
    await people.run(KEYPAIRS.remove, ROOT, other)
    with pytest.raises(NotFound):
        await people.run(KEYPAIRS.find, ROOT, other)
    assert session is not None


async def test_refusals(people):
    assert await refuse(people, KEYPAIRS.add, ROOT, {"user": "nobody", "resource_policy": "none", "rate_limit": -1}) == {
        "rate_limit": "invalid"
    }
    assert await refuse(people, KEYPAIRS.add, ROOT, {"user": "nobody", "resource_policy": "none"}) == {
        "user": "unknown",
        "resource_policy": "unknown",
    }
    key = await add(people)
    assert await refuse(people, KEYPAIRS.update, ROOT, key, {"user": "root"}) == {"user": "fixed"}


async def test_who_may_see_and_touch_what(people):
    key = await add(people, ADMIN)
    assert (await people.run(KEYPAIRS.list_page, ROOT, Query(search="root"))).total == 1
    page = await people.run(KEYPAIRS.list_page, ADMIN, Query(sort="-domain"))
    assert [record.key for record in page.records] == [key]
    assert (await people.run(KEYPAIRS.update, ADMIN, key, {"rate_limit": 7, "resource_policy": "default"})).people == 1
    assert await refuse(people, KEYPAIRS.update, ADMIN, key, {"resource_policy": "big"}) == {"resource_policy": "superadmin"}
    assert await refuse(people, KEYPAIRS.add, ADMIN, {"user": "root"}) == {"user": "superadmin"}
    assert await refuse(people, KEYPAIRS.add, STRANGER, {"user": "kim01"}) == {"user": "unknown"}
    for actor, hidden in ((ADMIN, "AKROOT"), (STRANGER, key), (SOMEBODY, key)):
        for act, *more in ((KEYPAIRS.find,), (KEYPAIRS.update, {"is_active": False}), (KEYPAIRS.remove,)):
            with pytest.raises(NotFound):
                await people.run(act, actor, hidden, *more)
    # whoever becomes a superadmin is out of the domain's administrator's hands
    await people.run(lambda db: setattr(db.query(User).filter_by(name="kim01").one(), "role", Role.SUPERADMIN))
    assert (await people.run(KEYPAIRS.list_page, ADMIN, Query())).total == 0
