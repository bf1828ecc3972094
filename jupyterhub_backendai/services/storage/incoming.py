"""One upload while one request writes to it: its lock, its bytes, and its place when all are there."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING

from ...errors import AlreadyExists, BackendAIError, Conflict, StorageFull, TooLarge, UploadLocked
from ...store import uploads
from ...store.uploads import UploadInfo
from .targets import choose_target, explain_taken, find_size
from .writing import Checksum, Writer

if TYPE_CHECKING:
    from ..folder_files import OpenFolder
    from .uploads import Uploads

log = logging.getLogger("backendai")
GROWTH_BYTES = 64 * 1024 * 1024
LOCK_S = 15.0  # whoever sends nothing for so long may be overtaken
RENEW_S = 5.0
RENAMES = 5


class Incoming:
    """One upload while one request writes to it."""

    def __init__(self, owner: Uploads, folder: OpenFolder, info: UploadInfo, holder: str, source: str) -> None:
        self.info, self.offset, self.path = info, info.size if info.is_finished else 0, info.path
        self._owner, self._folder, self._holder, self._source = owner, folder, holder, source
        self._writer: Writer | None = None
        self._begin = 0
        self.is_open_ended = self.is_fresh = False
        self._is_over = False
        self._renew_at = time.monotonic() + RENEW_S

    async def open(self, checksum: Checksum | None) -> None:
        """Find out where it goes on; what was never compared with its checksum is forgotten."""
        self._writer = await self._owner._open(self._folder, self.info, checksum)  # noqa: SLF001 - two halves of one thing
        self.offset = await self._writer.size()
        keep = self.info.size if self.info.checked_bytes is None else self.info.checked_bytes
        if self.offset > keep:
            await self._writer.truncate(keep)
            self.offset = keep
        self._writer.offset = self._begin = self.offset
        if checksum is not None:
            await self._owner.db.run_exclusive(uploads.lock, self.info.id, self._holder, LOCK_S, checked_bytes=self.offset)

    def take_over(self, writer: Writer) -> None:
        """Write to a file that was made just now."""
        self._writer = writer

    @property
    def missing(self) -> int:
        """How many bytes are still to come."""
        return self.info.size - self.offset

    async def write(self, data: bytes) -> None:
        """Some more bytes. Raises TooLarge, StorageFull, StorageUnavailable, UploadLocked."""
        if self._writer is None:
            raise TooLarge
        if len(data) > self.missing:
            await self._grow(len(data))
        await self._keep_lock()
        self.offset += len(data)
        await self._explain(self._writer.write(data))

    async def flush(self) -> None:
        """Until all that has come is written, and in the checksum."""
        if self._writer is not None:
            await self._explain(self._writer.flush())

    async def end(self, *, is_right: bool = True, on_conflict: str = "") -> int:
        """Everything that this request brought has come: the offset now. A file that is complete is put in its place.

        Not ``is_right``: the checksum says otherwise, and what came is forgotten. Raises Conflict when another file took its place.
        """
        if self._writer is None:
            return self.offset
        try:
            await self._explain(self._writer.flush())
            if self.is_open_ended:
                self.info = replace(self.info, size=self.offset)
            if not is_right:
                await self._keep_lock(always=True)
                await self._writer.truncate(self._begin)
                self.offset = self._begin
            elif not self.missing:
                await self._complete(on_conflict)
        finally:
            await self.abort()
        return self.offset

    async def abort(self) -> None:
        """The request ends, as it may: what has come is kept, others may write."""
        if self._is_over:
            return
        self._is_over = True
        writer, self._writer = self._writer, None
        received = await self._let_go(writer) if writer is not None else 0
        try:
            await self._owner.db.run_exclusive(uploads.unlock, self.info.id, self._holder, received, self._owner.life_s)
        except BackendAIError as exc:
            log.info("The lock of an upload runs out by itself: %s", exc)

    async def _explain(self, doing: Awaitable[None]) -> None:
        """The kernel says only that there is no room; who reads it wants numbers."""
        try:
            await doing
        except StorageFull:
            if self._owner.room:
                await self._owner.room.explain_full(self._folder.access.folder)
            raise

    async def _grow(self, size: int) -> None:
        if not self.is_open_ended:
            raise TooLarge
        wanted = self.offset + size + GROWTH_BYTES
        await self._owner.db.run_exclusive(uploads.resize, self.info.id, wanted)
        self.info = replace(self.info, size=wanted)

    async def discard(self) -> None:
        """Nobody will go on with it: no trace is left."""
        await self.abort()
        await self._owner.drop(self._folder, self.info)

    async def _let_go(self, writer: Writer) -> int:
        """Write what is gathered, as far as the disk takes it; how much is there now."""
        try:
            await writer.flush()
        except BackendAIError as exc:
            log.info("An upload of %s is interrupted: %s", self.info.user, exc)
            return await self._look(writer)
        finally:
            writer.close()
        return self.offset

    @staticmethod
    async def _look(writer: Writer) -> int:
        try:
            return await writer.size()
        except BackendAIError:
            return 0

    async def _keep_lock(self, *, always: bool = False) -> None:
        if time.monotonic() < self._renew_at and not always:
            return
        if not await self._owner.db.run_exclusive(uploads.renew, self.info.id, self._holder, LOCK_S, self.offset):
            raise UploadLocked
        self._renew_at = time.monotonic() + RENEW_S

    async def _complete(self, on_conflict: str) -> None:
        if self._writer is None:
            raise UploadLocked  # the client went away while its last bytes were written: whoever asks next puts the file in its place
        await self._explain(self._writer.sync())
        # who does not know its address yet never asks what became of it
        if not self.is_fresh and not await self._owner.db.run_exclusive(uploads.mark_complete, self.info.id, self._holder, LOCK_S):
            raise UploadLocked
        files, info, how = self._folder.files, self.info, on_conflict or self.info.on_conflict
        for _ in range(RENAMES):
            path = self.path = await choose_target(files, info.path, how) if how == "rename" else info.path
            if path != info.path:
                await self._owner.db.run_exclusive(uploads.retarget, info.id, path)
            replaced = await find_size(files, path) if how == "replace" else None
            try:
                await files.finish_upload(info.id, path, is_replacing=how == "replace")
            except (AlreadyExists, Conflict):
                if how == "rename":
                    continue  # somebody took the name in between
                raise
            await self._owner.settle(info, info.size, replaced, self._source)
            self._is_over = True
            if self._writer is not None:  # else the connection that ended has closed it
                self._writer.close()
            return
        raise explain_taken(info.path)
