"""A disk that is full and one that hangs, both real: their own people hear of it in words and in time, and nobody else notices."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from jupyterhub_backendai.errors import StorageFull, StorageUnavailable, TooManyRequests
from jupyterhub_backendai.services.storage import workers
from jupyterhub_backendai.services.storage.hosts import Storage
from tests.filesystems import MIB, mounted_btrfs
from tests.helper.folders_site import OWNER, FoldersSite, account, grant
from tests.helperd import running_helper, wait_until
from tests.services.storage.folders_on_disk import HOST, make_folder

pytestmark = pytest.mark.root
OTHER = "local:other"
UPLOAD = "ab" * 16


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[FoldersSite]:
    with mounted_btrfs() as mounted:
        other = mounted.parent / "other"
        other.mkdir(0o711)
        with running_helper("--storage", f"{HOST}={mounted}", "--storage", f"{OTHER}={other}") as helper:
            storage = Storage({HOST: str(mounted), OTHER: str(other)}, str(helper.socket))
            try:
                yield FoldersSite(helper, storage, mounted)
            finally:
                storage.close()


def fill(descriptor: int) -> None:
    for _ in range(8):
        os.write(descriptor, os.urandom(MIB))
        os.fsync(descriptor)


async def test_a_full_quota_is_said_and_can_be_emptied(site: FoldersSite):
    folder = await site.make()
    files = site.files(folder)
    await files.write(b"kept", b"x" * 1000)
    site.helper.ask("quota_prepare", host=HOST, scope=f"user-{7:032x}", limit=4 * MIB)
    with pytest.raises(StorageFull):
        await files.write(b"large", os.urandom(8 * MIB))
    with pytest.raises(StorageFull):
        await files.write(b"kept", os.urandom(8 * MIB))
    assert [(entry.text, entry.size) for entry in (await files.list(b"")).entries] == [("kept", 1000)]
    assert os.listdir(site.data(folder).parent / "work") == []
    # what the service writes into a descriptor is this person's, and stops at this person's limit
    descriptor = await files.begin_upload(UPLOAD)
    with pytest.raises(OSError, match="Disk quota exceeded"):
        fill(descriptor)
    os.close(descriptor)
    source = await site.make(make_folder(2, quota_scope_id=f"user:{8:032x}"))
    await site.files(source).write(b"large", os.urandom(8 * MIB))
    with pytest.raises(StorageFull):
        await site.storage.copy(source, folder, account(OWNER))
    await files.drop_upload(UPLOAD)
    assert await files.remove([b"kept"]) == 1
    await site.storage.remove_folder(folder)


async def test_a_frozen_host_costs_its_callers_a_503_and_nobody_else_anything(site: FoldersSite, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workers, "BACK_OFF_S", 0.3)
    site.storage.workers._deadline_s = 0.5
    folder, beside = await site.make(), await site.make(make_folder(2, host=OTHER))
    files, others = site.files(folder), site.files(beside)
    for found in (files, others):
        await found.make_directory(b"d")
    subprocess.run(["fsfreeze", "-f", site.host], check=True)
    try:
        began = time.monotonic()
        answers = await asyncio.gather(*(files.begin_upload(f"{number:032x}") for number in range(5)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [StorageUnavailable] * 5
        assert time.monotonic() - began < 3
        assert answers[0].status == 503
        assert answers[0].params == {"host": HOST}
        # at once while it is backing off
        began = time.monotonic()
        with pytest.raises(StorageUnavailable):
            await files.make_directory(b"e")
        assert time.monotonic() - began < 0.2
        # the same person elsewhere, and this loop, notice nothing
        assert (await others.list(b"")).total == 1
        os.close(await others.begin_upload(UPLOAD))
        # one more try after a while, and never more than two stuck for one person
        place = site.storage.workers._places[account(OWNER).uid, HOST]
        wait_until(lambda: time.monotonic() > place.not_before)
        with pytest.raises(StorageUnavailable):
            await files.make_directory(b"e")
        assert len(place.stuck) == 2
        place.not_before = 0.0
        with pytest.raises(StorageUnavailable):
            await files.make_directory(b"e")
        assert len(place.stuck) == 2
    finally:
        subprocess.run(["fsfreeze", "-u", site.host], check=True)
    for _ in range(100):
        if all(channel.is_gone.is_set() for channel in place.stuck):
            break
        await asyncio.sleep(0.05)
    place.not_before = 0.0
    await files.make_directory(b"f")
    assert not place.stuck
    assert place.failures == 0


async def test_gates_of_a_frozen_host_keep_no_other_host_waiting(site: FoldersSite, monkeypatch: pytest.MonkeyPatch):
    folder, beside = await site.make(), await site.make(make_folder(2, host=OTHER))
    monkeypatch.setattr(site.storage._helper._helper, "_timeout_s", 0.5)
    grants = [grant(OWNER, "wd", is_owner=True), grant("lee01", "ro")]
    subprocess.run(["fsfreeze", "-f", site.host], check=True)
    try:
        answers = await asyncio.gather(*(site.storage.set_gate(folder, grants) for _ in range(20)), return_exceptions=True)
        assert {type(answer) for answer in answers} <= {StorageUnavailable, TooManyRequests}
        monkeypatch.setattr(site.storage._helper._helper, "_timeout_s", 10.0)
        await site.storage.set_gate(beside, grants)
        assert site.helper.ask("mkdir", "kim01")["ok"]
    finally:
        subprocess.run(["fsfreeze", "-u", site.host], check=True)
    deadline = time.monotonic() + 20
    while True:  # those that were stuck are counted until they are gone
        try:
            await site.storage.set_gate(folder, grants)
            break
        except TooManyRequests:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)


async def test_where_enough_are_stuck_no_more_are_started(site: FoldersSite, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(workers, "MAX_STUCK_PER_HOST", 1)
    site.storage.workers._deadline_s = 0.5
    folder = await site.make(None, grant("lee01", "rw"))
    subprocess.run(["fsfreeze", "-f", site.host], check=True)
    try:
        with pytest.raises(StorageUnavailable):
            await site.files(folder).make_directory(b"d")
        running = site.storage.workers.count()
        with pytest.raises(StorageUnavailable):
            await site.files(folder, "lee01").list(b"")
        assert site.storage.workers.count() == running
    finally:
        subprocess.run(["fsfreeze", "-u", site.host], check=True)
    place = site.storage.workers._places[account(OWNER).uid, HOST]
    await asyncio.wait_for(place.stuck[0].is_gone.wait(), 10)
    assert (await site.files(folder, "lee01").list(b"")).total <= 1
