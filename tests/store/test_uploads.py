"""Uploads on both databases: one writer, room that is held once, and what a finished one leaves."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio

from jupyterhub_backendai.errors import NotFound, StorageFull, UploadLocked
from jupyterhub_backendai.store import models, uploads
from jupyterhub_backendai.store.uploads import NewUpload
from jupyterhub_backendai.store.vfolder_quotas import read_scope
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.store.test_vfolder_quotas import HOST, MIB, set_up

__all__ = ["database", "database_url", "postgres_url", "sqlite_template"]
LIFE_S = 1000.0


@pytest_asyncio.fixture
async def folder(database):
    return (await database.run(set_up))[1]


def new(folder: str, size: int = MIB, path: bytes = "가/나".encode(), **fields) -> NewUpload:
    return NewUpload(id=models.new_id(), folder_id=folder, user="kim01", path=path, size=size, **fields)


async def test_one_of_many_gets_the_lock(database, folder):
    info = await database.run_exclusive(uploads.add, new(folder), LIFE_S)
    tries = [database.run_exclusive(uploads.lock, info.id, f"holder {number}", 60.0) for number in range(8)]
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(item).__name__ for item in found) == ["UploadInfo"] + ["UploadLocked"] * 7
    holder = f"holder {next(number for number, item in enumerate(found) if not isinstance(item, Exception))}"
    assert await database.run_exclusive(uploads.renew, info.id, holder, 60.0)
    assert not await database.run_exclusive(uploads.renew, info.id, "another", 60.0)
    assert not await database.run_exclusive(uploads.mark_complete, info.id, "another", 60.0)
    await database.run_exclusive(uploads.unlock, info.id, "another", 5, LIFE_S)
    with pytest.raises(UploadLocked):
        await database.run_exclusive(uploads.lock, info.id, "another", 60.0)
    await database.run_exclusive(uploads.unlock, info.id, holder, 5, LIFE_S)
    assert (await database.run_exclusive(uploads.lock, info.id, "another", 60.0)).received == 5


async def test_a_lock_runs_out(database, folder):
    info = await database.run_exclusive(uploads.add, new(folder), LIFE_S, "first", -1.0)
    await database.run_exclusive(uploads.lock, info.id, "second", 60.0, checked_bytes=7)
    assert not await database.run_exclusive(uploads.renew, info.id, "first", 60.0)
    assert (await database.run(uploads.find, "kim01", folder, info.id)).checked_bytes == 7
    await database.run_exclusive(uploads.unlock, info.id, "second", 9, LIFE_S)
    assert (await database.run(uploads.find, "kim01", folder, info.id)).checked_bytes is None


async def test_many_at_once_hold_no_more_than_there_is(database, folder):
    tries = [database.run_exclusive(uploads.add, new(folder, 3 * MIB, str(number).encode()), LIFE_S) for number in range(6)]
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(item) for item in found if isinstance(item, Exception)] == [StorageFull] * 3
    scope_id = (await database.run(lambda db: db.query(models.VFolder.quota_scope_id).scalar())) or ""
    assert (await database.run(read_scope, HOST, scope_id)).reserved_bytes == 9 * MIB


async def test_a_finished_one_holds_nothing_and_is_still_there(database, folder):
    info = await database.run_exclusive(uploads.add, new(folder), LIFE_S, "me", 60.0)
    for _ in range(2):  # the second time changes nothing
        await database.run_exclusive(uploads.finish, info.id, size=MIB, added_bytes=MIB, added_files=1)
    found = await database.run(uploads.find, "kim01", folder, info.id)
    assert (found.is_finished, found.size, found.received, found.path.decode()) == (True, MIB, MIB, "가/나")
    assert await database.run(uploads.list_own, "kim01") == []
    row = await database.run(lambda db: db.query(models.VFolder).one())
    assert (row.used_bytes, row.used_files) == (MIB, 1)
    assert (await database.run(read_scope, HOST, row.quota_scope_id)).reserved_bytes == 0


async def test_whose_it_is(database, folder):
    info = await database.run_exclusive(uploads.add, new(folder), LIFE_S)
    for user, where, upload in (("lee01", folder, info.id), ("kim01", "0" * 32, info.id), ("kim01", folder, "0" * 32)):
        with pytest.raises(NotFound):
            await database.run(uploads.find, user, where, upload)
    with pytest.raises(NotFound):
        await database.run_exclusive(uploads.add, NewUpload(id="x", folder_id=folder, user="nobody", path=b"a", size=1), LIFE_S)


async def test_what_is_too_old_is_found_by_the_sweep_alone(database, folder):
    info = await database.run_exclusive(uploads.add, new(folder), -1.0)
    with pytest.raises(NotFound):
        await database.run(uploads.find, "kim01", folder, info.id)
    assert [item.id for item in await database.run(uploads.list_expired, models.now())] == [info.id]
    assert await database.run(uploads.list_expired, models.now() - timedelta(hours=1)) == []
    for _ in range(2):
        await database.run(uploads.remove, info.id)
    assert await database.run(uploads.list_expired, models.now()) == []


async def test_a_size_that_grows(database, folder):
    info = await database.run_exclusive(uploads.add, new(folder, 0), LIFE_S)
    await database.run_exclusive(uploads.resize, info.id, 8 * MIB)
    with pytest.raises(StorageFull):
        await database.run_exclusive(uploads.resize, info.id, 11 * MIB)
    assert (await database.run(uploads.find, "kim01", folder, info.id)).size == 8 * MIB
