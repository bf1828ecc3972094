"""Quotas from the policy down to the kernel: a real helper, a real btrfs, workers of people of the lab."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy.orm import Session

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.vfolder_quotas import ScopeUsage
from jupyterhub_backendai.core.vfolders import Folder, HostPermission
from jupyterhub_backendai.errors import BackendAIError, StorageFull
from jupyterhub_backendai.helper.quota.btrfs import Btrfs
from jupyterhub_backendai.services.counted_files import count_files
from jupyterhub_backendai.services.folder_files import OpenFolder
from jupyterhub_backendai.services.folder_measuring import FolderMeasuring
from jupyterhub_backendai.services.folder_tasks import FolderTasks
from jupyterhub_backendai.services.quotas import Quotas
from jupyterhub_backendai.services.storage.files import FolderFiles
from jupyterhub_backendai.services.storage.hosts import Storage
from jupyterhub_backendai.services.storage.pools import Pools
from jupyterhub_backendai.services.storage.uploads import Uploads
from jupyterhub_backendai.store import models, vfolder_quotas
from jupyterhub_backendai.store.database import Database
from jupyterhub_backendai.store.vfolder_rules import find_any
from tests.databases import sqlite_template
from tests.factories import add_user
from tests.factories_folders import add_folder, add_host
from tests.filesystems import MIB, mounted_btrfs
from tests.helper.folders_site import account, grant
from tests.helperd import running_helper
from tests.services.storage.folders_on_disk import access

__all__ = ["sqlite_template"]
pytestmark = [pytest.mark.root, pytest.mark.ldap, pytest.mark.filesystems]
ROOT = Actor("root", Role.SUPERADMIN)
HOSTS = ("local:btrfs", "local:plain")
LIMIT = 20 * MIB


@dataclass
class Place:
    """The parts of a service that know of quotas."""

    db: Database
    quotas: Quotas
    storage: Storage
    tasks: FolderTasks

    async def make(self, host: str, name: str = "data") -> Folder:
        folder_id = await self.db.run_exclusive(lambda db: add_folder(db, name, host=host))
        folder = await self.db.run(find_any, folder_id)
        await self.storage.make_folder(folder, [grant("kim01", "wd", is_owner=True)])
        return folder

    def files(self, folder: Folder) -> FolderFiles:
        return count_files(self.storage.files(access(folder), account("kim01")), folder, self.quotas, self.db)

    async def usage(self, folder: Folder) -> ScopeUsage:
        return await self.db.run(vfolder_quotas.read_scope, folder.host, folder.quota_scope_id)

    async def fill(self, folder: Folder) -> None:
        """Until the kernel says no: the files are numbered."""
        files = self.storage.files(access(folder), account("kim01"))
        for number in range(100):
            await files.write(b"%d" % number, os.urandom(MIB))


def _set_up(db: Session, paths: dict[str, Path]) -> None:
    for name, path in paths.items():
        add_host(db, str(path), name)
    entry = account("kim01")
    add_user(db, "kim01", posix_name="kim01", posix_uid=entry.uid, posix_gid=entry.gid)
    db.get_one(models.UserResourcePolicy, models.DEFAULT_POLICY).max_quota_scope_size_bytes = LIMIT


@pytest.fixture(scope="module")
def paths() -> Iterator[dict[str, Path]]:
    with mounted_btrfs() as mounted:
        plain = mounted.parent / "plain"
        plain.mkdir(mode=0o711)
        plain.chmod(0o711)
        yield dict(zip(HOSTS, (mounted, plain), strict=True))


@pytest.fixture(scope="module")
def socket(paths: dict[str, Path]) -> Iterator[str]:
    with running_helper(*(f"--storage={name}={path}" for name, path in paths.items())) as helper:
        yield str(helper.socket)


@pytest_asyncio.fixture
async def place(paths: dict[str, Path], socket: str, sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Place]:
    shutil.copy(sqlite_template, tmp_path / "db.sqlite")
    db = Database(f"sqlite:///{tmp_path / 'db.sqlite'}")
    await db.run_exclusive(_set_up, paths)
    quotas = Quotas(db, socket)
    storage = Storage({name: str(path) for name, path in paths.items()}, socket, prepare_scope=quotas.prepare)
    tasks = FolderTasks(db)
    FolderMeasuring(db, storage, tasks)
    yield Place(db, quotas, storage, tasks)
    storage.close()
    await db.close()


async def test_the_policy_reaches_the_kernel(place: Place) -> None:
    folder = await place.make("local:btrfs")
    usage = await place.usage(folder)
    assert (usage.driver, usage.is_enforced, usage.limit_bytes) == ("btrfs", True, LIMIT)
    with pytest.raises(StorageFull):
        await place.fill(folder)
    with pytest.raises(StorageFull, match=r"no room left on local:btrfs.*of 20 MiB are used"):
        await place.files(folder).write(b"one more", os.urandom(MIB))
    usage = await place.usage(folder)
    assert usage.percent is not None
    assert usage.percent >= 90
    # what is deleted is free at once, though the number kept is older
    assert await place.files(folder).remove([b"%d" % number for number in range(10)]) == 10
    place.quotas._refreshed.clear()
    await place.quotas.check_room(folder, 8 * MIB)
    with pytest.raises(StorageFull, match="for 18 MiB more"):
        await place.quotas.check_room(folder, 18 * MIB)


@pytest.mark.parametrize("kind", ["file", "subvolume"])
async def test_a_full_scope_is_shut_and_deleted_all_the_same(place: Place, kind: str) -> None:
    """btrfs counts names and access lists too; rights that are taken away end, and what is deleted goes."""
    folder = await place.make("local:btrfs", kind)
    data = Path(place.storage.path(folder))
    if kind == "subvolume":
        make_subvolume(data, account("kim01").uid)
    await fill_up(place, folder)
    lee = place.storage.files(access(folder), account("lee01"))
    everybody = [grant("kim01", "wd", is_owner=True), grant("lee01", "rw")]
    await place.storage.set_gate(folder, everybody)
    assert (await lee.list(b"")).total
    assert await place.storage.apply_access(folder, everybody, account("kim01"))
    assert (data / "1").stat().st_mode & 0o060 == 0o060
    await place.storage.set_gate(folder, [])
    with pytest.raises(BackendAIError):
        await lee.list(b"")
    assert (await place.storage.list_folders(folder.host)) != []
    await place.storage.remove_folder(folder)
    assert not data.parent.exists()
    await place.quotas.look()
    assert (await place.usage(folder)).limit_bytes == LIMIT
    directory = os.open(data.parent.parent.parent, os.O_RDONLY)
    try:
        assert Btrfs().read(directory, data.parent.parent.name).limit == LIMIT
    finally:
        os.close(directory)


def make_subvolume(directory: Path, uid: int) -> None:
    """As somebody, with bytes in it."""
    pid = os.fork()
    if not pid:
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        descriptor = os.open(directory, os.O_RDONLY)
        fcntl.ioctl(descriptor, 0x5000940E, bytearray(struct.pack("=q4088s", 0, b"0nested")))
        (directory / "0nested" / "file").write_bytes(os.urandom(2 * MIB))
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0


async def fill_up(place: Place, folder: Folder) -> None:
    """To the last byte that a file can have, and the last name."""
    with pytest.raises(StorageFull):
        await place.fill(folder)
    files = place.storage.files(access(folder), account("kim01"))
    with contextlib.suppress(StorageFull):
        for number in range(400):
            await files.write(b"small %d" % number, os.urandom(16 * 1024))
    with contextlib.suppress(StorageFull):
        for number in range(400):
            await files.make_directory(b"name %d" % number)


async def test_an_upload_that_meets_a_full_scope_is_told_the_numbers(place: Place) -> None:
    """It fitted when it began; then a session wrote."""
    folder = await place.make("local:btrfs", "met")
    uploads = Uploads(place.db, Pools(), place.storage, room=place.quotas)
    opened = OpenFolder(access(folder), place.files(folder), frozenset(HostPermission))
    incoming = await uploads.begin_at_once(opened, "kim01", b"large", 10 * MIB)
    with pytest.raises(StorageFull, match="another 10 MiB"):
        await uploads.begin(opened, "kim01", b"other", 11 * MIB)
    with pytest.raises(StorageFull):
        await place.fill(folder)

    async def send() -> None:
        for _ in range(10):
            await incoming.write(os.urandom(MIB))
        await incoming.flush()

    with pytest.raises(StorageFull, match=r"of 20 MiB are used"):
        await send()
    await incoming.discard()
    assert (await place.usage(folder)).reserved_bytes == 0


async def test_a_limit_that_an_administrator_sets_holds_at_once(place: Place) -> None:
    folder = await place.make("local:btrfs", "more")
    scope_id = folder.quota_scope_id
    usage, is_applied = await place.quotas.set_limit(ROOT, folder.host, scope_id, 3 * MIB)
    assert (usage.limit_bytes, is_applied) == (3 * MIB, True)
    with pytest.raises(StorageFull):
        await place.fill(folder)
    assert (await place.storage.measure(folder, account("kim01"))).size < 3 * MIB


async def test_a_full_scope_gets_more(place: Place) -> None:
    folder = await place.make("local:btrfs", "wide")
    await place.quotas.set_limit(ROOT, folder.host, folder.quota_scope_id, 3 * MIB)
    await fill_up(place, folder)
    _, is_applied = await place.quotas.set_limit(ROOT, folder.host, folder.quota_scope_id, 6 * MIB)
    assert is_applied
    await place.files(folder).write(b"more", os.urandom(MIB))


async def test_a_policy_that_changes_reaches_the_kernel_soon(place: Place) -> None:
    folder = await place.make("local:btrfs")

    def change(db: Session) -> None:
        db.get_one(models.UserResourcePolicy, models.DEFAULT_POLICY).max_quota_scope_size_bytes = 2 * MIB

    await place.db.run_exclusive(change)
    await place.quotas.look()
    with pytest.raises(StorageFull):
        await place.fill(folder)
    await place.quotas.look()
    usage = await place.usage(folder)
    assert usage.measured_at is not None


async def test_a_limit_that_somebody_changed_behind_our_back_is_told_anew(place: Place, paths: dict[str, Path]) -> None:
    folder = await place.make("local:btrfs")
    directory = os.open(paths["local:btrfs"], os.O_RDONLY)
    try:
        Btrfs().set_limit(directory, folder.quota_scope_id.replace(":", "-"), 0)
        await place.quotas.look()
        assert Btrfs().read(directory, folder.quota_scope_id.replace(":", "-")).limit == LIMIT
    finally:
        os.close(directory)


async def test_a_full_scope_lets_a_text_become_shorter(place: Place) -> None:
    folder = await place.make("local:plain", "short")
    files = place.files(folder)
    await files.write(b"a", bytes(MIB))
    await place.db.run_exclusive(vfolder_quotas.settle, folder.id, LIMIT, 1)
    await files.write(b"a", bytes(MIB - 1))
    with pytest.raises(StorageFull):
        await files.write(b"a", bytes(MIB))


async def test_where_no_kernel_counts_we_do(place: Place) -> None:
    folder = await place.make("local:plain")
    files = place.files(folder)
    await files.write(b"a", bytes(MIB))
    await files.write(b"b", bytes(MIB))
    await place.db.run_exclusive(lambda db: db.query(models.FolderTask).update({"not_before": None}))
    assert await place.tasks.run_due() == 1
    usage = await place.usage(folder)
    assert (usage.driver, usage.is_enforced, usage.used_bytes, usage.used_files) == ("accounting", False, 2 * MIB, 2)
    with pytest.raises(StorageFull, match=r"local:plain for 19 MiB more: 2 MiB of 20 MiB are used"):
        await place.quotas.check_room(folder, 19 * MIB)


async def test_a_disk_that_is_full_is_said(place: Place) -> None:
    folder = await place.make("local:btrfs")
    await place.quotas.set_limit(ROOT, folder.host, folder.quota_scope_id, None)
    with pytest.raises(StorageFull, match="The storage host local:btrfs has no room"):
        await place.quotas.check_room(folder, 1 << 40)
    disk = await place.quotas.find_disk("local:btrfs")
    assert disk is not None
    assert (disk.driver, 0 < disk.free < disk.size) == ("btrfs", True)


async def test_a_helper_that_is_gone_refuses_nothing(place: Place, tmp_path: Path) -> None:
    """What we know is what is said; starting goes on."""
    folder = await place.make("local:btrfs")
    quotas = Quotas(place.db, "")
    assert await quotas.find_disk("local:btrfs") is not None  # asked by ourselves
    await quotas.check_room(folder, MIB)
    await quotas.look()
