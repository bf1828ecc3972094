"""Lists of folders for programs and administrators: filtered, sorted and cut into pages by the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select
from sqlalchemy.orm import Session, aliased

from ..core.identity import Role
from ..core.vfolders import GONE, IN_TRASH, Access, FolderStatus, OwnershipType, Permission, UsageMode
from ..errors import NotFound
from .models import Project, User, VFolder, VFolderPermission
from .records.like import like
from .vfolders import build_access, read_folder, select_projects

SORTS = ("name", "host", "status", "usage_mode", "ownership_type", "owner", "created_at", "last_used_at", "used_bytes")
MAX_SIZE = 500
_Owner = aliased(User)


@dataclass(frozen=True, slots=True)
class FolderFilter:
    """What is wanted; "" is everything. ``trash`` shows what is in the trash instead of the rest. Pages count from 1."""

    search: str = ""
    host: str = ""
    status: str = ""
    usage_mode: str = ""
    ownership_type: str = ""
    quota_scope_id: str = ""
    owner: str = ""
    trash: bool = False
    sort: str = "name"
    page: int = 1
    size: int = 100


@dataclass(frozen=True, slots=True)
class FolderList:
    """A page, and how many there are in all."""

    folders: tuple[Access, ...]
    total: int
    page: int
    pages: int


def list_mine(db: Session, user: str, wanted: FolderFilter) -> FolderList:
    """What somebody may use: their own, those they were invited to, those of their projects. Of the trash only their own."""
    me = db.scalar(select(User).where(User.name == user))
    if me is None:
        return FolderList((), 0, 1, 1)
    mine = VFolder.user_id == me.id
    if not wanted.trash:
        mine = or_(mine, VFolderPermission.source == "invitation", VFolder.project_id.in_(select_projects(me.id)))
    return _list(db, me, mine, wanted)


def list_everybody(db: Session, user: str, wanted: FolderFilter) -> FolderList:
    """What an administrator manages: the folders of the domain's projects, of everybody for superadmins. Raises NotFound for others."""
    me = db.scalar(select(User).where(User.name == user))
    if me is None or me.role is Role.USER:
        raise NotFound
    everything = VFolder.id.is_not(None)
    own = everything if me.role is Role.SUPERADMIN else and_(VFolder.ownership_type == OwnershipType.PROJECT, VFolder.domain == me.domain)
    return _list(db, me, own, wanted)


def _list(db: Session, me: User, mine: ColumnElement[bool], wanted: FolderFilter) -> FolderList:
    query: Any = (
        select(VFolder, _Owner, Project, VFolderPermission)
        .outerjoin(_Owner, _Owner.id == VFolder.user_id)
        .outerjoin(Project, Project.id == VFolder.project_id)
        .outerjoin(VFolderPermission, and_(VFolderPermission.vfolder_id == VFolder.id, VFolderPermission.user_id == me.id))
        .where(mine, *_conditions(wanted))
    )
    total = db.scalar(query.with_only_columns(func.count())) or 0
    size = min(max(1, wanted.size), MAX_SIZE)
    pages = max(1, -(-total // size))
    page = min(max(1, wanted.page), pages)
    rows = db.execute(query.order_by(*_order(wanted.sort)).offset((page - 1) * size).limit(size)).all()
    return FolderList(tuple(_read(me, *row) for row in rows), total, page, pages)


def _read(me: User, row: VFolder, owner: User | None, project: Project | None, own: VFolderPermission | None) -> Access:
    is_member = row.project_id is not None
    if row.user_id == me.id or own is not None or is_member:
        return build_access(row, owner, project, own, me)
    return Access(read_folder(row, owner, project), Permission.READ_WRITE_DELETE, "administrator")


def _conditions(wanted: FolderFilter) -> list[ColumnElement[bool]]:
    trash = IN_TRASH | {FolderStatus.DELETE_ONGOING}
    found: list[ColumnElement[bool]] = [VFolder.status.in_(trash) if wanted.trash else VFolder.status.not_in(IN_TRASH | GONE)]
    if wanted.search:
        pattern = "%" + wanted.search.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        found.append(or_(like(VFolder.name, pattern), VFolder.id == wanted.search.replace("-", "").lower()))
    if wanted.owner:
        found.append(or_(_Owner.name == wanted.owner, _Owner.email == wanted.owner, Project.name == wanted.owner))
    texts = {VFolder.host: wanted.host, VFolder.quota_scope_id: wanted.quota_scope_id}
    found += [column == text for column, text in texts.items() if text]
    if wanted.status:
        found.append(VFolder.status == FolderStatus(wanted.status))
    if wanted.usage_mode:
        found.append(VFolder.usage_mode == UsageMode(wanted.usage_mode))
    if wanted.ownership_type:
        found.append(VFolder.ownership_type == OwnershipType(wanted.ownership_type))
    return found


def _order(sort: str) -> tuple[Any, ...]:
    name = sort.removeprefix("-")
    column: Any = func.coalesce(_Owner.name, Project.name) if name == "owner" else getattr(VFolder, name)
    if name in ("last_used_at", "used_bytes"):  # what nobody knows yet comes last, on both databases
        nulls = column.is_(None)
        return nulls, column.desc() if sort.startswith("-") else column, VFolder.id
    return (column.desc(), VFolder.id.desc()) if sort.startswith("-") else (column, VFolder.id)
