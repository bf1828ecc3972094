"""``account``: everybody's own, and nobody else's."""

import aiohttp
import pytest
import pytest_asyncio

from jupyterhub_backendai.core import otp
from jupyterhub_backendai.core.identity import Role
from jupyterhub_backendai.store import models
from jupyterhub_backendai.store.crypt import Crypt
from tests.databases import sqlite_template
from tests.factories import add_user
from tests.services.own_account import PASSWORD, add_login, code_of, give_password, give_token, list_audit
from tests.services.public import settings, site
from tests.services.rest.people import Caller, admin_site

__all__ = ["admin_site", "settings", "site", "sqlite_template"]
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f kim01@laptop"


@pytest_asyncio.fixture
async def owner(admin_site):
    await give_password(admin_site.site)
    return admin_site.owner


class Postbox(list):
    post = list.append

    def __bool__(self):
        return True


@pytest.fixture
def posted(site):
    """Mail that the service sent."""
    site.application.settings["mail"] = Postbox()
    return site.application.settings["mail"]


async def fields_of(caller, method, path, body):
    status, answer, _ = await caller.ask(method, path, body)
    return status, [violation["field"] for violation in answer.get("violations", [])]


async def test_everybody_sees_only_themselves(admin_site):
    people = {"root": "root", "choi01": "admin", "kim01": "owner", "jung03": "member", "park04": "stranger"}
    for name, who in people.items():
        status, answer, _ = await getattr(admin_site, who).get("account")
        assert (status, answer["name"]) == (200, name)
    status, answer, _ = await admin_site.outsider.get("account")
    assert status == 401


async def test_nobody_reaches_what_is_another_persons(admin_site, owner):
    login = await add_login(admin_site.site, "kims")
    key = (await make_keypair(owner))["access_key"]
    for who in ("root", "admin", "member", "stranger", "outsider"):
        caller, none = getattr(admin_site, who), 401 if who == "outsider" else 404
        assert (await caller.ask("DELETE", f"account/logins/{login}"))[0] == none
        assert (await caller.ask("PATCH", f"account/keypairs/{key}", {"is_active": False}))[0] == none
        status, answer, _ = await caller.get("account/logins")
        assert status == 401 or answer["logins"] == []
        await caller.ask("DELETE", "account/logins")
    assert len((await owner.get("account/logins"))[1]["logins"]) == 1


async def make_keypair(owner):
    status, answer, _ = await owner.ask("POST", "account/keypairs", {"password": PASSWORD})
    assert status == 201, answer
    return answer


# -- profile


async def test_name_and_language(admin_site, owner):
    status, answer, _ = await owner.ask("PATCH", "account", {"display_name": " 김01 ", "language": "ko"})
    assert (status, answer["display_name"], answer["language"]) == (200, "김01", "ko")
    [row] = await list_audit(admin_site.site, "profile.update")
    assert row[:3] == ("kim01", "profile.update", "kim01")
    # the embedded directory says the same at the next login
    account = await admin_site.site.db.run(lambda db: db.get(models.LocalAccount, "kim01").display_name)
    assert account == "김01"


async def test_another_mail_address_is_proven(admin_site, owner, posted):
    assert await fields_of(owner, "PATCH", "account", {"email": "kim@example.net"}) == (400, ["proof"])
    assert await fields_of(owner, "PATCH", "account", {"email": "kim@example.net", "password": "wrong"}) == (400, ["proof"])
    status, answer, _ = await owner.ask("PATCH", "account", {"email": "Kim@example.net", "password": PASSWORD})
    assert (status, answer["email"]) == (200, "kim@example.net")
    assert [mail.to for mail in posted] == [], "there was none before"
    status, answer, _ = await owner.ask("PATCH", "account", {"email": "kim01@example.net", "password": PASSWORD})
    assert [mail.to for mail in posted] == ["kim@example.net"]
    await give_password(admin_site.site, "jung03")
    admin_site.site.settings.sign_up = True
    assert await fields_of(owner, "PATCH", "account", {"email": "JUNG03@example.org", "password": PASSWORD}) == (400, ["email"])


async def test_what_is_no_profile(owner):
    for body, field in [
        ({"email": "not an address"}, "email"),
        ({"email": "a@b\r\nBcc: c@d.e"}, "email"),
        ({"display_name": "x" * 256}, "display_name"),
        ({"display_name": "a\nb"}, "display_name"),
        ({"language": "xx"}, "language"),
    ]:
        assert await fields_of(owner, "PATCH", "account", {**body, "password": PASSWORD}) == (400, [field])


async def test_a_directory_of_the_centre_keeps_names(admin_site, owner):
    admin_site.site.settings.directory = "ldap"
    assert await fields_of(owner, "PATCH", "account", {"display_name": "x", "email": "x@y.zz"}) == (400, ["display_name", "email"])
    status, answer, _ = await owner.ask("PATCH", "account", {"language": "ko"})
    assert (status, answer["language"]) == (200, "ko")


