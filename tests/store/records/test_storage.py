import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.nouns import Query
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.errors import Conflict, Forbidden, InvalidParameters, NotFound
from jupyterhub_backendai.store import vfolder_quotas
from jupyterhub_backendai.store.models import Domain, KeypairResourcePolicy, Project, QuotaScope, VFolder
from jupyterhub_backendai.store.records import RECORDS
from tests.factories import add_user
from tests.factories_folders import HOST, add_folder, add_host

HOSTS, SLOTS = RECORDS["storage_hosts"], RECORDS["resource_slot_types"]
ROOT = Actor("root", Role.SUPERADMIN)
ADMIN = Actor("lee01", Role.ADMIN, "default")
SOMEBODY = Actor("kim01", Role.USER, "default")
ALLOWED = {"local:volume1": ["upload-file"]}


def name_host(db, hosts):
    db.merge(Domain(name="default", allowed_vfolder_hosts=hosts))
    db.flush()
    db.merge(Project(id="p1", name="nlp", domain="default", allowed_vfolder_hosts=hosts))
    db.get(KeypairResourcePolicy, "default").allowed_vfolder_hosts = hosts


async def test_a_storage_host_that_somebody_may_use_stays(database):
    await database.run(HOSTS.add, ROOT, {"name": "local:volume1", "path": "/data/folders"})
    await database.run(name_host, ALLOWED)
    with pytest.raises(Conflict, match="1 policies, 1 domains and 1 projects"):
        await database.run(HOSTS.remove, ROOT, "local:volume1")
    await database.run(name_host, {})
    await database.run(HOSTS.remove, ROOT, "local:volume1")


@pytest.mark.parametrize(
    "data",
    [
        {"name": "a b"},
        {"name": ""},
        {"name": "a:b:c"},
        {"name": "a", "path": "data"},
        {"name": "a", "path": "/data/../etc"},
        {"name": "a", "path": "/"},
    ],
)
async def test_hosts_that_cannot_be(database, data):
    with pytest.raises(InvalidParameters) as caught:
        await database.run(HOSTS.add, ROOT, data)
    assert len(caught.value.violations) == 1


def use_slot(db, slots):
    amounts = ResourceSlots(slots)
    db.merge(Domain(name="default", total_resource_slots=amounts))
    db.get(KeypairResourcePolicy, "default").max_pending_session_resource_slots = amounts


async def test_a_slot_that_is_named_stays(database):
    await database.run(SLOTS.add, ROOT, {"name": "rocm.device", "kind": "count"})
    await database.run(SLOTS.add, ROOT, {"name": "rocm_device", "kind": "count"})
    await database.run(use_slot, {"rocm.device": 2})
    with pytest.raises(Conflict, match=r"keypair_resource_policies \(1\), domains \(1\)"):
        await database.run(SLOTS.remove, ROOT, "rocm.device")
    await database.run(SLOTS.remove, ROOT, "rocm_device")
    await database.run(use_slot, {})
    await database.run(SLOTS.remove, ROOT, "rocm.device")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("cpu", "count"), ("mem", "bytes"), ("A", "count"), ("a.b.c", "count"), ("a b", "count"), ("tpu", "many"), ('a"', "count")],
)
async def test_slots_that_cannot_be(database, name, kind):
    with pytest.raises(InvalidParameters):
        await database.run(SLOTS.add, ROOT, {"name": name, "kind": kind})


async def test_a_new_slot_can_be_used_everywhere(database):
    await database.run(SLOTS.add, ROOT, {"name": "ipu.fraction", "kind": "fraction"})
    change = await database.run(
        RECORDS["keypair_resource_policies"].update, ROOT, "default", {"total_resource_slots": {"ipu.fraction": "0.125"}}
    )
    assert change.after.values["total_resource_slots"].to_json() == {"ipu.fraction": "0.125"}
    with pytest.raises(Forbidden):  # what amounts mean does not change under those who named some
        await database.run(SLOTS.update, ROOT, "ipu.fraction", {"kind": "bytes"})


@pytest.mark.parametrize("records", [HOSTS, SLOTS])
async def test_who_may_see_and_touch_them(database, records):
    await database.run(records.add, ROOT, {"name": "a", **({"kind": "count"} if records is SLOTS else {})})
    assert (await database.run(records.list_page, ADMIN, Query())).total == 1
    with pytest.raises(Forbidden):
        await database.run(records.remove, ADMIN, "a")
    with pytest.raises(NotFound):
        await database.run(records.remove, SOMEBODY, "a")


async def test_a_host_of_the_configuration_file_is_changed_there(database):
    await database.run_exclusive(add_host, "/data/folders")
    with pytest.raises(InvalidParameters) as caught:
        await database.run(HOSTS.update, ROOT, HOST, {"path": "/other", "quota_driver": "xfs", "is_active": False})
    assert [(item.field, item.rule) for item in caught.value.violations] == [("path", "configured"), ("quota_driver", "configured")]
    await database.run(HOSTS.update, ROOT, HOST, {"is_active": False})
    with pytest.raises(Conflict, match="configuration file"):
        await database.run(HOSTS.remove, ROOT, HOST)


async def test_a_host_with_folders_stays_where_it_is(database):
    await database.run(HOSTS.add, ROOT, {"name": "own", "path": "/data/own", "quota_driver": "btrfs"})
    await database.run_exclusive(add_user)
    folder = await database.run_exclusive(add_folder, host="own")
    await database.run_exclusive(vfolder_quotas.reserve, folder, 5)
    record = await database.run(HOSTS.find, ROOT, "own")
    assert (record.values["folder_count"], record.values["quota_driver"], record.values["is_configured"]) == (1, "btrfs", False)
    assert (await database.run(HOSTS.list_page, ROOT, Query(sort="-folder_count"))).total == 1
    with pytest.raises(InvalidParameters, match="nothing moves them"):
        await database.run(HOSTS.update, ROOT, "own", {"path": "/other"})
    with pytest.raises(Conflict, match="1 folders on the storage host own"):
        await database.run(HOSTS.remove, ROOT, "own")
    await database.run(lambda db: db.delete(db.get(VFolder, folder)))
    await database.run(HOSTS.remove, ROOT, "own")


async def test_a_project_with_folders_stays(database):
    await database.run_exclusive(add_user, "kim01", "nlp")
    folder = await database.run_exclusive(add_folder, project="nlp")
    await database.run_exclusive(vfolder_quotas.reserve, folder, 5)
    project = await database.run(lambda db: db.query(Project).filter_by(name="nlp").one().id)
    with pytest.raises(Conflict, match="has 1 folders"):
        await database.run(RECORDS["projects"].remove, ROOT, project)
    await database.run(lambda db: db.delete(db.get(VFolder, folder)))
    await database.run(RECORDS["projects"].remove, ROOT, project)
    assert await database.run(lambda db: db.query(QuotaScope).count()) == 0
