"""Quota scopes on both databases: which limit holds, what counts, and that nobody gets room that is not there."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from jupyterhub_backendai.core.files import Usage
from jupyterhub_backendai.core.vfolders import FolderStatus, OwnershipType, quota_scope_of
from jupyterhub_backendai.errors import NotFound, StorageFull
from jupyterhub_backendai.store import models, uploads, vfolder_quotas
from jupyterhub_backendai.store.database import Database
from tests.factories import add_user

HOST = "local:folders"
MIB = 1024**2


def add_host(db: Session, name: str = HOST) -> None:
    db.add(models.StorageHost(name=name, path="/nowhere"))
    db.flush()


def add_folder(db: Session, user_id: str, name: str = "data", host: str = HOST, **fields: Any) -> str:
    scope_id = quota_scope_of(OwnershipType.USER, user_id)
    own = {"ownership_type": OwnershipType.USER, "user_id": user_id, "quota_scope_id": scope_id, "domain": "default", "creator": "kim01"}
    row = models.VFolder(id=models.new_id(), name=name, host=host, **{**own, **fields})
    db.add(row)
    db.flush()
    return row.id


def add_upload(db: Session, folder_id: str, user_id: str, size: int, received: int = 0) -> str:
    until = models.now() + timedelta(hours=1)
    row = models.Upload(
        id=models.new_id(), vfolder_id=folder_id, user_id=user_id, path="eA", size_bytes=size, received_bytes=received, expires_at=until
    )
    db.add(row)
    db.flush()
    return row.id


def set_up(db: Session, limit: int | None = 10 * MIB) -> tuple[str, str]:
    """Somebody, with a folder; the limit is the policy's."""
    add_host(db)
    user_id = add_user(db)
    db.get_one(models.UserResourcePolicy, models.DEFAULT_POLICY).max_quota_scope_size_bytes = limit
    return user_id, add_folder(db, user_id)


def reserve(db: Session, folder_id: str, user_id: str, size: int) -> str:
    vfolder_quotas.reserve(db, folder_id, size)
    return add_upload(db, folder_id, user_id, size)


async def test_the_limit_that_holds(database: Database) -> None:
    def act(db: Session) -> None:
        user_id, _ = set_up(db)
        scope_id = f"user:{user_id}"
        assert vfolder_quotas.read_scope(db, HOST, scope_id).limit_bytes == 10 * MIB
        found = vfolder_quotas.set_limit(db, HOST, scope_id, 5)
        assert (found.limit_bytes, found.policy_bytes, found.is_limit_set, found.owner, found.domain) == (
            5,
            10 * MIB,
            True,
            "kim01",
            "default",
        )
        assert vfolder_quotas.set_limit(db, HOST, scope_id, None).limit_bytes is None
        assert vfolder_quotas.set_limit(db, HOST, scope_id, None, is_set=False).limit_bytes == 10 * MIB
        for host, other in ((HOST, f"user:{'0' * 32}"), (HOST, f"project:{user_id}"), ("no:host", scope_id)):
            with pytest.raises(NotFound):
                vfolder_quotas.set_limit(db, host, other, 5)

    await database.run_exclusive(act)


async def test_a_project_has_its_own(database: Database) -> None:
    def act(db: Session) -> None:
        set_up(db)
        db.get_one(models.ProjectResourcePolicy, models.DEFAULT_POLICY).max_quota_scope_size_bytes = 7
        project = db.scalars(select(models.Project)).one()
        found = vfolder_quotas.read_scope(db, HOST, f"project:{project.id}")
        assert (found.limit_bytes, found.owner, found.taken_bytes) == (7, "default", 0)

    await database.run_exclusive(act)


