import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.nouns import Query
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.errors import Conflict, Forbidden, InvalidParameters, NotFound
from jupyterhub_backendai.store import models, sessions
from jupyterhub_backendai.store.records import RECORDS
from jupyterhub_backendai.store.resource_groups import list_queues, sync
from tests.factories import add_user, make_queue, make_spec

GROUPS = RECORDS["resource_groups"]
ROOT = Actor("root", Role.SUPERADMIN)
ADMIN = Actor("lee01", Role.ADMIN, "default")
SOMEBODY = Actor("kim01", Role.USER, "default")
OWN = {"name": "own", "engine": "local", "capacity": {"cpu": "8", "mem": "16g"}}
FILE = {"file": make_queue("file", projects=("alpha",), scheduler="drf"), "free": make_queue("free")}


async def refused(database, verb, *arguments):
    with pytest.raises(InvalidParameters) as caught:
        await database.run(verb, ROOT, *arguments)
    return {violation.field: violation for violation in caught.value.violations}


async def test_an_administrators_group_becomes_a_queue(database):
    await database.run(add_user, "kim01", "alpha")
    change = await database.run(
        GROUPS.add,
        ROOT,
        {
            **OWN,
            "labels": {"ko": "우리 것"},
            "is_exclusive": "yes",
            "max_time_s": "4h",
            "scheduler": "fifo",
            "pending_timeout_s": "30m",
            "accounts": '{"*": "free"}',
            "domains": ["default"],
            "projects": ["default/alpha"],
        },
    )
    values = change.after.values
    assert (values["is_exclusive"], values["max_time_s"], values["max_sessions"]) == ("yes", 14400, None)
    assert (values["domains"], values["projects"], values["session_count"]) == (("default",), ("default/alpha",), 0)
    queue = (await database.run(list_queues))["own"]
    assert (queue.label("ko"), queue.is_exclusive, queue.scheduler, queue.pending_timeout_s) == ("우리 것", True, "fifo", 1800)
    assert (queue.capacity, queue.account("x")) == (ResourceSlots({"cpu": 8, "mem": 16 * 1024**3}), "free")
    found = await database.run(GROUPS.find, ROOT, "own")
    assert GROUPS.noun.parse(GROUPS.noun.to_json(found.values), is_new=True, strict=False)["pending_timeout_s"] == 1800
    change = await database.run(GROUPS.update, ROOT, "own", {"max_time_s": "Infinity", "projects": [], "is_active": False})
    assert (change.after.values["max_time_s"], change.after.values["projects"], change.people) == (None, (), 1)
    assert "own" not in await database.run(list_queues)
    await database.run(GROUPS.remove, ROOT, "own")
    actions = await database.run(lambda db: [row.action for row in db.query(models.AuditEntry).order_by(models.AuditEntry.at)])
    assert actions == ["resource_group.create", "resource_group.update", "resource_group.delete"]


async def test_a_projects_name_will_do_where_it_is_the_only_one(database):
    await database.run(add_user, "kim01", "alpha", "beta")
    await database.run(lambda db: db.add(models.Domain(name="mars")))
    await database.run(lambda db: db.add(models.Project(domain="mars", name="beta")))
    change = await database.run(GROUPS.add, ROOT, {**OWN, "projects": ["alpha", "default/alpha", "mars/beta"]})
    assert change.after.values["projects"] == ("default/alpha", "mars/beta")
    assert set(await refused(database, GROUPS.update, "own", {"projects": ["beta"]})) == {"projects"}


async def test_what_cannot_be(database):
    found = await refused(database, GROUPS.add, {**OWN, "name": "a b", "engine": "pbs", "domains": ["mars"], "projects": ["x/y"]})
    assert set(found) == {"name", "engine", "domains", "projects"}
    slots = {"capacity": {"mem": "1g"}, "max_slots": {"cpu": "Infinity"}}
    times = {"default_time_s": "2h", "max_time_s": "1h"}
    found = await refused(database, GROUPS.add, {**OWN, **slots, **times, "partition": "a;b", "allowed_session_types": []})
    assert set(found) == {"capacity.cpu", "max_slots.cpu", "default_time_s", "partition", "allowed_session_types"}
    found = await refused(database, GROUPS.add, {"name": "s", "engine": "slurm", "scheduler": "fifo"})
    assert set(found) == {"scheduler"}
    found = await refused(database, GROUPS.add, {**OWN, "max_sessions": "-1", "capacity": {"cpu": "1.5"}, "num_retries_to_skip": "lots"})
    assert set(found) == {"max_sessions", "capacity.cpu", "num_retries_to_skip"}


