import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.nouns import Query
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.errors import AlreadyExists, Conflict, Forbidden, InvalidParameters, NotFound
from jupyterhub_backendai.store.models import AuditEntry, User
from jupyterhub_backendai.store.records import RECORDS
from tests.factories import add_user

DOMAINS = RECORDS["domains"]
ROOT = Actor("root", Role.SUPERADMIN)
ADMIN = Actor("lee01", Role.ADMIN, "default")
SOMEBODY = Actor("kim01", Role.USER, "default")


async def test_a_domain_is_made_changed_and_removed_with_an_audit_row_each(database):
    change = await database.run(DOMAINS.add, ROOT, {"name": "physics", "total_resource_slots": {"cpu": "8", "mem": "16g"}})
    assert change.after.values["total_resource_slots"] == ResourceSlots({"cpu": 8, "mem": 16 * 1024**3})
    change = await database.run(DOMAINS.update, ROOT, "physics", {"total_resource_slots": {"cpu": "Infinity"}, "description": "물리"})
    assert change.after.values["total_resource_slots"]["cpu"].is_infinite()
    await database.run(DOMAINS.remove, ROOT, "physics")
    with pytest.raises(NotFound):
        await database.run(DOMAINS.find, ROOT, "physics")
    rows = await database.run(lambda db: [(row.action, row.details) for row in db.query(AuditEntry).order_by(AuditEntry.at)])
    assert [action for action, _ in rows] == ["domain.create", "domain.update", "domain.delete"]
    assert rows[1][1]["before"] == {"description": "", "total_resource_slots": {"cpu": "8", "mem": "17179869184"}}
    assert rows[1][1]["after"]["description"] == "물리"


async def test_refusals(database):
    await database.run(add_user)
    with pytest.raises(AlreadyExists):
        await database.run(DOMAINS.add, ROOT, {"name": "default"})
    with pytest.raises(InvalidParameters) as caught:
        await database.run(DOMAINS.add, ROOT, {"name": "", "total_resource_slots": {"cpu": "-1", "mem": "lots", "magic": "1"}, "x": 1})
    assert {violation.field for violation in caught.value.violations} == {
        "x",
        "name",
        "total_resource_slots.cpu",
        "total_resource_slots.mem",
        "total_resource_slots.magic",
    }
    with pytest.raises(Conflict, match="1 people"):
        await database.run(DOMAINS.remove, ROOT, "default")
    etag = (await database.run(DOMAINS.find, ROOT, "default")).etag(DOMAINS.noun)
    await database.run(DOMAINS.update, ROOT, "default", {"description": "new"}, etag)
    with pytest.raises(Conflict, match="meanwhile"):
        await database.run(DOMAINS.update, ROOT, "default", {"description": "newer"}, etag)


async def test_who_may_see_and_touch_what(database):
    await database.run(add_user)
    await database.run(DOMAINS.add, ROOT, {"name": "other"})
    page = await database.run(DOMAINS.list_page, ROOT, Query(sort="-name"))
    assert [record.key for record in page.records] == ["other", "default"]
    page = await database.run(DOMAINS.list_page, ADMIN, Query())
    assert ([record.key for record in page.records], page.total) == (["default"], 1)
    with pytest.raises(NotFound):
        await database.run(DOMAINS.find, ADMIN, "other")
    with pytest.raises(Forbidden):
        await database.run(DOMAINS.update, ADMIN, "default", {"description": "mine"})
    with pytest.raises(NotFound):
        await database.run(DOMAINS.list_page, SOMEBODY, Query())


async def test_search_does_not_take_its_text_for_a_pattern(database):
    for name in ("a_b", "axb"):
        await database.run(DOMAINS.add, ROOT, {"name": name})
    page = await database.run(DOMAINS.list_page, ROOT, Query(search="A_B", filters={"is_active": "true"}))
    assert [record.key for record in page.records] == ["a_b"]


async def test_a_domain_with_the_last_superadmin_stays_active(database):
    await database.run(add_user, "root", role=Role.SUPERADMIN)
    with pytest.raises(InvalidParameters, match="last active superadmins"):
        await database.run(DOMAINS.update, ROOT, "default", {"is_active": False})
    await database.run(DOMAINS.add, ROOT, {"name": "other"})
    for is_active in (False, True):  # there is no superadmin in it
        await database.run(DOMAINS.update, ROOT, "other", {"is_active": is_active})

    def move(db):
        db.query(User).filter_by(name="root").one().domain = "other"

    await database.run(move)
    await database.run(DOMAINS.update, ROOT, "default", {"is_active": False})


async def test_a_domain_names_only_hosts_that_there_are(database):
    with pytest.raises(InvalidParameters, match="no nowhere"):
        await database.run(DOMAINS.add, ROOT, {"name": "a", "allowed_vfolder_hosts": {"nowhere": ["mount-in-session"]}})
