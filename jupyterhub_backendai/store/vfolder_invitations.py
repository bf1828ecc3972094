"""Invitations to share a folder: asked, answered, changed, taken back. Use the functions that write exclusively.

Whoever answers holds the rows of the invitee, the folder and the invitation, locked in this order, so that of an acceptance and a
taking back at the same moment one wins and the other one is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, aliased

from ..core.identity import Actor, UserStatus
from ..core.vfolder_sharing import Invitation, Outcome, Refusal, check_manageable, check_ready, check_shareable, explain_refusals
from ..core.vfolders import GONE, IN_TRASH, Access, Folder, FolderStatus, HostPermission, InvitationState, Permission
from ..errors import N_, AlreadyExists, Conflict, Forbidden, NotFound, Violation
from . import audit
from .models import User, VFolder, VFolderInvitation, VFolderPermission, new_id, now
from .users import insert_missing
from .vfolder_hosts import check_host
from .vfolders import find_access, list_access, read_folder

NO_INVITATION = N_("There is no such invitation. It may have been taken back.")
NAMED = frozenset(FolderStatus) - GONE


def invite(db: Session, actor: Actor, folder_id: str, people: Sequence[str], permission: Permission) -> Outcome:
    """Ask people of the folder's domain, by mail address or user name, to share it.

    Raises NotFound when nobody was asked because nobody is known, AlreadyExists when nobody was for any other reason too; each
    with a violation for everybody. Raises Forbidden for who may not invite.
    """
    access = find_managed(db, actor, folder_id)
    check_shareable(access.folder)
    check_host(db, actor.name, access.folder.host, HostPermission.INVITE)
    inviter = db.scalars(select(User).where(User.name == actor.name)).one()
    invited: list[VFolderInvitation] = []
    refused: list[Refusal] = []
    for text in people:
        answer = _invite_one(db, access.folder, inviter, text, permission)
        if isinstance(answer, Refusal):
            refused.append(answer)
        else:
            invited.append(answer)
    if not invited:
        raise _nobody(refused)
    db.flush()
    for row in invited:
        details = {"invitee": row.invitee_id, "permission": permission.value, "invitation": row.id}
        _record(db, actor, "vfolder.invite", folder_id, details)
    return Outcome(tuple(_list(db, VFolderInvitation.id.in_([row.id for row in invited]))), tuple(refused))


def _invite_one(db: Session, folder: Folder, inviter: User, text: str, permission: Permission) -> VFolderInvitation | Refusal:
    """The row of a new invitation, or why there is none."""
    wanted = text.casefold()
    query = select(User).where(User.domain == folder.domain, User.status == UserStatus.ACTIVE)
    found = db.scalars(query.where(or_(func.lower(User.email) == wanted, User.name == text)).order_by(User.id)).all()
    if not found:
        return _refuse(text, "unknown", N_("Nobody here has the mail address or user name %(email)s."))
    if len(found) > 1:
        return _refuse(text, "ambiguous", N_("Several accounts have the mail address %(email)s. Give the user name."))
    invitee = found[0]
    if invitee.id in (inviter.id, folder.user_id):
        return _refuse(text, "owner", N_("%(email)s has the folder already."))
    if db.get(VFolderPermission, (folder.id, invitee.id)):
        return _refuse(text, "member", N_("%(email)s shares the folder already."))
    row = {"id": new_id(), "vfolder_id": folder.id, "inviter_id": inviter.id, "invitee_id": invitee.id, "permission": permission}
    moment = now()
    stamped = {**row, "state": InvitationState.PENDING, "created_at": moment, "modified_at": moment}
    if not insert_missing(db, VFolderInvitation, **stamped):
        return _refuse(text, "invited", N_("%(email)s was invited already and has not answered yet."))
    return db.get_one(VFolderInvitation, row["id"])


def _refuse(email: str, rule: str, message: str) -> Refusal:
    return Refusal(email, Violation(message, {"email": email}, "emails", rule))


def _nobody(refused: Sequence[Refusal]) -> NotFound | AlreadyExists:
    is_unknown = all(item.violation.rule in ("unknown", "ambiguous") for item in refused)
    violations = explain_refusals(refused)
    return NotFound("", violations) if is_unknown else AlreadyExists("", violations)


def list_received(db: Session, user: str) -> list[Invitation]:
    """What somebody (by the hub's name) is to answer, the newest first."""
    invitee = select(User.id).where(User.name == user).scalar_subquery()
    is_open = (VFolderInvitation.state == InvitationState.PENDING, VFolder.status.not_in(list(IN_TRASH)))
    return _list(db, VFolderInvitation.invitee_id == invitee, *is_open)


def list_sent(db: Session, user: str) -> list[Invitation]:
    """What others have not answered yet: everything somebody asked, and what others asked about the folders that are theirs."""
    me = select(User.id).where(User.name == user).scalar_subquery()
    mine = or_(VFolderInvitation.inviter_id == me, VFolder.user_id == me)
    return _list(db, mine, VFolderInvitation.state == InvitationState.PENDING)


def list_pending(db: Session, folder_id: str) -> list[Invitation]:
    """What people have not answered yet about one folder; who asks was checked before."""
    return _list(db, VFolderInvitation.vfolder_id == folder_id, VFolderInvitation.state == InvitationState.PENDING)


def accept(db: Session, actor: Actor, invitation_id: str) -> Invitation:
    """Share the folder from now on; doing it twice is harmless.

    Raises NotFound for an invitation that is not the person's or was taken back, AlreadyExists where they have a folder of that
    name, Conflict for a folder that is in the trash by now.
    """
    invitee, folder, row = _lock(db, actor, invitation_id)
    if row.invitee_id != invitee.id or row.state in (InvitationState.CANCELED, InvitationState.REJECTED):
        raise NotFound(NO_INVITATION)
    if row.state is InvitationState.ACCEPTED:
        if db.get(VFolderPermission, (folder.id, invitee.id)) is None:
            raise NotFound(NO_INVITATION)
        return _one(db, row)
    if not _may_still_invite(db, row):
        raise NotFound(NO_INVITATION)
    check_ready(read_folder(folder))
    _check_name_free(db, invitee, folder)
    values = {"permission": row.permission, "source": "invitation", "created_at": now()}
    insert_missing(db, VFolderPermission, vfolder_id=folder.id, user_id=invitee.id, **values)
    return _answer(db, actor, row, InvitationState.ACCEPTED, "vfolder.accept")


def _check_name_free(db: Session, invitee: User, folder: VFolder) -> None:
    """Raises AlreadyExists: two folders of one name could not be told apart in a session."""
    taken = next((item for item in list_access(db, invitee.name, NAMED) if item.folder.name == folder.name), None)
    if taken is None:
        return
    if taken.is_owner:
        raise AlreadyExists(N_("You have a folder named %(name)s already. Rename it first, then accept."), name=folder.name)
    raise AlreadyExists(
        N_("You use another folder named %(name)s already. Ask its owner or this one's to rename it, then accept."), name=folder.name
    )


def decline(db: Session, actor: Actor, invitation_id: str) -> Invitation:
    """Say no. Raises NotFound for what is not the person's, Conflict for what was answered already."""
    invitee, _, row = _lock(db, actor, invitation_id)
    if row.invitee_id != invitee.id:
        raise NotFound(NO_INVITATION)
    _check_pending(row)
    return _answer(db, actor, row, InvitationState.REJECTED, "vfolder.decline")


def cancel(db: Session, actor: Actor, invitation_id: str) -> Invitation:
    """Take an invitation back that nobody has answered. Raises NotFound for who neither sent it nor decides about the folder."""
    row = _lock_asked(db, actor, invitation_id)
    return _answer(db, actor, row, InvitationState.CANCELED, "vfolder.cancel-invitation")


def change(db: Session, actor: Actor, invitation_id: str, permission: Permission) -> Invitation:
    """Offer another permission. Raises as :func:`cancel` does."""
    row = _lock_asked(db, actor, invitation_id)
    find_managed(db, actor, row.vfolder_id)  # whoever asked may have lost the folder since
    row.permission, row.modified_at = permission, now()
    db.flush()
    _record(db, actor, "vfolder.change-invitation", row.vfolder_id, {"invitation": row.id, "permission": permission.value})
    return _one(db, row)


def cancel_of(db: Session, folder_id: str, inviter_id: str) -> None:
    """What somebody asked others who has no say about the folder any more is asked no longer."""
    query = select(VFolderInvitation).where(VFolderInvitation.vfolder_id == folder_id, VFolderInvitation.inviter_id == inviter_id)
    for row in db.scalars(query.where(VFolderInvitation.state == InvitationState.PENDING).with_for_update()):
        row.state, row.modified_at = InvitationState.CANCELED, now()


def find_managed(db: Session, actor: Actor, folder_id: str) -> Access:
    """A folder whose sharing somebody decides, its row locked. Raises NotFound for strangers, Forbidden for other people of it."""
    db.scalars(select(VFolder.id).where(VFolder.id == folder_id).with_for_update()).first()
    access = find_access(db, actor.name, folder_id, NAMED)
    if access.folder.ownership_type.value == "user":
        check_manageable(access)
    return access


# -- inside


def _lock(db: Session, actor: Actor, invitation_id: str) -> tuple[User, VFolder, VFolderInvitation]:
    """The rows of who acts, of the folder and of the invitation, as they are until the end of the transaction."""
    me = db.scalars(select(User).where(User.name == actor.name).with_for_update()).first()
    seen = db.get(VFolderInvitation, invitation_id)
    if me is None or seen is None:
        raise NotFound(NO_INVITATION)
    folder = db.get_one(VFolder, seen.vfolder_id, with_for_update=True, populate_existing=True)
    row = db.get(VFolderInvitation, invitation_id, with_for_update=True, populate_existing=True)
    if row is None or folder.status in GONE:
        raise NotFound(NO_INVITATION)
    return me, folder, row


def _may_still_invite(db: Session, row: VFolderInvitation) -> bool:
    """Whether who asked decides about the folder to this day: a right that was taken back is not given on."""
    inviter = db.get_one(User, row.inviter_id)
    try:
        check_manageable(find_access(db, inviter.name, row.vfolder_id, NAMED))
    except (NotFound, Forbidden):
        return False
    return True


def _lock_asked(db: Session, actor: Actor, invitation_id: str) -> VFolderInvitation:
    """A pending invitation that is this person's to change. Raises NotFound and Conflict."""
    me, folder, row = _lock(db, actor, invitation_id)
    if me.id not in {row.inviter_id, folder.user_id}:
        raise NotFound(NO_INVITATION)
    _check_pending(row)
    return row


def _check_pending(row: VFolderInvitation) -> None:
    if row.state is InvitationState.PENDING:
        return
    messages = {
        InvitationState.ACCEPTED: N_("The invitation was accepted in the meantime. Change or take back the share itself."),
        InvitationState.REJECTED: N_("The invitation was declined already."),
        InvitationState.CANCELED: N_("The invitation was taken back already."),
    }
    raise Conflict(messages[row.state])


def _answer(db: Session, actor: Actor, row: VFolderInvitation, state: InvitationState, act: str) -> Invitation:
    row.state, row.modified_at = state, now()
    db.flush()
    _record(db, actor, act, row.vfolder_id, {"invitation": row.id, "permission": row.permission.value})
    return _one(db, row)


def _record(db: Session, actor: Actor, act: str, folder_id: str, details: dict[str, Any]) -> None:
    audit.record(db, actor=actor.name, action=act, object=folder_id, source=actor.source, details=details)


def _one(db: Session, row: VFolderInvitation) -> Invitation:
    return _list(db, VFolderInvitation.id == row.id)[0]


def _list(db: Session, *conditions: Any) -> list[Invitation]:
    inviter, invitee = aliased(User), aliased(User)
    query = (
        select(VFolderInvitation, VFolder.name, VFolder.host, inviter, invitee)
        .join(VFolder, VFolder.id == VFolderInvitation.vfolder_id)
        .join(inviter, inviter.id == VFolderInvitation.inviter_id)
        .join(invitee, invitee.id == VFolderInvitation.invitee_id)
        .where(VFolder.status.not_in(list(GONE)), *conditions)
        .order_by(VFolderInvitation.created_at.desc(), VFolderInvitation.id)
    )
    return [_read(*row) for row in db.execute(query)]


def _read(row: VFolderInvitation, name: str, host: str, inviter: User, invitee: User) -> Invitation:
    return Invitation(
        id=row.id,
        folder_id=row.vfolder_id,
        folder=name,
        host=host,
        inviter=inviter.name,
        inviter_email=inviter.email,
        invitee=invitee.name,
        invitee_email=invitee.email,
        permission=row.permission,
        state=row.state,
        created_at=row.created_at,
        modified_at=row.modified_at,
    )
