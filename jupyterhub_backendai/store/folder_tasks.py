"""Long work on folders: what is to be done, who does it now, and how far it is. Any process may go on with it.

``tries`` is the number of the try that runs, and proves who runs it: a process that was taken for dead changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from .models import FolderTask, new_id, now

LIVE = ("pending", "running")
KEEP_S = 7 * 86400
STALE_S = 60.0  # a running one that did not beat for so long was left by a process that ended


@dataclass(frozen=True, slots=True)
class Task:
    """One piece of work. ``kind``: clone, purge, access, measure … ``done_*`` and ``total_*`` are bytes and files."""

    id: str
    kind: str
    folder_id: str
    source_id: str
    user_id: str
    status: str
    tries: int
    done_bytes: int
    total_bytes: int | None
    done_files: int
    total_files: int | None
    trouble: Mapping[str, Any]
    created_at: datetime
    ended_at: datetime | None


def add(db: Session, kind: str, folder_id: str, *, source_id: str = "", user_id: str = "", not_before: datetime | None = None) -> str:
    """Want something done; its id. What waits already for the same folder and person is not wanted twice."""
    same = (FolderTask.kind == kind, FolderTask.vfolder_id == folder_id, FolderTask.user_id == user_id, FolderTask.source_id == source_id)
    known = db.scalar(select(FolderTask.id).where(*same, FolderTask.status == "pending").limit(1))
    if known:
        return known
    row = FolderTask(id=new_id(), kind=kind, vfolder_id=folder_id, source_id=source_id, user_id=user_id, not_before=not_before)
    db.add(row)
    db.flush()
    return row.id


def claim(db: Session, kinds: Collection[str], limit: int, moment: datetime | None = None) -> list[Task]:
    """Take what is due, the oldest first; use it exclusively. A task that another process left is taken, too."""
    moment = moment or now()
    left = and_(FolderTask.status == "running", or_(FolderTask.beat_at.is_(None), FolderTask.beat_at < moment - timedelta(seconds=STALE_S)))
    due = and_(FolderTask.status == "pending", or_(FolderTask.not_before.is_(None), FolderTask.not_before <= moment))
    query = select(FolderTask).where(FolderTask.kind.in_(list(kinds)), or_(due, left)).order_by(FolderTask.created_at).limit(limit)
    rows = db.scalars(query.with_for_update(skip_locked=True)).all()
    for row in rows:
        row.status, row.beat_at, row.tries = "running", moment, row.tries + 1
    db.flush()
    return [_read(row) for row in rows]


def beat(db: Session, task: Task, progress: Mapping[str, int | None]) -> bool:
    """Say that the task is still worked on, and how far it is. False: it is somebody else's by now, or was taken back; stop."""
    return _change(db, task, beat_at=now(), **progress)


def finish(db: Session, task: Task, remark: Mapping[str, Any]) -> bool:
    """It is done; ``remark`` is what its owner should know, as an error's ``to_problem()``, or empty."""
    return _change(db, task, status="done", ended_at=now(), trouble=dict(remark))


def put_back(db: Session, task: Task, trouble: Mapping[str, Any] | None = None, wait_s: float = 0) -> bool:
    """Try again after ``wait_s`` seconds; without ``trouble`` the try does not count (the service ends)."""
    values: dict[str, Any] = {"status": "pending", "not_before": now() + timedelta(seconds=wait_s)}
    if trouble is not None:
        values["trouble"] = dict(trouble)
    else:
        values["tries"] = task.tries - 1
    return _change(db, task, **values)


def fail(db: Session, task: Task, trouble: Mapping[str, Any]) -> bool:
    """It will never be done."""
    return _change(db, task, status="failed", ended_at=now(), trouble=dict(trouble))


def cancel(db: Session, folder_id: str, kinds: Collection[str] = ()) -> int:
    """Take back what is wanted of a folder (of all kinds, without any named); how many."""
    query = update(FolderTask).where(FolderTask.vfolder_id == folder_id, FolderTask.status.in_(LIVE))
    if kinds:
        query = query.where(FolderTask.kind.in_(list(kinds)))
    return len(db.execute(query.values(status="cancelled", ended_at=now()).returning(FolderTask.id)).all())


def get(db: Session, task_id: str) -> Task | None:
    """One task."""
    row = db.get(FolderTask, task_id)
    return _read(row) if row else None


def list_of(db: Session, folder_ids: Collection[str], kinds: Collection[str] = ("clone", "purge")) -> dict[str, Task]:
    """The newest task of each folder, by the folder's id."""
    query = select(FolderTask).where(FolderTask.vfolder_id.in_(list(folder_ids)), FolderTask.kind.in_(list(kinds)))
    return {row.vfolder_id: _read(row) for row in db.scalars(query.order_by(FolderTask.created_at))}


def count_live(db: Session, kind: str) -> int:
    """How many of a kind wait or are done right now."""
    query = select(func.count()).select_from(FolderTask).where(FolderTask.kind == kind, FolderTask.status.in_(LIVE))
    return db.scalar(query) or 0


def is_source(db: Session, folder_id: str) -> bool:
    """Whether something is being made out of this folder."""
    query = select(func.count()).select_from(FolderTask).where(FolderTask.source_id == folder_id, FolderTask.status.in_(LIVE))
    return bool(db.scalar(query))


def forget_old(db: Session, moment: datetime | None = None) -> int:
    """Forget what ended long ago; how many."""
    before = (moment or now()) - timedelta(seconds=KEEP_S)
    query = delete(FolderTask).where(FolderTask.status.not_in(LIVE), FolderTask.ended_at < before)
    return len(db.execute(query.returning(FolderTask.id)).all())


def _change(db: Session, task: Task, **values: Any) -> bool:
    mine = (FolderTask.id == task.id, FolderTask.status == "running", FolderTask.tries == task.tries)
    return db.execute(update(FolderTask).where(*mine).values(**values).returning(FolderTask.id)).first() is not None


def _read(row: FolderTask) -> Task:
    names = ("source_id", "user_id", "status", "tries", "done_bytes", "total_bytes", "done_files", "total_files", "trouble")
    more = {name: getattr(row, name) for name in (*names, "created_at", "ended_at")}
    return Task(id=row.id, kind=row.kind, folder_id=row.vfolder_id, **more)