async def test_the_file_owns_what_it_says(database):
    await database.run(sync, FILE)
    data = {"partition": "x", "capacity": {"cpu": "1"}, "position": 5, "scheduler": "fifo", "is_open": True, "description": "kept"}
    found = await refused(database, GROUPS.update, "file", data)
    assert set(found) == {"partition", "capacity", "position", "scheduler", "is_open"}
    assert found["partition"].message == "This is set in jupyterhub_config.py."
    change = await database.run(GROUPS.update, ROOT, "free", {"scheduler": "fifo", "is_open": False, "is_free": True})
    assert (change.after.values["scheduler"], change.after.values["is_open"]) == ("fifo", False)
    assert (await database.run(GROUPS.find, ROOT, "file")).values["configured_projects"] == ("alpha",)
    with pytest.raises(Conflict, match="jupyterhub_config"):
        await database.run(GROUPS.remove, ROOT, "free")


async def test_in_use_it_stays(database):
    await database.run(add_user)
    await database.run(GROUPS.add, ROOT, {**OWN, "is_open": True})
    queue = (await database.run(list_queues))["own"]
    spec = make_spec(queue="own")
    await database.run_exclusive(sessions.admit, spec, queue, None)
    with pytest.raises(Conflict, match="1 sessions"):
        await database.run(GROUPS.remove, ROOT, "own")
    await database.run(sessions.release, spec.session_id)
    await database.run(lambda db: db.add(models.ResourcePreset(name="p", resource_group="own")))
    with pytest.raises(Conflict, match="presets"):
        await database.run(GROUPS.remove, ROOT, "own")


async def test_who_sees_what(database):
    await database.run(add_user)
    await database.run(lambda db: db.add(models.Domain(name="mars")))
    for name, fields in (
        ("open", {"is_open": True, "domains": ["mars"]}),
        ("ours", {"domains": ["default", "mars"]}),
        ("theirs", {"domains": ["mars"]}),
        ("hidden", {"is_open": True, "is_public": False}),
    ):
        await database.run(GROUPS.add, ROOT, {**OWN, "name": name, **fields})
    page = await database.run(GROUPS.list_page, ADMIN, Query(sort="name"))
    assert [(record.key, record.values["domains"]) for record in page.records] == [("open", ()), ("ours", ("default",))]
    assert page.total == 2
    for name in ("theirs", "hidden"):
        with pytest.raises(NotFound):
            await database.run(GROUPS.find, ADMIN, name)
    with pytest.raises(Forbidden):
        await database.run(GROUPS.update, ADMIN, "ours", {"description": "mine"})
    with pytest.raises(NotFound):
        await database.run(GROUPS.list_page, SOMEBODY, Query())
    page = await database.run(GROUPS.list_page, ROOT, Query(sort="-session_count", filters={"is_public": "false"}))
    assert [record.key for record in page.records] == ["hidden"]


async def test_keypairs_that_stay_keep_who_gave_them(database):
    def fill(db):
        user_id = add_user(db, "kim01")
        db.add(models.ResourceGroup(name="v100", engine="slurm"))
        db.add_all(models.Keypair(access_key=key, user_id=user_id, secret_key="x") for key in ("AKIA1", "AKIA2", "AKIA3"))
        db.flush()
        db.add_all(models.ResourceGroupKeypair(resource_group="v100", access_key=key, source="directory") for key in ("AKIA1", "AKIA2"))

    await database.run(fill)
    await database.run(GROUPS.update, ROOT, "v100", {"keypairs": ["AKIA1", "AKIA3"]})
    rows = await database.run(
        lambda db: [(row.access_key, row.source) for row in db.query(models.ResourceGroupKeypair).order_by("access_key")]
    )
    assert rows == [("AKIA1", "directory"), ("AKIA3", "site")]
