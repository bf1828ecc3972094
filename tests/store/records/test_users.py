"""People: who may make, see and change whom, and what comes with a person."""

import asyncio

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import event

from jupyterhub_backendai.core.identity import Actor, Person, Role, UserStatus
from jupyterhub_backendai.core.mapping import Mapped
from jupyterhub_backendai.core.nouns import Query
from jupyterhub_backendai.errors import AlreadyExists, Conflict, Forbidden, InvalidParameters, NotFound
from jupyterhub_backendai.store import mapping, models, users
from jupyterhub_backendai.store.crypt import Crypt
from jupyterhub_backendai.store.records import RECORDS
from jupyterhub_backendai.store.safe import Safe
from tests.factories import add_member, add_user

USERS = RECORDS["users"]
ROOT = Actor("root", Role.SUPERADMIN)
ADMIN = Actor("park04", Role.ADMIN, "default")
SOMEBODY = Actor("kim01", Role.USER, "default")
PASSWORD = "right-horse-1"


def add_people(db):
    """kim01 in ai and nlp, park04 administers ``default``, root everything; ``other`` has the project laser, ``closed`` is inactive."""
    add_user(db, "kim01", "ai", "nlp")
    add_user(db, "park04", role=Role.ADMIN, role_source="site")
    add_user(db, "root", role=Role.SUPERADMIN)
    db.add_all([models.Domain(name="other"), models.Domain(name="closed", is_active=False)])
    db.flush()
    db.add(models.Project(domain="other", name="laser"))


@pytest.fixture
def crypt():
    return Crypt(Fernet.generate_key().decode())


@pytest.fixture
async def people(database, crypt):
    database.info["safe"] = Safe(crypt, lambda password: f"hash:{password}")
    await database.run(add_people)
    return database


async def refused(database, function, *arguments):
    with pytest.raises(InvalidParameters) as caught:
        await database.run(function, *arguments)
    return {(violation.field, violation.rule) for violation in caught.value.violations}


async def find(database, name):
    return (await database.run(USERS.find, ROOT, name)).values


def login(db, name, *, is_admin=False, domain="default", **person):
    mapped = Mapped(True, Role.SUPERADMIN if is_admin else Role.USER, domain, ("default",))
    return mapping.sync_login(db, Person(name, **person), mapped, ["default"], (f"AKIA{name}", "sealed"), models.now())


async def test_somebody_new_has_a_keypair_whose_secret_is_told_once(people, crypt):
    change = await people.run(USERS.add, ROOT, {"name": "choi05", "email": "choi05@example.com", "projects": ["ai"]})
    values = change.after.values
    assert (values["role"], values["role_source"], values["status"], values["projects"]) == ("user", "directory", "active", ("ai",))
    assert (values["keypair_resource_policy"], values["resource_policy"], values["has_otp"]) == ("default", "default", False)
    key = await people.run(lambda db: db.get(models.Keypair, values["main_access_key"]))
    assert change.extras == {"access_key": key.access_key, "secret_key": crypt.decrypt(key.secret_key, f"keypair:{key.access_key}")}
    entry = await people.run(lambda db: db.query(models.AuditEntry).filter_by(action="user.create").one())
    assert change.extras["secret_key"] not in str(entry.details)
    assert await people.run(lambda db: db.get(models.LocalAccount, "choi05")) is None
    with pytest.raises(AlreadyExists):
        await people.run(USERS.add, ROOT, {"name": "choi05"})


async def test_a_password_makes_and_changes_the_account_of_the_embedded_directory(people):
    await people.run(USERS.add, ROOT, {"name": "choi05", "password": PASSWORD, "display_name": "최05"})
    account = await people.run(users.get_local_account, "choi05")
    assert (account.password_hash, account.display_name, account.is_active) == (f"hash:{PASSWORD}", "최05", True)
    change = await people.run(USERS.update, ROOT, "choi05", {"password": "other-horse-2", "email": "c@example.com"})
    assert "password" not in change.after.values
    account = await people.run(users.get_local_account, "choi05")
    assert (account.password_hash, account.email) == ("hash:other-horse-2", "c@example.com")
    await people.run(USERS.update, ROOT, "choi05", {"password": ""})
    assert (await people.run(users.get_local_account, "choi05")).password_hash == "hash:other-horse-2"
    entries = await people.run(lambda db: [str(entry.details) for entry in db.query(models.AuditEntry)])
    assert len(entries) == 2
    assert not any("horse" in text for text in entries)


