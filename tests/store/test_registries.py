import pytest
from cryptography.fernet import Fernet

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.registries import Finding, ScannedImage
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.errors import Conflict, NotFound, RegistryUnavailable
from jupyterhub_backendai.store import models
from jupyterhub_backendai.store.crypt import Crypt
from jupyterhub_backendai.store.records import RECORDS
from jupyterhub_backendai.store.registries import find_registry, keep_failure, keep_finding, list_registries, list_results
from jupyterhub_backendai.store.safe import KEY, Safe

ROOT = Actor("root", Role.SUPERADMIN)
IMAGES, REGISTRIES = RECORDS["images"], RECORDS["container_registries"]
KERNEL = {"ai.backend.kernelspec": "1"}
PYTHON = "registry.example:5000/stable/python:3.12"


def make_image(tag="3.12", digest="sha256:1", labels=None, repository="stable/python"):
    return ScannedImage(repository, tag, digest, ("x86_64",), 1000, KERNEL if labels is None else {**KERNEL, **labels})


@pytest.fixture
async def registry(database):
    database.info[KEY] = Safe(Crypt(Fernet.generate_key().decode()))
    data = {"name": "site", "url": "https://Registry.example:5000/v2", "user_name": "robot", "password": "s3cret"}
    await database.run(REGISTRIES.add, ROOT, data)
    return await database.run(find_registry, "site")


async def keep(database, registry, *images, **finding):
    return await database.run_exclusive(keep_finding, ROOT, registry, Finding(tuple(images), **finding))


async def row(database, name=PYTHON):
    return await database.run(lambda db: db.get(models.Image, name))


async def test_how_a_registry_is_reached(database, registry):
    assert (registry.user_name, registry.password, registry.known) == ("robot", "s3cret", {})
    assert "s3cret" not in repr(registry)
    await keep(database, registry, make_image())
    assert (await database.run(find_registry, "site")).known == {"stable/python:3.12": "sha256:1"}
    await database.run(REGISTRIES.add, ROOT, {"name": "here", "url": "http://localhost", "type": "local"})
    assert await database.run(list_registries) == ["site"]
    with pytest.raises(NotFound):
        await database.run(find_registry, "none")
    with pytest.raises(Conflict):
        await database.run(find_registry, "here")


async def test_images_come_change_and_go(database, registry):
    assert (await keep(database, registry, make_image(), make_image("3.11"))).added == 2
    found = await row(database)
    assert (found.container_registry, found.is_active, found.digest, found.size_bytes) == ("site", True, "sha256:1", 1000)
    again = await keep(database, registry, unchanged=frozenset({"stable/python:3.12", "stable/python:3.11"}))
    assert (again.added, again.updated, again.unchanged, again.gone) == (0, 0, 2, 0)
    changed = await keep(database, registry, make_image(digest="sha256:2"))
    assert (changed.updated, changed.gone) == (1, 1)
    gone = await row(database, PYTHON.replace("3.12", "3.11"))
    assert (gone.is_gone, gone.is_active) == (True, True)
    back = await keep(database, registry, make_image("3.11"), unchanged=frozenset({"stable/python:3.12"}))
    assert (back.updated, back.unchanged, back.gone) == (1, 1, 0)
    assert not (await row(database, gone.name)).is_gone
    acts = await database.run(lambda db: [item.details for item in db.query(models.AuditEntry).filter_by(action="image.rescan")])
    assert [act.get("gone") for act in acts] == [0, 0, 1, 0]
    assert acts[2]["gone_names"] == [gone.name]


async def test_what_was_not_looked_at_is_not_gone(database, registry):
    images = [make_image("3.12"), make_image("1", repository="stable/r"), make_image("1", repository="other/r")]
    await keep(database, registry, *images)
    kept = frozenset({"stable/python:3.12"})
    outcome = await keep(database, registry, failed=kept, unread=frozenset({"stable/r"}), projects=("stable",))
    assert (outcome.gone, outcome.failed) == (0, 1)
    outcome = await keep(database, registry, skipped=kept, projects=("stable",))
    assert (outcome.gone, outcome.skipped) == (1, 1)
    assert not (await row(database, "registry.example:5000/other/r:1")).is_gone


