"""The files of a folder, with one row in the audit log for each act that changes them. Uploads write theirs when they are complete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from ..errors import BackendAIError
from ..store import audit

if TYPE_CHECKING:
    from ..core.files import Entry
    from ..core.vfolders import Folder
    from .base import HubUserHandler
    from .storage.files import FolderFiles

MAX_PATHS = 20


def audit_files(files: FolderFiles, folder: Folder, handler: HubUserHandler) -> FolderFiles:
    """The same files, with who calls written down."""
    return cast("FolderFiles", AuditedFiles(files, folder, handler))


class AuditedFiles:
    """Passes everything on; see :class:`.storage.files.FolderFiles`."""

    def __init__(self, files: FolderFiles, folder: Folder, handler: HubUserHandler) -> None:
        self._files, self._folder, self._handler = files, folder, handler

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)

    async def make_directory(self, path: bytes, *, parents: bool = True, exist_ok: bool = False) -> None:
        await self._files.make_directory(path, parents=parents, exist_ok=exist_ok)
        await self._record("make-directory", [path])

    async def move(self, source: bytes, target: bytes, *, is_replacing: bool = False) -> None:
        await self._files.move(source, target, is_replacing=is_replacing)
        await self._record("move-file", [source, target], is_replacing=is_replacing)

    async def remove(self, paths: Sequence[bytes], *, recursive: bool = False) -> int:
        try:
            count = await self._files.remove(paths, recursive=recursive)
        except BackendAIError as exc:
            await self._record("delete-files", paths, result=exc.code)  # some of many may be gone
            raise
        await self._record("delete-files", paths, removed=count)
        return count

    async def write(self, path: bytes, content: bytes, *, etag: str = "") -> Entry:
        entry = await self._files.write(path, content, etag=etag)
        await self._record("write-file", [path], size=entry.size)
        return entry

    async def _record(self, action: str, paths: Sequence[bytes], result: str = "ok", **details: Any) -> None:
        named = [path.decode(errors="replace") for path in paths[:MAX_PATHS]]
        await self._handler.db.run(
            audit.record,
            actor=self._handler.identity.name,
            action=action,
            object=self._folder.id,
            source=self._handler.request.remote_ip or "",
            result=result,
            details={"name": self._folder.name, "paths": named, "count": len(paths), **details},
        )
