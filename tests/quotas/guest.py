"""Runs in user-mode Linux, as root: what project quotas of a real XFS and a real ext4 do. One line of JSON per check."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import subprocess
import traceback
from pathlib import Path

from jupyterhub_backendai.errors import Conflict
from jupyterhub_backendai.helper.folders import Passer, make_folder, remove_folder
from jupyterhub_backendai.helper.quota import Driver, find_driver, projects

MIB = 1024**2
UID = 1000
DISKS = {"xfs": "/dev/ubda", "ext4": "/dev/ubdb"}
_FINIT_MODULE = 313
SCOPES = [f"user-{number:032x}" for number in range(20)]


class Place:
    """A mounted file system, and scopes of its own for each check."""

    def __init__(self, name: str) -> None:
        self.name, self.path = name, Path("/run", name)
        self.path.mkdir(mode=0o711)
        subprocess.run(["mount", "-o", "prjquota", DISKS[name], str(self.path)], check=True)
        self.path.chmod(0o711)
        self.host = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        self.driver: Driver = find_driver(self.host)
        self.full = errno.ENOSPC if name == "xfs" else errno.EDQUOT

    def make(self, number: int, limit: int) -> Path:
        self.driver.prepare(self.host, SCOPES[number])
        self.driver.set_limit(self.host, SCOPES[number], limit)
        inside = self.path / SCOPES[number] / "folder"
        inside.mkdir()
        os.chown(inside, UID, UID)
        return inside


def load_modules() -> None:
    """The guest has no modprobe: the kernel is handed the files."""
    libc = ctypes.CDLL(None, use_errno=True)
    for name in ("quota_tree", "quota_v2"):
        for file in Path("/usr/lib/uml/modules", os.uname().release).rglob(f"{name}.ko"):
            descriptor = os.open(file, os.O_RDONLY)
            libc.syscall(_FINIT_MODULE, descriptor, b"", 0)
            os.close(descriptor)


def fill(path: Path, size: int, uid: int = UID) -> int:
    """Write as somebody; the number of the error that ended it, or 0."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        number = 0
        try:
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            with path.open("wb", buffering=0) as file:
                for _ in range(size // MIB):
                    if file.write(bytes(MIB)) < MIB:
                        file.write(bytes(MIB))
                os.fsync(file.fileno())
        except OSError as exc:
            number = exc.errno or 255
        os.write(writer, bytes([number]))
        os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader, "rb") as file:
        return file.read()[0]


def check_it_is_found(place: Place) -> None:
    assert place.driver.name == place.name


def check_the_kernel_stops_at_the_limit(place: Place) -> None:
    inside = place.make(0, 8 * MIB)
    assert fill(inside / "small", 2 * MIB) == 0
    reading = place.driver.read(place.host, SCOPES[0])
    assert 2 * MIB <= reading.used <= 2 * MIB + 64 * 1024, reading
    assert (reading.files, reading.limit) == (3, 8 * MIB), reading
    assert fill(inside / "large", 12 * MIB) == place.full
    assert place.driver.read(place.host, SCOPES[0]).used <= 8 * MIB


def check_root_is_limited_on_xfs_alone(place: Place) -> None:
    """That is why the service, which writes into files that workers open, must not be root."""
    inside = place.make(1, 4 * MIB)
    assert fill(inside / "large", 6 * MIB, uid=0) == (place.full if place.name == "xfs" else 0)


def check_what_is_full_can_be_emptied_and_widened(place: Place) -> None:
    inside = place.make(2, 4 * MIB)
    assert fill(inside / "large", 6 * MIB) == place.full
    place.driver.set_limit(place.host, SCOPES[2], 2 * MIB)
    assert fill(inside / "more", MIB) == place.full
    (inside / "large").unlink()
    (inside / "more").unlink(missing_ok=True)
    assert place.driver.read(place.host, SCOPES[2]).used < MIB
    place.driver.set_limit(place.host, SCOPES[2], 0)
    assert fill(inside / "large", 6 * MIB) == 0
    assert place.driver.read(place.host, SCOPES[2]).limit == 0


def check_scopes_do_not_share(place: Place) -> None:
    first, second = place.make(3, 4 * MIB), place.make(4, 4 * MIB)
    assert fill(first / "large", 6 * MIB) == place.full
    assert fill(second / "fits", 2 * MIB) == 0
    number = 0
    try:
        (second / "fits").rename(first / "fits")
    except OSError as exc:
        number = exc.errno or 255
    assert number == errno.EXDEV


def check_preparing_twice_keeps_what_is_there(place: Place) -> None:
    inside = place.make(5, 4 * MIB)
    (inside / "kept").write_text("here")
    before = place.driver.read(place.host, SCOPES[5])
    place.driver.prepare(place.host, SCOPES[5])
    assert place.driver.read(place.host, SCOPES[5]) == before


def check_numbers_that_are_taken_are_left_alone(place: Place) -> None:
    """Two scopes that begin to look at the same number get different ones; when none is free, that is said."""
    before = projects._COUNT
    projects._COUNT = 2
    try:
        for number in (6, 7):
            place.driver.prepare(place.host, SCOPES[number])
        found = set()
        for number in (6, 7):
            descriptor = os.open(place.path / SCOPES[number], os.O_RDONLY)
            found.add(projects._read_project(descriptor))
            os.close(descriptor)
        assert found == {0x40000000, 0x40000001}
        try:
            place.driver.prepare(place.host, SCOPES[8])
        except Conflict:
            return
        raise AssertionError("a number was given twice")
    finally:
        projects._COUNT = before


def check_folders_are_made_and_deleted_in_a_full_scope(place: Place) -> None:
    scope = SCOPES[9]
    folders = ["a" * 32, "b" * 32]
    passers = [Passer(UID, 7)]
    place.driver.prepare(place.host, scope)
    place.driver.set_limit(place.host, scope, 4 * MIB)
    for folder in folders:
        make_folder(place.host, scope, folder, (UID, UID), passers, place.driver.prepare)
    data = place.path / scope / folders[0] / "data"
    assert fill(data / "large", 6 * MIB) == place.full
    remove_folder(place.host, scope, folders[0])
    assert not data.parent.exists()
    assert place.driver.read(place.host, scope).used < MIB
    assert fill(place.path / scope / folders[1] / "data" / "fits", 2 * MIB) == 0


def check_the_known_way_round_is_there(place: Place) -> None:
    """Named in docs/storage.md: a file's owner may take its number away. If this fails, a kernel closed it: say so there."""
    inside = place.make(10, 4 * MIB)
    path = inside / "escaped"
    pid = os.fork()
    if not pid:
        os.setresgid(UID, UID, UID)
        os.setresuid(UID, UID, UID)
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.ioctl(descriptor, 0x401C5820, bytes(28))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert fill(path, 6 * MIB) == 0


def main() -> None:
    load_modules()
    for name in DISKS:
        try:
            place = Place(name)
        except Exception as exc:
            print(json.dumps({"fs": name, "check": "mount", "error": repr(exc)}), flush=True)
            continue
        for check in CHECKS:
            error = ""
            try:
                globals()[check](place)
            except Exception:
                error = traceback.format_exc()
            print(json.dumps({"fs": name, "check": check, "error": error}), flush=True)


CHECKS = [name for name in list(globals()) if name.startswith("check_")]
if __name__ == "__main__":
    main()