async def test_what_counts(database: Database) -> None:
    """The trash and what is being deleted does; what is deleted, or on another host, does not."""

    def act(db: Session) -> None:
        user_id, first = set_up(db)
        add_host(db, "local:other")
        db.get_one(models.VFolder, first).used_bytes = 1
        add_folder(db, user_id, "b", status=FolderStatus.DELETE_PENDING, used_bytes=2)
        add_folder(db, user_id, "c", status=FolderStatus.DELETE_ONGOING, used_bytes=4)
        add_folder(db, user_id, "d", status=FolderStatus.DELETE_COMPLETE, used_bytes=8)
        add_folder(db, user_id, "e", host="local:other", used_bytes=16)
        add_upload(db, first, user_id, 100, 60)
        task = models.FolderTask(kind="clone", vfolder_id=first, status="running", total_bytes=1000, done_bytes=300)
        db.add_all([task, models.FolderTask(kind="clone", vfolder_id=first, status="done", total_bytes=5000)])
        db.flush()
        scope_id = f"user:{user_id}"
        found = vfolder_quotas.read_scope(db, HOST, scope_id)
        assert (found.used_bytes, found.reserved_bytes, found.folders, found.is_enforced) == (7, 1100, 3, False)
        vfolder_quotas.set_driver(db, HOST, scope_id, "xfs")
        vfolder_quotas.keep_readings(
            db, HOST, {scope_id: vfolder_quotas.Reading(77, 3), "user:gone": vfolder_quotas.Reading(1, 1)}, models.now()
        )
        found = vfolder_quotas.read_scope(db, HOST, scope_id)
        assert (found.used_bytes, found.used_files, found.reserved_bytes, found.is_enforced) == (77, 3, 740, True)
        assert vfolder_quotas.list_wanted(db, HOST) == {scope_id: 10 * MIB}
        vfolder_quotas.set_applied(db, HOST, scope_id, 10 * MIB)
        assert vfolder_quotas.list_wanted(db, HOST) == {}

    await database.run_exclusive(act)


async def test_reserve_release_settle(database: Database) -> None:
    def act(db: Session) -> None:
        user_id, folder_id = set_up(db)
        upload = reserve(db, folder_id, user_id, 6 * MIB)
        with pytest.raises(StorageFull, match="another 6 MiB"):
            reserve(db, folder_id, user_id, 5 * MIB)
        db.execute(delete(models.Upload).where(models.Upload.id == upload))
        again = reserve(db, folder_id, user_id, 5 * MIB)
        db.execute(delete(models.Upload).where(models.Upload.id == again))
        vfolder_quotas.settle(db, folder_id, 5 * MIB, 1)
        with pytest.raises(StorageFull, match="5 MiB of 10 MiB are used"):
            reserve(db, folder_id, user_id, 6 * MIB)
        vfolder_quotas.settle(db, folder_id, -7 * MIB, -3)
        found = vfolder_quotas.read_scope(db, HOST, f"user:{user_id}")
        assert (found.used_bytes, found.used_files) == (0, 0)
        with pytest.raises(NotFound):
            vfolder_quotas.reserve(db, "0" * 32, 1)

    await database.run_exclusive(act)


async def test_what_a_kernel_counts_already_is_not_held_twice(database: Database) -> None:
    """While an upload comes in; its last byte counts as held until all is in place."""

    def act(db: Session) -> None:
        user_id, folder_id = set_up(db)
        scope_id = f"user:{user_id}"
        upload_id = add_upload(db, folder_id, user_id, 6 * MIB)
        uploads.lock(db, upload_id, "me", 60.0)
        reserved = []
        for driver in ("xfs", "accounting"):
            vfolder_quotas.set_driver(db, HOST, scope_id, driver)
            for received in (4 * MIB, 6 * MIB):
                assert uploads.renew(db, upload_id, "me", 60.0, received)
                db.flush()
                reserved.append(vfolder_quotas.read_scope(db, HOST, scope_id).reserved_bytes)
        assert reserved == [2 * MIB, 1, 6 * MIB, 6 * MIB]

    await database.run_exclusive(act)


async def test_many_at_once_get_no_more_than_there_is(database: Database) -> None:
    user_id, folder_id = await database.run_exclusive(set_up)
    wanted = [database.run_exclusive(reserve, folder_id, user_id, MIB) for _ in range(24)]
    answers = await asyncio.gather(*wanted, return_exceptions=True)
    assert sum(isinstance(answer, str) for answer in answers) == 10
    assert sum(isinstance(answer, StorageFull) for answer in answers) == 14


async def test_a_measuring_that_was_overtaken(database: Database) -> None:
    """What arrives while somebody counts is not lost; the answer says that the number may be too large."""

    def act(db: Session) -> None:
        user_id, folder_id = set_up(db)
        assert vfolder_quotas.set_measured(db, folder_id, Usage(100, 4), None, models.now())
        vfolder_quotas.settle(db, folder_id, 50, 1)
        assert not vfolder_quotas.set_measured(db, folder_id, Usage(100, 4), 100, models.now())
        assert vfolder_quotas.read_scope(db, HOST, f"user:{user_id}").used_bytes == 150
        assert vfolder_quotas.set_measured(db, folder_id, Usage(120, 5), 150, models.now())
        assert vfolder_quotas.read_scope(db, HOST, f"user:{user_id}").used_bytes == 120

    await database.run_exclusive(act)
