"""The whole configuration as one document."""

import asyncio
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from jupyterhub_backendai.core.documents import format_document, parse_document
from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.errors import Forbidden, InvalidParameters, NotFound
from jupyterhub_backendai.store import images, resource_groups
from jupyterhub_backendai.store.configuration import apply, export, plan
from jupyterhub_backendai.store.crypt import Crypt
from jupyterhub_backendai.store.database import Database
from jupyterhub_backendai.store.models import AuditEntry, Base, Domain, Image, ResourcePreset, Setting
from jupyterhub_backendai.store.records import RECORDS
from jupyterhub_backendai.store.records.images import read_password
from jupyterhub_backendai.store.safe import KEY, Safe
from tests.factories import add_user, make_queue

ROOT = Actor("root", Role.SUPERADMIN, source="command line")
DOCUMENT = """
version: 1
resource_slot_types:
- {name: rocm.device, kind: count}
storage_hosts:
- {name: "local:volume1", path: /data/folders}
container_registries:
- {name: hub, url: "https://hub.example", user_name: robot}
images:
- name: hub.example/python:3.12
  container_registry: hub
  labels: {en: Python, ko: 파이썬}
  min_slots: {mem: 1g}
keypair_resource_policies:
- name: students
  total_resource_slots: {cpu: 8, mem: 32g, rocm.device: Infinity}
  max_concurrent_sessions: 5
  max_session_lifetime_s: 7d
  allowed_vfolder_hosts: {"local:volume1": [upload-file, download-file]}
user_resource_policies:
- {name: students, max_quota_scope_size_bytes: 100g}
project_resource_policies:
- {name: small, max_vfolder_count: 3}
resource_groups:
- name: extra
  engine: local
  capacity: {cpu: 64, mem: 256g}
domains:
- {name: default}
- {name: physics, description: 물리, resource_groups: [extra], total_resource_slots: {cpu: 64}}
resource_presets:
- {name: tiny, resource_slots: {cpu: 1, mem: 1g}, position: 2}
- {name: amd, resource_group: extra, resource_slots: {cpu: 1, mem: 1g, rocm.device: 1}, labels: {en: AMD}}
announcements:
- title: {en: Welcome}
  body: {en: "Read this.\\n\\nThen begin.\\n", ko: 환영합니다}
  starts_at: 2026-03-01
settings:
  status: {value: frozen}
"""


@pytest.fixture(autouse=True)
def safe(database):
    database.info[KEY] = Safe(Crypt(Fernet.generate_key().decode()))


def make():
    return parse_document(DOCUMENT)


def dump(db):
    """Every row of every table."""
    return {name: sorted(map(str, db.execute(table.select()).all())) for name, table in Base.metadata.tables.items()}


def count_audit(db):
    return db.query(AuditEntry).count()


async def test_a_document_is_made_with_references_within_it_and_once_only(database):
    differences = await database.run_exclusive(apply, ROOT, make())
    assert {(item.noun, item.verb) for item in differences if item.noun not in {"domains", "settings"}} == {
        (name, "create") for name in make() if name not in {"version", "domains", "settings"}
    }
    audit = await database.run(count_audit)
    assert await database.run_exclusive(apply, ROOT, make()) == []
    assert await database.run(count_audit) == audit
    found = await database.run(
        lambda db: [(row.action, row.actor, row.details) for row in db.query(AuditEntry) if row.action == "configuration.import"]
    )
    assert found == [("configuration.import", "root", {"create": len(differences) - 1, "update": 1, "delete": 0})]
    assert (await database.run(RECORDS["domains"].find, ROOT, "physics")).values["resource_groups"] == ("extra",)


async def test_what_is_exported_changes_nothing_and_keeps_its_text(database):
    await database.run_exclusive(apply, ROOT, make())
    await database.run(add_user)
    await database.run(RECORDS["container_registries"].update, ROOT, "hub", {"password": "s3cret"})
    before = await database.run(dump)
    document = await database.run(export, ROOT)
    text = format_document(document)
    assert "s3cret" not in text
    assert "kim01" not in text
    assert "created_at" not in text
    assert "mem: 32g" in text
    assert "max_session_lifetime_s: 7d" in text
    assert "idle_timeout_s: Infinity" in text
    assert await database.run_exclusive(plan, ROOT, parse_document(text), prune=True) == []
    assert await database.run_exclusive(apply, ROOT, parse_document(text), prune=True) == []
    assert await database.run(dump) == before
    assert format_document(await database.run(export, ROOT)) == text
    assert await database.run(read_password, "hub") == "s3cret"


