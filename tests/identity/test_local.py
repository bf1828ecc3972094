from __future__ import annotations

import base64
import hashlib
import os
import pwd

import pytest

from jupyterhub_backendai import identity
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.identity import LocalAccount, PosixAccount
from jupyterhub_backendai.errors import InvalidParameters
from jupyterhub_backendai.identity import local
from jupyterhub_backendai.identity.base import system_account

PASSWORD = "암호 with blanks "


def scrypt_hash(n: int = 1024, encode: str = "hex") -> str:
    key = hashlib.scrypt(PASSWORD.encode(), salt=b"salt", n=n, r=8, p=1, maxmem=2**28)
    return f"scrypt:{n}:8:1$salt${key.hex() if encode == 'hex' else base64.b64encode(key).decode()}"


@pytest.fixture(scope="module")
def argon() -> str:
    return local.hash_password(PASSWORD)


def test_hashes(argon: str) -> None:
    assert argon.startswith("$argon2id$")
    for password_hash in (argon, scrypt_hash(), scrypt_hash(encode="base64")):
        assert local.verify(password_hash, PASSWORD)
        assert not local.verify(password_hash, PASSWORD.strip())


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "plain",
        "scrypt:",
        "scrypt:x:8:1$salt$00",
        "scrypt:1024:8:1$salt$",
        "scrypt:1073741824:8:1$salt$" + "00" * 64,
        "$argon2id$v=19$",
        "scrypt:1024:8:1$salt$ée",
    ],
)
def test_a_hash_that_cannot_be_read_is_nobodys(broken: str) -> None:
    assert not local.verify(broken, "")
    assert not local.verify(broken, "plain")


async def test_answers(argon: str) -> None:
    directory = identity.connect(BackendAI(directory="local", local_posix=False))
    account = LocalAccount("kim01", argon, "Kim 01", "kim01@example.org", ("physics",), PosixAccount("kim01", 5000, 5000, "/home/kim01"))
    closed = LocalAccount("kim01", argon, is_active=False)
    answers = [
        await directory.check("kim01", password, row)
        for password, row in [
            (PASSWORD, account),
            ("wrong", account),
            ("", account),
            ("x" * 2000, account),
            (PASSWORD, None),
            (PASSWORD, closed),
            ("wrong", closed),
        ]
    ]
    assert [one.reason for one in answers] == [
        "",
        "wrong-password",
        "empty-password",
        "wrong-password",
        "unknown",
        "closed",
        "wrong-password",
    ]
    assert answers[0].person.groups == ("physics",)
    assert answers[0].person.posix.uid == 5000
    assert [one.person for one in answers[1:]] == [None] * 6
    # A row of somebody else is no row at all.
    assert (await directory.check("lee01", PASSWORD, account)).reason == "unknown"
    await directory.close()


def test_system_accounts_are_people() -> None:
    assert system_account("root") is None
    assert system_account("nobody") is None
    assert system_account("no-such-account") is None
    assert system_account("a\x00b") is None
    people = [entry for entry in pwd.getpwall() if 1000 <= entry.pw_uid < 60000]
    for entry in people[:1]:
        assert system_account(entry.pw_name).uid == entry.pw_uid


def test_a_directory_that_does_not_exist() -> None:
    with pytest.raises(InvalidParameters):
        identity.connect(BackendAI(directory=os.devnull))


async def test_who_must_change_the_password_is_known_and_told(argon: str) -> None:
    directory = identity.connect(BackendAI(directory="local", local_posix=False))
    account = LocalAccount("kim01", argon, must_change_password=True)
    checked = await directory.check("kim01", PASSWORD, account)
    assert (checked.reason, checked.person.name) == ("must-change", "kim01")
    assert (await directory.check("kim01", "wrong", account)).reason == "wrong-password"
    await directory.close()


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (PASSWORD, "new-pass1", ""),
        (PASSWORD, "암호는-여덟자1", ""),
        (PASSWORD, PASSWORD, "same"),
        (PASSWORD, "", "empty"),
        (PASSWORD, "short-1", "weak-password"),
        (PASSWORD, "no-digits-here", "weak-password"),
        (PASSWORD, "nospecial1", "weak-password"),
        (PASSWORD, "-1" * 1000, "too-long"),
        ("wrong", "new-pass1", "wrong-password"),
        ("", "new-pass1", "empty-password"),
    ],
)
async def test_a_new_password(argon: str, old: str, new: str, reason: str) -> None:
    directory = identity.connect(BackendAI(directory="local", local_posix=False))
    change = await directory.change_password("kim01", old, new, LocalAccount("kim01", argon))
    assert (change.ok, change.reason) == (not reason, reason)
    await directory.close()


async def test_who_signed_up_gets_no_unix_account_by_a_name_of_their_choice(argon: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pwd, "getpwnam", lambda name: pwd.struct_passwd((name, "x", 5000, 5000, "", "/home/x", "/bin/sh")))
    directory = identity.connect(BackendAI(directory="local", local_posix=True))
    assert (await directory.check("kim01", PASSWORD, LocalAccount("kim01", argon))).person.posix.uid == 5000
    assert (await directory.check("kim01", PASSWORD, LocalAccount("kim01", argon, has_signed_up=True))).person.posix is None
    await directory.close()