async def test_who_must_choose_a_new_password_is_held_up_at_the_next_login(people):
    await people.run(USERS.add, ROOT, {"name": "choi05", "password": PASSWORD, "must_change_password": True})
    assert (await people.run(users.get_local_account, "choi05")).must_change_password
    assert (await people.run(USERS.find, ROOT, "choi05")).values["must_change_password"]
    await people.run(USERS.update, ROOT, "choi05", {"description": "new"})
    assert (await people.run(users.get_local_account, "choi05")).must_change_password
    await people.run(users.set_password_hash, "choi05", "hash:new")
    assert not (await people.run(USERS.find, ROOT, "choi05")).values["must_change_password"]
    await people.run(USERS.update, ROOT, "choi05", {"must_change_password": True})
    assert (await people.run(users.get_local_account, "choi05")).must_change_password
    # of who has no password here, nothing is asked
    await people.run(USERS.update, ROOT, "kim01", {"must_change_password": True})
    assert not (await people.run(USERS.find, ROOT, "kim01")).values["must_change_password"]


@pytest.mark.parametrize("password", ["short-1", "no-digits-here", "1234567-", "nospecial1"])
async def test_a_weak_password_is_refused(people, password):
    assert await refused(people, USERS.update, ROOT, "kim01", {"password": password}) == {("password", "weak-password")}


async def test_where_a_directory_keeps_passwords_none_is_set_here(people, crypt):
    people.info["safe"] = Safe(crypt)
    assert await refused(people, USERS.update, ROOT, "kim01", {"password": PASSWORD}) == {("password", "no-passwords")}
    held_up = {"must_change_password": True}
    assert await refused(people, USERS.update, ROOT, "kim01", held_up) == {("must_change_password", "no-passwords")}


async def test_everything_that_is_wrong_is_said_at_once(people):
    data = {"name": "choi 05", "domain": "nowhere", "resource_policy": "none", "projects": ["laser"], "password": "x"}
    assert {field for field, _ in await refused(people, USERS.add, ROOT, data)} == {
        "name",
        "domain",
        "resource_policy",
        "projects",
        "password",
    }
    assert await refused(people, USERS.add, ROOT, {"name": "choi05", "domain": "closed"}) == {("domain", "inactive")}
    assert await refused(people, USERS.update, ROOT, "kim01", {"projects": ["ai", "laser"]}) == {("projects", "unknown")}
    with pytest.raises(NotFound):
        await people.run(USERS.find, ROOT, "choi05")


async def test_projects_are_of_the_own_domain(people):
    change = await people.run(USERS.update, ROOT, "kim01", {"projects": ["ai"]})
    assert (change.before.values["projects"], change.after.values["projects"]) == (("ai", "nlp"), ("ai",))
    change = await people.run(USERS.update, ROOT, "kim01", {"domain": "other"})
    assert change.after.values["projects"] == ()
    change = await people.run(USERS.update, ROOT, "kim01", {"domain": "default", "projects": ["nlp"]})
    assert change.after.values["projects"] == ("nlp",)
    page = await people.run(USERS.list_page, ROOT, Query(filters={"projects": "nlp"}))
    assert [record.key for record in page.records] == ["kim01"]
    page = await people.run(USERS.list_page, ROOT, Query(filters={"projects": "other/nlp"}))
    assert page.total == 0


async def test_a_domains_administrator_has_the_own_people_only(people):
    await people.run(USERS.add, ROOT, {"name": "choi05", "domain": "other"})
    page = await people.run(USERS.list_page, ADMIN, Query())
    assert [record.key for record in page.records] == ["kim01", "park04", "root"]
    for function, arguments in ((USERS.find, ()), (USERS.update, ({"description": "x"},)), (USERS.count_hit, ())):
        with pytest.raises(NotFound):
            await people.run(function, ADMIN, "choi05", *arguments)
    assert await refused(people, USERS.add, ADMIN, {"name": "lee01", "domain": "other"}) == {("domain", "other-domain")}
    assert await refused(people, USERS.update, ADMIN, "kim01", {"domain": "other"}) == {("domain", "other-domain")}
    assert await refused(people, USERS.update, ADMIN, "kim01", {"role": "superadmin"}) == {("role", "superadmin")}
    assert await refused(people, USERS.update, ADMIN, "root", {"password": PASSWORD}) == {("role", "superadmin")}
    assert await refused(people, USERS.update, ADMIN, "kim01", {"role_source": "site"}) == {("role_source", "superadmin")}
    change = await people.run(USERS.update, ADMIN, "kim01", {"description": "ours", "role": "admin", "projects": ["ai"]})
    assert (change.after.values["role"], change.after.values["role_source"], change.after.values["projects"]) == ("admin", "site", ("ai",))
    assert await refused(people, USERS.update, ADMIN, "park04", {"role": "user"}) == {("role", "oneself")}
    assert await refused(people, USERS.update, ADMIN, "park04", {"status": "inactive"}) == {("status", "oneself")}


