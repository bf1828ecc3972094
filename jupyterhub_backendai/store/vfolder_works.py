"""What long work on folders changes in the database: the end of a copy or a deletion, and what was left behind."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..core.identity import PosixAccount
from ..core.vfolders import UPDATABLE, Folder, FolderStatus
from ..errors import N_
from . import audit, folder_tasks, vfolder_quotas
from .circumstances import read_posix
from .folder_tasks import Task
from .models import AuditEntry, FolderTask, StorageHost, Upload, User, VFolder, now
from .vfolder_changes import Act, record
from .vfolder_grants import list_grants
from .vfolder_rules import find_any, set_status
from .vfolders import find_access

SYSTEM = "system"
UNCOPIED = N_("The copying ended before it was done.")
# The making of a directory that takes longer than this was left by a process that ended.
MAKING_S = 900.0
# the kind of task, and the reason of the status, of a folder on its way to another owner (vfolder_ownership)
OWNERSHIP = "ownership"
# who said that a folder's files may go, and so the proof that a directory without a folder is no mistake of ours
GIVEN_UP, PURGED = "vfolder.give-up", "vfolder.purge"


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy to be made: as the person whose the new folder is."""

    source: Folder
    target: Folder
    posix: PosixAccount | None


@dataclass(frozen=True, slots=True)
class LeftWork:
    """Something in a folder's work directory that nobody has touched for long; ``uploads`` go on, however long they pause."""

    folder: Folder
    posix: PosixAccount | None
    uploads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """What :func:`tidy` did: folders that nobody finished making, copies without anybody copying, deletions begun anew."""

    unmade: int = 0
    uncopied: int = 0
    undeleted: int = 0


def find_copy(db: Session, task: Task) -> Copy | None:
    """What a copy needs; None when it is not wanted any more. Raises NotFound for a source that is not the person's to read now."""
    row = db.get(VFolder, task.folder_id)
    owner = db.get(User, row.user_id or "") if row else None
    if row is None or owner is None or row.status is not FolderStatus.CLONING:
        return None
    return Copy(find_access(db, owner.name, task.source_id, UPDATABLE).folder, find_any(db, row.id), read_posix(owner))


def reserve_copy(db: Session, task: Task, size: int, files: int) -> None:
    """Keep so much room for a copy as its source has by now (use it exclusively). Raises StorageFull."""
    row = db.get(FolderTask, task.id, with_for_update=True)
    known = (row.total_bytes or 0) if row else 0
    if size > known:
        vfolder_quotas.reserve(db, task.folder_id, size - known)
    if row is not None:
        row.total_bytes, row.total_files = size, files


def finish_copy(db: Session, task: Task, size: int, files: int) -> None:
    """The copy is whole: its owner may use it."""
    row = db.get(VFolder, task.folder_id, with_for_update=True)
    if row is not None and row.status is FolderStatus.CLONING:
        set_status(row, FolderStatus.READY)
        row.used_bytes = row.used_files = 0
        db.flush()
        vfolder_quotas.settle(db, row.id, size, files)


def fail_copy(db: Session, folder_id: str, reason: str) -> None:
    """The copy will never be whole."""
    row = db.get(VFolder, folder_id, with_for_update=True)
    if row is not None and row.status is FolderStatus.CLONING:
        set_status(row, FolderStatus.ERROR, reason)


def find_purge(db: Session, task: Task) -> Folder | None:
    """The folder to delete; None when it is gone, or not to be deleted."""
    row = db.get(VFolder, task.folder_id)
    return find_any(db, row.id) if row is not None and row.status is FolderStatus.DELETE_ONGOING else None


def finish_purge(db: Session, folder_id: str) -> None:
    """Nothing of the folder is left on the disk: forget it."""
    row = db.get(VFolder, folder_id, with_for_update=True)
    if row is None or row.status is not FolderStatus.DELETE_ONGOING:
        return
    vfolder_quotas.settle(db, folder_id, -(row.used_bytes or 0), -(row.used_files or 0))
    folder_tasks.cancel(db, folder_id, ("access", "measure"))
    record(db, Act(SYSTEM), "vfolder.purged", row, name=row.name, host=row.host, quota_scope=row.quota_scope_id)
    db.delete(row)
    db.flush()


def fail_purge(db: Session, folder_id: str, reason: str) -> None:
    """It could not be deleted; its owner may try again."""
    row = db.get(VFolder, folder_id, with_for_update=True)
    if row is not None and row.status is FolderStatus.DELETE_ONGOING:
        set_status(row, FolderStatus.DELETE_ERROR, reason)


