"""Virtual folders in the database: which there are, and what somebody may do with one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.orm import Session, aliased

from ..core.vfolders import READABLE, UPDATABLE, Access, Folder, FolderStatus, OwnershipType, Permission
from ..errors import N_, NotFound
from .models import Project, ProjectMember, User, VFolder, VFolderPermission

NO_FOLDER = N_("There is no such folder, or it is not yours.")


def find_access(db: Session, user: str, folder_id: str, statuses: Iterable[FolderStatus] = READABLE) -> Access:
    """A folder as somebody (by the hub's name) may use it. Raises NotFound for one that is none of theirs, or in another state."""
    found = _list(db, user, VFolder.id == folder_id, statuses)
    if not found:
        raise NotFound(NO_FOLDER)
    return found[0]


def list_access(db: Session, user: str, statuses: Iterable[FolderStatus] = READABLE) -> list[Access]:
    """Every folder that somebody may use: their own, those they were invited to, those of their projects; by name."""
    return _list(db, user, None, statuses)


def list_mountable(db: Session, user: str, named: Collection[str]) -> list[Access]:
    """What a session of somebody's may need to know: the folders of these names or ids, and those that mount by themselves."""
    condition = VFolder.name.startswith(".", autoescape=True)
    if named:
        condition = or_(condition, VFolder.name.in_(named), VFolder.id.in_(named))
    return _list(db, user, condition, READABLE)


def list_choices(db: Session, user: str, project_id: str, text: str = "", limit: int = 100) -> list[Access]:
    """Folders to choose from for a session of a project, those that were used last first. ``text`` is a part of their names."""
    me = db.scalar(select(User).where(User.name == user))
    if me is None:
        return []
    query = _select(me.id).where(VFolder.status.in_(UPDATABLE), ~VFolder.name.startswith(".", autoescape=True))
    query = query.where(or_(VFolder.project_id.is_(None), VFolder.project_id == project_id))
    query = query.where(VFolder.name.icontains(text, autoescape=True)) if text else query
    query = query.order_by(VFolder.last_used_at.is_(None), VFolder.last_used_at.desc(), VFolder.name, VFolder.id).limit(limit)
    return [build_access(row, owner, project, own, me) for row, owner, project, own in db.execute(query)]


def _list(db: Session, user: str, condition: Any, statuses: Iterable[FolderStatus]) -> list[Access]:
    me = db.scalar(select(User).where(User.name == user))
    if me is None:
        return []
    query = _select(me.id).where(VFolder.status.in_(list(statuses)))
    if condition is not None:
        query = query.where(condition)
    return [build_access(row, owner, project, own, me) for row, owner, project, own in db.execute(query.order_by(VFolder.name, VFolder.id))]


def select_projects(user_id: str) -> Any:
    """The ids of the active projects that somebody is in."""
    active = and_(Project.id == ProjectMember.project_id, Project.is_active.is_(True))
    return select(ProjectMember.project_id).join(Project, active).where(ProjectMember.user_id == user_id)


def _select(user_id: str) -> Any:
    """Rows with owner, project and the person's own permission, of every folder that the person may use."""
    owner = aliased(User)
    may_use = or_(VFolder.user_id == user_id, VFolderPermission.source == "invitation", VFolder.project_id.in_(select_projects(user_id)))
    return (
        select(VFolder, owner, Project, VFolderPermission)
        .outerjoin(owner, owner.id == VFolder.user_id)
        .outerjoin(Project, Project.id == VFolder.project_id)
        .outerjoin(VFolderPermission, and_(VFolderPermission.vfolder_id == VFolder.id, VFolderPermission.user_id == user_id))
        .where(may_use)
    )


def build_access(row: VFolder, owner: User | None, project: Project | None, own: VFolderPermission | None, me: User) -> Access:
    """A row as somebody meets it who may use it; ``own`` is what they were given."""
    folder = read_folder(row, owner, project)
    if row.user_id == me.id:
        return Access(folder, Permission.READ_WRITE_DELETE, "owner")
    if row.ownership_type is OwnershipType.PROJECT:
        return Access(folder, own.permission if own else row.permission, "project")
    return Access(folder, own.permission if own else Permission.READ_ONLY, "invitation")


def read_folder(row: VFolder, owner: User | None = None, project: Project | None = None) -> Folder:
    """A row as what the rest of the program knows."""
    same = (
        "id",
        "name",
        "host",
        "quota_scope_id",
        "status",
        "usage_mode",
        "ownership_type",
        "permission",
        "domain",
        "creator",
        "cloneable",
    )
    more = ("created_at", "status_changed_at", "last_used_at", "used_bytes", "used_files", "measured_at", "status_reason")
    return Folder(
        **{name: getattr(row, name) for name in (*same, *more)},
        user_id=row.user_id or "",
        user=owner.name if owner else "",
        user_email=owner.email if owner else "",
        project_id=row.project_id or "",
        project=project.name if project else "",
    )