async def test_what_cannot_be_read(owner):
    for body in ([], {"display_name": 5}, {"language": None}, {"display_name": "\ud800"}, {"email": "a\x00@b.kr"}):
        assert (await owner.ask("PATCH", "account", body))[0] == 400
    assert (await owner.ask("POST", "account/keypairs/a%00b/rotate", {}))[0] == 404


# -- password


async def test_a_new_password_ends_the_other_logins(admin_site, owner):
    site = admin_site.site
    await add_login(site, "one")
    new = "another l0ng password!"
    status, _, _ = await owner.ask("POST", "account/password", {"old": PASSWORD, "new": new})
    assert status == 200
    assert (await owner.get("account/logins"))[1]["logins"] == []
    assert site.hub.forgotten[-1]["name"] == "kim01"
    assert await fields_of(owner, "POST", "account/password", {"old": PASSWORD, "new": PASSWORD + "x"}) == (400, ["old"])
    status, _, _ = await owner.ask("POST", "account/keypairs", {"password": new})
    assert status == 201
    assert [row[3] for row in await list_audit(site, "change-password")] == ["ok", "refused"]


async def test_what_is_no_new_password(owner):
    for body, field in [
        ({}, "old"),
        ({"old": PASSWORD}, "new"),
        ({"old": PASSWORD, "new": "another l0ng password!", "again": "x"}, "again"),
        ({"old": PASSWORD, "new": "short"}, "new"),
        ({"old": PASSWORD, "new": PASSWORD}, "new"),
    ]:
        assert await fields_of(owner, "POST", "account/password", body) == (400, [field])


async def test_guessing_is_slowed(owner):
    statuses = [(await owner.ask("POST", "account/keypairs", {"password": f"guess {number}"}))[0] for number in range(5)]
    assert statuses[:3] == [400] * 3
    assert 429 in statuses[3:]
    assert (await owner.ask("POST", "account/password", {"old": PASSWORD, "new": "another l0ng password!"}))[0] == 429


# -- one-time password


async def test_enrol_again_and_recovery_codes(admin_site, owner):
    site = admin_site.site
    old = await give_token(site)
    await add_login(site, "one")
    assert await fields_of(owner, "POST", "account/otp", {"password": PASSWORD}) == (400, ["proof"])
    assert await fields_of(owner, "POST", "account/otp", {"code": code_of(old)}) == (400, ["proof"])
    status, step, _ = await owner.ask("POST", "account/otp", {"password": PASSWORD, "code": code_of(old)})
    assert status == 201
    assert step["uri"].startswith("otpauth://totp/")
    new = otp.parse_secret(step["secret"])
    wrong = f"{(int(code_of(new)) + 1) % 10**6:06d}"
    assert await fields_of(owner, "POST", "account/otp/confirm", {"ticket": step["ticket"], "code": wrong}) == (400, ["code"])
    # Until then the old one counts; the ticket is this person's only.
    assert (await admin_site.member.ask("POST", "account/otp/confirm", {"ticket": step["ticket"], "code": code_of(new)}))[0] == 404
    status, answer, _ = await owner.ask("POST", "account/otp/confirm", {"ticket": step["ticket"], "code": code_of(new)})
    assert status == 200
    assert len(answer["recovery_codes"]) == 10
    assert (await owner.ask("POST", "account/otp/confirm", {"ticket": step["ticket"], "code": code_of(new, 1)}))[0] == 404
    assert (await owner.get("account/logins"))[1]["logins"] == []
    assert (await owner.get("account/otp"))[1]["recovery_codes"] == 10
    # a recovery code proves as a code does, once
    codes = answer["recovery_codes"]
    status, answer, _ = await owner.ask("POST", "account/otp/recovery-codes", {"password": PASSWORD, "code": codes[0]})
    assert status == 201
    assert not set(answer["recovery_codes"]) & set(codes)
    assert await fields_of(owner, "POST", "account/otp/recovery-codes", {"password": PASSWORD, "code": codes[1]}) == (400, ["proof"])
    assert [row[1] for row in await list_audit(site, "enrol-otp", "renew-recovery-codes")] == ["enrol-otp", "renew-recovery-codes"]


async def test_a_code_proves_once(admin_site, owner):
    secret = await give_token(admin_site.site)
    code = code_of(secret)
    assert (await owner.ask("POST", "account/keypairs", {"code": code}))[0] == 201
    assert await fields_of(owner, "POST", "account/keypairs", {"code": code}) == (400, ["proof"])


async def test_no_codes_without_a_token(owner):
    assert (await owner.ask("POST", "account/otp/recovery-codes", {"password": PASSWORD}))[0] == 409


# -- keypairs


