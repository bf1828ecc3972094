"""Folders as the page lists them: one person's, by tab and filters, in pages; ten thousand of them cost no more than fifty."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select, and_, case, func, literal, or_, select
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.elements import ColumnElement

from ..core.vfolders import GONE, Access, FolderStatus, InvitationState, OwnershipType, Permission, UsageMode
from .models import (
    ComputeSession,
    Project,
    SessionMount,
    User,
    UserResourcePolicy,
    VFolder,
    VFolderInvitation,
    VFolderPermission,
)
from .records.like import like
from .vfolders import read_folder, select_projects

GENERAL, AUTOMOUNT, MODELS, PROJECT, INVITED, TRASH = TABS = ("general", "automount", "models", "project", "invited", "trash")
SORTS = ("name", "host", "type", "permission", "use", "created")
PAGE_SIZE, MAX_PAGE_SIZE = 50, 500
# What is shown among the others, and what stands in the trash until the last of it is gone.
USABLE = (FolderStatus.READY, FolderStatus.PERFORMING, FolderStatus.CLONING, FolderStatus.MOUNTED, FolderStatus.ERROR)
THROWN = (FolderStatus.DELETE_PENDING, FolderStatus.DELETE_ERROR, FolderStatus.DELETE_ONGOING)


@dataclass(frozen=True, slots=True)
class FolderQuery:
    """What somebody looks for; "" is everything. ``sort`` begins with ``-`` for the other direction."""

    tab: str = GENERAL
    text: str = ""
    host: str = ""
    type: str = ""
    permission: str = ""
    sort: str = "name"
    page: int = 1
    size: int = PAGE_SIZE


@dataclass(frozen=True, slots=True)
class Marks:
    """How many people a folder is shared with, how many are asked, and how many live sessions have it."""

    shares: int = 0
    invitations: int = 0
    sessions: int = 0


@dataclass(frozen=True, slots=True)
class FolderPage:
    """One page. ``counts`` says how many are in each tab, whatever is filtered; ``hosts`` are all that the person's folders are on."""

    folders: tuple[Access, ...]
    total: int
    page: int
    pages: int
    counts: Mapping[str, int] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    marks: Mapping[str, Marks] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FolderCounts:
    """How many folders somebody has, those in the trash included, of the most that they may have (None: as many as they like)."""

    own: int = 0
    most: int | None = None
    project: int = 0
    invited: int = 0


_Owner, _Own = aliased(User), VFolderPermission


