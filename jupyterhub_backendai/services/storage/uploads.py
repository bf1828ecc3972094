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
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from ...core.vfolders import FolderStatus
from ...errors import N_, BackendAIError, Conflict, NotFound, UploadLocked
from ...store import uploads, users, vfolders
from ...store.database import Database
from ...store.models import now
from ...store.uploads import NewUpload, UploadInfo
from ..lease import Lease
from .incoming import LOCK_S, Incoming
from .pools import Pools
from .targets import choose_target
from .writing import Checksum, Writer

if TYPE_CHECKING:
    from ...core.vfolders import Folder
    from ..folder_files import OpenFolder

log = logging.getLogger("backendai")
LIFE_S = 7 * 24 * 3600.0
FRESH_LIFE_S = 3600.0
DOOR_S, MAX_DOORS = 5.0, 1000
SWEEP_S = 3600.0
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
        """Somebody has just written into a folder, and goes on with the next piece at once. What was recalled itself lasts no longer
        for that: rights are looked at again every few seconds, however fast the pieces come.
        """
        if self._doors.get((user, folder.access.folder.id), (0.0, None))[1] is folder:
            return
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


def check_open(folder: OpenFolder) -> None:
    """Raises Forbidden for somebody who may only read, Conflict for a folder that takes nothing now."""
    folder.require_writing()
    if folder.access.folder.status not in WRITABLE:
        raise Conflict(BUSY_FOLDER, name=folder.access.folder.name)
