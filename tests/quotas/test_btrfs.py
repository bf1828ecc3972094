"""Qgroups of a real btrfs: the kernel stops who writes too much, whoever it is, and what is full can still be emptied."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyterhub_backendai.errors import Conflict
from jupyterhub_backendai.helper.quota import AUTO, Driver, find_driver
from tests.filesystems import MIB, mounted_btrfs

pytestmark = [pytest.mark.root, pytest.mark.filesystems]
UID = 54321


@pytest.fixture(scope="module", params=["classic", "simple"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def mounted(kind: str) -> Iterator[Path]:
    with mounted_btrfs(quota=kind) as path:
        yield path


@pytest.fixture
def host(mounted: Path) -> Iterator[int]:
    descriptor = os.open(mounted, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def driver(host: int) -> Driver:
    return find_driver(host)


def fill(path: Path, uid: int, size: int) -> int:
    """Write as somebody until the size or an error is reached; the error's number, 0 for none."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        number = 0
        try:
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            with path.open("wb") as file:
                for _ in range(size // MIB):
                    file.write(os.urandom(MIB))
                    file.flush()
                os.fsync(file.fileno())
        except OSError as exc:
            number = exc.errno or 255
        os.write(writer, bytes([number]))
        os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader, "rb") as file:
        return file.read()[0]


def make_scope(driver: Driver, host: int, mounted: Path, limit: int) -> Path:
    """A directory of somebody's in a new scope; the scope is its parent."""
    name = f"user-{secrets.token_hex(16)}"
    driver.prepare(host, name)
    driver.set_limit(host, name, limit)
    inside = mounted / name / "folder"
    inside.mkdir()
    os.chown(inside, UID, UID)
    return inside


def test_it_is_found(driver: Driver) -> None:
    assert driver.name == "btrfs"


@pytest.mark.parametrize("uid", [UID, 0])
def test_the_kernel_stops_at_the_limit(driver: Driver, host: int, mounted: Path, uid: int) -> None:
    inside = make_scope(driver, host, mounted, 20 * MIB)
    assert fill(inside / "small", uid, 4 * MIB) == 0
    assert fill(inside / "large", uid, 40 * MIB) == errno.EDQUOT
    reading = driver.read(host, inside.parent.name, sync=True)
    assert reading.used is not None
    assert 4 * MIB <= reading.used <= 20 * MIB
    assert reading.limit == 20 * MIB


def test_what_is_full_can_be_emptied_and_widened(driver: Driver, host: int, mounted: Path) -> None:
    inside = make_scope(driver, host, mounted, 8 * MIB)
    assert fill(inside / "large", UID, 12 * MIB) == errno.EDQUOT
    driver.set_limit(host, inside.parent.name, 4 * MIB)  # less than there is: nothing is lost, nothing more comes
    assert fill(inside / "more", UID, MIB) == errno.EDQUOT
    driver.prepare(host, inside.parent.name)  # as whoever sets a limit does
    (inside / "large").unlink()
    assert driver.read(host, inside.parent.name, sync=True).used < 2 * MIB
    driver.set_limit(host, inside.parent.name, 0)
    assert driver.read(host, inside.parent.name).limit == 0
    assert fill(inside / "large", UID, 12 * MIB) == 0


def test_scopes_do_not_share(driver: Driver, host: int, mounted: Path) -> None:
    first = make_scope(driver, host, mounted, 8 * MIB)
    second = make_scope(driver, host, mounted, 8 * MIB)
    assert fill(first / "large", UID, 12 * MIB) == errno.EDQUOT
    assert fill(second / "fits", UID, 4 * MIB) == 0


def test_a_subvolume_within_is_no_way_round_simple_quotas(driver: Driver, host: int, mounted: Path, kind: str) -> None:
    """Round classic ones it is, and docs/storage.md says so."""
    inside = make_scope(driver, host, mounted, 8 * MIB)
    pid = os.fork()
    if not pid:
        os.setresgid(UID, UID, UID)
        os.setresuid(UID, UID, UID)
        directory = os.open(inside, os.O_RDONLY)
        fcntl.ioctl(directory, 0x5000940E, bytearray(struct.pack("=q4088s", 0, b"nested")))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert fill(inside / "nested" / "large", UID, 12 * MIB) == (errno.EDQUOT if kind == "simple" else 0)


def test_preparing_twice_keeps_what_is_there(driver: Driver, host: int, mounted: Path) -> None:
    inside = make_scope(driver, host, mounted, 8 * MIB)
    (inside / "kept").write_text("here")
    driver.prepare(host, inside.parent.name)
    assert (inside / "kept").read_text() == "here"
    assert inside.parent.stat().st_mode & 0o777 == 0o711


def test_what_is_not_ours_is_left_alone(driver: Driver, host: int, mounted: Path) -> None:
    """A directory without a subvolume, a link, one of somebody else's, none at all."""
    (mounted / "plain").mkdir(exist_ok=True)
    with pytest.raises(Conflict, match="plain directory"):
        driver.prepare(host, "plain")
    (mounted / "link").unlink(missing_ok=True)
    (mounted / "link").symlink_to("plain")
    (mounted / "theirs").mkdir(exist_ok=True)
    os.chown(mounted / "theirs", UID, UID)
    for name in ("link", "theirs", "nothing"):
        with pytest.raises(Conflict):
            driver.set_limit(host, name, MIB)


def test_a_named_driver_that_does_not_serve_is_said(host: int) -> None:
    with pytest.raises(Conflict, match=r"xfs.*the file system is not xfs"):
        find_driver(host, "xfs")


def test_without_quotas_the_platform_counts(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        driver = find_driver(descriptor, AUTO)
        driver.prepare(descriptor, "user-a")
        driver.prepare(descriptor, "user-a")
        driver.set_limit(descriptor, "user-a", 5)
        assert (driver.name, driver.read(descriptor, "user-a").used) == ("accounting", None)
        assert (tmp_path / "user-a").stat().st_mode & 0o777 == 0o711
    finally:
        os.close(descriptor)