def list_page(db: Session, user: str, query: FolderQuery) -> FolderPage:
    """A person's folders that fit; a page beyond the last is the last."""
    me = db.scalar(select(User).where(User.name == user))
    if me is None:
        return FolderPage((), 0, 1, 1)
    found = _select(me.id)
    counts = dict(zip(TABS, db.execute(found.with_only_columns(*(_count(_of_tab(tab)) for tab in TABS))).one(), strict=True))
    wanted = found.where(_of_tab(query.tab), *_conditions(query, me.id))
    total = db.scalar(wanted.with_only_columns(func.count())) or 0
    size = min(max(1, query.size), MAX_PAGE_SIZE)
    pages = max(1, -(-total // size))
    page = min(max(1, query.page), pages)
    rows = db.execute(wanted.order_by(*_order(query.sort, me.id)).offset((page - 1) * size).limit(size)).all()
    folders = tuple(_access(me.id, row, owner, project, own) for row, owner, project, own in rows)
    hosts = tuple(db.scalars(found.with_only_columns(VFolder.host).distinct().order_by(VFolder.host)))
    return FolderPage(folders, total, page, pages, counts, hosts, load_marks(db, [access.folder.id for access in folders]))


def count_folders(db: Session, user: str) -> FolderCounts:
    """How many folders a person has and may have, and how many of others they see."""
    me = db.scalar(select(User).where(User.name == user))
    if me is None:
        return FolderCounts()
    most = db.scalar(select(UserResourcePolicy.max_vfolder_count).where(UserResourcePolicy.name == me.resource_policy))
    own = db.scalar(select(func.count()).select_from(VFolder).where(VFolder.user_id == me.id, VFolder.status.not_in(GONE))) or 0
    project, invited = db.execute(_select(me.id).with_only_columns(_count(_of_tab(PROJECT)), _count(_of_tab(INVITED)))).one()
    return FolderCounts(own, most, project, invited)


def load_marks(db: Session, ids: Sequence[str]) -> dict[str, Marks]:
    """What is worth a mark beside these folders, by id."""
    shares = select(_Own.vfolder_id, func.count()).where(_Own.vfolder_id.in_(ids), _Own.source == "invitation").group_by(_Own.vfolder_id)
    asked = (
        select(VFolderInvitation.vfolder_id, func.count())
        .where(VFolderInvitation.vfolder_id.in_(ids), VFolderInvitation.state == InvitationState.PENDING)
        .group_by(VFolderInvitation.vfolder_id)
    )
    sessions = (
        select(SessionMount.vfolder_id, func.count(SessionMount.session_id.distinct()))
        .join(ComputeSession, ComputeSession.id == SessionMount.session_id)
        .where(SessionMount.vfolder_id.in_(ids), ComputeSession.released_at.is_(None))
        .group_by(SessionMount.vfolder_id)
    )
    by_kind: list[dict[str, int]] = [dict(db.execute(query).all()) for query in (shares, asked, sessions)]
    return {id_: Marks(*(counts.get(id_, 0) for counts in by_kind)) for id_ in ids}


def _select(user_id: str) -> Select[VFolder, User, Project, VFolderPermission]:
    """Every folder that a person may use, with its owner, its project and what the person was given."""
    return (
        select(VFolder, _Owner, Project, _Own)
        .outerjoin(_Owner, _Owner.id == VFolder.user_id)
        .outerjoin(Project, Project.id == VFolder.project_id)
        .outerjoin(_Own, and_(_Own.vfolder_id == VFolder.id, _Own.user_id == user_id))
        .where(or_(VFolder.user_id == user_id, _Own.source == "invitation", VFolder.project_id.in_(select_projects(user_id))))
        # what somebody else threw away is away
        .where(or_(VFolder.status.in_(USABLE), and_(VFolder.status.in_(THROWN), VFolder.user_id == user_id)))
    )


def _of_tab(tab: str) -> ColumnElement[bool]:
    is_dotted, is_model = VFolder.name.like(".%"), VFolder.usage_mode == UsageMode.MODEL
    usable = VFolder.status.in_(USABLE)
    return {
        GENERAL: and_(usable, ~is_dotted, ~is_model),
        AUTOMOUNT: and_(usable, is_dotted),
        MODELS: and_(usable, is_model, ~is_dotted),
        PROJECT: and_(usable, VFolder.ownership_type == OwnershipType.PROJECT),
        INVITED: and_(usable, VFolder.ownership_type == OwnershipType.USER, _Own.source == "invitation"),
        TRASH: VFolder.status.in_(THROWN),
    }[tab]


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _conditions(query: FolderQuery, user_id: str) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if query.host:
        found.append(VFolder.host == query.host)
    if query.type:
        found.append(VFolder.ownership_type == OwnershipType(query.type))
    if query.permission:
        found.append(_permission(user_id) == Permission(query.permission))
    if query.text:
        pattern = "%" + re.sub(r"([%_\\])", r"\\\1", query.text) + "%"
        found.append(or_(like(VFolder.name, pattern), like(Project.name, pattern), like(_Owner.name, pattern), VFolder.id == query.text))
    return found


def _permission(user_id: str) -> ColumnElement[Permission]:
    owner = literal(Permission.READ_WRITE_DELETE, VFolder.permission.type)
    return case((VFolder.user_id == user_id, owner), else_=func.coalesce(_Own.permission, VFolder.permission))


def _order(sort: str, user_id: str) -> list[Any]:
    name = sort.removeprefix("-")
    column: Any = {
        "host": VFolder.host,
        "type": VFolder.ownership_type,
        "permission": _permission(user_id),
        "use": func.coalesce(VFolder.used_bytes, -1),
        "created": VFolder.created_at,
    }.get(name, func.lower(VFolder.name))
    return [column.desc() if sort.startswith("-") else column.asc(), VFolder.name.asc(), VFolder.id.asc()]


def _access(user_id: str, row: VFolder, owner: User | None, project: Project | None, own: VFolderPermission | None) -> Access:
    folder = read_folder(row, owner, project)
    if row.user_id == user_id:
        return Access(folder, Permission.READ_WRITE_DELETE, "owner")
    source = "project" if row.ownership_type is OwnershipType.PROJECT else "invitation"
    return Access(folder, own.permission if own else row.permission, source)
