"""A worker of our own account: what every installation without a helper has."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from jupyterhub_backendai.core.files import EntryKind, decode_ref
from jupyterhub_backendai.core.vfolders import FolderStatus, Permission
from jupyterhub_backendai.errors import Conflict, Forbidden, NotFound, TooManyRequests
from jupyterhub_backendai.services.storage.files import FolderFiles
from jupyterhub_backendai.services.storage.hosts import Storage
from tests.services.storage.folders_on_disk import HOST, access, make_folder, own_grant

UPLOAD = "ab" * 16


@pytest_asyncio.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    found = Storage({HOST: str(tmp_path / "folders")})
    yield found
    found.close()


@pytest_asyncio.fixture
async def files(storage: Storage) -> FolderFiles:
    await storage.make_folder(make_folder(), [own_grant()])
    return storage.files(access(make_folder()), None)


@pytest.fixture
def data(storage: Storage, files: FolderFiles) -> Path:
    return Path(storage.path(make_folder()))


async def test_directories_and_what_is_in_them(files: FolderFiles, data: Path):
    await files.make_directory("보고서/2026".encode())
    (data / "보고서" / "a.txt").write_text("x")
    listing = await files.list("보고서".encode())
    assert [(entry.text, entry.kind, entry.size) for entry in listing.entries if entry.kind is EntryKind.FILE] == [
        ("a.txt", EntryKind.FILE, 1)
    ]
    assert [entry.text for entry in listing.entries] == ["2026", "a.txt"]
    assert (listing.total, listing.after) == (2, "")
    with pytest.raises(Conflict):
        await files.make_directory("보고서".encode())
    await files.make_directory("보고서".encode(), exist_ok=True)
    with pytest.raises(NotFound):
        await files.make_directory(b"no/such", parents=False)


async def test_a_large_directory_by_pages_in_every_order(files: FolderFiles, data: Path):
    for number in range(250):
        (data / f"{number:03}").write_bytes(b"x" * (number % 7))
    for number in range(3):
        (data / f"d{number}").mkdir()
    for sort, is_descending in (("name", False), ("name", True), ("size", False), ("size", True), ("mtime", False)):
        seen, after = [], b""
        while True:
            page = await files.list(b"", after=after, limit=60, sort=sort, is_descending=is_descending)
            seen += [entry.text for entry in page.entries]
            assert page.total == 253
            if not page.after:
                break
            after = decode_ref(page.after)
        assert len(seen) == len(set(seen)) == 253
        assert all(name.startswith("d") for name in seen[:3])
    found = await files.list(b"", search="D1")
    assert [entry.text for entry in found.entries] == ["d1"]


async def test_opening_hands_back_a_descriptor(files: FolderFiles, data: Path):
    (data / "a").write_text("hello")
    opened = await files.open(b"a")
    with os.fdopen(opened.descriptor, "rb") as file:
        assert file.read() == b"hello"
        assert not os.get_inheritable(file.fileno())
    assert opened.etag == f'"{(data / "a").stat().st_mtime_ns:x}-5"'
    for path in (b"missing", b""):
        with pytest.raises(NotFound):
            await files.open(path)


async def test_an_upload_begins_is_opened_again_and_finishes_once(files: FolderFiles, data: Path):
    descriptor = await files.begin_upload(UPLOAD)
    os.write(descriptor, b"abc")
    os.close(descriptor)
    with pytest.raises(Conflict):
        await files.begin_upload(UPLOAD)
    descriptor = await files.open_upload(UPLOAD)
    assert os.fstat(descriptor).st_size == 3
    os.close(descriptor)
    assert (await files.finish_upload(UPLOAD, b"new/file.bin")).size == 3
    assert (data / "new" / "file.bin").read_bytes() == b"abc"
    assert (await files.finish_upload(UPLOAD, b"new/file.bin")).size == 3
    with pytest.raises(NotFound):
        await files.open_upload(UPLOAD)
    with pytest.raises(NotFound):
        await files.finish_upload("cd" * 16, b"other")
    await files.drop_upload(UPLOAD)


async def test_an_upload_never_takes_a_place_unless_it_may(files: FolderFiles, data: Path):
    (data / "a").write_text("old")
    (data / "d").mkdir()
    os.close(await files.begin_upload(UPLOAD))
    for target in (b"a", b"d"):
        with pytest.raises(Conflict):
            await files.finish_upload(UPLOAD, target)
    with pytest.raises(Conflict):
        await files.finish_upload(UPLOAD, b"d", is_replacing=True)
    assert (data / "a").read_text() == "old"
    await files.finish_upload(UPLOAD, b"a", is_replacing=True)
    assert (data / "a").read_text() == ""


async def test_moving_and_removing(files: FolderFiles, data: Path):
    (data / "d" / "e").mkdir(parents=True)
    (data / "d" / "e" / "f").write_text("x")
    (data / "g").write_text("g")
    await files.move(b"d/e/f", b"f")
    with pytest.raises(Conflict):
        await files.move(b"g", b"f")
    await files.move(b"g", b"f", is_replacing=True)
    assert (data / "f").read_text() == "g"
    with pytest.raises(Conflict):
        await files.move(b"d", b"d/e/x")
    with pytest.raises(Conflict):
        await files.remove([b"d"])
    assert await files.remove([b"d", b"f", b"missing"], recursive=True) == 3
    assert list(data.iterdir()) == []


async def test_who_may_only_read_changes_nothing(storage: Storage, files: FolderFiles, data: Path):
    (data / "a").write_text("x")
    reader = storage.files(access(make_folder(), Permission.READ_ONLY, "invitation"), None)
    assert (await reader.stat(b"a")).size == 1
    for act in (
        reader.make_directory(b"d"),
        reader.move(b"a", b"b"),
        reader.remove([b"a"]),
        reader.begin_upload(UPLOAD),
        reader.write(b"a", b""),
    ):
        with pytest.raises(Forbidden):
            await act


async def test_the_trash_shuts_a_folder_and_deleting_leaves_nothing(storage: Storage, files: FolderFiles, data: Path):
    (data / "a").write_text("x")
    trash = make_folder(status=FolderStatus.DELETE_PENDING)
    await storage.set_gate(trash, [])
    assert data.parent.stat().st_mode & 0o777 == 0
    await storage.set_gate(make_folder(), [])
    assert (await files.stat(b"a")).size == 1
    await storage.set_gate(trash, [])
    await storage.remove_folder(trash)
    await storage.remove_folder(trash)
    assert list(data.parent.parent.iterdir()) == []
    with pytest.raises(NotFound):
        await files.list(b"")


async def test_making_a_folder_twice_keeps_what_is_in_it(storage: Storage, files: FolderFiles, data: Path):
    (data / "a").write_text("x")
    await storage.make_folder(make_folder(), [own_grant()])
    assert (data / "a").read_text() == "x"
    assert await storage.list_folders(HOST) == [(f"user-{7:032x}", f"{1:032x}")]


async def test_a_service_without_room_for_descriptors_says_so_and_loses_none(files: FolderFiles, data: Path):
    (data / "a").write_text("x")
    await files.stat(b"a")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    filling: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                filling.append(os.open("/dev/null", os.O_RDONLY))
        with pytest.raises(TooManyRequests):
            await files.open(b"a")
        assert (await files.stat(b"a")).size == 1
        os.close(filling.pop())
        os.close((await files.open(b"a")).descriptor)
    finally:
        for descriptor in filling:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_long_work_tells_how_far_it_is_and_ends_when_nobody_waits(storage: Storage, files: FolderFiles, data: Path):
    for number in range(500):
        (data / str(number)).write_bytes(b"x" * 10)
    other = make_folder(2)
    await storage.make_folder(other, [own_grant()])
    told: list[tuple[int, int]] = []
    assert await storage.copy(make_folder(), other, None, lambda size, count: told.append((size, count))) == 0
    assert len(told) >= 2
    assert told[-1] == (5000, 500)
    assert told == sorted(told)
    copying = asyncio.create_task(storage.copy(make_folder(), make_folder(3), None))
    removing = asyncio.create_task(files.remove([b"%d" % number for number in range(500)]))
    await asyncio.sleep(0)
    removing.cancel()
    with pytest.raises(NotFound):
        await copying
    with pytest.raises(asyncio.CancelledError):
        await removing
    assert (await files.list(b"")).total <= 500


async def test_sweeping_takes_what_is_old_and_nobodys(storage: Storage, files: FolderFiles, data: Path):
    work = data.parent / "work"
    for name in (f"upload-{UPLOAD}", f"upload-{'cd' * 16}", "write-x", "new-x"):
        (work / name).touch()
    assert await storage.sweep_work(make_folder(), None, [UPLOAD], before=1) == 0
    assert await storage.sweep_work(make_folder(), None, [UPLOAD], before=1 << 40) == 3
    assert [path.name for path in work.iterdir()] == [f"upload-{UPLOAD}"]
