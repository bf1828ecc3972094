"""The ways to bind, groups in groups, and a server that is started again, against an OpenLDAP of the tests' own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_backendai.errors import DirectoryUnavailable
from tests.lab import password
from tests.slapd import BASE, Slapd

pytestmark = pytest.mark.ldap
Make = Callable[..., Any]
PEOPLE = f"ou=people,{BASE}"
ALONE = {"ldap_bind_dn": "", "ldap_bind_password_file": "", "ldap_bind_templates": [f"cn={{name}},{PEOPLE}", f"uid={{name}},{PEOPLE}"]}


# -- who looks people up


async def test_the_account_of_our_certificate(make_own: Make, slapd: Slapd) -> None:
    certificate = {"ldap_client_cert_file": str(slapd.client_cert), "ldap_client_key_file": str(slapd.client_key)}
    directory = make_own(ldap_bind_external=True, ldap_bind_dn="", ldap_bind_password_file="", **certificate)
    assert (await directory.check("kim01", password("kim01"))).reason == ""
    directory = make_own(ldap_servers=[slapd.tls_url], ldap_bind_external=True, ldap_bind_dn="", **certificate)
    assert (await directory.check("kim01", "wrong")).reason == "wrong-password"


async def test_without_a_certificate_there_is_no_such_account(make_own: Make) -> None:
    with pytest.raises(DirectoryUnavailable):
        await make_own(ldap_bind_external=True, ldap_bind_dn="").check("kim01", password("kim01"))


async def test_a_password_in_the_environment(make_own: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIRECTORY_PASSWORD", "hub-secret")
    directory = make_own(ldap_bind_password_file="", ldap_bind_password_env="DIRECTORY_PASSWORD")
    assert (await directory.check("kim01", password("kim01"))).reason == ""


async def test_a_changed_password_file_is_read_again(make_own: Make, tmp_path: Path) -> None:
    file = tmp_path / "changing"
    file.write_text("not yet")
    directory = make_own(ldap_bind_password_file=str(file))
    with pytest.raises(DirectoryUnavailable):
        await directory.find("kim01")
    file.write_text("hub-secret\n")
    await _until(lambda: _is_there(directory))


async def test_nobody_is_found_where_anonymous_people_may_not_look(make_own: Make) -> None:
    with pytest.raises(DirectoryUnavailable):
        await make_own(ldap_bind_dn="", ldap_bind_password_file="").check("kim01", password("kim01"))


async def test_a_name_of_the_certificate_that_is_not_the_hosts(make_own: Make) -> None:
    assert (await make_own(ldap_tls_name="ldap.test").find("kim01")).state == ""
    with pytest.raises(DirectoryUnavailable):
        await make_own(ldap_tls_name="other.test").find("kim01")


async def test_tls_as_a_site_wants_it(make_own: Make) -> None:
    assert (await make_own(ldap_tls_minimum="1.3").find("kim01")).state == ""
    assert (await make_own(ldap_ciphers="ECDHE+AESGCM").find("kim01")).state == ""


# -- templates


async def test_a_bind_by_template_needs_no_account(make_own: Make) -> None:
    directory = make_own(**ALONE)
    found = await directory.check("kim01", password("kim01"))
    assert (found.reason, found.person.email) == ("", "kim01@hpc.example.kr")
    assert {"ops", "jhub-users"} <= set(found.person.groups)
    assert (await directory.check("kim01", "wrong")).reason == "wrong-password"
    assert (await directory.check("nobody", "wrong")).person is None
    assert (await directory.check("cho05", password("cho05"))).reason == "locked"
    assert (await directory.check("lim05", password("lim05"))).reason == "closed"


async def test_who_must_change_may_not_read_and_comes_to_the_change_all_the_same(make_own: Make) -> None:
    found = await make_own(**ALONE).check("jang05", password("jang05"))
    assert (found.person.name, found.reason) == ("jang05", "must-change")


@pytest.mark.parametrize("name", ["kim01,ou=people", "kim01)(uid=*", "*", "kim01+cn=x", "kim01\\", "#04", 'kim"01', "kim01\x00"])
async def test_a_typed_name_is_never_a_dn(make_own: Make, name: str) -> None:
    assert (await make_own(**ALONE).check(name, password("kim01"))).person is None


async def test_templates_may_be_joined_by_an_account(make_own: Make) -> None:
    directory = make_own(ldap_bind_templates=ALONE["ldap_bind_templates"])
    assert (await directory.check("jang05", password("jang05"))).person.email == "jang05@hpc.example.kr"
    assert (await directory.find("kim01")).state == ""


async def test_without_an_account_nobody_is_said_to_be_removed(make_own: Make) -> None:
    with pytest.raises(DirectoryUnavailable):
        await make_own(**ALONE).find("kim01")


async def test_a_filter_holds_for_templates_too(make_own: Make) -> None:
    directory = make_own(**ALONE, ldap_user_filter="(&(uid={name})(departmentNumber=admin))")
    assert (await directory.check("kim01", password("kim01"))).reason == ""
    assert (await directory.check("kim02", password("kim02"))).reason == "unknown"


async def test_an_attribute_to_bind_as(make_own: Make) -> None:
    # the entry is found first, then one of its values makes the DN
    directory = make_own(ldap_bind_attribute="uid", ldap_bind_templates=[f"uid={{name}},{PEOPLE}"])
    assert (await directory.check("kim01", password("kim01"))).reason == ""
    assert (await directory.check("pat", password("pat"))).reason == "wrong-password"  # whose DN begins with cn
    directory = make_own(ldap_bind_attribute="entryDN")
    assert (await directory.check("pat", password("pat"))).reason == ""
    assert (await make_own(ldap_bind_attribute="manager").check("kim01", password("kim01"))).reason == "no-bind-name"


async def test_a_name_with_comma_and_quote(make_own: Make) -> None:
    found = await make_own().check("pat", password("pat"))
    assert (found.reason, found.person.display_name) == ("", "O'Brien, Pat (ext)")


async def test_more_attributes_and_other_names(make_own: Make) -> None:
    directory = make_own(ldap_attributes=["departmentNumber", "userCertificate;binary"], ldap_group_name_attribute="gidNumber")
    person = (await directory.check("kim01", password("kim01"))).person
    assert person.attributes["departmentNumber"] == ("admin",)
    assert "20001" in person.groups
    assert (await make_own(ldap_name_attribute="cn").check("kim01", password("kim01"))).reason == "other-spelling"


# -- groups


@pytest.mark.parametrize(
    "changes", [{}, {"ldap_group_base": "", "ldap_member_of_attribute": "memberOf"}, {"ldap_member_of_attribute": "memberOf"}]
)
async def test_groups_in_groups(make_own: Make, changes: dict[str, str]) -> None:
    plain, followed = make_own(**changes), make_own(**{**changes, "ldap_nested_groups": "follow"})
    person = (await plain.find("kim01")).person
    assert "prj001" in person.groups
    assert "nested" not in person.groups
    if changes.get("ldap_group_base") != "":
        assert "nested" in (await followed.find("kim01")).person.groups


async def test_groups_that_hold_each_other(make_own: Make, slapd: Slapd) -> None:
    root = slapd.as_root()
    rings = [f"cn=ring{number},ou=project,{BASE}" for number in range(3)]
    for number, dn in enumerate(rings):
        root.add(dn, "groupOfNames", {"cn": f"ring{number}", "member": [rings[number - 1], f"uid=kim03,{PEOPLE}"][: 1 + (number == 0)]})
    try:
        found = (await make_own(ldap_nested_groups="follow").find("kim03")).person.groups
    finally:
        for dn in rings:
            root.delete(dn)
        root.unbind()
    assert {"ring0", "ring1", "ring2"} <= set(found)


async def test_the_primary_group(make_own: Make, slapd: Slapd) -> None:
    root = slapd.as_root()
    root.add(f"cn=primary,ou=group,{BASE}", "posixGroup", {"cn": "primary", "gidNumber": "29999"})
    root.add(
        f"uid=prime,{PEOPLE}", ["inetOrgPerson", "posixAccount"],
        {"uid": "prime", "cn": "prime", "sn": "p", "uidNumber": "29999", "gidNumber": "29999", "homeDirectory": "/home/prime"},
    )  # fmt: skip
    try:
        found = (await make_own().find("prime")).person.groups
    finally:
        root.delete(f"cn=primary,ou=group,{BASE}")
        root.delete(f"uid=prime,{PEOPLE}")
        root.unbind()
    assert found == ("primary", f"cn=primary,ou=group,{BASE}")


# -- a server that is started again


async def test_a_restart_between_two_logins_is_not_noticed(make_own: Make, slapd: Slapd) -> None:
    directory = make_own()
    await asyncio.gather(*(directory.check("kim01", password("kim01")) for _ in range(8)))
    slapd.stop()
    slapd.start()
    found = await asyncio.gather(*(directory.check("kim01", password("kim01")) for _ in range(8)))
    assert [one.reason for one in found] == [""] * 8


async def test_a_restart_in_the_middle(make_own: Make, slapd: Slapd) -> None:
    directory = make_own()
    people = [("kim01", password("kim01")), ("lee01", "wrong"), ("nobody", "x")]
    answers: set[tuple[str, str]] = set()
    over = asyncio.Event()

    async def keep_asking(name: str, secret: str) -> None:
        while not over.is_set():
            try:
                answers.add((name, (await directory.check(name, secret)).reason))
            except DirectoryUnavailable:
                answers.add((name, "away"))

    asking = [asyncio.create_task(keep_asking(*person)) for person in people]
    await asyncio.to_thread(slapd.stop)
    await _until(lambda: _of(("kim01", "away") in answers))
    with pytest.raises(DirectoryUnavailable):
        await directory.find("kim01")
    await asyncio.to_thread(slapd.start)
    await _until(lambda: _is_there(directory))
    over.set()
    await asyncio.gather(*asking)
    # whatever happened, nobody was told anything but the truth; lee01 may have tried too often
    assert {answer for answer in answers if answer[1] != "away"} <= {
        ("kim01", ""), ("lee01", "wrong-password"), ("lee01", "locked"), ("nobody", "unknown")
    }  # fmt: skip


async def test_the_second_server_helps_out(make_own: Make, slapd: Slapd) -> None:
    directory = make_own(ldap_servers=["ldap://127.0.0.1:1", slapd.tls_url])
    found = await asyncio.gather(*(directory.check("kim01", password("kim01")) for _ in range(8)))
    assert [one.reason for one in found] == [""] * 8


async def test_connections_are_closed_at_the_end(make_own: Make) -> None:
    directory = make_own()
    await directory.find("kim01")
    links = directory._links
    assert links.has_kept(links.servers[0])
    await directory.close()
    assert not links.has_kept(links.servers[0])


async def _of(value: bool) -> bool:
    return value


async def _is_there(directory: Any) -> bool:
    try:
        return (await directory.find("kim01")).state == ""
    except DirectoryUnavailable:
        return False


async def _until(condition: Callable[[], Any], limit_s: float = 15) -> None:
    deadline = time.monotonic() + limit_s
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)
