import pytest
from sqlalchemy import select

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.nouns import Query
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.errors import AlreadyExists, Conflict, InvalidParameters, NotFound
from jupyterhub_backendai.store import sessions
from jupyterhub_backendai.store.models import AuditEntry, Domain, ProjectResourcePolicy, ResourceGroup, ResourceGroupDomain, StorageHost
from jupyterhub_backendai.store.records import RECORDS
from tests.factories import add_user, make_queue, make_spec

PROJECTS = RECORDS["projects"]
ROOT = Actor("root", Role.SUPERADMIN)
ADMIN = Actor("admin", Role.ADMIN, "default")
SOMEBODY = Actor("kim01", Role.USER, "default")


def add_people(db):
    add_user(db, "kim01")
    add_user(db, "lee01")
    db.add_all([Domain(name="physics"), StorageHost(name="local:volume1")])
    db.flush()
    for name, is_open in (("mine", False), ("open", True), ("theirs", False)):
        db.add(ResourceGroup(name=name, engine="local", is_open=is_open))
    db.flush()
    db.add(ResourceGroupDomain(resource_group="mine", domain="default"))


@pytest.fixture
async def people(kept):
    await kept.run(add_people)
    return kept


async def refuse(database, function, *arguments):
    with pytest.raises(InvalidParameters) as caught:
        await database.run(function, *arguments)
    return {violation.field: violation.rule for violation in caught.value.violations}


async def test_a_project_is_made_changed_and_removed(people):
    data = {"name": "alpha", "members": ["kim01", "lee01"], "resource_groups": ["mine"], "total_resource_slots": {"cpu": "8"}}
    change = await people.run(PROJECTS.add, ROOT, data)
    key, values = change.after.key, change.after.values
    assert (values["members"], values["member_count"], values["resource_groups"]) == (("kim01", "lee01"), 2, ("mine",))
    change = await people.run(PROJECTS.update, ROOT, "default/alpha", {"members": ["lee01"], "is_active": "false"})
    assert (change.people, change.after.values["members"], change.after.values["is_active"]) == (1, ("lee01",), False)
    assert change.after.values["total_resource_slots"] == ResourceSlots({"cpu": 8})
    page = await people.run(PROJECTS.list_page, ROOT, Query(filters={"is_active": "false"}, sort="-member_count"))
    assert [(record.key, record.values["member_count"]) for record in page.records] == [(key, 1)]
    await people.run(PROJECTS.remove, ROOT, key)
    with pytest.raises(NotFound):
        await people.run(PROJECTS.find, ROOT, key)
    rows = await people.run(lambda db: [(row.action, row.object) for row in db.scalars(select(AuditEntry).order_by(AuditEntry.at))])
    assert rows == [("project.create", key), ("project.update", key), ("project.delete", key)]


async def test_refusals(people):
    with pytest.raises(AlreadyExists, match="default/default"):
        await people.run(PROJECTS.add, ROOT, {"name": "default"})
    await people.run(PROJECTS.add, ROOT, {"name": "default", "domain": "physics"})
    data = {"name": "alpha", "members": ["nobody"], "resource_groups": ["none"], "resource_policy": "none"}
    data["allowed_vfolder_hosts"] = {"none": ["create-vfolder"]}
    assert set(await refuse(people, PROJECTS.add, ROOT, data)) == {"members", "resource_groups", "resource_policy", "allowed_vfolder_hosts"}
    assert await refuse(people, PROJECTS.add, ROOT, {"name": "optics", "domain": "physics", "members": ["kim01"]}) == {"members": "unknown"}
    assert await refuse(people, PROJECTS.add, ROOT, {"name": "x", "domain": "nowhere"}) == {"domain": "unknown"}
    assert await refuse(people, PROJECTS.update, ROOT, "default/default", {"name": "other"}) == {"name": "fixed"}


async def test_a_project_that_was_used_stays(people):
    await people.run_exclusive(sessions.admit, make_spec(), make_queue(), None)
    with pytest.raises(Conflict, match="default"):
        await people.run(PROJECTS.remove, ROOT, "default/default")


async def test_a_domains_administrator_gives_no_more_than_the_domain_has(people):
    await people.run(PROJECTS.add, ROOT, {"name": "optics", "domain": "physics"})
    assert (await people.run(PROJECTS.list_page, ADMIN, Query())).total == 1
    with pytest.raises(NotFound):
        await people.run(PROJECTS.find, ADMIN, "physics/optics")
    change = await people.run(PROJECTS.add, ADMIN, {"name": "alpha", "members": ["kim01"]})
    key = change.after.key
    assert await refuse(people, PROJECTS.add, ADMIN, {"name": "x", "domain": "physics"}) == {"domain": "other-domain"}
    hosts = {"allowed_vfolder_hosts": {"local:volume1": ["create-vfolder"]}}
    for data in ({"resource_groups": ["mine"]}, {"total_resource_slots": {"cpu": "1"}}, {"resource_policy": "big"}, hosts):
        await people.run(lambda db: db.merge(ProjectResourcePolicy(name="big")))
        assert await refuse(people, PROJECTS.update, ADMIN, key, data) == {next(iter(data)): "superadmin"}
    # what is there already may be said again
    groups = ["theirs", "mine"]
    await people.run(PROJECTS.update, ROOT, key, {"resource_groups": groups, "total_resource_slots": {"cpu": "2"}, **hosts})
    data = {**hosts, "resource_groups": groups, "total_resource_slots": {"cpu": "2"}, "members": ["lee01"], "is_active": False}
    change = await people.run(PROJECTS.update, ADMIN, "default/alpha", data)
    assert (change.after.values["members"], change.after.values["resource_groups"]) == (("lee01",), ("mine", "theirs"))
    await people.run(PROJECTS.remove, ADMIN, key)
    with pytest.raises(NotFound):
        await people.run(PROJECTS.list_page, SOMEBODY, Query())
