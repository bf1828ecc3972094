"""What servers say beside yes and no, read without any server: policies, entries, the groups of groups."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.identity.ldap import entries, groups, ppolicy
from jupyterhub_backendai.identity.ldap.entries import Entry
from jupyterhub_backendai.identity.ldap.ppolicy import Policy

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DOMAIN_SID = bytes.fromhex("010500000000000515000000a065cf7e784b9b5fe77c8770")
WINDOWS = "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data %s, v4563"


def result(code: int = 0, value: str = "", message: str = "") -> dict[str, Any]:
    """A result as ldap3 gives it."""
    return {"result": code, "message": message, "controls": {ppolicy.PPOLICY_CONTROL: {"value": bytes.fromhex(value)}} if value else {}}


@pytest.mark.parametrize(
    ("value", "policy"),
    [
        ("", Policy()),
        ("3000", Policy()),
        ("3005a003800105", Policy(expires_in_s=5)),
        ("3006a00480020e10", Policy(expires_in_s=3600)),
        ("3005a003810101", Policy(grace_left=1)),
        ("3003810100", Policy("expired")),
        ("3003810101", Policy("locked")),
        ("3003810102", Policy("must-change")),
        ("3003810106", Policy("too-short")),
        ("3003810108", Policy("in-history")),
        ("3003810163", Policy("policy")),
        ("3008a003810102810100", Policy("expired", grace_left=2)),
        ("308103810101", Policy("locked")),  # a long length
        # what is cut off, or something else
        ("30", Policy()),
        ("3003", Policy()),
        ("30038101", Policy()),
        ("308281", Policy()),
        ("ff03810102", Policy()),
        ("3003a0ffff", Policy()),
    ],
)
def test_the_control(value: str, policy: Policy) -> None:
    assert ppolicy.read_policy(result(value=value)) == policy


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (result(), ""),
        (result(0, "3005a003800105"), ""),
        (result(0, "3005a003810101"), "grace"),
        (result(0, "3003810102"), "must-change"),
        (result(49), "wrong-password"),
        (result(49, "3003810100"), "expired"),
        (result(49, "3003810101"), "locked"),
        (result(48), "wrong-password"),
        (result(53), "refused-53"),
        (result(49, message=WINDOWS % "52e"), "wrong-password"),
        (result(49, message=WINDOWS % "532"), "expired"),
        (result(49, message=WINDOWS % "533"), "closed"),
        (result(49, message=WINDOWS % "701"), "account-expired"),
        (result(49, message=WINDOWS % "773"), "must-change"),
        (result(49, message=WINDOWS % "775"), "locked"),
        (result(49, message=WINDOWS % "ffff"), "wrong-password"),
    ],
)
def test_a_bind(answer: dict[str, Any], reason: str) -> None:
    assert ppolicy.bind_reason(answer, ppolicy.read_policy(answer)) == reason


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (result(), ""),
        (result(19, "3003810106"), "too-short"),
        (result(19, message="Password fails quality checking policy"), "not-quality"),
        (result(50), "not-allowed"),
        (result(53), "refused"),
        (result(19, message="0000052D: Constraint violation - check_password_restrictions: the password is too short."), "not-quality"),
        (result(19, message="00000056: AtrErr: DSID-03191083, #1:"), "wrong-password"),
    ],
)
def test_a_change(answer: dict[str, Any], reason: str) -> None:
    assert ppolicy.change_reason(answer, ppolicy.read_policy(answer)) == reason


@pytest.mark.parametrize(
    ("attributes", "state"),
    [
        ({}, ""),
        ({"loginShell": ("/bin/bash",), "shadowExpire": ("-1",)}, ""),
        ({"loginShell": ("/sbin/nologin",)}, "closed"),
        ({"loginShell": ("/usr/bin/false",)}, "closed"),
        ({"shadowExpire": ("19000",)}, "expired"),
        ({"shadowExpire": ("99999",)}, ""),
        ({"shadowExpire": ("9" * 30,)}, ""),
        ({"nsAccountLock": ("TRUE",)}, "closed"),
        ({"loginDisabled": ("true",)}, "closed"),
        ({"loginShell": (), "shadowExpire": ("soon",)}, ""),
        ({"pwdAccountLockedTime": ("000001010000Z",)}, "locked"),
        ({"pwdAccountLockedTime": ("20261101000000Z",)}, ""),  # by wrong passwords: anybody can do that
        ({"krbPrincipalExpiration": ("20261031235959Z",)}, "expired"),
        ({"krbPrincipalExpiration": ("20270101000000Z",)}, ""),
        ({"krbPrincipalExpiration": ("99999999999999Z",)}, ""),
        ({"pwdEndTime": ("20200101000000.0Z",)}, "expired"),
        ({"userAccountControl": ("512",), "accountExpires": ("9223372036854775807",)}, ""),
        ({"userAccountControl": ("514",)}, "closed"),
        ({"accountExpires": ("0",)}, ""),
        ({"accountExpires": ("132223104000000000",)}, "expired"),
        ({"accountExpires": ("140000000000000000",)}, ""),
    ],
)
def test_standing(attributes: dict[str, tuple[str, ...]], state: str) -> None:
    assert entries.standing_of(attributes, NOW) == state


@pytest.mark.parametrize(
    ("attributes", "is_so"),
    [
        ({}, False),
        ({"pwdReset": ("TRUE",)}, True),
        ({"pwdReset": ("FALSE",)}, False),
        ({"pwdLastSet": ("0",)}, True),
        ({"pwdLastSet": ("132223104000000000",)}, False),
        ({"krbPasswordExpiration": ("20261101000000Z",)}, True),
        ({"krbPasswordExpiration": ("20261102000000Z",)}, False),
    ],
)
def test_must_change(attributes: dict[str, tuple[str, ...]], is_so: bool) -> None:
    assert entries.must_change(attributes, NOW) is is_so


def test_binary_values_are_text_too() -> None:
    raw = {"CN": [b"Kim", "김".encode()], "objectGUID": [b"abcdefghijklmnop"], "note": [b"\xff\xfe"], "userCertificate;binary": [b"0"]}
    found = entries.decode(raw, ["cn"])
    assert found["cn"] == ("Kim", "김")
    assert found["objectGUID"] == (base64.b64encode(b"abcdefghijklmnop").decode(),)
    assert found["note"] == ("//4=",)
    assert found["userCertificate;binary"] == ("MA==",)


@pytest.mark.parametrize(
    ("attributes", "account"),
    [
        ({"uidNumber": ("1500",), "gidNumber": ("1600",)}, PosixAccount("kim", 1500, 1600, "/")),
        (
            {"uid": ("KIM", "kim"), "uidNumber": ("1500",), "gidNumber": ("1",), "homeDirectory": ("/h",)},
            PosixAccount("kim", 1500, 1, "/h"),
        ),
        (
            {"uidNumber": ("1500",), "gidNumber": ("1600",), "homeDirectory": (r"\\files\kim",), "unixHomeDirectory": ("/home/kim",)},
            PosixAccount("kim", 1500, 1600, "/home/kim"),
        ),
        ({"uidNumber": ("0",), "gidNumber": ("0",)}, None),
        ({"uidNumber": ("999",), "gidNumber": ("999",)}, None),
        ({"uidNumber": ("many",), "gidNumber": ("1600",)}, None),
    ],
)
def test_unix_accounts(attributes: dict[str, tuple[str, ...]], account: PosixAccount | None) -> None:
    assert entries.posix_account(Entry("cn=Kim", "kim", attributes)) == account


def test_the_primary_group_of_active_directory() -> None:
    own = base64.b64encode(DOMAIN_SID + (1104).to_bytes(4, "little")).decode()
    assert entries.primary_sid({"objectSid": (own,), "primaryGroupID": ("513",)}) == DOMAIN_SID + (513).to_bytes(4, "little")
    assert entries.primary_sid({"objectSid": ("no base64!",), "primaryGroupID": ("513",)}) == b""
    assert entries.primary_sid({"primaryGroupID": ("513",)}) == b""


# -- groups of groups


class Tree:
    """Groups that are members of groups; remembers what was asked."""

    def __init__(self, parents: dict[str, list[str]]) -> None:
        self.parents, self.asked = parents, []

    def find(self, group_filter: str) -> list[tuple[str, tuple[str, ...]]]:
        self.asked.append(group_filter)
        wanted = [group for member, of in self.parents.items() if f"(member={member})" in group_filter for group in of]
        return [(group, (group.removeprefix("cn="),)) for group in dict.fromkeys(wanted)]


def nested(how: str, tree: Tree, **attributes: tuple[str, ...]) -> tuple[str, ...]:
    settings = BackendAI(ldap_group_base="dc=x", ldap_nested_groups=how, ldap_member_of_attribute="memberOf")
    return groups.list_groups(settings, Entry("uid=kim", "kim", attributes), tree.find)


def test_groups_in_groups_end_even_in_a_loop() -> None:
    tree = Tree({"uid=kim": ["cn=a"], "cn=a": ["cn=b", "cn=a"], "cn=b": ["cn=c"], "cn=c": ["cn=a", "cn=d"]})
    assert nested("follow", tree) == ("a", "cn=a", "b", "cn=b", "c", "cn=c", "d", "cn=d")
    assert len(tree.asked) == 5
    assert nested("no", tree) == ("a", "cn=a")


def test_a_deep_chain_of_groups_is_cut_off() -> None:
    tree = Tree({"uid=kim": ["cn=0"], **{f"cn={number}": [f"cn={number + 1}"] for number in range(1000)}})
    assert len(nested("follow", tree)) == 2 * (1 + groups.MAX_DEPTH)


def test_many_groups_are_asked_for_together() -> None:
    tree = Tree({"uid=kim": [f"cn={number}" for number in range(120)]})
    assert len(nested("follow", tree)) == 240
    assert len(tree.asked) == 4


def test_groups_that_the_entry_names() -> None:
    tree = Tree({"cn=phd\\2c 2026,ou=g": ["cn=all"]})
    found = nested("no", tree, memberOf=("cn=staff,ou=g", "cn=phd\\2c 2026,ou=g", "not a dn"))
    assert set(found) == {"staff", "cn=staff,ou=g", "phd, 2026", "cn=phd\\2c 2026,ou=g", "not a dn"}


def test_what_stands_in_a_filter_is_escaped() -> None:
    tree = Tree({})
    settings = BackendAI(
        ldap_group_base="dc=x", ldap_nested_groups="in-chain", ldap_group_filter="(|(m={dn})(n={name})(g={gid})(s={primary_sid}))"
    )
    attributes = {"gidNumber": ("1)(x=*",), "objectSid": (base64.b64encode(DOMAIN_SID + b"abcd").decode(),), "primaryGroupID": ("513",)}
    groups.list_groups(settings, Entry("cn=Pat (ext)*\\2c x", "pat*", attributes), tree.find)
    assert tree.asked == [
        r"(|(m=cn=Pat \28ext\29\2a\5c2c x)(n=pat\2a)(g=1\29\28x=\2a)(s=" + "".join(f"\\{b:02x}" for b in DOMAIN_SID) + r"\01\02\00\00))",
        r"(member:1.2.840.113556.1.4.1941:=cn=Pat \28ext\29\2a\5c2c x)",
    ]
