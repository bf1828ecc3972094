import pytest
from cryptography.fernet import Fernet

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.nouns import Query
from jupyterhub_backendai.core.nouns.images import check_image_name, check_url
from jupyterhub_backendai.errors import BackendAIError, Conflict, Forbidden, InvalidParameters, NotFound
from jupyterhub_backendai.store.crypt import Crypt
from jupyterhub_backendai.store.models import AuditEntry, ContainerRegistry, Image
from jupyterhub_backendai.store.records import RECORDS
from jupyterhub_backendai.store.records.images import read_password
from jupyterhub_backendai.store.safe import KEY, Safe

IMAGES, REGISTRIES = RECORDS["images"], RECORDS["container_registries"]
ROOT = Actor("root", Role.SUPERADMIN)
ADMIN = Actor("lee01", Role.ADMIN, "default")
SOMEBODY = Actor("kim01", Role.USER, "default")
HARBOR = {"name": "harbor", "url": "https://harbor.example", "user_name": "robot", "password": "s3cret!"}


@pytest.fixture
def safe(database):
    database.info[KEY] = Safe(Crypt(Fernet.generate_key().decode()))


@pytest.mark.parametrize("name", ["python", "registry.example:5000/stable/python:3.12-ubuntu24.04", "a@sha256:0af1"])
def test_image_names(name):
    assert not check_image_name(name)


@pytest.mark.parametrize("name", ["../etc/passwd", "a b", "/a", "a//b", "a..b", "-a", "c++", "파이썬"])
def test_names_that_no_image_has(name):
    assert check_image_name(name)


@pytest.mark.parametrize(
    "url",
    ["https://registry.example", "https://registry.example:5000/v2", "http://127.0.0.1:5000", "http://localhost", "http://[::1]:5000"],
)
def test_addresses_of_registries(url):
    assert not check_url(url)


@pytest.mark.parametrize(
    "url",
    ["http://registry.example", "http://127.0.0.1.example", "ftp://x", "registry.example", "https://", "https://a:b@x", "https://x?y", "https://x:99999", "https://x y", "https://[::1", "javascript:alert(1)", "http://localhost@evil.example"],
)  # fmt: skip
def test_addresses_that_are_refused(url):
    assert [item.field for item in check_url(url)] == ["url"]


async def test_a_password_is_kept_encrypted_and_never_shown(database, safe):
    change = await database.run(REGISTRIES.add, ROOT, HARBOR)
    assert change.after.values["has_password"]
    assert "password" not in change.after.values
    token = await database.run(lambda db: db.get(ContainerRegistry, "harbor").password)
    assert "s3cret!" not in token
    assert await database.run(read_password, "harbor") == "s3cret!"
    await database.run(REGISTRIES.update, ROOT, "harbor", {"password": "other"})
    assert await database.run(read_password, "harbor") == "other"
    details = await database.run(lambda db: str([row.details for row in db.query(AuditEntry)]))
    assert "s3cret" not in details
    assert "other" not in details
    assert await database.run(lambda db: db.query(AuditEntry).count()) == 2
    change = await database.run(REGISTRIES.update, ROOT, "harbor", {"password": ""})
    assert not change.after.values["has_password"]
    assert await database.run(read_password, "harbor") == ""


async def test_without_a_safe_no_password_is_taken(database):
    with pytest.raises(BackendAIError):
        await database.run(REGISTRIES.add, ROOT, HARBOR)
    await database.run(REGISTRIES.add, ROOT, {"name": "open", "url": "https://open.example"})


async def test_a_registry_with_images_stays(database):
    await database.run(REGISTRIES.add, ROOT, {"name": "hub", "url": "https://hub.example"})
    await database.run(IMAGES.add, ROOT, {"name": "hub.example/python:3.12", "container_registry": "hub"})
    assert (await database.run(REGISTRIES.find, ROOT, "hub")).values["image_count"] == 1
    with pytest.raises(Conflict, match="1 images"):
        await database.run(REGISTRIES.remove, ROOT, "hub")
    page = await database.run(IMAGES.list_page, ROOT, Query(filters={"container_registry": "hub"}, sort="container_registry"))
    assert page.total == 1
    await database.run(IMAGES.update, ROOT, "hub.example/python:3.12", {"container_registry": ""})
    await database.run(REGISTRIES.remove, ROOT, "hub")
    page = await database.run(REGISTRIES.list_page, ROOT, Query(sort="-image_count"))
    assert page.total == 0


async def test_an_images_least_is_no_more_than_its_most(database):
    with pytest.raises(InvalidParameters) as caught:
        await database.run(
            IMAGES.add,
            ROOT,
            {"name": "big", "min_slots": {"cpu": 4, "mem": "Infinity"}, "max_slots": {"cpu": 2}, "container_registry": "nowhere"},
        )
    assert {item.field for item in caught.value.violations} == {"min_slots.cpu", "min_slots.mem", "container_registry"}
    await database.run(IMAGES.add, ROOT, {"name": "big", "min_slots": {"cpu": 2}, "max_slots": {"cpu": 2, "mem": "Infinity"}})
    with pytest.raises(InvalidParameters):
        await database.run(IMAGES.update, ROOT, "big", {"max_slots": {"cpu": 1}})


async def test_environments_of_the_configuration_stay(database):
    await database.run(lambda db: db.add(Image(name="python", labels={"en": "Python"}, is_configured=True)))
    with pytest.raises(Conflict, match="configuration file"):
        await database.run(IMAGES.remove, ROOT, "python")
    with pytest.raises(InvalidParameters):
        await database.run(IMAGES.update, ROOT, "python", {"labels": {"en": "Snake"}})
    with pytest.raises(InvalidParameters):
        await database.run(IMAGES.update, ROOT, "python", {"name": "snake"})
    change = await database.run(IMAGES.update, ROOT, "python", {"labels": {"en": "Python"}, "min_slots": {"mem": "1g"}, "is_active": False})
    assert not change.after.values["is_active"]


async def test_who_may_see_and_touch_them(database):
    await database.run(IMAGES.add, ROOT, {"name": "python"})
    await database.run(REGISTRIES.add, ROOT, {"name": "hub", "url": "https://hub.example"})
    assert (await database.run(IMAGES.list_page, ADMIN, Query())).total == 1
    with pytest.raises(Forbidden):
        await database.run(IMAGES.update, ADMIN, "python", {"is_active": False})
    with pytest.raises(NotFound):
        await database.run(IMAGES.find, SOMEBODY, "python")
    for actor in (ADMIN, SOMEBODY):
        with pytest.raises(NotFound):
            await database.run(REGISTRIES.find, actor, "hub")
        with pytest.raises(NotFound):
            await database.run(REGISTRIES.remove, actor, "hub")
