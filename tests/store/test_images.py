from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.store import models
from jupyterhub_backendai.store.images import list_offered, sync

ENVIRONMENTS = {
    "default": {"name": "default", "labels": {"en": "Default"}, "command": ["python"]},
    "torch": {"name": "torch", "labels": {"ko": "파이토치"}, "min_slots": {"cpu": 2}},
}


async def test_the_file_says_labels_and_bounds_and_administrators_the_rest(database):
    await database.run(sync, ENVIRONMENTS)
    assert list(await database.run(list_offered)) == ["default", "torch"]

    def change(db):
        db.get(models.Image, "default").is_active = False
        db.get(models.Image, "torch").max_slots = ResourceSlots({"cpu": 4})
        db.get(models.Image, "torch").min_slots = ResourceSlots({"cpu": 1})
        db.add(models.Image(name="registry.example/r:4"))

    await database.run(change)
    await database.run(sync, ENVIRONMENTS)
    found = await database.run(list_offered)
    assert list(found) == ["torch"]  # an image of a registry has no program here
    assert (found["torch"].min_slots, found["torch"].max_slots) == (ResourceSlots({"cpu": 2}), ResourceSlots({"cpu": 4}))
    assert found["torch"].label("ko") == "파이토치"


async def test_what_left_the_file_is_not_offered_until_it_is_back(database):
    await database.run(sync, ENVIRONMENTS)
    await database.run(sync, {"default": ENVIRONMENTS["default"]})
    assert list(await database.run(list_offered)) == ["default"]
    await database.run(sync, ENVIRONMENTS)
    assert list(await database.run(list_offered)) == ["default", "torch"]
