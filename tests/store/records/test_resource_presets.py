import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.nouns import Query
from jupyterhub_backendai.errors import Forbidden, InvalidParameters, NotFound
from jupyterhub_backendai.store.models import ResourceGroup, ResourceSlotType
from jupyterhub_backendai.store.records import RECORDS

PRESETS = RECORDS["resource_presets"]
ROOT = Actor("root", Role.SUPERADMIN)
ADMIN = Actor("lee01", Role.ADMIN, "default")
SOMEBODY = Actor("kim01", Role.USER, "default")
SMALL = {"name": "small", "labels": {"en": "Small", "ko": "작게"}, "resource_slots": {"cpu": 2, "mem": "4g"}, "shared_memory_bytes": "1g"}


def add_group(db):
    db.add(ResourceGroup(name="gpu", engine="local"))
    db.flush()


async def test_a_preset_is_made_changed_and_removed(database):
    await database.run(add_group)
    change = await database.run(PRESETS.add, ROOT, SMALL)
    assert change.after.key == "small"
    assert change.after.values["resource_group"] == ""
    change = await database.run(PRESETS.update, ROOT, "small", {"resource_group": "gpu", "position": 3})
    assert PRESETS.noun.to_json(change.after.values) | {"created_at": ""} == {
        "name": "small",
        "labels": {"en": "Small", "ko": "작게"},
        "resource_group": "gpu",
        "resource_slots": {"cpu": "2", "mem": "4294967296"},
        "shared_memory_bytes": 1024**3,
        "position": 3,
        "created_at": "",
    }
    change = await database.run(PRESETS.update, ROOT, "small", {"resource_group": None, "shared_memory_bytes": 0})
    assert (change.after.values["resource_group"], change.after.values["shared_memory_bytes"]) == ("", 0)
    await database.run(PRESETS.remove, ROOT, "small")
    with pytest.raises(NotFound):
        await database.run(PRESETS.find, ROOT, "small")


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"resource_slots": {"mem": "4g"}}, {"resource_slots.cpu"}),
        ({"resource_slots": {"cpu": 0}}, {"resource_slots.cpu", "resource_slots.mem"}),
        ({"resource_slots": {"cpu": "Infinity", "mem": "4g"}}, {"resource_slots.cpu"}),
        ({"resource_slots": {"cpu": "1.5", "mem": "lots", "tpu": 1}}, {"resource_slots.cpu", "resource_slots.mem", "resource_slots.tpu"}),
        ({"shared_memory_bytes": "4g"}, {"shared_memory_bytes"}),
        ({"shared_memory_bytes": "Infinity"}, {"shared_memory_bytes"}),
        ({"resource_group": "nowhere"}, {"resource_group"}),
        ({"position": -1, "labels": {"fr": "petit"}}, {"position", "labels"}),
    ],
)
async def test_refusals(database, change, fields):
    with pytest.raises(InvalidParameters) as caught:
        await database.run(PRESETS.add, ROOT, {**SMALL, **change})
    assert {item.field for item in caught.value.violations} == fields


async def test_a_change_is_checked_against_what_stays(database):
    await database.run(PRESETS.add, ROOT, SMALL)
    with pytest.raises(InvalidParameters) as caught:
        await database.run(PRESETS.update, ROOT, "small", {"resource_slots": {"cpu": 1, "mem": "512m"}})
    assert [item.field for item in caught.value.violations] == ["shared_memory_bytes"]


async def test_own_slots_and_order(database):
    await database.run(lambda db: db.add(ResourceSlotType(name="rocm.device", kind="count")))
    await database.run(add_group)
    for position, name in ((2, "a"), (1, "b"), (1, "c")):
        slots = {"cpu": 1, "mem": "1g", "rocm.device": 1}
        await database.run(PRESETS.add, ROOT, {"name": name, "position": position, "resource_slots": slots})
    await database.run(PRESETS.update, ROOT, "c", {"resource_group": "gpu"})
    page = await database.run(PRESETS.list_page, ROOT, Query())
    assert [record.key for record in page.records] == ["b", "c", "a"]
    page = await database.run(PRESETS.list_page, ROOT, Query(filters={"resource_group": "gpu"}))
    assert [record.key for record in page.records] == ["c"]


async def test_who_may_see_and_touch_presets(database):
    await database.run(PRESETS.add, ROOT, SMALL)
    assert (await database.run(PRESETS.find, ADMIN, "small")).key == "small"
    with pytest.raises(Forbidden):
        await database.run(PRESETS.update, ADMIN, "small", {"position": 1})
    with pytest.raises(NotFound):
        await database.run(PRESETS.find, SOMEBODY, "small")
