"""The files of a folder, with an eye on its quota: what cannot fit is refused with numbers, and what was deleted is counted soon."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

from ..errors import NotFound, StorageFull
from .folder_measuring import want

if TYPE_CHECKING:
    from ..core.files import Entry
    from ..core.vfolders import Folder
    from ..store.database import Database
    from .quotas import Quotas
    from .storage.files import FolderFiles

T = TypeVar("T")


def count_files(files: FolderFiles, folder: Folder, quotas: Quotas, db: Database) -> FolderFiles:
    """The same files, counted."""
    return cast("FolderFiles", CountedFiles(files, folder, quotas, db))


class CountedFiles:
    """Passes everything on; see :class:`.storage.files.FolderFiles`."""

    def __init__(self, files: FolderFiles, folder: Folder, quotas: Quotas, db: Database) -> None:
        self._files, self._folder, self._quotas, self._db = files, folder, quotas, db

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)

    async def make_directory(self, path: bytes, *, parents: bool = True, exist_ok: bool = False) -> None:
        await self._explain(self._files.make_directory(path, parents=parents, exist_ok=exist_ok))

    async def write(self, path: bytes, content: bytes, *, etag: str = "") -> Entry:
        try:
            known = (await self._files.stat(path)).size
        except NotFound:
            known = 0
        await self._quotas.check_room(self._folder, len(content) - known)  # a full scope lets a text become shorter
        entry = await self._explain(self._files.write(path, content, etag=etag))
        await want(self._db, self._folder.id)
        return entry

    async def remove(self, paths: Sequence[bytes], *, recursive: bool = False) -> int:
        try:
            return await self._files.remove(paths, recursive=recursive)
        finally:  # of many, some may be gone though the last one would not go
            await want(self._db, self._folder.id)

    async def begin_upload(self, upload_id: str) -> int:
        return await self._explain(self._files.begin_upload(upload_id))

    async def finish_upload(self, upload_id: str, path: bytes, *, is_replacing: bool = False, parents: bool = True) -> Entry:
        return await self._explain(self._files.finish_upload(upload_id, path, is_replacing=is_replacing, parents=parents))

    async def _explain(self, doing: Awaitable[T]) -> T:
        """The kernel says only that there is no room; we say how much there is."""
        try:
            return await doing
        except StorageFull as exc:
            if not exc.params:
                await self._quotas.explain_full(self._folder)
            raise
