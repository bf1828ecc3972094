"""Invitations to make an account: by superadmins and domain administrators; the word is told once."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from jupyterhub_backendai.core.accounts import fold_invitation, hash_word
from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.nouns import Query
from jupyterhub_backendai.errors import Forbidden, InvalidParameters, NotFound
from jupyterhub_backendai.store import models
from jupyterhub_backendai.store.records import RECORDS

INVITATIONS = RECORDS["sign_up_invitations"]
ROOT = Actor("root", Role.SUPERADMIN)
PHYSICIST = Actor("max", Role.ADMIN, "physics")
NOBODY = Actor("kim01", Role.USER, "physics")


@pytest.fixture
async def domains(database):
    def add(db):
        db.add_all([models.Domain(name="physics"), models.Domain(name="default")])
        db.flush()
        db.add(models.Project(domain="physics", name="quarks"))

    await database.run(add)
    return database


async def test_the_word_is_told_once(domains):
    change = await domains.run_exclusive(
        INVITATIONS.add, ROOT, {"name": "course", "domain": "physics", "projects": ["quarks"], "email": "A@B.kr"}
    )
    word = change.extras["invitation"]
    assert len(fold_invitation(word)) == 16
    row = await domains.run(lambda db: db.scalars(select(models.SignUpInvitation)).one())
    assert (row.token_hash, row.email, row.created_by) == (hash_word(fold_invitation(word.lower())), "a@b.kr", "root")
    assert word not in str(await domains.run(INVITATIONS.find, ROOT, row.id))
    entries = await domains.run(lambda db: db.scalars(select(models.AuditEntry)).all())
    assert [entry.action for entry in entries] == ["sign_up_invitation.create"]
    assert word not in str(entries[0].details)


async def test_each_sees_and_makes_those_of_their_domain(domains):
    change = await domains.run_exclusive(INVITATIONS.add, PHYSICIST, {"name": "course"})
    assert change.after.values["domain"] == "physics"
    await domains.run_exclusive(INVITATIONS.add, ROOT, {"name": "other"})
    assert (await domains.run(INVITATIONS.list_page, PHYSICIST, Query())).total == 1
    assert (await domains.run(INVITATIONS.list_page, ROOT, Query())).total == 2
    with pytest.raises(NotFound):
        await domains.run(INVITATIONS.list_page, NOBODY, Query())
    with pytest.raises((NotFound, Forbidden)):
        await domains.run_exclusive(INVITATIONS.add, NOBODY, {"name": "mine"})
    await domains.run_exclusive(INVITATIONS.remove, PHYSICIST, change.after.key)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x", "max_uses": 0}, "max_uses"),
        ({"name": "x", "domain": "default"}, "domain"),
        ({"name": "x", "projects": ["nothing"]}, "projects"),
        ({"name": "x", "email": "nobody"}, "email"),
        ({"name": "x", "uses": 3}, "uses"),
    ],
)
async def test_what_is_not_taken(domains, data, field):
    with pytest.raises(InvalidParameters) as caught:
        await domains.run_exclusive(INVITATIONS.add, PHYSICIST, data)
    assert [violation.field for violation in caught.value.violations] == [field]
