"""Passwords that have to be changed, and changing them, against an OpenLDAP of the tests' own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ldap3
import pytest

from jupyterhub_backendai.core.identity import PasswordChange
from jupyterhub_backendai.errors import DirectoryUnavailable
from tests.lab import password
from tests.slapd import BASE, Slapd

pytestmark = pytest.mark.ldap
Make = Callable[..., Any]


@pytest.fixture
def somebody(slapd: Slapd) -> Iterator[Callable[..., str]]:
    """A function that makes a person with a policy; they are gone afterwards."""
    root = slapd.as_root()
    made = []

    def make(policy: str = "default", **attributes: str) -> str:
        name = f"made{len(made)}"
        entry = {
            "uid": name,
            "cn": name,
            "sn": name,
            "userPassword": password(name),
            "pwdPolicySubentry": f"cn={policy},ou=policies,{BASE}",
        }
        made.append(f"uid={name},ou=people,{BASE}")
        root.add(made[-1], "inetOrgPerson", {**entry, **attributes})
        return name

    yield make
    for dn in made:
        root.delete(dn)
    root.unbind()


async def test_a_changed_password_is_the_one_that_counts(make_own: Make, somebody: Callable[..., str]) -> None:
    name, directory = somebody(), make_own()
    assert await directory.change_password(name, password(name), "a much longer one") == PasswordChange(True)
    assert (await directory.check(name, password(name))).reason == "wrong-password"
    assert (await directory.check(name, "a much longer one")).reason == ""
    # and the connection that it was changed on is nobody's afterwards
    assert (await directory.check("nobody", "a much longer one")).reason == "unknown"


@pytest.mark.parametrize("new", ["비밀번호를 바꿉니다", " blanks around it ", 'quote" and \\ in it', "x" * 200])
async def test_any_text_can_be_a_password(make_own: Make, somebody: Callable[..., str], new: str) -> None:
    name, directory = somebody(), make_own()
    assert (await directory.change_password(name, password(name), new)).ok
    assert (await directory.check(name, new)).reason == ""


async def test_who_must_change_the_password_can(make_own: Make, somebody: Callable[..., str]) -> None:
    name, directory = somebody(pwdReset="TRUE"), make_own()
    found = await directory.check(name, password(name))
    assert (found.person.name, found.reason) == (name, "must-change")
    assert (await directory.change_password(name, password(name), "a much longer one")).ok
    assert (await directory.check(name, "a much longer one")).reason == ""


@pytest.mark.parametrize(
    ("policy", "new", "reason"),
    [
        ("default", "short", "too-short"),
        ("young", "a much longer one", "too-young"),
        ("fixed", "a much longer one", "not-allowed"),
        ("default", "", "empty"),
        ("default", "\ud800", "not-quality"),
        ("default", "x" * 2000, "too-long"),
    ],
)
async def test_what_the_server_refuses(make_own: Make, somebody: Callable[..., str], policy: str, new: str, reason: str) -> None:
    name, directory = somebody(policy), make_own()
    answer = await directory.change_password(name, password(name), new)
    assert (answer.ok, answer.reason) == (False, reason)
    assert (await directory.check(name, password(name))).reason == ""


async def test_what_the_server_says_is_handed_on(make_own: Make, somebody: Callable[..., str]) -> None:
    name, directory = somebody(), make_own()
    assert (await directory.change_password(name, password(name), "short")).message == "Password fails quality checking policy"


async def test_an_earlier_password_is_refused(make_own: Make, somebody: Callable[..., str]) -> None:
    name, directory = somebody(), make_own()
    assert (await directory.change_password(name, password(name), "a much longer one")).ok
    answer = await directory.change_password(name, "a much longer one", password(name))
    assert (answer.ok, answer.reason) == (False, "in-history")
    assert (await directory.change_password(name, "a much longer one", "a much longer one")).reason == "same"


async def test_a_server_that_wants_the_old_one_gets_it(make_own: Make, somebody: Callable[..., str]) -> None:
    name, directory = somebody("safe"), make_own()
    assert await directory.change_password(name, password(name), "a much longer one") == PasswordChange(True)


@pytest.mark.parametrize(
    ("name", "old", "reason"),
    [
        ("kim02", "wrong", "wrong-password"),
        ("kim02", "", "empty-password"),
        ("nobody", "x", "unknown"),
        ("kim0*", "Pa55w0rd!kim02", "unknown"),
        ("cho05", "Pa55w0rd!cho05", "locked"),
    ],
)
async def test_only_who_knows_the_old_one(make_own: Make, name: str, old: str, reason: str) -> None:
    answer = await make_own(replaces=True).change_password(name, old, "a much longer one")
    assert (answer.ok, answer.reason) == (False, reason)


async def test_a_site_where_it_is_done_elsewhere(make_own: Make) -> None:
    answer = await make_own(ldap_password_change="off").change_password("kim02", password("kim02"), "a much longer one")
    assert (answer.ok, answer.reason) == (False, "not-allowed")


# -- passwords that expire


async def test_a_password_that_expires_soon_is_good(make_own: Make) -> None:
    found = await make_own().check("warned", password("warned"))
    assert (found.person.name, found.reason, found.grace_left) == ("warned", "", None)
    assert 40_000 < found.expires_in_s < 45_000


async def test_a_grace_login_is_said_to_be_one(make_own: Make) -> None:
    directory = make_own()
    found = await directory.check("graceful", password("graceful"))
    assert (found.person.name, found.reason) == ("graceful", "grace")
    again = await directory.check("graceful", password("graceful"))
    assert again.grace_left == found.grace_left - 1


async def test_who_is_too_late_is_nobody_unless_somebody_may_replace_passwords(make_own: Make) -> None:
    directory = make_own()
    found = await directory.check("ended", password("ended"))
    assert (found.person, found.reason) == (None, "expired")
    assert (await directory.change_password("ended", password("ended"), "a much longer one")).reason == "expired"
    directory = make_own(replaces=True)
    assert (await directory.check("ended", "wrong")).reason == "wrong-password"
    found = await directory.check("ended", password("ended"))
    assert (found.person.name, found.reason) == ("ended", "expired")


@pytest.mark.parametrize("policy", ["ended", "default"])  # the second one marks what an administrator has set
async def test_it_is_replaced_by_the_account_that_may(make_own: Make, somebody: Callable[..., str], slapd: Slapd, policy: str) -> None:
    name, directory = somebody(policy), make_own(replaces=True)
    root = slapd.as_root()
    dn, long_ago, relax = f"uid={name},ou=people,{BASE}", "20200101000000Z", ("1.3.6.1.4.1.4203.666.5.12", True, None)
    root.modify(dn, {"pwdChangedTime": [(ldap3.MODIFY_REPLACE, [long_ago])]}, controls=[relax])
    root.unbind()
    assert (await directory.check(name, password(name))).reason == "expired"
    assert (await directory.change_password(name, "wrong", "a much longer one")).reason == "wrong-password"
    assert (await directory.change_password(name, password(name), "a much longer one")).ok
    found = await directory.check(name, "a much longer one")
    assert (found.person.name, found.reason) == (name, "")


async def test_an_account_that_may_not_replace_is_our_trouble(make_own: Make) -> None:
    with pytest.raises(DirectoryUnavailable):
        await make_own(replaces=True, ldap_password_file="").change_password("ended", password("ended"), "a much longer one")


# -- without any password


@pytest.mark.parametrize(
    ("name", "state", "detail"),
    [
        ("kim01", "", ""),
        ("cho05", "locked", ""),
        ("lim05", "closed", ""),
        ("jang05", "", ""),  # must change the password: no reason to end what runs
        ("ended", "", ""),
        ("nobody", "removed", "unknown"),
        ("*", "removed", "unknown"),
    ],
)
async def test_standing(make_own: Make, name: str, state: str, detail: str) -> None:
    found = await make_own().find(name)
    assert (found.state, found.detail) == (state, detail)
    assert (found.person is None) is (state == "removed")


async def test_a_person_without_a_password(make_own: Make) -> None:
    found, checked = await make_own().find("kim01"), await make_own().check("kim01", password("kim01"))
    assert found.person == checked.person
    assert found.entry == f"uid=kim01,ou=people,{BASE}"


async def test_wrong_passwords_of_a_stranger_end_nobodys_work(make_own: Make, somebody: Callable[..., str]) -> None:
    name, directory = somebody(), make_own()
    for _ in range(5):
        await directory.check(name, "wrong")
    assert (await directory.check(name, password(name))).reason == "locked"
    assert (await directory.find(name)).state == ""


@pytest.mark.parametrize(
    "changes", [{"ldap_user_base": "ou=elsewhere,dc=cm,dc=cluster"}, {"ldap_group_base": "ou=nowhere,dc=cm,dc=cluster"}]
)
async def test_a_directory_that_is_half_there_removes_nobody(make_own: Make, changes: dict[str, str]) -> None:
    with pytest.raises(DirectoryUnavailable):
        await make_own(**changes).find("kim01")
