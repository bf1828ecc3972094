"""A service that copies or deletes a folder is killed at one line after the other; the next one ends the work, once."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_backendai.core.files import Usage
from jupyterhub_backendai.core.vfolders import FolderStatus
from jupyterhub_backendai.helper import folder_work, folders, worker_copy, worker_uploads
from jupyterhub_backendai.helper.worker_base import Job, Tree
from jupyterhub_backendai.services import folder_works
from jupyterhub_backendai.services.folder_tasks import FolderTasks
from jupyterhub_backendai.services.folder_works import FolderWorks
from jupyterhub_backendai.services.storage_hosts import StorageHosts
from jupyterhub_backendai.store import models, vfolder_changes
from jupyterhub_backendai.store.database import Database
from jupyterhub_backendai.store.vfolder_changes import Act, NewFolder
from tests.databases import sqlite_template
from tests.factories import add_user
from tests.factories_folders import HOST, add_folder
from tests.killing import choose_lines, run_and_kill
from tests.services.public import settings

__all__ = ["settings", "sqlite_template"]
MODULES = tuple(f"/{name}.py" for name in ("services/folder_works", "services/folder_tasks", "store/vfolder_works", "store/folder_tasks"))
MOST = 8
ACT = Act("kim01")


class NearStorage:
    """What :class:`.storage.hosts.Storage` does, in this process: real directories, and no worker to wait for."""

    def __init__(self, host: Path) -> None:
        self.host = os.open(host, os.O_PATH | os.O_DIRECTORY)

    def _split(self, folder: Any) -> tuple[str, str]:
        return folder.quota_scope_id.replace(":", "-"), folder.id

    async def make_folder(self, folder: Any, grants: Any) -> None:
        owner = (os.getuid(), os.getgid())
        passers = [folders.Passer(os.getuid(), 7)]
        folders.make_folder(self.host, *self._split(folder), owner, passers, folders.make_scope)

    async def remove_folder(self, folder: Any) -> None:
        folders.remove_folder(self.host, *self._split(folder))

    async def remove_directory(self, host: str, scope: str, folder_id: str) -> None:
        folders.remove_folder(self.host, scope, folder_id)

    async def list_folders(self, host: str) -> list[tuple[str, str]]:
        return folders.list_folders(self.host)

    async def list_work(self, host: str, older_s: int) -> list[tuple[str, int]]:
        return folder_work.list_work(self.host, older_s)

    async def sweep_work(self, folder: Any, as_whom: Any, kept: Any, before: float) -> int:
        with Tree(self.host, "/".join(self._split(folder)), HOST) as tree:
            job = Job(tree, {"kept": list(kept), "before": int(before)}, (), lambda _values: None)
            return int(worker_uploads.sweep(job).values["count"])

    async def measure(self, folder: Any, as_whom: Any) -> Usage:
        return Usage(6, 2)

    async def copy(self, source: Any, target: Any, as_whom: Any, progress: Any = None) -> int:
        with Tree(self.host, "/".join(self._split(source)), HOST) as old, Tree(self.host, "/".join(self._split(target)), HOST) as new:
            top = old.open_directory(b"", flags=os.O_RDONLY)
            answer = worker_copy.copy(Job(new, {}, (top,), lambda _values: None))
            os.close(top)
        progress(answer.values["bytes"], answer.values["files"])
        return int(answer.values["skipped"])


class Place:
    """A database and a host's directory as they are before the work, to begin from again and again."""

    def __init__(self, settings: Any, path: Path) -> None:
        self.settings, self.path, self.host, self.saved = settings, path, path / "folders", path / "saved"
        self.host.mkdir(mode=0o711)
        self.host.chmod(0o711)
        settings.storage_hosts = [{"name": HOST, "path": str(self.host)}]

    def keep(self) -> None:
        self.saved.mkdir()
        shutil.copy(self.path / "backendai.sqlite", self.saved)
        shutil.copytree(self.host, self.saved / "folders", symlinks=True)

    def restore(self) -> None:
        for name in ("backendai.sqlite", "backendai.sqlite-wal", "backendai.sqlite-shm"):
            (self.path / name).unlink(missing_ok=True)
        shutil.copy(self.saved / "backendai.sqlite", self.path)
        for scope in self.host.iterdir():
            shutil.rmtree(scope)
        shutil.copytree(self.saved / "folders", self.host, symlinks=True, dirs_exist_ok=True)

    def ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return asyncio.run(self._ask(function, *arguments))

    async def _ask(self, function: Callable[..., Any], *arguments: Any) -> Any:
        db = Database(self.settings.database_url)
        try:
            return await db.run_exclusive(function, *arguments)
        finally:
            await db.close()

    def work(self) -> None:
        """One service that does what is due, and sweeps."""
        asyncio.run(self._work())

    async def _work(self) -> None:
        db = Database(self.settings.database_url, threads=1)
        tasks, storage = FolderTasks(db), NearStorage(self.host)
        works = FolderWorks(db, storage, tasks, StorageHosts(self.settings, db))
        await tasks.run_due()
        await works.sweep()
        await tasks.run_due()
        await db.close()
        os.close(storage.host)

    def list_directories(self) -> list[str]:
        return sorted(path.name for path in self.host.glob("*/*"))

    def read(self, folder_id: str) -> dict[str, bytes]:
        (data,) = self.host.glob(f"*/{folder_id}/data")
        return {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file()}


def look_dead(db: Any) -> None:
    """As if a minute had gone by."""
    db.query(models.FolderTask).update({"beat_at": None})


