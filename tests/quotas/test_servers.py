"""Lustre and CephFS by what their tools and attributes answer, as written down in their manuals: no real one was there."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyterhub_backendai.errors import Conflict
from jupyterhub_backendai.helper.quota import Reading
from jupyterhub_backendai.helper.quota.base import file_system_type
from jupyterhub_backendai.helper.quota.cephfs import CephFS
from jupyterhub_backendai.helper.quota.lustre import Lustre

MIB = 1024**2
# Keeps projects by directory, as `lfs project` and `lfs setquota` would, and answers in their words.
LFS = """#!/usr/bin/python3
import json, os, sys
state = {state!r}
known = json.load(open(state)) if os.path.exists(state) else {{"dirs": {{}}, "limits": {{}}, "used": {{}}, "calls": []}}
verb, *rest = sys.argv[1:]
where = os.path.realpath(rest[-1])
known["calls"].append([verb, *rest[:-1]])
if verb == "project" and "-d" in rest:
    number = known["dirs"].get(where)
    print(f"{{number or 0:>5}} {{'P' if number else '-'}} {{where}}")
elif verb == "project":
    known["dirs"][where] = int(rest[rest.index("-p") + 1])
elif verb == "setquota":
    known["limits"][rest[rest.index("-p") + 1]] = int(rest[rest.index("-B") + 1].removesuffix("K"))
elif verb == "quota":
    number = rest[rest.index("-p") + 1]
    used, limit = known["used"].get(number, 0), known["limits"].get(number, 0)
    if used < 0:
        sys.exit("Permission denied.")
    star = "*" if limit and used > limit else ""
    print(f"{{where}} {{used}}{{star}} 0 {{limit}} {{'-' if not star else '6d23h'}} {{7 if used else 0}} 0 0 -")
json.dump(known, open(state, "w"))
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "host").mkdir(mode=0o711)
    descriptor = os.open(tmp_path / "host", os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def lustre(tmp_path: Path, host: int) -> Lustre:
    program = tmp_path / "lfs"
    program.write_text(LFS.format(state=str(tmp_path / "state")))
    program.chmod(0o755)
    return Lustre(str(program), file_system_type(host))


def read_state(tmp_path: Path) -> dict:
    return json.loads((tmp_path / "state").read_text())


def test_lustre(lustre: Lustre, host: int, tmp_path: Path) -> None:
    assert lustre.probe(host) == ""
    lustre.prepare(host, "user-a")
    lustre.prepare(host, "user-a")
    lustre.set_limit(host, "user-a", 10 * MIB)
    state = read_state(tmp_path)
    ((path, number),) = state["dirs"].items()
    assert (path, state["limits"]) == (str(tmp_path / "host" / "user-a"), {str(number): 10240})
    assert [call[0] for call in state["calls"]].count("project") == 4  # asked, set, asked again, asked for the limit
    assert lustre.read(host, "user-a") == Reading(0, 0, 10 * MIB)


@pytest.mark.parametrize(("used", "expected"), [(5, Reading(5 * 1024, 7, MIB)), (2000, Reading(2000 * 1024, 7, MIB))])
def test_lustre_reads_what_is_used(lustre: Lustre, host: int, tmp_path: Path, used: int, expected: Reading) -> None:
    lustre.prepare(host, "user-a")
    lustre.set_limit(host, "user-a", MIB)
    state = read_state(tmp_path)
    state["used"] = {str(number): used for number in state["dirs"].values()}
    (tmp_path / "state").write_text(json.dumps(state))
    assert lustre.read(host, "user-a") == expected


def test_lustre_gives_no_number_twice(lustre: Lustre, host: int, tmp_path: Path) -> None:
    """The number that a directory's inode would have is taken by somebody else's project."""
    (tmp_path / "host" / "user-a").mkdir(mode=0o711)
    taken = 0x40000000 + (tmp_path / "host" / "user-a").stat().st_ino % 0x40000000
    (tmp_path / "state").write_text(json.dumps({"dirs": {}, "limits": {str(taken): 5}, "used": {}, "calls": []}))
    lustre.prepare(host, "user-a")
    assert list(read_state(tmp_path)["dirs"].values()) == [taken + 1]


def test_lustre_that_says_no(lustre: Lustre, host: int, tmp_path: Path) -> None:
    lustre.prepare(host, "user-a")
    state = read_state(tmp_path)
    state["used"] = {str(number): -1 for number in state["dirs"].values()}
    (tmp_path / "state").write_text(json.dumps(state))
    with pytest.raises(Conflict, match="Permission denied"):
        lustre.read(host, "user-a")
    assert "cannot be run" in Lustre("/no/lfs", lustre.magic).probe(host)
    assert "not Lustre" in Lustre().probe(host)


class RememberedCephFS(CephFS):
    """Its attributes are a dictionary."""

    def __init__(self) -> None:
        self.attributes = {"ceph.dir.rbytes": 5 * MIB, "ceph.dir.rfiles": 3}

    def get(self, directory: int, name: str) -> int:
        if name not in self.attributes:
            raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))
        return self.attributes[name]

    def set(self, directory: int, name: str, value: int) -> None:
        self.attributes[name] = value


def test_cephfs(host: int) -> None:
    driver = RememberedCephFS()
    driver.prepare(host, "user-a")
    assert driver.read(host, "user-a") == Reading(5 * MIB, 3, 0)
    driver.set_limit(host, "user-a", 10 * MIB)
    assert driver.read(host, "user-a") == Reading(5 * MIB, 3, 10 * MIB)
    assert "not CephFS" in driver.probe(host)


def test_cephfs_that_says_no(host: int) -> None:
    """A directory of another file system has no such attributes."""
    driver = CephFS()
    driver.prepare(host, "user-a")
    for act in (lambda: driver.set_limit(host, "user-a", MIB), lambda: driver.read(host, "user-a")):
        with pytest.raises(Conflict, match="cannot be set or read"):
            act()