async def test_nothing_that_an_administrator_set_is_lost(database, registry):
    labels = {"ai.backend.resource.min.cpu": "1", "ai.backend.resource.min.mem": "1g", "ai.backend.resource.max.cpu": "8"}
    await keep(database, registry, make_image(labels=labels))
    found = await row(database)
    assert found.min_slots == ResourceSlots({"cpu": 1, "mem": 2**30})
    mine = {"min_slots": {"cpu": "2", "mem": "1g"}, "labels": {"en": "Python"}, "is_active": False}
    await database.run(IMAGES.update, ROOT, PYTHON, mine)
    labels |= {"ai.backend.resource.min.cpu": "4", "ai.backend.resource.min.mem": "2g", "ai.backend.resource.max.mem": "64g"}
    await keep(database, registry, make_image(digest="sha256:2", labels=labels))
    found = await row(database)
    assert (found.labels, found.is_active) == ({"en": "Python"}, False)
    assert found.min_slots == ResourceSlots({"cpu": 2, "mem": 2**31})
    assert found.max_slots == ResourceSlots({"cpu": 8, "mem": 2**36})
    await database.run(IMAGES.update, ROOT, PYTHON, {"min_slots": {}, "max_slots": {}})
    await keep(database, registry, make_image(digest="sha256:3", labels=labels))
    assert (await row(database)).min_slots == ResourceSlots()


async def test_labels_that_contradict_each_other_or_say_nothing_change_no_bounds(database, registry):
    labels = {"min.cpu": "9", "max.cpu": "1", "min.mem": "lots", "min.tpu.device": "1", "min.cuda.device": "0", "max.cuda.shares": "0.5"}
    await keep(database, registry, make_image(labels={f"ai.backend.resource.{name}": text for name, text in labels.items()}))
    found = await row(database)
    assert (found.min_slots, found.max_slots) == (ResourceSlots(), ResourceSlots())
    assert found.image_labels["ai.backend.resource.min.tpu.device"] == "1"


async def test_an_image_made_by_hand_is_taken_over_and_one_of_another_registry_is_not(database, registry):
    await database.run(IMAGES.add, ROOT, {"name": PYTHON, "min_slots": {"cpu": 3}})
    await database.run(REGISTRIES.add, ROOT, {"name": "twin", "url": "https://registry.example:5000"})
    await database.run(IMAGES.add, ROOT, {"name": PYTHON.replace("3.12", "3.11"), "container_registry": "twin"})
    outcome = await keep(database, registry, make_image(labels={"ai.backend.resource.min.cpu": "1"}), make_image("3.11"))
    assert (outcome.updated, outcome.failed) == (1, 1)
    found = await row(database)
    assert (found.container_registry, found.min_slots) == ("site", ResourceSlots({"cpu": 3}))
    assert (await row(database, PYTHON.replace("3.12", "3.11"))).digest == ""
    outcome = await keep(database, registry, make_image("x" * 120, repository="a/" * 100 + "b"))
    assert outcome.failed == 1


async def test_a_registry_that_changed_meanwhile_takes_nothing(database, registry):
    await database.run(REGISTRIES.update, ROOT, "site", {"url": "https://elsewhere.example"})
    with pytest.raises(Conflict):
        await keep(database, registry, make_image())
    await database.run(REGISTRIES.remove, ROOT, "site")
    with pytest.raises(NotFound):
        await keep(database, registry, make_image())


async def test_a_failure_is_kept_and_costs_nothing(database, registry):
    await keep(database, registry, make_image())
    await database.run(keep_failure, ROOT, "site", RegistryUnavailable(host="registry.example"))
    result = (await database.run(list_results))["site"]
    assert (result["state"], result["params"]) == ("failed", {"host": "registry.example"})
    assert result["scanned_at"] is not None
    assert not (await row(database)).is_gone


async def test_thousands_of_images(database, registry):
    images = [make_image(str(number)) for number in range(1_500)]
    assert (await keep(database, registry, *images)).added == 1_500
    again = await keep(database, registry, unchanged=frozenset(f"stable/python:{number}" for number in range(1_000)))
    assert (again.unchanged, again.gone) == (1_000, 500)
