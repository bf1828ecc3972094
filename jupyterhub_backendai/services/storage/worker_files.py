"""The files of one folder, through the worker of one person: :class:`.files.FolderFiles`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from ...core.files import MAX_NAME_BYTES, Entry, Listing, Usage, encode_ref, kind_of
from ...core.identity import PosixAccount
from ...core.vfolders import Access, folder_directory
from ...errors import N_, Forbidden, InvalidParameters
from .channel import Reply
from .files import OpenArchive, OpenFile
from .pipes import read_rows
from .workers import Workers

READ_ONLY = N_("You may read this folder, but not change it.")


class WorkerFiles:
    """Asks the worker of ``account`` (None: of our own account) about one folder."""

    def __init__(self, workers: Workers, access: Access, account: PosixAccount | None) -> None:
        self._workers, self._access, self._account = workers, access, account
        self._folder = folder_directory(access.folder.quota_scope_id, access.folder.id)

    async def stat(self, path: bytes) -> Entry:
        return _entry((await self._read("stat", path=_text(path))).values["entry"])

    async def list(
        self, path: bytes, *, after: bytes = b"", limit: int = 100, sort: str = "name", is_descending: bool = False, search: str = ""
    ) -> Listing:
        if len(after) > MAX_NAME_BYTES + 64 or len(search.encode(errors="replace")) > MAX_NAME_BYTES:
            raise InvalidParameters
        is_slow = sort != "name" or bool(search)
        reply = await self._read(
            "list_slowly" if is_slow else "list",
            is_long=is_slow,
            path=_text(path),
            after=encode_ref(after) if after else "",
            limit=limit,
            sort=sort,
            is_descending=is_descending,
            search=search.encode(errors="ignore").decode(),
        )
        values = reply.values
        return Listing(tuple(map(_entry, values["entries"])), values["total"], values.get("after", ""))

    async def list_all(self, path: bytes) -> AsyncIterator[bytes]:
        reply = await self._read("list_all", path=_text(path), is_long=True)
        async for rows in read_rows(reply.descriptors[0]):
            yield rows

    async def open(self, path: bytes) -> OpenFile:
        reply = await self._read("open", path=_text(path))
        return OpenFile(_one(reply), _entry(reply.values["entry"]))

    async def make_directory(self, path: bytes, *, parents: bool = True, exist_ok: bool = False) -> None:
        await self._write("make_directory", path=_text(path), parents=parents, exist_ok=exist_ok)

    async def move(self, source: bytes, target: bytes, *, is_replacing: bool = False) -> None:
        await self._write("move", source=_text(source), target=_text(target), is_replacing=is_replacing)

    async def remove(self, paths: Sequence[bytes], *, recursive: bool = False) -> int:
        reply = await self._write("remove", paths=[_text(path) for path in paths], recursive=recursive, is_long=True)
        return int(reply.values["count"])

    async def write(self, path: bytes, content: bytes, *, etag: str = "") -> Entry:
        with _memory(content) as descriptor:
            reply = await self._write("write", path=_text(path), etag=etag, descriptors=(descriptor,))
        return _entry(reply.values["entry"])

    async def begin_upload(self, upload_id: str) -> int:
        return _one(await self._write("begin_upload", upload=upload_id))

    async def open_upload(self, upload_id: str) -> int:
        return _one(await self._write("open_upload", upload=upload_id))

    async def finish_upload(self, upload_id: str, path: bytes, *, is_replacing: bool = False, parents: bool = True) -> Entry:
        reply = await self._write("finish_upload", upload=upload_id, path=_text(path), is_replacing=is_replacing, parents=parents)
        return _entry(reply.values["entry"])

    async def drop_upload(self, upload_id: str) -> None:
        await self._write("drop_upload", upload=upload_id)

    async def archive(self, paths: Sequence[bytes], name: str) -> OpenArchive:
        reply = await self._read("archive", paths=[_text(path) for path in paths], name=name, is_long=True)
        return OpenArchive(_one(reply), int(reply.values["size"]), reply.values["name"])

    async def measure(self, path: bytes = b"") -> Usage:
        values = (await self._read("measure", path=_text(path), is_long=True)).values
        return Usage(values["size"], values["files"], tuple((_bytes(name), size) for name, size in values["biggest"]))

    async def _read(self, operation: str, *, is_long: bool = False, **fields: Any) -> Reply:
        return await self._workers.call(
            self._account, self._access.folder.host, operation, {"folder": self._folder, **fields}, is_read=True, is_long=is_long
        )

    async def _write(self, operation: str, *, descriptors: Sequence[int] = (), is_long: bool = False, **fields: Any) -> Reply:
        if not self._access.permission.can_write:
            raise Forbidden(READ_ONLY)
        return await self._workers.call(
            self._account,
            self._access.folder.host,
            operation,
            {"folder": self._folder, **fields},
            descriptors=descriptors,
            is_long=is_long,
        )


def _one(reply: Reply) -> int:
    return reply.descriptors[0]


def _text(path: bytes) -> str:
    return path.decode(errors="surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _entry(packed: Sequence[Any]) -> Entry:
    name, mode, size, mtime_ns, ctime_ns = packed
    return Entry(_bytes(name), kind_of(mode), size, mode, mtime_ns, ctime_ns)


@contextlib.contextmanager
def _memory(content: bytes) -> Iterator[int]:
    """What is too long for a message, as a file that is in memory only."""
    descriptor = os.memfd_create("content", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield descriptor
    finally:
        os.close(descriptor)
