"""``POST rest/v1/admin/users/<name>/reset-otp``."""

from typing import Any

import pytest

from jupyterhub_backendai.core import recovery as codes
from jupyterhub_backendai.store import models, notes, otp, recovery
from tests.fakes import Postbox
from tests.services.rest.people import admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]
PATH = "admin/users/{}/reset-otp"


def give_token(db: Any, name: str) -> None:
    otp.set_confirmed(db, name, "sealed")
    recovery.replace_codes(db, name, "00" * codes.SALT_BYTES, [f"{number:064}" for number in range(codes.COUNT)], models.now())


@pytest.fixture
def letters(admin_site):
    admin_site.site.application.settings["mail"] = Postbox()
    return admin_site.site.application.settings["mail"]


async def test_it_is_taken_away_and_the_owner_is_told(admin_site, letters):
    db = admin_site.site.db
    await db.run(give_token, "kim01")
    await db.run(lambda db: setattr(db.query(models.User).filter_by(name="kim01").one(), "email", "kim01@example.com"))
    status, answer, _ = await admin_site.admin.ask("POST", PATH.format("KIM01"))
    assert (status, answer) == (200, {"reset": True})
    assert await db.run(otp.get_token, "kim01") is None
    assert await db.run(recovery.count_codes, "kim01") == 0
    assert [note.message for note in await db.run(notes.list_notes, "kim01")] == [otp.RESET]
    assert [(mail.to, "one-time password" in mail.subject) for mail in letters.mails] == [("kim01@example.com", True)]
    acts = await db.run(lambda db: [(row.actor, row.object) for row in db.query(models.AuditEntry) if row.action == "user.reset-otp"])
    assert acts == [("choi01", "kim01")]
    assert (await admin_site.admin.ask("POST", PATH.format("kim01")))[1] == {"reset": False}
    assert len(letters.mails) == 1


async def test_only_administrators_of_the_own_people(admin_site, letters):
    db = admin_site.site.db
    for name in ("kim01", "root"):
        await db.run(give_token, name)
    for caller, name, expected in (
        (admin_site.owner, "kim01", 404),
        (admin_site.member, "kim01", 404),
        (admin_site.stranger, "kim01", 404),
        (admin_site.outsider, "kim01", 401),
        (admin_site.admin, "root", 403),
        (admin_site.admin, "nobody", 404),
    ):
        assert (await caller.ask("POST", PATH.format(name)))[0] == expected, name
    assert await db.run(otp.get_token, "kim01")
    assert await db.run(otp.get_token, "root")
    assert (await admin_site.root.ask("POST", PATH.format("root")))[1] == {"reset": True}
    assert (await admin_site.root.ask("GET", PATH.format("root")))[0] == 405
    assert letters.mails == []  # no address, no mail


async def test_a_token_of_somebody_who_never_came_in(admin_site):
    await admin_site.site.db.run(give_token, "new99")
    assert (await admin_site.admin.ask("POST", PATH.format("new99")))[0] == 404
    assert (await admin_site.root.ask("POST", PATH.format("new99")))[1] == {"reset": True}
