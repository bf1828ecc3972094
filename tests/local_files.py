"""The files of folders in a directory of the test's own, without workers: enough of ``FolderFiles`` for pages and calls."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from jupyterhub_backendai.core.files import Entry, Listing, Usage, encode_ref, kind_of
from jupyterhub_backendai.core.vfolders import Access, OwnershipType, Permission, UsageMode, quota_scope_of
from jupyterhub_backendai.errors import Conflict, Forbidden, NotFound
from jupyterhub_backendai.services.storage.files import OpenFile
from jupyterhub_backendai.store import models

EVERYTHING = ["create-vfolder", "modify-vfolder", "delete-vfolder", "mount-in-session", "upload-file", "download-file", "invite-others"]


@dataclass
class LocalStorage:
    """Each folder is a directory ``top/<id>``; ``trouble`` is raised instead of doing anything."""

    top: Path
    trouble: Exception | None = None
    asked: list = field(default_factory=list)

    def files(self, access: Access, posix):
        path = self.top / access.folder.id
        path.mkdir(parents=True, exist_ok=True)
        return LocalFiles(os.fsencode(path), access.permission, self)


class LocalFiles:
    def __init__(self, top: bytes, permission: Permission, storage: LocalStorage) -> None:
        self.top, self.permission, self.storage = top, permission, storage

    def at(self, path: bytes, writes: bool = False) -> bytes:
        if self.storage.trouble:
            raise self.storage.trouble
        if writes and not self.permission.can_write:
            raise Forbidden
        return os.path.join(self.top, path) if path else self.top

    def entry(self, path: bytes) -> Entry:
        try:
            found = os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound from None
        return Entry(os.path.basename(path), kind_of(found.st_mode), found.st_size, found.st_mode, found.st_mtime_ns, found.st_ctime_ns)

    async def stat(self, path):
        return self.entry(self.at(path))

    async def list(self, path, *, after=b"", limit=100, sort="name", is_descending=False, search=""):
        where = self.at(path)
        try:
            names = os.listdir(where)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound from None
        entries = [self.entry(os.path.join(where, name)) for name in names if search.lower() in name.decode(errors="replace").lower()]
        keys = {"name": lambda entry: entry.name, "size": lambda entry: entry.size, "mtime": lambda entry: entry.mtime_ns}
        entries.sort(key=keys[sort], reverse=is_descending)
        entries.sort(key=lambda entry: entry.kind.value != "DIRECTORY")
        begin = next((number + 1 for number, entry in enumerate(entries) if entry.name == after), 0)
        page = entries[begin : begin + limit]
        more = begin + limit < len(entries)
        return Listing(tuple(page), len(entries), encode_ref(page[-1].name) if more else "")

    async def open(self, path):
        try:
            descriptor = os.open(self.at(path), os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound from None
        entry = self.entry(self.at(path))
        if entry.kind.value != "FILE":
            os.close(descriptor)
            raise NotFound
        return OpenFile(descriptor, entry)

    async def make_directory(self, path, *, parents=True, exist_ok=False):
        where = self.at(path, writes=True)
        if os.path.lexists(where) and not exist_ok:
            raise Conflict("There is something of that name already.")
        os.makedirs(where, exist_ok=exist_ok) if parents else os.mkdir(where)

    async def move(self, source, target, *, is_replacing=False):
        source, target = self.at(source, writes=True), self.at(target)
        self.entry(source)
        if os.path.lexists(target) and not is_replacing:
            raise Conflict("There is something of that name already.")
        os.rename(source, target)

    async def remove(self, paths, *, recursive=False):
        for path in paths:
            where = self.at(path, writes=True)
            if self.entry(where).kind.value == "DIRECTORY":
                if not recursive:
                    raise Conflict("It is not empty.")
                shutil.rmtree(where)
            else:
                os.unlink(where)
        return len(paths)

    async def write(self, path, content, *, etag=""):
        where = self.at(path, writes=True)
        if etag and OpenFile(-1, self.entry(where)).etag != etag:
            raise Conflict("The file was changed.")
        with open(where, "wb") as file:
            file.write(content)
        return self.entry(where)

    async def measure(self, path=b""):
        return Usage(0, 0)


def add_host(db, name: str = "local:folders") -> None:
    """A storage host that the domain ``default`` may do everything on."""
    db.add(models.StorageHost(name=name, path="/nowhere"))
    db.get(models.Domain, "default").allowed_vfolder_hosts = {name: EVERYTHING}
    db.flush()


def add_folder(db, user: str = "kim01", name: str = "data", host: str = "local:folders", **fields) -> str:
    """A folder of somebody's; returns its id."""
    owner = db.query(models.User).filter_by(name=user).one()
    folder_id = models.new_id()
    scope = quota_scope_of(OwnershipType.USER, owner.id)
    fields = {"ownership_type": OwnershipType.USER, "user_id": owner.id, "usage_mode": UsageMode.GENERAL, "quota_scope_id": scope, **fields}
    db.add(models.VFolder(id=folder_id, name=name, host=host, domain=owner.domain, creator=owner.email or user, **fields))
    db.flush()
    return folder_id


def share(db, folder_id: str, user: str, permission: Permission = Permission.READ_ONLY) -> None:
    """Somebody else may use a folder."""
    person = db.query(models.User).filter_by(name=user).one()
    db.add(models.VFolderPermission(vfolder_id=folder_id, user_id=person.id, permission=permission))
    db.flush()