async def test_keypairs_are_made_rotated_and_switched(admin_site, owner):
    site = admin_site.site
    assert await fields_of(owner, "POST", "account/keypairs", {}) == (400, ["proof"])
    first, second = await make_keypair(owner), await make_keypair(owner)
    status, listed, _ = await owner.get("account/keypairs")
    assert [item["access_key"] for item in listed["keypairs"]] == [first["access_key"], second["access_key"]]
    assert [item["is_main"] for item in listed["keypairs"]] == [True, False]
    assert first["secret_key"] not in str(listed)
    key = second["access_key"]
    status, rotated, _ = await owner.ask("POST", f"account/keypairs/{key}/rotate", {"password": PASSWORD})
    assert status == 200
    assert rotated["secret_key"] != second["secret_key"]
    sealed = await site.db.run(lambda db: db.get(models.Keypair, key).secret_key)
    assert Crypt(site.settings.read_secret("crypt")).decrypt(sealed, f"keypair:{key}") == rotated["secret_key"]
    assert (await owner.ask("PATCH", f"account/keypairs/{key}", {"is_active": False}))[0] == 200
    assert await fields_of(owner, "PATCH", f"account/keypairs/{key}", {"is_active": True}) == (400, ["proof"])
    assert (await owner.ask("PATCH", f"account/keypairs/{key}", {"is_active": True, "password": PASSWORD}))[0] == 200
    assert (await owner.ask("PATCH", f"account/keypairs/{first['access_key']}", {"is_active": False}))[0] == 409
    # what an administrator switched off stays off
    assert (await admin_site.root.ask("PATCH", f"admin/keypairs/{key}", {"is_active": False}))[0] == 200
    assert (await owner.ask("PATCH", f"account/keypairs/{key}", {"is_active": True, "password": PASSWORD}))[0] == 403
    actions = [row[1] for row in await list_audit(site) if row[1].startswith("keypair.")]
    assert actions == ["keypair.create"] * 2 + ["keypair.rotate"] + ["keypair.update"] * 3


async def test_there_is_a_most(admin_site, owner):
    admin_site.site.settings.keypairs_per_user = 1
    await make_keypair(owner)
    assert (await owner.ask("POST", "account/keypairs", {"password": PASSWORD}))[0] == 409


async def test_a_new_keypair_is_under_the_rules_of_the_main_one(admin_site, owner):
    def tighten(db):
        db.add(models.KeypairResourcePolicy(name="tight"))
        main = db.query(models.Keypair).filter_by(is_main=True).one()
        main.resource_policy, main.rate_limit = "tight", 7

    await make_keypair(owner)
    await admin_site.site.db.run(tighten)
    await make_keypair(owner)
    listed = (await owner.get("account/keypairs"))[1]["keypairs"]
    assert [(item["resource_policy"], item["rate_limit"]) for item in listed] == [("tight", 7)] * 2


# -- SSH key


async def test_ssh_key(admin_site, owner):
    assert await fields_of(owner, "PUT", "account/ssh-key", {"ssh_public_key": ED25519}) == (400, ["proof"])
    wrong = {"ssh_public_key": 'command="sh" ' + ED25519, "password": PASSWORD}
    assert await fields_of(owner, "PUT", "account/ssh-key", wrong) == (400, ["ssh_public_key"])
    status, answer, _ = await owner.ask("PUT", "account/ssh-key", {"ssh_public_key": ED25519, "password": PASSWORD})
    assert (status, answer["ssh_public_key"]) == (200, ED25519)
    assert answer["fingerprint"].startswith("SHA256:")
    assert (await admin_site.member.get("account/ssh-key"))[1]["ssh_public_key"] == ""
    assert (await owner.ask("DELETE", "account/ssh-key"))[0] == 200
    assert (await owner.get("account/ssh-key"))[1]["ssh_public_key"] == ""
    assert [row[1] for row in await list_audit(admin_site.site) if "ssh" in row[1]] == ["ssh-key.set", "ssh-key.remove"]


# -- logins


async def test_logins_are_listed_and_ended(admin_site, owner):
    site = admin_site.site
    first, second = await add_login(site, "one"), await add_login(site, "two")
    await add_login(site, "other", "jung03")
    listed = (await owner.get("account/logins"))[1]["logins"]
    assert {item["id"] for item in listed} == {first, second}
    assert (listed[0]["browser"], listed[0]["system"], listed[0]["source"]) == ("Firefox", "Linux", "10.1.2.3")
    assert (await owner.ask("DELETE", f"account/logins/{first}"))[0] == 200
    assert site.hub.forgotten == [{"name": "kim01", "ids": [first], "all": False}]
    assert (await owner.ask("DELETE", f"account/logins/{first}"))[0] == 404
    status, answer, _ = await owner.ask("DELETE", "account/logins")
    assert (status, answer) == (200, {"ended": 1})
    assert site.hub.forgotten[-1] == {"name": "kim01", "ids": [second], "all": True}, "a program has no login to keep"
    assert len((await admin_site.member.get("account/logins"))[1]["logins"]) == 1


async def test_a_closed_person_has_no_account_page(admin_site):
    site = admin_site.site
    await site.db.run(add_user, "gone", role=Role.USER, status=models.UserStatus.INACTIVE)
    async with aiohttp.ClientSession(headers={"Authorization": f"token {site.hub.let_in('gone')}"}) as http:
        assert (await Caller(http, f"{site.url}rest/v1/").get("account"))[0] == 403
