import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.nouns import Query
from jupyterhub_backendai.core.nouns.values import HOST_PERMISSIONS
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.errors import AlreadyExists, Conflict, Forbidden, InvalidParameters, NotFound
from jupyterhub_backendai.store.models import AuditEntry, Keypair, Project, StorageHost, User
from jupyterhub_backendai.store.records import RECORDS
from tests.factories import add_user

KEYPAIR, USER, PROJECT = (RECORDS[f"{kind}_resource_policies"] for kind in ("keypair", "user", "project"))
ROOT = Actor("root", Role.SUPERADMIN)
ADMIN = Actor("lee01", Role.ADMIN, "default")
SOMEBODY = Actor("kim01", Role.USER, "default")
GIB = 1024**3


def add_people(db):
    """kim01 has two keypairs, lee01 one, and both are in the project nlp."""
    for name, count in (("kim01", 2), ("lee01", 1)):
        user_id = add_user(db, name, "nlp")
        db.add_all(Keypair(access_key=f"AK{name}{number}", user_id=user_id, secret_key="x") for number in range(count))


def give(db, model, policy):
    for row in db.query(model):
        row.resource_policy = policy


async def test_a_keypair_policy_is_made_changed_and_removed(database):
    await database.run(lambda db: db.add(StorageHost(name="local:volume1")))
    change = await database.run(
        KEYPAIR.add,
        ROOT,
        {
            "name": "students",
            "total_resource_slots": {"cpu": "8", "mem": "32g", "cuda.shares": "1.5", "cuda.device": "Infinity"},
            "default_for_unspecified": "limited",
            "max_concurrent_sessions": 5,
            "max_session_lifetime_s": "7d",
            "idle_timeout_s": "Infinity",
            "allowed_vfolder_hosts": {"local:volume1": list(reversed(HOST_PERMISSIONS))},
        },
    )
    values = change.after.values
    assert values["total_resource_slots"]["mem"] == 32 * GIB
    assert values["total_resource_slots"]["cuda.device"].is_infinite()
    assert (values["max_session_lifetime_s"], values["idle_timeout_s"], values["max_pending_session_count"]) == (604_800, None, None)
    assert tuple(values["allowed_vfolder_hosts"]["local:volume1"]) == HOST_PERMISSIONS
    shown = KEYPAIR.noun.to_json(values)
    assert (shown["idle_timeout_s"], shown["max_concurrent_sessions"]) == ("Infinity", 5)
    # what is shown can be given back, and then nothing changes
    editable = {name: shown[name] for name in shown if not KEYPAIR.noun.field(name).is_computed}
    change = await database.run(KEYPAIR.update, ROOT, "students", editable)
    assert change.before == change.after
    change = await database.run(KEYPAIR.update, ROOT, "students", {"max_concurrent_sessions": "unlimited", "allowed_vfolder_hosts": {}})
    assert (change.after.values["max_concurrent_sessions"], change.after.values["allowed_vfolder_hosts"]) == (None, {})
    await database.run(KEYPAIR.remove, ROOT, "students")
    rows = await database.run(lambda db: [row.action for row in db.query(AuditEntry).order_by(AuditEntry.at)])
    assert rows == [f"keypair_resource_policy.{verb}" for verb in ("create", "update", "delete")]


async def test_every_absurd_value_is_refused_at_once(database):
    with pytest.raises(InvalidParameters) as caught:
        await database.run(
            KEYPAIR.add,
            ROOT,
            {"name": "x", "max_concurrent_sessions": -1, "idle_timeout_s": "200d", "max_session_lifetime_s": 1, "created_at": "now"},
        )
    assert {item.field for item in caught.value.violations} == {
        "max_concurrent_sessions",
        "idle_timeout_s",
        "max_session_lifetime_s",
        "created_at",
    }
    with pytest.raises(InvalidParameters) as caught:
        await database.run(
            KEYPAIR.add,
            ROOT,
            {
                "name": "x",
                "total_resource_slots": {"cpu": 513, "mem": "2t", "cuda.device": 64},
                "max_pending_session_resource_slots": {"cpu": 10**6},
                "allowed_vfolder_hosts": {"nowhere": ["upload-file"]},
            },
        )
    assert {item.field for item in caught.value.violations} == {
        "total_resource_slots.cpu",
        "total_resource_slots.mem",
        "max_pending_session_resource_slots.cpu",
        "allowed_vfolder_hosts",
    }
    assert "512" in str(caught.value.violations[0])
    with pytest.raises(InvalidParameters):
        await database.run(KEYPAIR.update, ROOT, "default", {"allowed_vfolder_hosts": {"local:volume1": ["fly"]}})
    with pytest.raises(AlreadyExists):
        await database.run(KEYPAIR.add, ROOT, {"name": "default"})


@pytest.mark.parametrize(("records", "model", "count"), [(KEYPAIR, Keypair, 3), (USER, User, 2), (PROJECT, Project, 1)])
async def test_a_policy_in_use_stays_and_says_whom_a_change_hits(database, records, model, count):
    await database.run(add_people)
    await database.run(records.add, ROOT, {"name": "students"})
    await database.run(records.add, ROOT, {"name": "nobodys"})
    await database.run(give, model, "students")
    assert await database.run(records.count_hit, ROOT, "students") == 2
    assert await database.run(records.count_hit, ROOT, "nobodys") == 0
    change = await database.run(
        records.update, ROOT, "students", {next(iter(set(records.noun.field_names) & {"max_vfolder_count", "max_concurrent_sessions"})): 3}
    )
    assert change.people == 2
    with pytest.raises(Conflict, match=f"by {count} "):
        await database.run(records.remove, ROOT, "students")
    with pytest.raises(Conflict, match="everybody"):
        await database.run(records.remove, ROOT, "default")
    page = await database.run(records.list_page, ROOT, Query(sort=f"-{records.counted}"))
    assert [(record.key, record.values[records.counted]) for record in page.records] == [
        ("students", count),
        ("nobodys", 0),
        ("default", 0),
    ]
    await database.run(give, model, "default")
    await database.run(records.remove, ROOT, "students")


@pytest.mark.parametrize("records", [KEYPAIR, USER, PROJECT])
async def test_who_may_see_and_touch_policies(database, records):
    page = await database.run(records.list_page, ADMIN, Query())
    assert [record.key for record in page.records] == ["default"]
    for verb, arguments in (("add", ({"name": "mine"},)), ("update", ("default", {})), ("remove", ("default",))):
        with pytest.raises(Forbidden):
            await database.run(getattr(records, verb), ADMIN, *arguments)
        with pytest.raises(NotFound):
            await database.run(getattr(records, verb), SOMEBODY, *arguments)
    with pytest.raises(NotFound):
        await database.run(records.find, SOMEBODY, "default")


async def test_amounts_of_waiting_sessions_that_nobody_set_are_none(database):
    record = await database.run(KEYPAIR.find, ROOT, "default")
    assert record.values["max_pending_session_resource_slots"] == ResourceSlots()
