"""Giving a person's folder to somebody else: its files are counted, and owned, by the new owner. Use what writes exclusively.

The files move into the new owner's quota scope, so the directory changes: a task copies it, then :func:`switch` makes the row the new
owner's in one transaction, then the old directory is deleted. Until the switch nothing of the old one is touched.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from ..core.identity import Actor, PosixAccount, UserStatus
from ..core.vfolders import UPDATABLE, Folder, FolderStatus, InvitationState, OwnershipType, quota_scope_of
from ..errors import N_, Conflict, Forbidden, InvalidParameters, NotFound, Violation
from . import audit, folder_tasks
from .models import FolderGate, Upload, User, VFolder, VFolderInvitation, VFolderPermission, now
from .vfolder_gates import read_account
from .vfolder_quotas import reserve_in, want_measured
from .vfolder_rules import check_count, check_free, count_mounting, describe_status, find_any, set_status
from .vfolder_works import OWNERSHIP
from .vfolders import NO_FOLDER, find_access

KIND = OWNERSHIP


@dataclass(frozen=True, slots=True)
class Move:
    """A folder on its way to another owner: where it is, and where it will be. ``is_switched``: it is the new owner's already."""

    source: Folder
    target: Folder
    giver: PosixAccount | None
    taker: PosixAccount | None
    is_switched: bool


def begin(db: Session, actor: Actor, folder_id: str, to: str) -> Folder:
    """Begin to give a folder to somebody, by mail address or user name; a task does it. For superadmins.

    Raises NotFound (no such folder, nobody of that name), Forbidden, InvalidParameters (a project's), Conflict (in use, or in
    another state), AlreadyExists, QuotaExceeded and StorageFull for what the new owner has already.
    """
    if not actor.is_superadmin:
        find_access(db, actor.name, folder_id)
        raise Forbidden(N_("Only a superadmin gives a folder to another owner."))
    known = db.get(VFolder, folder_id)
    if known is None:
        raise NotFound(NO_FOLDER)
    if known.ownership_type is not OwnershipType.USER:
        raise InvalidParameters(N_("The folder %(name)s is of a project: it has no owner that could change."), name=known.name)
    taker = _find_taker(db, to)
    row = _lock(db, known, taker)
    _check(db, row, taker)
    giver = str(row.user_id)
    reserve_in(db, row.host, quota_scope_of(OwnershipType.USER, taker.id), row.used_bytes or 0)
    set_status(row, FolderStatus.PERFORMING, KIND)
    folder_tasks.add(db, KIND, row.id, source_id=giver, user_id=taker.id)
    details = {"name": row.name, "from": giver, "to": taker.id}
    audit.record(db, actor=actor.name, action="vfolder.change-ownership", object=row.id, source=actor.source, details=details)
    db.flush()
    return find_any(db, row.id)


def _find_taker(db: Session, to: str) -> User:
    query = select(User).where(or_(User.name == to, User.email == to), User.status == UserStatus.ACTIVE)
    found = db.scalars(query.order_by(User.id)).all()
    if len(found) != 1:
        unknown, several = N_("There is nobody of the name %(name)s."), N_("Several accounts have the mail address %(name)s.")
        violation = Violation(several if found else unknown, {"name": to}, "user", "unknown")
        raise NotFound("", [violation])
    return found[0]


def _lock(db: Session, known: VFolder, taker: User) -> VFolder:
    """The folder's row, locked after those of both people."""
    people = select(User.id).where(User.id.in_([known.user_id, taker.id])).order_by(User.id)
    db.scalars(people.with_for_update()).all()
    return db.get_one(VFolder, known.id, with_for_update=True, populate_existing=True)


def _check(db: Session, row: VFolder, taker: User) -> None:
    if row.status not in UPDATABLE:
        raise Conflict(describe_status(row.status), name=row.name)
    if row.user_id == taker.id:
        raise InvalidParameters(N_("The folder %(name)s is theirs already."), name=row.name)
    if count := count_mounting(db, row.id):
        raise Conflict(N_("The folder %(name)s is in use by %(count)s sessions. End them first."), name=row.name, count=count)
    if folder_tasks.is_source(db, row.id):
        raise Conflict(N_("The folder %(name)s is being copied right now. Wait until that is done."), name=row.name)
    check_count(db, taker, None)
    check_free(db, row.name, taker.id, but=row.id)


def load_move(db: Session, folder_id: str, giver_id: str, taker_id: str) -> Move | None:
    """What a task is to do, None when the folder went another way meanwhile."""
    row = db.get(VFolder, folder_id)
    if row is None or row.user_id not in (giver_id, taker_id):
        return None
    is_switched = row.user_id == taker_id
    if not is_switched and row.status is not FolderStatus.PERFORMING:
        return None
    folder = find_any(db, folder_id)
    source = replace(folder, quota_scope_id=quota_scope_of(OwnershipType.USER, giver_id), user_id=giver_id)
    target = replace(folder, quota_scope_id=quota_scope_of(OwnershipType.USER, taker_id), user_id=taker_id)
    giver, taker = db.get_one(User, giver_id), db.get_one(User, taker_id)
    return Move(source, target, read_account(giver), read_account(taker), is_switched)


def switch(db: Session, move: Move) -> bool:
    """The folder is the new owner's from now on, in the new directory. False when it went another way meanwhile."""
    taker = db.get_one(User, move.target.user_id, with_for_update=True)
    row = db.get(VFolder, move.source.id, with_for_update=True, populate_existing=True)
    if row is None or row.status is not FolderStatus.PERFORMING or row.user_id != move.source.user_id:
        return False
    row.user_id, row.quota_scope_id, row.domain = taker.id, move.target.quota_scope_id, taker.domain
    set_status(row, FolderStatus.READY)
    # whoever owns a folder does not share it, nor is asked to; uploads into the old directory are over; nothing was told to the new gate
    own = (VFolderPermission.vfolder_id == row.id, VFolderPermission.user_id == taker.id)
    db.execute(delete(VFolderPermission).where(*own))
    asked = (VFolderInvitation.vfolder_id == row.id, VFolderInvitation.invitee_id == taker.id)
    is_open = VFolderInvitation.state == InvitationState.PENDING
    db.execute(update(VFolderInvitation).where(*asked, is_open).values(state=InvitationState.CANCELED, modified_at=now()))
    db.execute(delete(Upload).where(Upload.vfolder_id == row.id))
    db.execute(delete(FolderGate).where(FolderGate.vfolder_id == row.id))
    db.flush()
    want_measured(db, row.id)
    return True


def give_up(db: Session, folder_id: str, giver_id: str, reason: str) -> bool:
    """The folder stays its owner's, ready as before; False when it is the new owner's already."""
    row = db.get(VFolder, folder_id, with_for_update=True)
    if row is None or row.user_id != giver_id or row.status is not FolderStatus.PERFORMING:
        return False
    set_status(row, FolderStatus.READY, reason)
    return True
