"""The files of one folder as one person may touch them: every call is done by a worker with that person's uid."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ...core.files import Entry, Listing, Usage


@dataclass(slots=True)
class OpenFile:
    """An open regular file. Whoever has it closes ``descriptor``."""

    descriptor: int
    entry: Entry

    @property
    def etag(self) -> str:
        return f'"{self.entry.mtime_ns:x}-{self.entry.size:x}"'


@dataclass(slots=True)
class OpenArchive:
    """A zip file being made: ``size`` bytes come out of the pipe ``descriptor``; fewer mean that it failed."""

    descriptor: int
    size: int
    name: str


class FolderFiles(Protocol):
    """What can be done with the files of a folder. Paths are bytes relative to the folder, "" its top; parsed by ``core.files``.

    Every method may raise NotFound (nothing there, or it leads out of the folder), Conflict (something else is there),
    Forbidden (no right, or a permission of the file system), StorageFull (quota or disk, with numbers), BackendUnavailable (the file
    system does not answer in time). Methods that write refuse a folder that the person may only read.
    """

    async def stat(self, path: bytes) -> Entry: ...
    async def list(
        self, path: bytes, *, after: bytes = b"", limit: int = 100, sort: str = "name", is_descending: bool = False, search: str = ""
    ) -> Listing:
        """A page, directories first. ``sort``: name, size or mtime; the last two only up to 20,000 entries (InvalidParameters beyond)."""
        ...

    def list_all(self, path: bytes) -> AsyncIterator[bytes]:
        """Everything in a directory, unsorted: JSON of rows (``core.files.ROW_FIELDS``) with a comma before each, in pieces."""
        ...

    async def open(self, path: bytes) -> OpenFile:
        """A regular file, for reading; anything else is NotFound, links that stay inside are followed."""
        ...

    async def make_directory(self, path: bytes, *, parents: bool = True, exist_ok: bool = False) -> None: ...
    async def move(self, source: bytes, target: bytes, *, is_replacing: bool = False) -> None:
        """Rename or move a file or directory; a target that exists is Conflict unless ``is_replacing`` (files only)."""
        ...

    async def remove(self, paths: Sequence[bytes], *, recursive: bool = False) -> int:
        """Remove files, links, directories; the number of entries that are gone."""
        ...

    async def write(self, path: bytes, content: bytes, *, etag: str = "") -> Entry:
        """Replace (or make) a small file at once; with ``etag`` only if it is still that one (Conflict)."""
        ...

    # -- uploads: a file in the folder's work directory until it is complete
    async def begin_upload(self, upload_id: str) -> int:
        """Make the empty file of an upload; a descriptor for writing."""
        ...

    async def open_upload(self, upload_id: str) -> int:
        """The same file again (NotFound when it is gone); its size is what has arrived."""
        ...

    async def finish_upload(self, upload_id: str, path: bytes, *, is_replacing: bool = False, parents: bool = True) -> Entry:
        """Put the file in its place, never over another one unless ``is_replacing``. Doing it twice is harmless."""
        ...

    async def drop_upload(self, upload_id: str) -> None: ...

    async def archive(self, paths: Sequence[bytes], name: str) -> OpenArchive:
        """A stored zip of files and directories, made by a child of the worker."""
        ...

    async def measure(self, path: bytes = b"") -> Usage: ...
