"""A helper with one storage host, and the service's side of it, for people of the lab."""

from __future__ import annotations

import contextlib
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.core.vfolders import Folder, Grant, Permission
from jupyterhub_backendai.services.storage.files import FolderFiles
from jupyterhub_backendai.services.storage.hosts import Storage
from tests.helperd import RunningHelper, running_helper
from tests.services.storage.folders_on_disk import HOST, access, make_folder


def account(name: str) -> PosixAccount:
    entry = pwd.getpwnam(name)
    return PosixAccount(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def grant(name: str, permission: str = "rw", *, is_owner: bool = False) -> Grant:
    entry = pwd.getpwnam(name)
    return Grant(entry.pw_uid, Permission(permission), entry.pw_gid, is_owner=is_owner)


OWNER = "kim01"


@dataclass
class FoldersSite:
    helper: RunningHelper
    storage: Storage
    host: Path

    async def make(self, folder: Folder | None = None, *others: Grant, owner: str = OWNER) -> Folder:
        folder = folder or make_folder()
        await self.storage.make_folder(folder, [grant(owner, "wd", is_owner=True), *others])
        return folder

    def files(self, folder: Folder, user: str = OWNER, permission: Permission = Permission.READ_WRITE_DELETE) -> FolderFiles:
        return self.storage.files(access(folder, permission), account(user))

    def data(self, folder: Folder) -> Path:
        return Path(self.storage.path(folder))


@contextlib.contextmanager
def folders_helper() -> Iterator[tuple[RunningHelper, Path]]:
    """A helper, and the directory of its storage host."""
    path = Path(tempfile.mkdtemp(prefix="backendai-folders-", dir="/var/lib"))
    path.chmod(0o711)
    try:
        with running_helper("--storage", f"{HOST}={path}") as helper:
            yield helper, path
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def folders_site(helper: RunningHelper, host: Path) -> Iterator[FoldersSite]:
    """The service's side of it; nothing is left on the host at the end."""
    storage = Storage({HOST: str(host)}, str(helper.socket))
    assert not storage.is_single_user
    try:
        yield FoldersSite(helper, storage, host)
    finally:
        storage.close()
        for path in host.iterdir():
            shutil.rmtree(path)
