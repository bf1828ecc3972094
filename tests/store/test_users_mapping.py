"""What logins and refreshes make of people's rows, on both databases."""

import asyncio

import pytest
from sqlalchemy import event, select

from jupyterhub_backendai.core.identity import Person, PosixAccount, Role, UserStatus
from jupyterhub_backendai.core.mapping import Mapped
from jupyterhub_backendai.errors import NotFound
from jupyterhub_backendai.store import mapping, models, users
from tests.factories import add_member, add_user

DEFAULT = ("default",)


def mapped(*projects, role=Role.USER, domain="default", **fields):
    return Mapped(True, role, domain, projects or DEFAULT, **fields)


def login(db, rights, name="kim01", managed=DEFAULT, **person):
    return mapping.sync_login(db, Person(name, **person), rights, managed, (f"AKIA{name}", "sealed"), models.now())


def refresh(db, rights, name="kim01", managed=DEFAULT, **person):
    return mapping.sync_refresh(db, Person(name, **person), rights, managed, models.now())


def links(db):
    rows = db.scalars(select(models.ResourceGroupKeypair).order_by(models.ResourceGroupKeypair.resource_group))
    return [(row.resource_group, row.access_key, row.source) for row in rows]


def audited(db):
    rows = db.scalars(select(models.AuditEntry).where(models.AuditEntry.action == "user.sync"))
    return [(row.object, row.details["before"], row.details["after"]) for row in rows]


@pytest.mark.parametrize("again", [login, refresh])
async def test_what_a_login_gave_ends_and_what_the_site_gave_stays(database, again):
    identity = await database.run_exclusive(login, mapped("ai", "nlp"))
    assert (identity.projects, identity.access_key) == (("ai", "nlp"), "AKIAkim01")

    def by_hand(db):
        user_id = db.scalar(select(models.User.id))
        add_member(db, user_id, "hand")
        add_member(db, user_id, "physics")

    await database.run(by_hand)
    identity = await database.run_exclusive(again, mapped("nlp"), managed=("physics", "default"))
    assert identity.projects == ("hand", "nlp")  # `physics` is the directory's alone
    assert await database.run(audited) == [("kim01", {"projects": ["ai", "hand", "nlp", "physics"]}, {"projects": ["hand", "nlp"]})]


async def test_what_somebody_was_given_by_hand_stays_when_the_directory_gives_it_too(database):
    await database.run(add_user, "kim01", "hand")
    await database.run_exclusive(login, mapped("hand", "ai"))
    assert (await database.run_exclusive(login, mapped())).projects == ("default", "hand")


async def test_a_refresh_that_finds_nothing_new_writes_nothing(database):
    rights = mapped("ai", "nlp", keypair_resource_policy="none", resource_groups=("nowhere",))
    posix = PosixAccount("kim01", 5000, 5001, "/home/kim01")
    await database.run_exclusive(login, rights, email="k@example.com", posix=posix)

    def count_writes(db):
        statements = []
        event.listen(db.get_bind(), "before_cursor_execute", listener := lambda *arguments: statements.append(arguments[2]))
        refresh(db, rights, email="k@example.com", posix=posix)
        event.remove(db.get_bind(), "before_cursor_execute", listener)
        return [text for text in statements if not text.lstrip().startswith(("SELECT", "BEGIN"))], len(statements)

    writes, count = await database.run(count_writes)
    assert writes == []
    assert count <= 16


async def test_a_refresh_brings_everything_up_to_date_but_the_last_login(database):
    await database.run_exclusive(login, mapped("ai"))
    before = await database.run(lambda db: db.scalar(select(models.User.last_login_at)))
    posix = PosixAccount("kim", 6000, 6000, "/home/kim")
    identity = await database.run(refresh, mapped("nlp", role=Role.ADMIN), email="new@example.com", posix=posix)
    assert (identity.role, identity.projects, identity.email, identity.posix) == (Role.ADMIN, ("nlp",), "new@example.com", posix)
    assert await database.run(lambda db: db.scalar(select(models.User.last_login_at))) == before
    with pytest.raises(NotFound):
        await database.run(refresh, mapped(), name="nobody")
    await database.run(users.set_status, "kim01", UserStatus.INACTIVE)
    identity = await database.run(refresh, mapped("ai"))
    assert (identity.is_active, identity.projects) == (False, ("nlp",))


@pytest.mark.parametrize("again", [login, refresh])
async def test_the_last_superadmin_is_not_demoted_by_the_directory(database, again, caplog):
    boss = mapped(role=Role.SUPERADMIN)
    await database.run_exclusive(login, boss)
    assert (await database.run_exclusive(again, mapped())).role is Role.SUPERADMIN
    assert "stays superadmin" in caplog.text
    await database.run_exclusive(login, boss, name="lee01")
    await database.run(users.set_status, "lee01", UserStatus.INACTIVE)  # who is closed is no help
    assert (await database.run_exclusive(again, mapped())).role is Role.SUPERADMIN
    await database.run(users.set_status, "lee01", UserStatus.ACTIVE)
    assert (await database.run_exclusive(again, mapped())).role is Role.USER
    assert await database.run(audited) == [("kim01", {"role": "superadmin"}, {"role": "user"})]


