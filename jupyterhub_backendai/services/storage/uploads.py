"""Uploads: begun, written by one at a time, put in their place when all has arrived, swept when nobody goes on with them.

What has arrived is the size of a file in the folder's work directory, so a service that is killed forgets nothing. The one exception
is a piece with a checksum: it counts when the checksum was right, and until then its row says where it began.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
import uuid
from collections.abc import Awaitable, Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from ...core.vfolders import FolderStatus
from ...errors import N_, AlreadyExists, BackendAIError, Conflict, NotFound, StorageFull, TooLarge, UploadLocked
from ...store import uploads, users, vfolders
from ...store.database import Database
from ...store.models import now
from ...store.uploads import NewUpload, UploadInfo
from ..lease import Lease
from .pools import Pools
from .targets import choose_target, explain_taken, find_size
from .writing import Checksum, Writer

if TYPE_CHECKING:
    from ...core.vfolders import Folder
    from ..folder_files import OpenFolder

log = logging.getLogger("backendai")
GROWTH_BYTES = 64 * 1024 * 1024
LOCK_S = 15.0  # whoever sends nothing for so long may be overtaken
RENEW_S = 5.0
LIFE_S = 7 * 24 * 3600.0
FRESH_LIFE_S = 3600.0
DOOR_S, MAX_DOORS = 5.0, 1000
SWEEP_S = 3600.0
RENAMES = 5
WRITABLE = frozenset({FolderStatus.READY, FolderStatus.PERFORMING, FolderStatus.MOUNTED})
BUSY_FOLDER = N_("Nothing can be uploaded into the folder %(name)s right now: it is being copied or deleted.")


class Room(Protocol):
    """Knows how much fits (:class:`..quotas.Quotas`); both raise StorageFull with numbers."""

    async def check_room(self, folder: Folder, wanted_bytes: int) -> None: ...
    async def explain_full(self, folder: Folder) -> None: ...


class Uploads:
    """All uploads of this service."""

    def __init__(self, db: Database, pools: Pools, storage: Any, life_s: float = LIFE_S, *, room: Room | None = None) -> None:
        self.db, self.pools, self.life_s = db, pools, life_s
        self._storage, self.room = storage, room
        self._process = f"{socket.gethostname()}:{os.getpid()}"
        self._tasks: set[asyncio.Task[None]] = set()
        self._doors: dict[tuple[str, str], tuple[float, OpenFolder]] = {}
        self._lease = Lease(db, "upload-sweep", SWEEP_S / 2)

    async def begin(
        self, folder: OpenFolder, user: str, path: bytes, size: int, *, on_conflict: str = "fail", metadata: str = ""
    ) -> UploadInfo:
        """A new upload to a path in a folder, for later requests; its room is held from now on.

        Raises AlreadyExists where something is there and may not be replaced, StorageFull with numbers.
        """
        info = await self._add(folder, user, path, size, on_conflict, metadata)
        self.pools.of(folder.access.folder.host).close(await self._make(folder, info))
        return info

    async def begin_at_once(
        self,
        folder: OpenFolder,
        user: str,
        path: bytes,
        size: int,
        *,
        on_conflict: str = "fail",
        metadata: str = "",
        is_open_ended: bool = False,
        source: str = "",
    ) -> Incoming:
        """The same for one whose bytes come with this very request. ``is_open_ended``: ``size`` is a guess of the most that comes."""
        holder = self._new_holder()
        info = await self._add(folder, user, path, size, on_conflict, metadata, holder)
        incoming = Incoming(self, folder, info, holder, source)
        incoming.is_open_ended, incoming.is_fresh = is_open_ended, True
        incoming.take_over(Writer(await self._make(folder, info), 0, self.pools.of(folder.access.folder.host)))
        return incoming

    async def _add(
        self, folder: OpenFolder, user: str, path: bytes, size: int, on_conflict: str, metadata: str, holder: str = ""
    ) -> UploadInfo:
        check_open(folder)
        if self.room:  # the disk, and numbers that are a minute old; what is reserved is exact
            await self.room.check_room(folder.access.folder, size)
        if on_conflict != "rename":
            await choose_target(folder.files, path, on_conflict)
        new = NewUpload(
            id=uuid.uuid4().hex,
            folder_id=folder.access.folder.id,
            user=user,
            path=path,
            size=size,
            on_conflict=on_conflict,
            metadata=metadata,
        )
        # one that comes at once is nobody's to go on with if we are killed: its room is free again soon
        life_s = FRESH_LIFE_S if holder else self.life_s
        return await self.db.run_exclusive(uploads.add, new, life_s, holder, LOCK_S)

    async def _make(self, folder: OpenFolder, info: UploadInfo) -> int:
        try:
            return await folder.files.begin_upload(info.id)
        except BackendAIError:
            await self.db.run(uploads.remove, info.id)
            raise

    def _new_holder(self) -> str:
        return f"{self._process}:{secrets.token_hex(6)}"[-64:]

    async def find(self, folder: OpenFolder, user: str, upload_id: str) -> UploadInfo:
        """Somebody's own upload. Raises NotFound."""
        return await self.db.run(uploads.find, user, folder.access.folder.id, upload_id)

    async def find_offset(self, folder: OpenFolder, info: UploadInfo) -> int:
        """How many bytes of it are there. One that only needs to be put in its place is, now."""
        if info.is_finished:
            return info.size
        writer = await self._open(folder, info)
        try:
            offset = await writer.size()
        finally:
            writer.close()
        if info.checked_bytes is not None:
            return min(offset, info.checked_bytes)
        if offset == info.size:
            incoming = await self.enter(folder, info.user, info.id)
            await incoming.end()
        return offset

    async def enter(self, folder: OpenFolder, user: str, upload_id: str, checksum: Checksum | None = None, source: str = "") -> Incoming:
        """Go on with an upload, alone. Raises UploadLocked while another one writes, NotFound when it is gone."""
        check_open(folder)
        holder = self._new_holder()
        info = await self.db.run_exclusive(uploads.lock_own, user, folder.access.folder.id, upload_id, holder, LOCK_S)
        incoming = Incoming(self, folder, info, holder, source)
        try:
            if not info.is_finished:
                await incoming.open(checksum)
        except BaseException:
            await incoming.abort()
            raise
        return incoming

    def remember(self, user: str, folder: OpenFolder) -> None:
        """Somebody has just written into a folder, and goes on with the next piece at once."""
        if len(self._doors) > MAX_DOORS:
            self._doors.clear()
        self._doors[user, folder.access.folder.id] = time.monotonic() + DOOR_S, folder

    def recall(self, user: str, folder_id: str) -> OpenFolder | None:
        """The folder as that person had it a moment ago. A right that was taken away since ends at the gate of the folder itself,
        which is asked for each piece; here it ends some seconds later.
        """
        until, folder = self._doors.get((user, folder_id), (0.0, None))
        return folder if until > time.monotonic() else None

    async def drop(self, folder: OpenFolder, info: UploadInfo) -> None:
        """Cancel an upload: its bytes are gone, its room is free."""
        await self.db.run(uploads.remove, info.id)
        if not info.is_finished:
            await folder.files.drop_upload(info.id)

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Let what was interrupted be put away by itself."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            log.error("An upload was not put away as it should be", exc_info=exc)

    async def close(self, limit_s: float = 5.0) -> None:
        """Put away what was interrupted; before the database goes."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=limit_s)
        self.pools.close()

    async def run(self) -> None:
        """Sweep for ever; one service at a time does."""
        await self._lease.repeat(self.sweep_in_turn, SWEEP_S, "Old uploads stay for now")

    async def sweep_in_turn(self) -> None:
        """Sweep, if no other service does."""
        if await self._lease.keep():
            await self.sweep()

    async def sweep(self) -> int:
        """Remove uploads that are too old, with their bytes; how many there were. Bytes of people who may no longer write there go
        with the folder's other left-overs.
        """
        found = await self.db.run(uploads.list_expired, now())
        for info in found:
            try:
                if not info.is_finished:
                    await self._drop_bytes(info)
            except BackendAIError as exc:
                log.info("The bytes of an old upload of %s stay for now: %s", info.user, exc)
                if exc.transient:
                    continue
            await self.db.run(uploads.remove, info.id)
        return len(found)

    async def _drop_bytes(self, info: UploadInfo) -> None:
        identity = await self.db.run(users.get_identity, info.user)
        if identity is not None:
            access = await self.db.run(vfolders.find_access, info.user, info.folder_id)
            await self._storage.files(access, identity.posix).drop_upload(info.id)

    async def _open(self, folder: OpenFolder, info: UploadInfo, checksum: Checksum | None = None) -> Writer:
        """The bytes of an upload, which may be in their place already: killed before that was written down."""
        pool = self.pools.of(folder.access.folder.host)
        try:
            descriptor = await folder.files.open_upload(info.id)
        except NotFound:
            entry = await folder.files.stat(info.path)
            if info.received == info.size == entry.size:
                await self.settle(info, info.size)
                raise UploadLocked from None  # ask again: it is finished
            raise
        return Writer(descriptor, 0, pool, checksum)

    async def settle(self, info: UploadInfo, size: int, replaced: int | None = None, source: str = "") -> None:
        """Write down that an upload is in its place."""
        added = size - (replaced or 0)
        await self.db.run_exclusive(
            uploads.finish, info.id, size=size, added_bytes=added, added_files=0 if replaced is not None else 1, source=source
        )


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
        assert self._writer is not None  # noqa: S101 - said to the type checker
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
            self._writer.close()
            return
        raise explain_taken(info.path)


def check_open(folder: OpenFolder) -> None:
    """Raises Forbidden for somebody who may only read, Conflict for a folder that takes nothing now."""
    folder.require_writing()
    if folder.access.folder.status not in WRITABLE:
        raise Conflict(BUSY_FOLDER, name=folder.access.folder.name)