async def test_a_platform_is_made_again_from_its_document(database, tmp_path, sqlite_template):
    await database.run_exclusive(apply, ROOT, make())
    document = await database.run(export, ROOT)
    path = tmp_path / "other.sqlite"
    path.write_bytes(sqlite_template.read_bytes())
    other = Database(f"sqlite:///{path}")
    other.info.update(database.info)
    try:
        await other.run_exclusive(apply, ROOT, document)
        assert format_document(await other.run(export, ROOT)) == format_document(document)
    finally:
        await other.close()


async def test_a_plan_says_what_differs_and_changes_nothing(database):
    await database.run_exclusive(apply, ROOT, make())
    await database.run(add_user)
    before = await database.run(dump)
    document = make()
    document["resource_presets"][0]["resource_slots"] = {"cpu": "2.5", "mem": "1024m"}
    document["keypair_resource_policies"][0]["max_concurrent_sessions"] = "Infinity"
    document["keypair_resource_policies"][0]["total_resource_slots"]["mem"] = "32768m"
    document["user_resource_policies"].append({"name": "default", "max_vfolder_count": 7})
    with pytest.raises(InvalidParameters):  # 2.5 is no whole number of cores
        await database.run_exclusive(plan, ROOT, document)
    document["resource_presets"][0]["resource_slots"]["cpu"] = 2
    differences = await database.run_exclusive(plan, ROOT, document, prune=True)
    assert [(item.noun, item.key, item.verb, item.place, item.people) for item in differences] == [
        ("keypair_resource_policies", "students", "update", "keypair_resource_policies[0]", 0),
        ("user_resource_policies", "default", "update", "user_resource_policies[1]", 1),
        ("resource_presets", "tiny", "update", "resource_presets[0]", 0),
    ]
    assert (differences[0].before, differences[0].after) == ({"max_concurrent_sessions": 5}, {"max_concurrent_sessions": "Infinity"})
    assert differences[2].after == {"resource_slots": {"cpu": "2", "mem": "1073741824"}}
    assert await database.run(dump) == before


async def test_everything_that_is_wrong_is_said_at_once_with_its_place(database):
    document = make()
    document["domains"].append({"name": "chem", "total_resource_slots": {"cpu": -1}, "colour": "red"})
    document["resource_presets"] += [
        {"name": "a", "resource_slots": {"mem": "lots", "cpu": 1}},
        {"name": "tiny", "resource_slots": {"cpu": 1, "mem": "1g"}},
        "words",
        {"resource_slots": {"cpu": 1, "mem": "1g"}},
        {"name": "b", "resource_slots": {"cpu": 1, "mem": "1g"}, "resource_group": "nowhere"},
        {"name": "c"},
    ]
    document["container_registries"][0]["password"] = "s3cret"
    document |= {"keypairs": [], "storage_hosts": {"name": "x"}, "version": 2}
    document["settings"] = {"status": {"value": "asleep"}, "colour": {}, "x": 1}
    before = await database.run(dump)
    for function in (plan, apply):
        with pytest.raises(InvalidParameters) as caught:
            await database.run_exclusive(function, ROOT, document)
        assert {item.field for item in caught.value.violations} == {
            "version",
            "keypairs",
            "storage_hosts",
            "container_registries[0].password",
            "keypair_resource_policies[0].allowed_vfolder_hosts",
            "domains[2].total_resource_slots.cpu",
            "domains[2].colour",
            "resource_presets[2].resource_slots.mem",
            "resource_presets[3]",
            "resource_presets[4]",
            "resource_presets[5].name",
            "resource_presets[6].resource_group",
            "resource_presets[7].resource_slots",
            "settings.status.value",
            "settings.colour",
            "settings.x",
        }
        assert await database.run(dump) == before


async def test_an_import_that_fails_in_the_middle_changes_nothing(database, monkeypatch):
    before = await database.run(dump)
    flush = Session.flush

    def fail(self, *arguments):
        if any(isinstance(row, ResourcePreset) and row.name == "amd" for row in self.new):
            raise RuntimeError("the disk is full")
        flush(self, *arguments)

    monkeypatch.setattr(Session, "flush", fail)
    with pytest.raises(RuntimeError):
        await database.run_exclusive(apply, ROOT, make())
    monkeypatch.undo()
    assert await database.run(dump) == before


