"""A directory of 50,000 people, with groups that hold all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import ldap3
import pytest

from tests import lab

pytestmark = pytest.mark.bigldap
Make = Callable[..., Any]
BASE = "dc=big,dc=test"
MINE = {"g0123", "p0123", "geveryone", "peveryone"}


@pytest.fixture
def make_big(make_directory: Make) -> Make:
    def make(**changes: Any) -> Any:
        settings = {
            "ldap_servers": [lab.BIG_LDAPS_URL],
            "ldap_bind_dn": f"cn=hub,ou=services,{BASE}",
            "ldap_user_base": f"ou=people,{BASE}",
            "ldap_group_base": BASE,
        }
        return make_directory(**{**settings, **changes})

    return make


def test_there_are_so_many() -> None:
    server = ldap3.Server("127.0.0.1", port=3893, use_ssl=True, get_info=ldap3.NONE)
    with ldap3.Connection(server, f"cn=hub,ou=services,{BASE}", lab.LDAP_BIND_PASSWORD, auto_bind=True) as connection:
        connection.search(f"cn=peveryone,ou=project,{BASE}", "(objectClass=*)", ldap3.BASE, attributes=["member"])
        assert len(connection.response[0]["raw_attributes"]["member"]) == 50_000


@pytest.mark.parametrize("changes", [{}, {"ldap_nested_groups": "follow"}, {"ldap_group_base": "", "ldap_member_of_attribute": "memberOf"}])
async def test_groups_of_everybody_are_found_and_not_fetched(make_big: Make, changes: dict[str, str]) -> None:
    directory = make_big(**changes)
    person = (await directory.check("u12345", "bigpass")).person
    expected = MINE if changes.get("ldap_group_base") != "" else {"p0123", "peveryone"}
    assert {group for group in person.groups if "=" not in group} == expected
    # Fetching the members of one such group takes a third of a second at best.
    started = time.monotonic()
    for _ in range(10):
        await directory.find("u12345")
    assert time.monotonic() - started < 2


async def test_two_hundred_people_at_once(make_big: Make) -> None:
    directory = make_big()
    names = [f"u{number:05d}" for number in range(0, 50_000, 250)]
    found = await asyncio.gather(*(directory.check(name, "bigpass") for name in names))
    assert [one.person.name for one in found] == names
    assert all("peveryone" in one.person.groups for one in found)


@pytest.mark.parametrize("user_filter", ["(objectClass=*)", "(uid=*)"])
async def test_a_filter_that_finds_everybody_finds_nobody(make_big: Make, user_filter: str) -> None:
    found = await make_big(ldap_user_filter=user_filter).check("u12345", "bigpass")
    assert (found.person, found.reason) == (None, "ambiguous")