async def test_whose_password_a_domains_administrator_sets_does_not_become_superadmin_by_the_directory(people):
    await people.run(USERS.add, ADMIN, {"name": "choi05", "password": PASSWORD, "role_source": "directory"})
    await people.run(USERS.update, ADMIN, "kim01", {"password": PASSWORD})
    for name in ("choi05", "kim01"):
        identity = await people.run_exclusive(login, name, is_admin=True)
        assert (identity.role, identity.is_admin) == (Role.USER, False)


async def test_an_account_that_was_never_used_is_not_taken_over_by_a_domains_administrator(people):
    await people.run(users.set_local_account, "choi05", "hash:own", "", "", ("staff",))
    data = {"name": "choi05", "password": PASSWORD}
    assert await refused(people, USERS.add, ADMIN, data) == {("name", "taken")}
    assert (await people.run(users.get_local_account, "choi05")).password_hash == "hash:own"
    await people.run(USERS.add, ROOT, {"name": "choi05"})


async def test_a_stranger_sees_nobody(people):
    for function, arguments in (
        (USERS.list_page, (Query(),)),
        (USERS.find, ("kim01",)),
        (USERS.add, ({"name": "choi05"},)),
        (USERS.update, ("kim01", {"description": "me"})),
        (USERS.update, ("kim01", {"role": "superadmin"})),
    ):
        with pytest.raises(NotFound):
            await people.run(function, SOMEBODY, *arguments)


async def test_nobody_is_deleted(people):
    with pytest.raises(Forbidden):
        await people.run(USERS.remove, ROOT, "kim01")


@pytest.mark.parametrize("data", [{"role": "admin"}, {"status": "inactive"}])
async def test_the_last_superadmin_stays(people, data):
    system = Actor("system:root", Role.SUPERADMIN)
    assert await refused(people, USERS.update, system, "root", data) == {(next(iter(data)), "last-superadmin")}
    await people.run(USERS.add, ROOT, {"name": "choi05", "role": "superadmin", "status": "inactive"})
    assert await refused(people, USERS.update, system, "root", data) == {(next(iter(data)), "last-superadmin")}
    await people.run(USERS.update, ROOT, "choi05", {"status": "active", "domain": "other"})
    await people.run(RECORDS["domains"].update, ROOT, "other", {"is_active": False})  # nobody of it can come in
    assert await refused(people, USERS.update, system, "root", data) == {(next(iter(data)), "last-superadmin")}
    await people.run(RECORDS["domains"].update, ROOT, "other", {"is_active": True})
    await people.run(USERS.update, system, "root", data)


async def test_of_two_superadmins_who_close_each_other_at_once_one_stays(people):
    await people.run(USERS.add, ROOT, {"name": "choi05", "role": "superadmin"})
    acts = [
        people.run(USERS.update, Actor("choi05", Role.SUPERADMIN), "root", {"status": "inactive"}),
        people.run(USERS.update, ROOT, "choi05", {"role": "user"}),
    ]
    found = await asyncio.gather(*acts, return_exceptions=True)
    assert [type(item) for item in found if isinstance(item, Exception)] == [InvalidParameters]
    left = [await find(people, name) for name in ("root", "choi05")]
    assert [(item["role"], item["status"]) for item in left].count(("superadmin", "active")) == 1


async def test_a_login_makes_no_form_stale(people):
    etag = (await people.run(USERS.find, ROOT, "kim01")).etag(USERS.noun)
    await people.run_exclusive(login, "kim01", display_name="")
    await people.run(USERS.update, ROOT, "kim01", {"projects": ["ai"]})
    with pytest.raises(Conflict):
        await people.run(USERS.update, ROOT, "kim01", {"description": "x"}, etag)
    etag = (await people.run(USERS.find, ROOT, "park04")).etag(USERS.noun)
    await people.run_exclusive(login, "park04")
    await people.run(USERS.update, ROOT, "park04", {"description": "x"}, etag)


