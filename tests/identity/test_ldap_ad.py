"""Against Active Directory, as Samba makes it, with the settings that docs/howto-login.md gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ldap3
import pytest

from jupyterhub_backendai.core.identity import PasswordChange, PosixAccount
from tests import lab

pytestmark = pytest.mark.ad
Make = Callable[..., Any]
PEOPLE = "cn=users,dc=ad,dc=example"
FIRST, SECOND = "First-Pass1", "Second-Pass2"


@pytest.fixture
def make_ad(make_directory: Make, tmp_path: Path) -> Make:
    (tmp_path / "ad-password").write_text("Hub-Secret1\n")

    def make(**changes: Any) -> Any:
        settings = {
            "ldap_servers": [lab.AD_LDAPS_URL],
            "ldap_tls_name": "ldap.test",
            "ldap_bind_dn": "hub@ad.example",
            "ldap_bind_password_file": str(tmp_path / "ad-password"),
            "ldap_user_base": PEOPLE,
            "ldap_user_filter": "(&(sAMAccountName={name})(objectCategory=person)(objectClass=user))",
            "ldap_name_attribute": "sAMAccountName",
            "ldap_group_base": "dc=ad,dc=example",
            "ldap_group_filter": "(|(member={dn})(objectSid={primary_sid}))",
            "ldap_nested_groups": "in-chain",
            "ldap_password_change": "ad",
            "ldap_receive_timeout_s": 5.0,
        }
        return make_directory(**{**settings, **changes})

    return make


@pytest.fixture
def set_password() -> Iterator[Callable[..., None]]:
    """A function by which an administrator sets somebody's password, to be changed or not."""
    server = ldap3.Server("127.0.0.2", use_ssl=True, get_info=ldap3.NONE)
    admin = ldap3.Connection(server, "administrator@ad.example", lab.AD_ADMIN_PASSWORD, auto_bind=True, raise_exceptions=True)

    def do(name: str, password: str, *, must_change: bool = False) -> None:
        changes = {"unicodePwd": f'"{password}"'.encode("utf-16-le"), "pwdLastSet": "0" if must_change else "-1"}
        admin.modify(f"cn={name},{PEOPLE}", {key: [(ldap3.MODIFY_REPLACE, [value])] for key, value in changes.items()})

    yield do
    admin.unbind()


async def test_a_person(make_ad: Make) -> None:
    found = await make_ad().check("kim01", FIRST)
    assert (found.reason, found.person.name, found.person.email) == ("", "kim01", "kim01@ad.example")
    assert found.person.posix == PosixAccount("kim01", 20001, 20002, "/home/kim01")
    # its own, the primary one, and the one that its own is in (which is in its own)
    assert {group for group in found.person.groups if "=" not in group} == {"inner", "Domain Users", "outer"}


@pytest.mark.parametrize("how", ["follow", "in-chain"])
async def test_groups_in_groups(make_ad: Make, how: str) -> None:
    found = (await make_ad(ldap_nested_groups=how).find("kim01")).person.groups
    assert "outer" in found
    assert found.count("inner") == 1


@pytest.mark.parametrize(
    ("name", "password", "reason"),
    [("kim01", "wrong", "wrong-password"), ("nobody", "x", "unknown"), ("off", FIRST, "closed"), ("ended", FIRST, "account-expired")],
)
async def test_refusals(make_ad: Make, name: str, password: str, reason: str) -> None:
    found = await make_ad().check(name, password)
    assert (found.person, found.reason) == (None, reason)


@pytest.mark.parametrize(("name", "state"), [("kim01", ""), ("off", "closed"), ("ended", "expired"), ("nobody", "removed")])
async def test_standing(make_ad: Make, name: str, state: str) -> None:
    assert (await make_ad().find(name)).state == state


async def test_a_bind_with_the_principal_name(make_ad: Make) -> None:
    directory = make_ad(ldap_bind_templates=["{name}@ad.example"], ldap_bind_dn="", ldap_bind_password_file="")
    found = await directory.check("kim01", FIRST)
    assert (found.reason, found.person.email) == ("", "kim01@ad.example")
    assert (await directory.check("kim01", "wrong")).reason == "wrong-password"


async def test_who_must_change_the_password_can(make_ad: Make, set_password: Callable[..., None]) -> None:
    directory = make_ad()
    set_password("must", FIRST, must_change=True)
    assert (await directory.check("must", "wrong")).reason == "wrong-password"
    found = await directory.check("must", FIRST)
    assert (found.person.name, found.reason) == ("must", "must-change")
    assert await directory.change_password("must", FIRST, SECOND) == PasswordChange(True)
    found = await directory.check("must", SECOND)
    assert (found.person.name, found.reason) == ("must", "")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [(FIRST, SECOND, ""), ("wrong", SECOND, "wrong-password"), (FIRST, "x", "not-quality"), (FIRST, '"\\', "not-quality")],
)
async def test_a_change(make_ad: Make, set_password: Callable[..., None], old: str, new: str, reason: str) -> None:
    directory = make_ad()
    set_password("lee01", FIRST)
    answer = await directory.change_password("lee01", old, new)
    assert (answer.ok, answer.reason) == (not reason, reason)
    assert (await directory.check("lee01", FIRST if reason else new)).reason == ""


async def test_a_change_without_a_service_account(make_ad: Make, set_password: Callable[..., None]) -> None:
    directory = make_ad(ldap_bind_templates=["{name}@ad.example"], ldap_bind_dn="", ldap_bind_password_file="")
    set_password("lee01", FIRST)
    assert await directory.change_password("lee01", FIRST, SECOND) == PasswordChange(True)
    set_password("lee01", FIRST, must_change=True)
    # nobody is bound who could say that it may be changed
    assert await directory.change_password("lee01", FIRST, SECOND) == PasswordChange(False, "must-change")
    set_password("lee01", FIRST)
