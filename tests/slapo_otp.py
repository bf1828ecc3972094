"""Somebody whose directory wants a code behind the password, made for one test."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import ldap3
import pytest
from ldap3.core.exceptions import LDAPNoSuchObjectResult

from tests import lab

NAME = "factor01"
DN = f"uid={NAME},{lab.LDAP_USER_BASE}"
_TOKEN = f"cn=totp-{NAME},ou=otp,dc=cm,dc=cluster"


def connect_as_root() -> Any:
    server = ldap3.Server(lab.LDAPS_URL, get_info=ldap3.NONE)
    return ldap3.Connection(server, "cn=root,dc=cm,dc=cluster", "root-secret", auto_bind=True, raise_exceptions=True)


@pytest.fixture
def otp_person() -> Iterator[str]:
    """The name of somebody with a token of which no code was used yet."""
    root = connect_as_root()

    def remove() -> None:
        for dn in (DN, _TOKEN):
            with contextlib.suppress(LDAPNoSuchObjectResult):
                root.delete(dn)

    remove()
    root.add(
        _TOKEN, ["device", "oathTOTPToken"], {"oathTOTPParams": "cn=totp-params,ou=otp,dc=cm,dc=cluster", "oathSecret": lab.seed(NAME)}
    )
    person = {"cn": NAME, "sn": NAME, "userPassword": lab.password(NAME), "oathTOTPToken": _TOKEN}
    root.add(DN, ["inetOrgPerson", "oathTOTPUser"], person)
    yield NAME
    remove()
    root.unbind()