async def test_a_login_keeps_what_the_site_set(people):
    await people.run(USERS.add, ROOT, {"name": "choi05", "role": "superadmin", "email": "choi05@example.com"})
    await people.run(USERS.update, ROOT, "kim01", {"role": "user", "role_source": "site", "domain": "other", "projects": ["laser"]})
    identity = await people.run_exclusive(login, "choi05")
    assert (identity.role, identity.is_admin, identity.email, identity.projects) == (
        Role.SUPERADMIN,
        True,
        "choi05@example.com",
        ("default",),
    )
    identity = await people.run_exclusive(login, "kim01", is_admin=True)
    assert (identity.role, identity.domain, identity.projects) == (Role.USER, "other", ("laser",))
    # where the directory decides, each login does
    for is_admin, role in ((True, Role.SUPERADMIN), (False, Role.USER)):
        assert (await people.run_exclusive(login, "lee01", is_admin=is_admin)).role is role


@pytest.mark.parametrize("data", [{"status": "inactive"}, {"password": PASSWORD}])
async def test_who_is_closed_or_gets_another_password_is_out_on_every_browser(people, data):
    at = models.now()
    for name in ("kim01", "park04"):
        row = models.ActiveLogin(id=name, user_name=name, created_at=at, seen_at=at, expires_at=at)
        await people.run(lambda db, row=row: db.add(row))
    await people.run(USERS.update, ROOT, "kim01", {"description": "x", "status": "active"})
    assert len(await people.run(lambda db: db.query(models.ActiveLogin).all())) == 2
    await people.run(USERS.update, ROOT, "kim01", data)
    assert [row.user_name for row in await people.run(lambda db: db.query(models.ActiveLogin).all())] == ["park04"]


async def test_a_domain_that_an_administrator_chose_is_the_sites(people):
    change = await people.run(USERS.update, ROOT, "kim01", {"domain": "other"})
    assert change.after.values["domain_source"] == "site"
    change = await people.run(USERS.update, ROOT, "kim01", {"domain_source": "directory"})
    assert change.after.values["domain_source"] == "directory"
    assert await refused(people, USERS.update, ADMIN, "park04", {"domain_source": "site"}) == {("domain_source", "superadmin")}


@pytest.mark.parametrize(("status", "words"), [("inactive", "closed"), ("before-verification", "not verified yet")])
async def test_who_is_not_active_does_not_come_in(people, status, words):
    await people.run(USERS.update, ROOT, "kim01", {"status": status})
    with pytest.raises(Forbidden, match=words):
        await people.run_exclusive(login, "kim01")
    assert not (await people.run(users.get_identity, "kim01")).is_active
    page = await people.run(USERS.list_page, ROOT, Query(filters={"status": status}))
    assert [record.key for record in page.records] == ["kim01"]


async def test_every_column_sorts_and_every_filter_filters(people):
    for name in USERS.noun.columns:
        assert (await people.run(USERS.list_page, ROOT, Query(sort=f"-{name}"))).total == 3
    for name, text in (("domain", "default"), ("role", "admin"), ("status", "active"), ("resource_policy", "default"), ("projects", "ai")):
        assert (await people.run(USERS.list_page, ROOT, Query(filters={name: text}))).total >= 1
        assert (await people.run(USERS.list_page, ROOT, Query(filters={name: "nothing"}))).total == 0


async def test_a_page_of_ten_thousand_takes_few_queries(people):
    def fill(db):
        rows = [
            {"id": models.new_id(), "name": f"u{number:05}", "domain": "default", "email": f"u{number:05}@example.com"}
            for number in range(10_000)
        ]
        db.execute(
            models.User.__table__.insert(),
            [{**row, "role": Role.USER, "status": UserStatus.ACTIVE, "created_at": models.now()} for row in rows],
        )
        add_member(db, rows[0]["id"], "ai")

    await people.run(fill)

    def count_statements(db, query):
        statements = []
        event.listen(db.get_bind(), "before_cursor_execute", listener := lambda *arguments: statements.append(arguments[2]))
        assert USERS.list_page(db, ROOT, query).records
        event.remove(db.get_bind(), "before_cursor_execute", listener)
        return len(statements)

    for query in (Query(), Query(search="u0999"), Query(sort="-email", page=20), Query(filters={"projects": "ai"})):
        assert await people.run(count_statements, query) <= 7
