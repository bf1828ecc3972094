"""What people change of themselves, on both databases."""

import asyncio

import pytest
from cryptography.fernet import Fernet

from jupyterhub_backendai.errors import Conflict, Forbidden, InvalidParameters, NotFound
from jupyterhub_backendai.store import account, models, users
from jupyterhub_backendai.store.crypt import Crypt
from jupyterhub_backendai.store.safe import Safe
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import add_user

__all__ = ["database", "database_url", "postgres_url", "sqlite_template"]


@pytest.fixture
async def people(database):
    database.info["safe"] = Safe(Crypt(Fernet.generate_key().decode()))
    await database.run(add_user, "kim01", email="kim01@example.org")
    await database.run(add_user, "lee01")
    return database


async def test_many_at_once_make_no_more_keypairs_than_allowed(people):
    async def add():
        try:
            await people.run(account.add_keypair, "kim01", 3, "")
        except Conflict:
            return "refused"
        return "made"

    answers = await asyncio.gather(*(add() for _ in range(8)))
    assert sorted(answers) == ["made"] * 3 + ["refused"] * 5
    found = await people.run(account.list_keypairs, "kim01")
    assert [keypair.is_main for keypair in found] == [True, False, False]


async def test_a_keypair_is_its_owners(people):
    key, _ = await people.run(account.add_keypair, "kim01", 3, "")
    for act in (account.rotate_keypair, lambda db, *args: account.set_keypair_active(db, *args, is_active=False)):
        with pytest.raises(NotFound):
            await people.run(act, "lee01", key, "")
    with pytest.raises(Conflict):
        await people.run(account.set_keypair_active, "kim01", key, "", is_active=False)


async def test_what_others_switched_off(people):
    await people.run(account.add_keypair, "kim01", 3, "")
    key, _ = await people.run(account.add_keypair, "kim01", 3, "")
    await people.run(account.set_keypair_active, "kim01", key, "", is_active=False)
    await people.run(account.set_keypair_active, "kim01", key, "", is_active=True)

    def switch_off(db):
        db.get(models.Keypair, key).is_active = False

    await people.run(switch_off)
    with pytest.raises(Forbidden):
        await people.run(account.set_keypair_active, "kim01", key, "", is_active=True)


async def test_an_address_is_of_one_account(people):
    for name in ("kim01", "lee01"):
        await people.run(users.set_local_account, name, "hash", name, f"{name}@example.org")
    change = {"email": "lee01@example.org"}
    with pytest.raises(InvalidParameters):
        await people.run_exclusive(account.update_profile, "kim01", change, "", is_unique=True)
    assert await people.run_exclusive(account.update_profile, "kim01", change, "")
    assert not await people.run_exclusive(account.update_profile, "kim01", change, "", is_unique=True), "nothing is other"
    assert (await people.run(users.get_local_account, "kim01")).email == "lee01@example.org"