def tidy(db: Session, moment: datetime | None = None) -> Left:
    """Put right what no process works on any more (use it exclusively)."""
    moment = moment or now()
    unmade = uncopied = undeleted = 0
    states = (FolderStatus.PERFORMING, FolderStatus.CLONING, FolderStatus.DELETE_ONGOING)
    for row in db.scalars(select(VFolder).where(VFolder.status.in_(states)).with_for_update(skip_locked=True)):
        if row.status is FolderStatus.PERFORMING and row.status_reason == OWNERSHIP:
            if not _has_task(db, row, OWNERSHIP):  # it is whole, and whose it says
                set_status(row, FolderStatus.READY)
        elif row.status is FolderStatus.PERFORMING:
            if row.created_at < moment - timedelta(seconds=MAKING_S):
                give_up(db, row, "nobody finished it")
                unmade += 1
        elif not _has_task(db, row):
            if row.status is FolderStatus.CLONING:
                set_status(row, FolderStatus.ERROR, UNCOPIED)
                uncopied += 1
            else:
                folder_tasks.add(db, "purge", row.id)
                undeleted += 1
    folder_tasks.forget_old(db, moment)
    db.flush()
    return Left(unmade, uncopied, undeleted)


def give_up(db: Session, row: VFolder, reason: str) -> None:
    """A folder that was never finished is none; the audit log says so, and that its directory may go."""
    audit.record(db, actor=SYSTEM, action=GIVEN_UP, object=row.id, details={"name": row.name, "host": row.host, "reason": reason})
    db.delete(row)


def list_deletable(db: Session, folder_ids: Collection[str]) -> tuple[list[str], list[str]]:
    """(those whose directory may go, those that nobody knows) of directories whose folders should not be there.

    A directory without a folder is deleted only where the audit log says that it was meant to go: with a database of another day,
    or of another site, all directories look like that.
    """
    known = _in_pieces(db, folder_ids, lambda ids: select(VFolder.id).where(VFolder.id.in_(ids)))
    gone = set(folder_ids) - known
    meant = _in_pieces(
        db, gone, lambda ids: select(AuditEntry.object).where(AuditEntry.action.in_((GIVEN_UP, PURGED)), AuditEntry.object.in_(ids))
    )
    return sorted(gone & meant), sorted(gone - meant)


def find_left_work(db: Session, folder_id: str, uid: int) -> LeftWork | None:
    """Who may remove what an account left in a folder's work directory: that account, or the folder's owner where nobody has it now.

    None: nobody may pass the folder's gate, so it waits until it is deleted.
    """
    row = db.get(VFolder, folder_id)
    if row is None or row.status is not FolderStatus.READY:
        return None
    passing = {grant.uid for grant in list_grants(db, folder_id)}
    person = db.scalars(select(User).where(User.posix_uid == uid).order_by(User.created_at)).first() if uid in passing else None
    if person is None and row.user_id:
        person = db.get(User, row.user_id)
    posix = read_posix(person) if person else None
    if posix is not None and posix.uid not in passing:
        return None
    uploads = tuple(db.scalars(select(Upload.id).where(Upload.vfolder_id == folder_id)))
    return LeftWork(find_any(db, folder_id), posix, uploads)


def list_missing(db: Session, host: str, folder_ids: Collection[str]) -> list[str]:
    """The ready folders of a host that are not among these."""
    ready = set(db.scalars(select(VFolder.id).where(VFolder.host == host, VFolder.status == FolderStatus.READY)))
    return sorted(ready - set(folder_ids))


def list_host_names(db: Session) -> list[str]:
    """The active hosts that have a directory."""
    return list(db.scalars(select(StorageHost.name).where(StorageHost.is_active.is_(True), StorageHost.path != "")))


def _in_pieces(db: Session, ids: Collection[str], build: Callable[[list[str]], Any]) -> set[str]:
    wanted, found = sorted(ids), set[str]()
    for begin in range(0, len(wanted), 500):
        found |= set(db.scalars(build(wanted[begin : begin + 500])))
    return found


def _has_task(db: Session, row: VFolder, kind: str = "") -> bool:
    kind = kind or ("clone" if row.status is FolderStatus.CLONING else "purge")
    query = select(FolderTask.id).where(FolderTask.vfolder_id == row.id, FolderTask.kind == kind, FolderTask.status.in_(folder_tasks.LIVE))
    return db.scalar(query.limit(1)) is not None
