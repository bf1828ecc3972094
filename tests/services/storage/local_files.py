"""A small FolderFiles on a directory of the tests' own account, with none of a worker's protections: for what is above it."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyterhub_backendai.core.files import Entry, kind_of
from jupyterhub_backendai.core.vfolders import Access
from jupyterhub_backendai.errors import Conflict, Forbidden, NotFound
from jupyterhub_backendai.helper.archive import plan_archive, write_archive
from jupyterhub_backendai.services.storage.files import OpenArchive, OpenFile


@dataclass
class LocalFiles:
    root: Path
    is_read_only: bool = False
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("data", "work"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def _at(self, path: bytes) -> Path:
        return self.root / "data" / os.fsdecode(path)

    async def stat(self, path: bytes) -> Entry:
        try:
            status = self._at(path).lstat()
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise NotFound from exc
        name = path.rpartition(b"/")[2]
        return Entry(name, kind_of(status.st_mode), status.st_size, status.st_mode, status.st_mtime_ns, status.st_ctime_ns)

    async def open(self, path: bytes) -> OpenFile:
        entry = await self.stat(path)
        if not self._at(path).is_file():
            raise NotFound
        return OpenFile(os.open(self._at(path), os.O_RDONLY | os.O_CLOEXEC), entry)

    async def begin_upload(self, upload_id: str) -> int:
        if self.is_read_only:
            raise Forbidden
        return os.open(self.root / "work" / upload_id, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    async def open_upload(self, upload_id: str) -> int:
        self.calls.append(f"open {upload_id}")
        try:
            return os.open(self.root / "work" / upload_id, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError as exc:
            raise NotFound from exc

    async def finish_upload(self, upload_id: str, path: bytes, *, is_replacing: bool = False, parents: bool = True) -> Entry:
        source, target = self.root / "work" / upload_id, self._at(path)
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            if is_replacing:
                source.replace(target)
            else:
                try:
                    os.link(source, target)
                except FileExistsError as exc:
                    raise Conflict from exc
                source.unlink()
        return await self.stat(path)

    async def drop_upload(self, upload_id: str) -> None:
        (self.root / "work" / upload_id).unlink(missing_ok=True)

    async def archive(self, paths: Sequence[bytes], name: str) -> OpenArchive:
        top = os.open(self.root / "data", os.O_RDONLY)
        plan = plan_archive(top, paths)
        reader, writer = os.pipe()

        def write() -> None:
            with contextlib.suppress(Exception):
                write_archive(plan, top, writer)
            os.close(writer)
            os.close(top)

        threading.Thread(target=write, daemon=True).start()
        return OpenArchive(reader, plan.size, name)

    def read(self, path: str) -> bytes:
        return (self.root / "data" / path).read_bytes()

    @property
    def left_overs(self) -> Sequence[str]:
        return sorted(os.listdir(self.root / "work"))


@dataclass
class LocalStorage:
    """In the place of ``services.storage.hosts.Storage``."""

    root: Path

    def files(self, access: Access, posix: Any) -> LocalFiles:
        folder = self.root / access.folder.id
        return LocalFiles(folder, is_read_only=not access.permission.can_write)

    def remove(self) -> None:
        shutil.rmtree(self.root)
