"""One's password at a directory of the centre: an OpenLDAP of the tests' own."""

import os
import resource

import pytest

from jupyterhub_backendai.core.identity import PasswordChange, PasswordCheck
from jupyterhub_backendai.errors import DirectoryUnavailable
from jupyterhub_backendai.identity.append import AppendedCode
from jupyterhub_backendai.store import models
from tests.databases import sqlite_template
from tests.identity.conftest import make_directory, make_own, slapd
from tests.lab import password
from tests.services.public import browser, settings, site
from tests.services.test_account_pages import errors_of, log_in_as, submit
from tests.slapd import BASE

__all__ = ["browser", "make_directory", "make_own", "settings", "site", "slapd", "sqlite_template"]
pytestmark = pytest.mark.ldap
NAME, DN = "kim01", f"uid=made-account,ou=people,{BASE}"
NEW = "a much longer one"


@pytest.fixture
async def owner(site, browser, slapd, make_own):
    """kim01 here is kim01 there, and the tests' own entry of the directory while a test runs."""
    root = slapd.as_root()
    entry = {"cn": NAME, "sn": NAME, "userPassword": password(NAME), "pwdPolicySubentry": f"cn=default,ou=policies,{BASE}"}
    root.add(DN, "inetOrgPerson", {"uid": "made-account", "employeeNumber": NAME, **entry})
    site.settings.directory = "ldap"
    changes = {"ldap_user_filter": "(employeeNumber={name})", "ldap_name_attribute": "employeeNumber"}
    site.application.settings["people"] = people = make_own(**changes)
    await log_in_as(site, browser, "here")
    yield browser
    await people.close()
    root.delete(DN)
    root.unbind()


async def change(owner, old, new, **fields):
    response, page = await submit(owner, "account/password", old=old, new=new, again=new, **fields)
    return response.status, errors_of(page) or ([] if response.status == 303 else [page.text])


async def test_the_directory_changes_it_or_says_why_not(site, owner):
    assert await change(owner, "wrong", NEW) == (400, ["The current password is not right."])
    status, errors = await change(owner, password(NAME), "x")
    assert (status, errors[:1]) == (400, ["The new password is too short."])
    assert await change(owner, password(NAME), NEW) == (303, [])
    people = site.application.settings["people"]
    assert (await people.check(NAME, NEW)).person
    # and what is to be proven is proven by the new one
    response, _ = await submit(owner, "account/keypairs", act="create", password=password(NAME))
    assert response.status == 400
    response, page = await submit(owner, "account/keypairs", act="create", password=NEW)
    assert page.select_one(".bai-secret")


async def test_very_many_open_files_keep_nobody_from_the_directory(site, owner):
    """What select() cannot look at is looked at all the same."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        assert await change(owner, "wrong", NEW) == (400, ["The current password is not right."])
        status, errors = await change(owner, password(NAME), "x")
        assert (status, errors[:1]) == (400, ["The new password is too short."])
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_a_directory_that_is_away_is_no_wrong_password(site, owner):
    site.application.settings["people"] = away = _Away()
    for _ in range(5):
        response, _ = await submit(owner, "account/password", old="x", new=NEW, again=NEW)
        assert response.status == 503
    assert away.asked == 5, "nobody has to wait for it"


async def test_the_account_pages_lock_nobody_out_of_the_directory(site, owner, monkeypatch):
    """Who has somebody's browser is no better off with passwords than at the login."""
    monkeypatch.setattr(site.settings, "directory_locks_after", 5)
    site.application.settings["people"] = wrong = _Wrong()
    for path, fields in (
        ("account/password", {"old": "x", "new": NEW, "again": NEW}),
        ("account/keypairs", {"act": "create", "password": "x"}),
    ) * 3:
        await submit(owner, path, **fields)
        await site.db.run(lambda db: db.query(models.LoginFailure).filter_by(key=f"prove:{NAME}").delete())
    assert wrong.asked == 2
    keys = await site.db.run(lambda db: [row.key for row in db.query(models.LoginFailure)])
    assert "budget:own:user:kim01" in keys, "as the login counts them"


class _Wrong:
    asked = 0

    async def change_password(self, *_):
        self.asked += 1
        return PasswordChange(False, "wrong-password")

    async def check(self, *_):
        self.asked += 1
        return PasswordCheck(None, "wrong-password")


class _Away:
    asked = 0

    async def change_password(self, *_):
        self.asked += 1
        raise DirectoryUnavailable


async def test_a_directory_that_wants_the_code_behind_the_password(site, owner):
    """slapo-otp's way: here the code is the password's own end."""
    site.settings.otp_backend = "ldap-append"
    people = site.application.settings["people"]
    site.application.settings["factor"] = AppendedCode(people)
    _, page = await owner.get("account/keypairs")
    assert "password and a one-time password" in page.text
    whole = password(NAME)
    response, _ = await submit(owner, "account/keypairs", act="create", password=whole)
    assert response.status == 400, "never the password alone"
    response, page = await submit(owner, "account/keypairs", act="create", password=whole[:-2], code=whole[-2:])
    assert page.select_one(".bai-secret")
    assert await change(owner, whole[:-2], NEW, code=whole[-2:]) == (303, [])
    assert (await people.check(NAME, NEW)).person
