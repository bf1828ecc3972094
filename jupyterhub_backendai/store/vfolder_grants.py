"""Which Unix accounts may use a folder's files now: what its gate on disk has to say."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from ..core.vfolders import GONE, IN_TRASH, Grant, OwnershipType, Permission
from .models import Domain, Project, ProjectMember, User, UserStatus, VFolder, VFolderPermission


def list_grants(db: Session, folder_id: str) -> list[Grant]:
    """Owner, invited people and members of the project who are active and have a Unix account; nobody while it is in the trash.

    One account that several people have gets the most that any of them has. In the order of uids.
    """
    folder = db.get(VFolder, folder_id)
    if folder is None or folder.status in IN_TRASH | GONE:
        return []
    found: dict[int, Grant] = {}
    for user_id, uid, gid, own in db.execute(_select_people(folder)):
        grant = _make_grant(folder, user_id, uid, gid, own)
        known = found.get(uid)
        if known is None or _ORDER.index(grant.permission) > _ORDER.index(known.permission):
            found[uid] = grant
    return [found[uid] for uid in sorted(found)]


_ORDER = list(Permission)


def _make_grant(folder: VFolder, user_id: str, uid: int, gid: int | None, own: Permission | None) -> Grant:
    if user_id == folder.user_id:
        return Grant(uid, Permission.READ_WRITE_DELETE, -1 if gid is None else gid, is_owner=True)
    return Grant(uid, own or folder.permission, -1 if gid is None else gid)


def _select_people(folder: VFolder) -> Any:
    """(id, uid, gid, the permission of their own if any) of everybody who may use it."""
    query: Any = (
        select(User.id, User.posix_uid, User.posix_gid, VFolderPermission.permission)
        .join(Domain, Domain.name == User.domain)
        .outerjoin(VFolderPermission, and_(VFolderPermission.user_id == User.id, VFolderPermission.vfolder_id == folder.id))
        .where(User.status == UserStatus.ACTIVE, Domain.is_active.is_(True), User.posix_uid.is_not(None))
    )
    if folder.ownership_type is OwnershipType.PROJECT:
        members = select(ProjectMember.user_id).join(Project).where(Project.id == folder.project_id, Project.is_active.is_(True))
        return query.where(User.id.in_(members))
    return query.where((User.id == folder.user_id) | (VFolderPermission.source == "invitation"))
