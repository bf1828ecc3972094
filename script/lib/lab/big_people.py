"""A directory of a large centre as LDIF: 50,000 people (u00000 …, password ``bigpass``), and groups of a hundred and of everybody.

``big_people.py FILE [N]``. Written whole for slapadd, with the memberOf values that an overlay would have added.
"""

import base64
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

BASE = "dc=big,dc=test"
IN_GROUP = 100


def hash_password(password: str) -> str:
    salt = os.urandom(8)
    return "{SSHA}" + base64.b64encode(hashlib.sha1(password.encode() + salt).digest() + salt).decode()


def format_entry(dn: str, **attributes: object) -> str:
    lines = [f"dn: {dn}"]
    for name, value in attributes.items():
        lines += [f"{name}: {one}" for one in (value if isinstance(value, list) else [value])]
    return "\n".join(lines) + "\n\n"


def list_entries(count: int) -> Iterator[str]:
    yield format_entry(BASE, objectClass=["dcObject", "organization"], dc="big", o="Big")
    for unit in ("people", "group", "project", "services"):
        yield format_entry(f"ou={unit},{BASE}", objectClass="organizationalUnit", ou=unit)
    service = {"objectClass": ["applicationProcess", "simpleSecurityObject"], "userPassword": hash_password("hub-secret")}
    yield format_entry(f"cn=hub,ou=services,{BASE}", cn="hub", **service)
    names = [f"u{number:05d}" for number in range(count)]
    yield from list_people(names)
    for number in range(0, count, IN_GROUP):
        members = names[number : number + IN_GROUP]
        yield from list_groups(f"{number // IN_GROUP:04d}", 500000 + number // IN_GROUP, members)
    yield from list_groups("everyone", 499999, names)


def list_people(names: list[str]) -> Iterator[str]:
    password = hash_password("bigpass")
    for number, name in enumerate(names):
        groups = [f"cn=p{number // IN_GROUP:04d},ou=project,{BASE}", f"cn=peveryone,ou=project,{BASE}"]
        yield format_entry(
            f"uid={name},ou=people,{BASE}", objectClass=["inetOrgPerson", "posixAccount"], uid=name, cn=f"User {number}", sn=f"S{number}",
            mail=f"{name}@big.test", uidNumber=100000 + number, gidNumber=500000 + number // IN_GROUP, homeDirectory=f"/home/{name}",
            loginShell="/bin/bash", userPassword=password, memberOf=groups,
        )  # fmt: skip


def list_groups(name: str, gid: int, members: list[str]) -> Iterator[str]:
    yield format_entry(f"cn=g{name},ou=group,{BASE}", objectClass="posixGroup", cn=f"g{name}", gidNumber=gid, memberUid=members)
    dns = [f"uid={member},ou=people,{BASE}" for member in members]
    yield format_entry(f"cn=p{name},ou=project,{BASE}", objectClass="groupOfNames", cn=f"p{name}", member=dns)


def main() -> None:
    with Path(sys.argv[1]).open("w") as file:
        file.writelines(list_entries(int(sys.argv[2]) if len(sys.argv) > 2 else 50_000))


if __name__ == "__main__":
    main()
