"""Who shares which folder, and with what right; and which live sessions still have it. Use the functions that write exclusively."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.orm import Session, aliased

from ..core.identity import Actor, Role, UserStatus
from ..core.vfolder_sharing import Holding, Refusal, Share, explain_refusals, keeps_after_revocation
from ..core.vfolders import GONE, Folder, HostPermission, OwnershipType, Permission
from ..errors import N_, Forbidden, InvalidParameters, NotFound, Violation
from . import audit
from .models import ComputeSession, Project, ProjectMember, SessionMount, User, VFolder, VFolderPermission, now
from .vfolder_hosts import check_host
from .vfolder_invitations import NAMED, cancel_of, find_managed
from .vfolders import NO_FOLDER, find_access, read_folder

NO_SHARE = N_("This person does not share the folder.")


# -- looking


def list_shares(db: Session, actor: Actor, folder_id: str) -> list[Share]:
    """Everybody but the owner who may use a folder, by name; for who decides about it, and for a project's members.

    Raises NotFound for strangers, Forbidden for a guest who may not decide.
    """
    folder = find_shown(db, actor, folder_id)
    query = _of_project(folder) if folder.ownership_type is OwnershipType.PROJECT else _of_people(VFolder.id == folder_id)
    return [_read(*row) for row in db.execute(query)]


def find_shown(db: Session, actor: Actor, folder_id: str) -> Folder:
    """A folder whose list of people somebody may see. Raises as :func:`list_shares` does."""
    folder = _find_administered(db, actor, folder_id)
    return folder or find_managed(db, actor, folder_id).folder


def list_shared(db: Session, user: str) -> list[Share]:
    """Everything that somebody (by the hub's name) lets others use, by folder and name."""
    me = select(User.id).where(User.name == user).scalar_subquery()
    return [_read(*row) for row in db.execute(_of_people(VFolder.user_id == me, VFolder.status.not_in(list(GONE))))]


def count_shares(db: Session, folder_ids: Collection[str]) -> dict[str, int]:
    """With how many people each of these folders is shared by invitation; those with nobody are not in it."""
    query = select(VFolderPermission.vfolder_id, func.count()).where(VFolderPermission.vfolder_id.in_(list(folder_ids)))
    query = query.where(VFolderPermission.source == "invitation").group_by(VFolderPermission.vfolder_id)
    return {folder_id: count for folder_id, count in db.execute(query)}  # noqa: C416 - rows are no pairs to mypy


def list_holdings(db: Session, folder_id: str, users: Collection[str] | None = None) -> list[Holding]:
    """The live sessions that have a folder, of everybody or of these people (by the hub's names)."""
    query = (
        select(ComputeSession, User.name, SessionMount)
        .join(SessionMount, SessionMount.session_id == ComputeSession.id)
        .join(User, User.id == ComputeSession.user_id)
        .where(SessionMount.vfolder_id == folder_id, ComputeSession.released_at.is_(None))
        .order_by(User.name, ComputeSession.created_at, ComputeSession.id)
    )
    if users is not None:
        query = query.where(User.name.in_(list(users)))
    return [_holding(*row) for row in db.execute(query)]


# -- changing


def change_share(db: Session, actor: Actor, folder_id: str, user_id: str, permission: Permission) -> Share:
    """Give somebody who shares a folder another permission; in a project's folder it is theirs alone from now on.

    Raises NotFound for who does not share it.
    """
    folder = _lock_managed(db, actor, folder_id, HostPermission.SET_USER_PERMISSION)
    _check_not_oneself(db, actor, user_id)
    if folder.ownership_type is OwnershipType.PROJECT:
        _override(db, folder, _find_member(db, folder, user_id), permission)
    else:
        _find_row(db, folder_id, user_id).permission = permission
        if not permission.is_owner_level:
            cancel_of(db, folder_id, user_id)
    db.flush()
    _record(db, actor, "vfolder.change-share", folder_id, {"user": user_id, "permission": permission.value})
    return _find_share(db, folder, user_id)


def remove_share(db: Session, actor: Actor, folder_id: str, user_id: str) -> Share:
    """Take a folder back from somebody; of a project's folder they have what everybody has again. Returns what they had.

    Raises NotFound for who does not share it, or has no permission of their own in a project's.
    """
    folder = _lock_managed(db, actor, folder_id, None)
    _check_not_oneself(db, actor, user_id)
    _find_row(db, folder_id, user_id)
    before = _find_share(db, folder, user_id, is_lenient=True)
    _delete(db, folder_id, user_id)
    _record(db, actor, "vfolder.unshare", folder_id, {"user": user_id})
    return before


def leave(db: Session, actor: Actor, folder_id: str) -> Folder:
    """Give a folder back that somebody was invited to. Raises InvalidParameters for one's own and for a project's."""
    access = find_access(db, actor.name, folder_id, NAMED)
    if access.source != "invitation":
        own = N_("The folder %(name)s is yours: you cannot leave it. Delete it, or take it back from others.")
        group = N_("The folder %(name)s is of the project %(project)s: whoever is in the project has it.")
        folder = access.folder
        raise InvalidParameters(own if access.is_owner else group, name=folder.name, project=folder.project)
    me = db.scalars(select(User.id).where(User.name == actor.name)).one()
    _delete(db, folder_id, me)
    _record(db, actor, "vfolder.leave", folder_id, {})
    return access.folder


def share_with_members(db: Session, actor: Actor, folder_id: str, people: Sequence[str], permission: Permission) -> list[Share]:
    """Give members of a project, by mail address or user name, a permission of their own in its folder: all of them or nobody.

    Raises InvalidParameters for a folder that is no project's, NotFound (with a violation for each) for who is no member.
    """
    folder = _lock_managed(db, actor, folder_id, HostPermission.SET_USER_PERMISSION)
    if folder.ownership_type is not OwnershipType.PROJECT:
        raise InvalidParameters(N_("The folder %(name)s is no project's. Invite people to it instead."), name=folder.name)
    found = {text: _find_members(db, folder, text) for text in people}
    message = N_("%(email)s is no member of the project %(project)s.")
    refused = [
        Refusal(text, Violation(message, {"email": text, "project": folder.project}, "emails", "unknown"))
        for text, users in found.items()
        if len(users) != 1
    ]
    if refused:
        raise NotFound("", explain_refusals(refused))
    for users in found.values():
        _override(db, folder, users[0], permission)
        _record(db, actor, "vfolder.share", folder_id, {"user": users[0].id, "permission": permission.value})
    db.flush()
    return [_find_share(db, folder, users[0].id) for users in found.values()]


# -- inside


def _lock_managed(db: Session, actor: Actor, folder_id: str, wanted: HostPermission | None) -> Folder:
    """A folder whose sharing is this person's to decide, locked. Raises NotFound for strangers, Forbidden for everybody else."""
    db.scalars(select(VFolder.id).where(VFolder.id == folder_id).with_for_update()).first()
    folder = _find_administered(db, actor, folder_id)
    if folder is None:
        folder = find_managed(db, actor, folder_id).folder
        if folder.ownership_type is OwnershipType.PROJECT:
            raise Forbidden(N_("Only administrators decide what members may do in the folder %(name)s."), name=folder.name)
    if wanted is not None and not actor.is_superadmin:
        check_host(db, actor.name, folder.host, wanted, folder.project_id or None)
    return folder


def _find_administered(db: Session, actor: Actor, folder_id: str) -> Folder | None:
    """A folder that somebody administers: everything a superadmin, the folders of the own domain's projects its administrator."""
    owner = aliased(User)
    query = (
        select(VFolder, owner, Project).outerjoin(owner, owner.id == VFolder.user_id).outerjoin(Project, Project.id == VFolder.project_id)
    )
    query = query.where(VFolder.id == folder_id, VFolder.status.in_(list(NAMED)))
    if not actor.is_superadmin:
        if actor.role is not Role.ADMIN:
            return None
        query = query.where(VFolder.domain == actor.domain, VFolder.ownership_type == OwnershipType.PROJECT)
    row = db.execute(query).first()
    return read_folder(*row) if row else None


def _check_not_oneself(db: Session, actor: Actor, user_id: str) -> None:
    if not actor.is_admin and db.scalars(select(User.id).where(User.name == actor.name)).first() == user_id:
        raise InvalidParameters(N_("This is about yourself. Leave the folder instead."))


def _find_row(db: Session, folder_id: str, user_id: str) -> VFolderPermission:
    row = db.get(VFolderPermission, (folder_id, user_id), with_for_update=True)
    if row is None:
        raise NotFound(NO_SHARE)
    return row


def _delete(db: Session, folder_id: str, user_id: str) -> None:
    mine = and_(VFolderPermission.vfolder_id == folder_id, VFolderPermission.user_id == user_id)
    db.execute(delete(VFolderPermission).where(mine).execution_options(synchronize_session=False))
    cancel_of(db, folder_id, user_id)
    db.flush()
    db.expire_all()


def _find_member(db: Session, folder: Folder, user_id: str) -> User:
    member = select(ProjectMember.user_id).where(ProjectMember.project_id == folder.project_id, ProjectMember.user_id == user_id)
    user = db.scalars(select(User).where(User.id.in_(member))).first()
    if user is None:
        raise NotFound(NO_SHARE)
    return user


def _find_members(db: Session, folder: Folder, text: str) -> Sequence[User]:
    members = select(ProjectMember.user_id).where(ProjectMember.project_id == folder.project_id)
    query = select(User).where(User.id.in_(members), User.status == UserStatus.ACTIVE)
    return db.scalars(query.where(or_(func.lower(User.email) == text.casefold(), User.name == text)).order_by(User.id)).all()


def _override(db: Session, folder: Folder, user: User, permission: Permission) -> None:
    row = db.get(VFolderPermission, (folder.id, user.id))
    if row is None:
        row = VFolderPermission(vfolder_id=folder.id, user_id=user.id, source="override", created_at=now())
        db.add(row)
    row.permission = permission


def _find_share(db: Session, folder: Folder, user_id: str, *, is_lenient: bool = False) -> Share:
    """One person's share. ``is_lenient``: also of who is in the project no more and has an old override."""
    query = _of_people(VFolder.id == folder.id) if is_lenient or not folder.project_id else _of_project(folder)
    row = db.execute(query.where(User.id == user_id)).first()
    if row is None:
        raise NotFound(NO_FOLDER if folder.project_id else NO_SHARE)
    return _read(*row)


def _of_people(*conditions: Any) -> Any:
    """Rows of permissions that people have of their own."""
    owner = aliased(User)
    return (
        select(VFolder, owner.name, User, VFolderPermission)
        .join(VFolderPermission, VFolderPermission.vfolder_id == VFolder.id)
        .join(User, User.id == VFolderPermission.user_id)
        .outerjoin(owner, owner.id == VFolder.user_id)
        .where(*conditions)
        .order_by(VFolder.name, VFolder.id, User.name)
    )


def _of_project(folder: Folder) -> Any:
    """Rows of everybody in the folder's project."""
    owner = aliased(User)
    return (
        select(VFolder, owner.name, User, VFolderPermission)
        .join(ProjectMember, ProjectMember.project_id == VFolder.project_id)
        .join(User, User.id == ProjectMember.user_id)
        .outerjoin(VFolderPermission, and_(VFolderPermission.vfolder_id == VFolder.id, VFolderPermission.user_id == User.id))
        .outerjoin(owner, owner.id == VFolder.user_id)
        .where(VFolder.id == folder.id)
        .order_by(User.name)
    )


def _read(folder: VFolder, owner: str | None, user: User, own: VFolderPermission | None) -> Share:
    return Share(
        folder_id=folder.id,
        folder=folder.name,
        status=folder.status,
        owner=owner or "",
        ownership_type=folder.ownership_type,
        user_id=user.id,
        user=user.name,
        email=user.email,
        permission=own.permission if own else folder.permission,
        source=own.source if own else "project",
        is_active=user.status is UserStatus.ACTIVE,
        has_unix_account=user.posix_uid is not None,
        since=own.created_at if own else None,
    )


def _holding(session: ComputeSession, user: str, mount: SessionMount) -> Holding:
    return Holding(
        session_id=session.id,
        name=session.name or session.server_name,
        user=user,
        queue=session.queue,
        engine=session.engine,
        target=mount.target,
        is_read_only=mount.is_read_only,
        keeps=keeps_after_revocation(session.engine),
    )


def _record(db: Session, actor: Actor, act: str, folder_id: str, details: dict[str, Any]) -> None:
    audit.record(db, actor=actor.name, action=act, object=folder_id, source=actor.source, details=details)