async def test_prune_takes_away_what_is_not_named_in_the_sections_that_are_there(database):
    await database.run_exclusive(apply, ROOT, make())
    await database.run(lambda db: db.add(Image(name="configured", is_configured=True)))
    document = make()
    for name in ("resource_presets", "images", "container_registries", "announcements", "resource_slot_types", "keypair_resource_policies"):
        document[name] = []
    del document["storage_hosts"]
    differences = await database.run_exclusive(apply, ROOT, document, prune=True)
    assert sorted((item.noun, item.key, item.verb) for item in differences) == [
        ("announcements", "Welcome", "delete"),
        ("container_registries", "hub", "delete"),
        ("images", "hub.example/python:3.12", "delete"),
        ("keypair_resource_policies", "students", "delete"),
        ("resource_presets", "amd", "delete"),
        ("resource_presets", "tiny", "delete"),
        ("resource_slot_types", "rocm.device", "delete"),
    ]
    assert await database.run_exclusive(apply, ROOT, document, prune=True) == []


async def test_what_the_configuration_file_owns_is_not_in_the_document(database):
    def sync_all(db, label, partition):
        images.sync(db, {"python": {"labels": {"en": label}}})
        resource_groups.sync(db, {"gpu": make_queue("gpu", "slurm", partition=partition, labels={"en": label})})

    await database.run_exclusive(sync_all, "Python", "gpu-a")
    document = await database.run(export, ROOT)
    assert set(document["resource_groups"][0]) & {"engine", "labels", "partition", "position"} == set()
    assert document["resource_groups"][0]["scheduler"] == "none"
    assert set(document["images"][0]) == {"name", "container_registry", "min_slots", "max_slots", "is_active"}
    await database.run_exclusive(sync_all, "Snake", "gpu-b")
    assert await database.run_exclusive(apply, ROOT, document, prune=True) == []
    document["resource_groups"][0] |= {"description": "new", "partition": "mine"}
    with pytest.raises(InvalidParameters) as caught:
        await database.run_exclusive(apply, ROOT, document)
    assert [item.field for item in caught.value.violations] == ["resource_groups[0].partition"]
    del document["resource_groups"][0]["partition"]
    assert [item.after for item in await database.run_exclusive(apply, ROOT, document)] == [{"description": "new"}]


async def test_what_is_in_use_is_not_pruned_and_then_nothing_is(database):
    await database.run_exclusive(apply, ROOT, make())
    await database.run(add_user)
    before = await database.run(dump)
    with pytest.raises(InvalidParameters) as caught:
        await database.run_exclusive(apply, ROOT, {"domains": [], "resource_presets": [], "keypair_resource_policies": []}, prune=True)
    assert {item.field for item in caught.value.violations} == {"domains.default"}
    assert await database.run(dump) == before


async def test_people_only_when_asked_and_never_taken_away(database):
    await database.run(add_user, "kim01", "nlp")
    await database.run(add_user, "lee01", "nlp")
    document = await database.run(export, ROOT, people=True)
    assert [(item["name"], item["projects"]) for item in document["users"]] == [("kim01", ["nlp"]), ("lee01", ["nlp"])]
    assert await database.run_exclusive(plan, ROOT, document, prune=True) == []
    document["users"] = [{"name": "kim01", "projects": [], "description": "left"}]
    differences = await database.run_exclusive(apply, ROOT, document, prune=True)
    assert [(item.noun, item.key, item.verb) for item in differences] == [("users", "kim01", "update")]
    assert differences[0].after == {"description": "left", "projects": []}
    # as a document says it at once, also who sets the role
    document["users"][0] |= {"role": "admin", "role_source": "directory"}
    assert len(await database.run_exclusive(apply, ROOT, document)) == 1
    assert await database.run_exclusive(apply, ROOT, document) == []


async def test_announcements_with_the_same_title_are_told_apart_by_their_order(database):
    news = [{"title": {"en": "Stop"}, "body": {"en": body}} for body in ("first", "second")]
    assert len(await database.run_exclusive(apply, ROOT, {"announcements": news})) == 2
    assert await database.run_exclusive(apply, ROOT, {"announcements": news}) == []
    news[1]["body"]["en"] = "third"
    differences = await database.run_exclusive(apply, ROOT, {"announcements": news})
    assert [(item.key, item.verb, item.before) for item in differences] == [("Stop (2)", "update", {"body": {"en": "second"}})]