def count_audits(db: Any, action: str) -> int:
    return int(db.query(models.AuditEntry).filter_by(action=action).count())


@pytest.fixture
def place(settings: Any, tmp_path: Path) -> Place:
    return Place(settings, tmp_path)


def fill(db: Any, host: str) -> str:
    add_user(db, "kim01")
    db.add(models.StorageHost(name=HOST, path=host))
    db.flush()
    db.get(models.KeypairResourcePolicy, "default").allowed_vfolder_hosts = {HOST: ["create-vfolder", "delete-vfolder"]}
    return add_folder(db, "data", cloneable=True)


def make_source(place: Place) -> str:
    folder_id = str(place.ask(fill, str(place.host)))
    (folder,) = place.ask(lambda db: [row.quota_scope_id for row in db.query(models.VFolder)])
    data = place.host / folder.replace(":", "-") / folder_id / "data"
    (data / "b").mkdir(parents=True)
    (data.parent / "work").mkdir()
    (place.host / folder.replace(":", "-")).chmod(0o711)
    data.parent.chmod(0o700)
    (data / "a").write_bytes(b"one")
    (data / "b" / "한글").write_bytes(b"two")
    return folder_id


def test_a_copy_is_ended_by_the_next_service(place):
    source = make_source(place)
    copy, _ = place.ask(vfolder_changes.begin_clone, ACT, source, NewFolder("copy"))
    place.keep()
    killed = 0
    for line in choose_lines(place.work, MODULES, MOST):
        place.restore()
        killed += run_and_kill(place.work, line, MODULES)
        status = place.ask(lambda db: db.get(models.VFolder, copy.id).status)
        if status is FolderStatus.READY:
            assert place.read(copy.id) == {"a": b"one", "b/한글": b"two"}
        else:
            assert status is FolderStatus.CLONING
        place.ask(look_dead)
        place.work()
        row = place.ask(lambda db: db.get(models.VFolder, copy.id))
        assert (row.status, row.used_bytes) == (FolderStatus.READY, 6)
        assert place.read(copy.id) == place.read(source) == {"a": b"one", "b/한글": b"two"}
        assert place.ask(lambda db: [task.status for task in db.query(models.FolderTask)]) == ["done"]
    assert killed > MOST / 2


def test_a_deletion_is_ended_by_the_next_service(place):
    source = make_source(place)
    place.ask(vfolder_changes.move_to_trash, ACT, source)
    place.ask(vfolder_changes.begin_purge, ACT, source, "data")
    place.keep()
    killed = 0
    for line in choose_lines(place.work, MODULES, MOST):
        place.restore()
        killed += run_and_kill(place.work, line, MODULES)
        if place.ask(lambda db: db.get(models.VFolder, source)) is None:
            assert place.list_directories() == []
        place.ask(look_dead)
        place.work()
        assert place.ask(lambda db: db.get(models.VFolder, source)) is None
        assert place.list_directories() == []
        assert place.ask(count_audits, "vfolder.purged") == 1
    assert killed > MOST / 2


def test_what_was_left_behind_is_swept_and_nothing_else(place):
    source = make_source(place)
    scope = next(place.host.iterdir())
    stranger, given_up, half, deleted = ("e" * 32, "f" * 32, "d" * 32, "c" * 32)
    for name in (stranger, given_up, f".new-{half}", f".trash-{deleted}"):
        (scope / name / "data").mkdir(parents=True)
        (scope / name / "data" / "file").write_bytes(b"x")
        (scope / name).chmod(0o700)

    def leave(db: Any) -> list[str]:
        db.add(models.AuditEntry(actor="system", action="vfolder.give-up", object=given_up, source="", result="ok", details={}))
        old = models.now().replace(year=2025)
        unmade = add_folder(db, "unmade", status=FolderStatus.PERFORMING, created_at=old)
        young = add_folder(db, "young", status=FolderStatus.PERFORMING)
        uncopied = add_folder(db, "uncopied", status=FolderStatus.CLONING)
        undeleted = add_folder(db, "undeleted", status=FolderStatus.DELETE_ONGOING)
        return [unmade, young, uncopied, undeleted]

    unmade, young, uncopied, undeleted = place.ask(leave)
    place.work()
    # what no database and no audit log knows may be somebody's: with another day's database everything looks like that
    assert place.list_directories() == sorted([source, stranger])
    found = place.ask(lambda db: {row.id: row.status for row in db.query(models.VFolder)})
    assert unmade not in found
    assert undeleted not in found
    assert (found[source], found[young], found[uncopied]) == (FolderStatus.READY, FolderStatus.PERFORMING, FolderStatus.ERROR)


def test_files_that_nobody_waits_for_go_and_uploads_stay(place, monkeypatch):
    source = make_source(place)
    (work,) = place.host.glob(f"*/{source}/work")

    def begin(db: Any) -> str:
        later = models.now().replace(year=2100)
        row = models.Upload(
            id="a" * 32, vfolder_id=source, user_id=db.query(models.User).one().id, path="eA", size_bytes=9, expires_at=later
        )
        db.add(row)
        db.query(models.User).one().posix_uid = os.getuid()
        return row.id

    upload = place.ask(begin)
    for name in (f"upload-{upload}", f"upload-{'b' * 32}", "new-1"):
        (work / name).write_bytes(b"x")
    place.work()
    assert len(list(work.iterdir())) == 3  # too young to be sure
    monkeypatch.setattr(folder_works, "WORK_S", -5)
    place.work()
    assert [path.name for path in work.iterdir()] == [f"upload-{upload}"]
