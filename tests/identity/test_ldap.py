"""Against the lab's OpenLDAP, and against servers that one should not trust or wait for."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.errors import DirectoryUnavailable, InvalidParameters
from tests import lab
from tests.forwarder import Forwarder

from .conftest import StandIn, with_certificate

Make = Callable[..., Any]
needs_ldap = pytest.mark.ldap
PORTS = {lab.LDAP_URL: 3890, lab.LDAPS_URL: 3891}


@needs_ldap
@pytest.mark.parametrize("server", [lab.LDAP_URL, lab.LDAPS_URL])
async def test_a_person(make_directory: Make, server: str) -> None:
    found = await make_directory(ldap_servers=[server]).check("kim01", lab.password("kim01"))
    assert found.reason == ""
    assert (found.person.name, found.person.email) == ("kim01", "kim01@hpc.example.kr")
    assert found.person.display_name == "kim01 사용자"
    assert found.person.posix == PosixAccount("kim01", 10001, 20001, "/home/kim01")
    # posixGroups by memberUid and groupOfNames by DN, in one search, under both names
    assert {"ops", "jhub-users", "prj001", "cn=prj001,ou=project,dc=cm,dc=cluster"} <= set(found.person.groups)


@needs_ldap
async def test_the_hub_name_is_not_the_unix_name(make_directory: Make) -> None:
    found = await make_directory().check("upper", lab.password("UPPER"))
    assert (found.person.name, found.person.posix.name) == ("upper", "UPPER")


@needs_ldap
async def test_a_person_without_a_unix_account(make_directory: Make) -> None:
    found = await make_directory().check("guest01", lab.password("guest01"))
    assert (found.reason, found.person.posix) == ("", None)


@needs_ldap
@pytest.mark.parametrize(
    ("name", "password", "reason"),
    [
        ("kang03", "wrong", "wrong-password"),
        ("kang03", "", "empty-password"),
        ("kang03", "a\x00\u00ad\u0221", "wrong-password"),
        ("kang03", "\ud800", "wrong-password"),
        ("kang03", "x" * 5000, "wrong-password"),
        ("nobody", "x", "unknown"),
        ("", "x", "unknown"),
        ("*", "x", "unknown"),
        ("kim0*", "Pa55w0rd!kim01", "unknown"),
        ("kim01)(uid=*", "Pa55w0rd!kim01", "unknown"),
        ("kim01\n", "Pa55w0rd!kim01", "unknown"),
        ("KIM01", "Pa55w0rd!kim01", "unknown"),  # the service folds before it asks
        ("cho05", "Pa55w0rd!cho05", "locked"),
        ("lim05", "Pa55w0rd!lim05", "closed"),
    ],
)
async def test_refusals(make_directory: Make, name: str, password: str, reason: str) -> None:
    directory = make_directory()
    found = await directory.check(name, password)
    assert (found.person, found.reason) == (None, reason)
    # Nothing that somebody types makes the server count as broken; and a right password makes it forget the wrong one.
    assert (await directory.check("kang03", lab.password("kang03"))).reason == ""


@needs_ldap
async def test_who_must_change_the_password_is_not_let_in(make_directory: Make) -> None:
    found = await make_directory().check("jang05", lab.password("jang05"))
    assert (found.person.name, found.reason) == ("jang05", "must-change")


@needs_ldap
async def test_another_spelling_is_not_a_second_account(make_directory: Make) -> None:
    directory = make_directory(ldap_user_filter="(|(uid={name})(mail={name}))")
    found = await directory.check("lee01@hpc.example.kr", lab.password("lee01"))
    assert (found.person, found.reason) == (None, "other-spelling")


@needs_ldap
async def test_a_filter_that_finds_several_lets_nobody_in(make_directory: Make) -> None:
    found = await make_directory(ldap_user_filter="(|(uid={name})(objectClass=inetOrgPerson))").check("kim01", lab.password("kim01"))
    assert (found.person, found.reason) == (None, "ambiguous")


@needs_ldap
async def test_names_that_the_site_does_not_want(make_directory: Make) -> None:
    directory = make_directory(ldap_name_pattern="[a-z]+0[1-2]")
    assert (await directory.check("kim01", lab.password("kim01"))).reason == ""
    assert (await directory.check("kim03", lab.password("kim03"))).reason == "unknown"
    assert (await directory.find("kim03")).state == "removed"


@needs_ldap
async def test_twenty_at_once(make_directory: Make) -> None:
    directory = make_directory()
    names = [("kang01", lab.password("kang01")), ("nobody", "x"), ("kang02", lab.password("kang02"))] * 7
    found = await asyncio.gather(*(directory.check(*one) for one in names))
    assert [one.person.name if one.person else "" for one in found] == ["kang01", "", "kang02"] * 7


@needs_ldap
async def test_the_kept_connection_comes_back(make_directory: Make) -> None:
    forwarder = Forwarder("127.0.0.1", 3890)
    await forwarder.start()
    directory = make_directory(ldap_servers=[f"ldap://127.0.0.1:{forwarder.port}"])
    assert (await directory.check("lee01", lab.password("lee01"))).reason == ""
    await forwarder.stop()
    await forwarder.start()
    assert (await directory.check("lee01", lab.password("lee01"))).reason == ""
    await forwarder.stop()


# -- certificates


@needs_ldap
@pytest.mark.parametrize("server", [lab.LDAP_URL, lab.LDAPS_URL])
@pytest.mark.parametrize("ca", ["", str(lab.BASE / "ldap" / "tls" / "wronghost.pem")])
async def test_a_certificate_of_another_authority_is_refused(make_directory: Make, server: str, ca: str) -> None:
    with pytest.raises(DirectoryUnavailable):
        await make_directory(ldap_servers=[server], ldap_ca_file=ca).check("kim01", lab.password("kim01"))


@needs_ldap
async def test_a_certificate_of_another_host_is_refused(make_directory: Make, stand_in: Callable[..., StandIn]) -> None:
    server = stand_in(with_certificate("wronghost"))
    with pytest.raises(DirectoryUnavailable):
        await make_directory(ldap_servers=[f"ldaps://127.0.0.1:{server.port}"]).check("kim01", lab.password("kim01"))
    assert server.received == b""


@needs_ldap
async def test_unless_the_site_says_so(make_directory: Make, stand_in: Callable[..., StandIn]) -> None:
    server = stand_in(with_certificate("wronghost"))
    directory = make_directory(ldap_servers=[f"ldaps://127.0.0.1:{server.port}"], ldap_verify=False, ldap_receive_timeout_s=1.0)
    with pytest.raises(DirectoryUnavailable):  # it says nothing; but it was spoken to
        await directory.check("kim01", lab.password("kim01"))
    assert lab.LDAP_BIND_DN.encode() in server.received


async def test_without_start_tls_no_password_is_sent(make_directory: Make, stand_in: Callable[..., StandIn]) -> None:
    def refuse_start_tls(server: StandIn, connection: socket.socket) -> None:
        while data := connection.recv(4096):
            server.received += data
            connection.sendall(bytes.fromhex("300c02010178070a013404000400"))  # message 1, extended response: unavailable

    server = stand_in(refuse_start_tls)
    directory = make_directory(ldap_servers=[f"ldap://127.0.0.1:{server.port}"], ldap_ca_file="")
    with pytest.raises(DirectoryUnavailable):
        await directory.check("kim01", "a secret password")
    assert b"1.3.6.1.4.1.1466.20037" in server.received
    assert b"secret" not in server.received


@needs_ldap
async def test_in_clear_the_lab_refuses(make_directory: Make) -> None:
    with pytest.raises(DirectoryUnavailable):
        await make_directory(ldap_tls="none").check("kim01", lab.password("kim01"))


# -- silence


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
async def test_a_silent_directory_stops_nobody_else(make_directory: Make, stand_in: Callable[..., StandIn], scheme: str) -> None:
    server = stand_in()
    directory = make_directory(ldap_servers=[f"{scheme}://127.0.0.1:{server.port}"], ldap_ca_file="", ldap_receive_timeout_s=1.0)
    events = []

    async def log_in() -> None:
        with pytest.raises(DirectoryUnavailable):
            await directory.check("kim01", "a secret password")
        events.append("refused")

    waiting = asyncio.create_task(log_in())
    assert await asyncio.to_thread(server.accepted.wait, 10)
    for number in range(20):  # the loop goes on meanwhile
        await asyncio.sleep(0)
        events.append(str(number))
    await waiting
    assert events == [*map(str, range(20)), "refused"]
    assert b"secret" not in server.received


@needs_ldap
async def test_a_silent_server_costs_its_time_out_once(make_directory: Make, stand_in: Callable[..., StandIn]) -> None:
    server = stand_in()
    directory = make_directory(ldap_servers=[f"ldap://127.0.0.1:{server.port}", lab.LDAPS_URL], ldap_receive_timeout_s=1.0)
    for _ in range(3):
        assert (await directory.check("lee01", lab.password("lee01"))).person.name == "lee01"
    assert server.connections == 1


@pytest.mark.parametrize(
    "babble", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x30\x84\x00\x00\x00\x03\xff\xff\xff", b"\x30\x03\x02\x01\x01", b"\x00" * 64, b""]
)
async def test_a_server_that_is_no_directory(make_directory: Make, stand_in: Callable[..., StandIn], babble: bytes) -> None:
    def babble_on(server: StandIn, connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(babble)
        connection.shutdown(socket.SHUT_RDWR)

    server = stand_in(babble_on)
    directory = make_directory(ldap_servers=[f"ldap://127.0.0.1:{server.port}"], ldap_ca_file="", ldap_receive_timeout_s=1.0)
    with pytest.raises(DirectoryUnavailable):
        await directory.check("kim01", "x")


async def test_nobody_there(make_directory: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(DirectoryUnavailable):
        await make_directory(ldap_servers=[f"ldap://127.0.0.1:{port}"], ldap_ca_file="").check("kim01", "x")


@needs_ldap
async def test_a_service_account_that_may_not_is_our_trouble(make_directory: Make) -> None:
    with pytest.raises(DirectoryUnavailable):
        await make_directory(ldap_bind_dn="cn=nobody,ou=services,dc=cm,dc=cluster").check("kim01", lab.password("kim01"))


# -- settings and answers


@pytest.mark.parametrize(
    "changes",
    [
        {"ldap_servers": []},
        {"ldap_servers": ["127.0.0.1"]},
        {"ldap_servers": ["http://x"]},
        {"ldap_servers": ["ldap://x:port"]},
        {"ldap_servers": ["ldap://[::1"]},
        {"ldap_tls": "tls"},
        {"ldap_user_base": ""},
        {"ldap_ca_file": "/nowhere"},
        {"ldap_tls_minimum": "2.0"},
        {"ldap_ciphers": "NONE-SUCH"},
        {"ldap_client_cert_file": "/nowhere"},
        {"ldap_bind_password_file": "/nowhere"},
        {"ldap_bind_password_env": "THERE_IS_NO_SUCH_VARIABLE"},
        {"ldap_nested_groups": "yes"},
        {"ldap_name_pattern": "("},
        {"ldap_password_change": "maybe"},
    ],
)
def test_settings_that_cannot_work(make_directory: Make, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameters):
        make_directory(**{"ldap_ca_file": "", **changes})
