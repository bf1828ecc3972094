"""Uploads that go on: which there are, who writes to one now, and what becomes of those that nobody finishes.

An unfinished upload's ``size_bytes`` is the room that it holds in its quota scope. A finished one holds none; its row stays for a
while, so that a client that missed the last answer learns that everything has arrived.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, not_, select
from sqlalchemy.orm import Session

from ..core.files import decode_ref, encode_ref
from ..errors import N_, NotFound, TooManyRequests, UploadLocked
from .audit import record
from .models import Upload, User, now
from .vfolder_quotas import reserve, settle

NO_UPLOAD = N_("There is no such upload, or it is not yours, or it is too old.")
MAX_OPEN = 5000
FINISHED_LIFE = timedelta(days=1)
HELD_LIFE = timedelta(hours=1)  # of one that somebody writes to: it does not become too old meanwhile


@dataclass(frozen=True, slots=True)
class UploadInfo:
    """An upload. ``path`` is the target beneath the folder; ``metadata`` what the client sent along, as it sent it.

    ``on_conflict`` says what becomes of it where something else is by then: ``fail``, ``replace`` (that), or ``rename`` (it).

    ``checked_bytes``: what came after it was never compared with its checksum, because the process that should have done so ended.
    """

    id: str
    folder_id: str
    user: str
    path: bytes
    size: int
    received: int
    on_conflict: str
    metadata: str
    is_finished: bool
    checked_bytes: int | None
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUpload:
    """What is about to be uploaded by ``user`` (the hub's name)."""

    id: str
    folder_id: str
    user: str
    path: bytes
    size: int
    on_conflict: str = "fail"
    metadata: str = ""


def add(db: Session, new: NewUpload, life_s: float, holder: str = "", ttl_s: float = 0) -> UploadInfo:
    """Begin an upload and hold its room (use it exclusively); with ``holder`` locked at once, as by :func:`lock`.

    Raises StorageFull, NotFound, TooManyRequests.
    """
    user_id = db.scalar(select(User.id).where(User.name == new.user))
    if user_id is None:
        raise NotFound
    reserve(db, new.folder_id, new.size)
    if (db.scalar(select(func.count()).where(Upload.user_id == user_id, Upload.size_bytes > 0)) or 0) >= MAX_OPEN:
        raise TooManyRequests(N_("You have %(limit)s unfinished uploads. Finish or cancel some first."), limit=MAX_OPEN)
    row = Upload(
        id=new.id,
        vfolder_id=new.folder_id,
        user_id=user_id,
        path=encode_ref(new.path),
        size_bytes=new.size,
        received_bytes=0,
        is_replacing=new.on_conflict == "replace",
        details={"metadata": new.metadata, "rename": new.on_conflict == "rename"},
        locked_by=holder,
        locked_until=now() + timedelta(seconds=ttl_s) if holder else None,
        created_at=now(),
        expires_at=now() + timedelta(seconds=life_s),
    )
    db.add(row)
    db.flush()
    return _read(row, new.user)


def find(db: Session, user: str, folder_id: str, upload_id: str) -> UploadInfo:
    """Somebody's own upload into a folder. Raises NotFound."""
    return _read(_check(db, db.get(Upload, upload_id), user, folder_id), user)


def list_own(db: Session, user: str, folder_id: str = "") -> list[UploadInfo]:
    """Somebody's unfinished uploads, the newest first."""
    query = select(Upload).join(User, User.id == Upload.user_id).where(User.name == user, Upload.expires_at > now())
    if folder_id:
        query = query.where(Upload.vfolder_id == folder_id)
    found = [_read(row, user) for row in db.scalars(query.order_by(Upload.created_at.desc(), Upload.id))]
    return [info for info in found if not info.is_finished]


def list_expired(db: Session, moment: datetime, limit: int = 500) -> list[UploadInfo]:
    """Uploads that are over: too old, finished or not."""
    is_held = and_(Upload.locked_by != "", Upload.locked_until > moment)
    query = select(Upload, User.name).join(User, User.id == Upload.user_id).where(Upload.expires_at <= moment, not_(is_held))
    return [_read(row, name) for row, name in db.execute(query.order_by(Upload.expires_at).limit(limit))]


def lock_own(db: Session, user: str, folder_id: str, upload_id: str, holder: str, ttl_s: float) -> UploadInfo:
    """:func:`find` and :func:`lock` at once."""
    _check(db, db.get(Upload, upload_id, with_for_update=True, populate_existing=True), user, folder_id)
    return lock(db, upload_id, holder, ttl_s)


def lock(db: Session, upload_id: str, holder: str, ttl_s: float, *, checked_bytes: int | None = None) -> UploadInfo:
    """Be the only one who writes to an upload for ``ttl_s`` (use it exclusively). Raises UploadLocked and NotFound.

    With ``checked_bytes`` what comes now counts only once :func:`unlock` says so.
    """
    row = _hold(db, upload_id)
    if row.locked_by not in ("", holder) and row.locked_until and row.locked_until > now():
        raise UploadLocked
    before = _read(row, _name(db, row))
    row.locked_by, row.locked_until = holder, now() + timedelta(seconds=ttl_s)
    if checked_bytes is not None:
        row.details = {**row.details, "checked": checked_bytes}
    return before


def renew(db: Session, upload_id: str, holder: str, ttl_s: float, received: int = 0) -> bool:
    """Go on holding it; False when it is somebody else's or gone by now.

    ``received``: what a kernel's quota counts already, so that its room is not held twice. Never all: that is for :func:`mark_complete`.
    """
    row = db.get(Upload, upload_id, with_for_update=True, populate_existing=True)
    if row is None or row.locked_by != holder:
        return False
    row.locked_until = now() + timedelta(seconds=ttl_s)
    row.received_bytes = max(row.received_bytes, min(received, row.size_bytes - 1))
    row.expires_at = max(row.expires_at, now() + HELD_LIFE)
    return True


def unlock(db: Session, upload_id: str, holder: str, received: int, life_s: float) -> None:
    """Let others write; ``received`` bytes are there and right. One that is somebody else's by now is left alone."""
    row = db.get(Upload, upload_id, with_for_update=True, populate_existing=True)
    if row is None or row.locked_by != holder:
        return
    _release(row)
    row.received_bytes = min(received, row.size_bytes)
    row.expires_at = now() + timedelta(seconds=life_s)


def mark_complete(db: Session, upload_id: str, holder: str, ttl_s: float) -> bool:
    """All of it is on the disk and about to be put in its place; False when it is somebody else's or gone by now."""
    row = db.get(Upload, upload_id, with_for_update=True, populate_existing=True)
    if row is None or row.locked_by != holder:
        return False
    row.received_bytes, row.locked_until = row.size_bytes, now() + timedelta(seconds=ttl_s)
    row.details = {key: value for key, value in row.details.items() if key != "checked"}
    return True


def retarget(db: Session, upload_id: str, path: bytes) -> None:
    """It goes elsewhere."""
    _hold(db, upload_id).path = encode_ref(path)


def finish(db: Session, upload_id: str, *, size: int, added_bytes: int, added_files: int, source: str = "") -> None:
    """Its file is in its place: the room is no longer held but used. Doing it twice changes nothing more."""
    row = db.get(Upload, upload_id, with_for_update=True, populate_existing=True)
    if row is None or "size" in row.details:
        return
    _release(row)
    row.size_bytes = row.received_bytes = 0
    row.details = {**row.details, "size": size}
    row.expires_at = now() + FINISHED_LIFE
    settle(db, row.vfolder_id, added_bytes, added_files)
    details = {"path": decode_ref(row.path).decode(errors="replace"), "size": size}
    record(db, actor=_name(db, row), action="upload-file", object=row.vfolder_id, source=source, details=details)


def resize(db: Session, upload_id: str, size: int) -> None:
    """More comes than was known before (use it exclusively): hold so much room. Raises StorageFull."""
    row = _hold(db, upload_id)
    if size > row.size_bytes:
        reserve(db, row.vfolder_id, size - row.size_bytes)
    row.size_bytes = size


def remove(db: Session, upload_id: str) -> None:
    """Forget an upload and give its room back."""
    row = db.get(Upload, upload_id)
    if row is not None:
        db.delete(row)


def _check(db: Session, row: Upload | None, user: str, folder_id: str) -> Upload:
    if row is None or row.vfolder_id != folder_id or row.expires_at <= now() or _name(db, row) != user:
        raise NotFound(NO_UPLOAD)
    return row


def _hold(db: Session, upload_id: str) -> Upload:
    row = db.get(Upload, upload_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound(NO_UPLOAD)
    return row


def _release(row: Upload) -> None:
    row.locked_by, row.locked_until = "", None
    row.details = {key: value for key, value in row.details.items() if key != "checked"}


def _name(db: Session, row: Upload) -> str:
    return db.scalar(select(User.name).where(User.id == row.user_id)) or ""


def _read(row: Upload, user: str) -> UploadInfo:
    details: dict[str, Any] = row.details or {}
    size = details.get("size")
    return UploadInfo(
        id=row.id,
        folder_id=row.vfolder_id,
        user=user,
        path=decode_ref(row.path),
        size=row.size_bytes if size is None else size,
        received=row.received_bytes if size is None else size,
        on_conflict="replace" if row.is_replacing else "rename" if details.get("rename") else "fail",
        metadata=details.get("metadata", ""),
        is_finished=size is not None,
        checked_bytes=details.get("checked"),
        created_at=row.created_at,
        expires_at=row.expires_at,
    )