async def test_projects_are_known_by_domain_and_name(database):
    document = make() | {"projects": [{"name": "laser", "domain": "physics", "resource_policy": "small"}]}
    differences = await database.run_exclusive(apply, ROOT, document)
    assert [item.key for item in differences if item.noun == "projects"] == ["physics/laser"]
    assert await database.run_exclusive(apply, ROOT, document) == []
    exported = await database.run(export, ROOT)
    assert [(item["domain"], item["name"], "id" in item, "members" in item) for item in exported["projects"]] == [
        ("physics", "laser", False, False)
    ]
    # what is fixed may be said again but not changed, members stand under people, and what follows from another error is not said
    document["projects"] = [
        {"name": "laser", "domain": "physics", "type": "model-store"},
        {"name": "x", "members": ["kim01"]},
        {"name": "y", "domain": "chem"},
    ]
    document["domains"].append({"name": "chem", "colour": "red"})
    with pytest.raises(InvalidParameters) as caught:
        await database.run_exclusive(apply, ROOT, document)
    assert {item.field for item in caught.value.violations} == {"projects[0].type", "projects[1].members", "domains[2].colour"}
    document = {"projects": [], "domains": [{"name": "default"}], "project_resource_policies": []}
    differences = await database.run_exclusive(apply, ROOT, document, prune=True)
    assert [(item.key, item.verb) for item in differences] == [("physics/laser", "delete"), ("physics", "delete"), ("small", "delete")]


@pytest.mark.parametrize("function", [export, plan, apply])
async def test_for_superadmins_only(database, function):
    arguments = () if function is export else ({},)
    with pytest.raises(Forbidden):
        await database.run(function, Actor("lee01", Role.ADMIN, "default"), *arguments)
    with pytest.raises(NotFound):
        await database.run(function, Actor("kim01", Role.USER, "default"), *arguments)


PRESETS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(list("abcde")), "resource_slots": st.fixed_dictionaries({"cpu": st.integers(1, 99), "mem": st.integers(1, 10**12)})},
        optional={"position": st.integers(0, 10_000), "labels": st.dictionaries(st.sampled_from(["en", "ko"]), st.text("가나 abc'\"#:-", max_size=9)), "shared_memory_bytes": st.just(0)},
    ),
    unique_by=lambda item: item["name"],
    max_size=4,
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(presets=PRESETS)
async def test_whatever_was_imported_is_exported_so_that_it_changes_nothing(database, presets):
    document = {"resource_presets": presets}
    planned = await database.run_exclusive(plan, ROOT, document, prune=True)
    assert await database.run_exclusive(apply, ROOT, document, prune=True) == planned
    exported = parse_document(format_document(await database.run(export, ROOT)))
    assert [item["name"] for item in exported["resource_presets"]] == sorted(item["name"] for item in presets)
    assert await database.run_exclusive(apply, ROOT, exported, prune=True) == []
    assert await database.run_exclusive(apply, ROOT, document, prune=True) == []


async def test_many_things_are_compared_in_few_queries(database):
    await database.run(lambda db: db.add_all(Domain(name=f"d{number:04}") for number in range(1200)))
    document = await database.run(export, ROOT)
    queries = []

    def count(db):
        from sqlalchemy import event

        event.listen(db.get_bind(), "before_cursor_execute", lambda *arguments: queries.append(arguments[2]))
        return plan(db, ROOT, document, prune=True)

    assert await database.run_exclusive(count) == []
    assert len([text for text in queries if not text.startswith(("SAVEPOINT", "RELEASE"))]) < 100


async def test_settings_that_are_not_named_stay(database):
    await database.run_exclusive(apply, ROOT, {"settings": {"status": {"value": "frozen"}}})
    await database.run_exclusive(apply, ROOT, {"settings": None, "domains": None})
    assert await database.run(lambda db: db.get(Setting, "status").value) == {"value": "frozen"}


async def test_the_example_of_the_documentation_works(database):
    page = (Path(__file__).parents[2] / "docs" / "howto-git.md").read_text()
    document = parse_document(page.split("```yaml\n")[1].split("```")[0])
    assert len(await database.run_exclusive(apply, ROOT, document)) == 6
    assert await database.run_exclusive(apply, ROOT, document) == []


async def test_two_imports_at_a_time_make_it_once(database):
    found = await asyncio.gather(*(database.run_exclusive(apply, ROOT, make()) for _ in range(2)))
    assert min(map(len, found)) == 0
    assert await database.run_exclusive(plan, ROOT, make(), prune=False) == []