async def test_of_superadmins_who_lose_it_all_at_once_one_stays(database):
    names = [f"boss{number}" for number in range(4)]
    for name in names:
        await database.run_exclusive(login, mapped(role=Role.SUPERADMIN), name=name)
    found = await asyncio.gather(*(database.run_exclusive(login, mapped(), name=name) for name in names))
    assert [identity.role for identity in found].count(Role.SUPERADMIN) == 1


async def test_a_role_follows_the_directory_unless_the_site_set_it(database):
    for role in (Role.ADMIN, Role.USER):
        assert (await database.run_exclusive(login, mapped(role=role))).role is role
    await database.run(add_user, "lee01", role=Role.ADMIN, role_source="site")
    assert (await database.run_exclusive(login, mapped(), name="lee01")).role is Role.ADMIN


async def test_a_domain_follows_a_rule_and_only_a_rule(database):
    await database.run_exclusive(login, mapped("ai"))
    assert (await database.run_exclusive(login, mapped("ai", domain="elsewhere"))).domain == "default"
    identity = await database.run_exclusive(login, mapped("laser", domain="physics", has_domain=True))
    assert (identity.domain, identity.projects) == ("physics", ("laser",))
    assert await database.run(
        lambda db: [(row.domain, row.name) for row in db.scalars(select(models.Project).order_by(models.Project.domain))]
    ) == [
        ("default", "ai"),
        ("physics", "laser"),
    ]


@pytest.mark.parametrize("fields", [{"domain_source": "site"}, {"role": Role.ADMIN, "role_source": "site"}])
async def test_whom_the_site_put_into_a_domain_stays_there(database, fields):
    await database.run(lambda db: add_user(db, "kim01", "ai", **fields))
    identity = await database.run_exclusive(login, mapped("laser", domain="physics", has_domain=True))
    assert (identity.domain, identity.projects) == ("default", ("ai",))


async def test_a_domain_that_is_closed_closes_whom_a_rule_moves_into_it(database):
    await database.run(lambda db: db.add(models.Domain(name="closed", is_active=False)))
    await database.run_exclusive(login, mapped())
    assert not (await database.run_exclusive(login, mapped(domain="closed", has_domain=True))).is_active


async def test_policy_and_resource_groups_of_the_main_keypair(database):
    def fill(db):
        db.add_all([models.KeypairResourcePolicy(name="large"), *(models.ResourceGroup(name=name, engine="local") for name in "abc")])

    await database.run(fill)
    rights = mapped(keypair_resource_policy="large", resource_groups=("a", "b", "unknown"))
    await database.run_exclusive(login, rights)
    assert await database.run(links) == [("a", "AKIAkim01", "directory"), ("b", "AKIAkim01", "directory")]
    assert await database.run(lambda db: db.scalar(select(models.Keypair.resource_policy))) == "large"

    await database.run(lambda db: db.add(models.ResourceGroupKeypair(resource_group="c", access_key="AKIAkim01")))
    await database.run_exclusive(login, mapped(resource_groups=("b", "c")))
    assert await database.run(links) == [("b", "AKIAkim01", "directory"), ("c", "AKIAkim01", "site")]
    await database.run_exclusive(login, mapped(keypair_resource_policy="unknown"))
    assert await database.run(links) == [("c", "AKIAkim01", "site")]
    assert await database.run(lambda db: db.scalar(select(models.Keypair.resource_policy))) == "large"


async def test_every_keypair_has_the_groups(database):
    await database.run(lambda db: db.add(models.ResourceGroup(name="a", engine="local")))
    rights = mapped(resource_groups=("a",))
    await database.run_exclusive(login, rights)

    def another_is_main(db):
        old = db.scalars(select(models.Keypair)).one()
        old.is_main = False
        db.flush()
        db.add(models.Keypair(access_key="AKIAother", user_id=old.user_id, secret_key="x", is_main=True))

    await database.run(another_is_main)
    await database.run_exclusive(login, rights)
    assert await database.run(links) == [("a", "AKIAkim01", "directory"), ("a", "AKIAother", "directory")]
    await database.run_exclusive(login, mapped())
    assert await database.run(links) == []


async def test_a_preview_changes_nothing(database):
    await database.run_exclusive(login, mapped("ai"))

    def preview(db):
        return mapping.preview_login(db, Person("kim01"), mapped("nlp", role=Role.ADMIN, resource_groups=("a",)), DEFAULT, models.now())

    found = await database.run(preview)
    assert found.changes == {"role": ("user", "admin"), "projects": (["ai"], ["nlp"])}
    assert found.missing == ("resource group a",)
    identity = await database.run(users.find_identity, "kim01")
    assert (identity.role, identity.projects) == (Role.USER, ("ai",))
    assert await database.run(lambda db: db.scalars(select(models.Project.name)).all()) == ["ai"]
