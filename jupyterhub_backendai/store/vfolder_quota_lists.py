"""Quota scopes for people: one's own with the biggest folders, and those that an administrator looks after, in pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, exists, func, or_, select
from sqlalchemy.orm import Session

from ..core.identity import Actor, Role
from ..core.slots import format_bytes
from ..core.vfolder_quotas import ACCOUNTING, ScopeUsage, parse_owner, parse_scope
from ..core.vfolders import FolderStatus, OwnershipType, quota_scope_of
from ..errors import N_, Forbidden, NotFound
from .models import (
    ComputeSession,
    FolderTask,
    Project,
    ProjectMember,
    ProjectResourcePolicy,
    QuotaScope,
    SessionMount,
    User,
    UserResourcePolicy,
    VFolder,
)
from .records.like import like
from .vfolder_hosts import allowed_hosts
from .vfolder_quotas import NO_SCOPE, describe, list_host_drivers, read_scope
from .vfolders import read_folder

BIGGEST = 5
MORE_THAN_POLICY = N_("You may set at most %(limit)s, which is what the project's resource policy gives.")
SORTS = ("owner", "host", "used", "limit", "percent")
PAGE_SIZE, MAX_PAGE_SIZE = 50, 500


@dataclass(frozen=True, slots=True)
class ScopeQuery:
    """What an administrator looks for; "" is everything. ``sort`` begins with ``-`` for the other direction."""

    text: str = ""
    host: str = ""
    kind: str = ""
    is_limit_set: bool | None = None
    sort: str = "owner"
    page: int = 1
    size: int = PAGE_SIZE


@dataclass(frozen=True, slots=True)
class ScopePage:
    """One page of scopes."""

    scopes: tuple[ScopeUsage, ...]
    total: int
    page: int
    pages: int


def list_own(db: Session, user: str) -> list[ScopeUsage]:
    """What somebody uses: the own scope on every host that they may use or have folders on, then those of their projects that hold any."""
    me = db.scalar(select(User).where(User.name == user))
    if me is None:
        return []
    own = quota_scope_of(OwnershipType.USER, me.id)
    projects = [quota_scope_of(OwnershipType.PROJECT, id_) for id_ in _list_projects(db, me.id)]
    known = {(row.id, row.host): row for row in db.scalars(select(QuotaScope).where(QuotaScope.id.in_([own, *projects])))}
    holding = select(VFolder.quota_scope_id, VFolder.host).where(VFolder.quota_scope_id.in_([own, *projects])).distinct()
    keys: dict[tuple[str, str], None] = dict.fromkeys((own, host) for host in allowed_hosts(db, user))
    keys |= dict.fromkeys([*((row.quota_scope_id, row.host) for row in db.execute(holding)), *known])
    rows = [known.get(key) or QuotaScope(id=key[0], host=key[1], driver="", is_limit_set=False) for key in keys]
    found = sorted(describe(db, rows), key=lambda usage: (usage.id != own, usage.owner, usage.host))
    drivers = list_host_drivers(db)
    return [replace(usage, biggest=list_biggest(db, usage), host_driver=drivers.get(usage.host, "")) for usage in found]


def _list_projects(db: Session, user_id: str) -> Sequence[str]:
    query = select(Project.id).join(ProjectMember, ProjectMember.project_id == Project.id)
    return db.scalars(query.where(ProjectMember.user_id == user_id, Project.is_active.is_(True))).all()


def list_biggest(db: Session, usage: ScopeUsage, limit: int = BIGGEST) -> tuple[Any, ...]:
    """The folders of a scope that hold most, those in the trash among them."""
    query = (
        select(VFolder)
        .where(VFolder.host == usage.host, VFolder.quota_scope_id == usage.id, VFolder.used_bytes > 0)
        .where(VFolder.status != FolderStatus.DELETE_COMPLETE)
        .order_by(VFolder.used_bytes.desc(), VFolder.name)
    )
    return tuple(read_folder(row) for row in db.scalars(query.limit(limit)))


def find_scope_id(db: Session, text: str) -> str:
    """The scope that somebody means by id or name (of a project with its domain). Raises InvalidParameters and NotFound."""
    kind, owner = parse_owner(text)
    query = select(User.id).where(or_(User.id == owner, User.name == owner))
    if kind == OwnershipType.PROJECT.value:
        domain, _, name = owner.partition("/")
        query = select(Project.id).where(or_(Project.id == owner, and_(Project.domain == domain, Project.name == name)))
    found = db.scalars(query).all()
    if not found:
        raise NotFound(NO_SCOPE)
    return f"{kind}:{owner if owner in found else found[0]}"


def find_scope(db: Session, actor: Actor, host: str, scope_id: str) -> ScopeUsage:
    """A scope that an administrator looks after, also one that has no row yet. Raises NotFound."""
    usage = read_scope(db, host, scope_id)
    if not usage.owner or not (actor.role is Role.SUPERADMIN or (actor.role is Role.ADMIN and usage.domain == actor.domain)):
        raise NotFound(NO_SCOPE)
    return replace(usage, biggest=list_biggest(db, usage))


def check_may_set(actor: Actor, usage: ScopeUsage, limit_bytes: int | None, *, is_set: bool = True) -> None:
    """Raises Forbidden: superadmins set every limit, a domain's administrators those of its projects, up to what the policy gives."""
    if actor.role is Role.SUPERADMIN:
        return
    if parse_scope(usage.id)[0] != OwnershipType.PROJECT.value:
        raise Forbidden
    if is_set and usage.policy_bytes is not None and (limit_bytes is None or limit_bytes > usage.policy_bytes):
        raise Forbidden(MORE_THAN_POLICY, limit=format_bytes(usage.policy_bytes))


def list_page(db: Session, actor: Actor, query: ScopeQuery) -> ScopePage:
    """The scopes that an administrator looks after and that fit; a page beyond the last is the last."""
    columns = _Columns()
    wanted = columns.select().where(*columns.conditions(actor, query))
    total = db.scalar(select(func.count()).select_from(wanted.with_only_columns(QuotaScope.id).subquery())) or 0
    size = min(max(1, query.size), MAX_PAGE_SIZE)
    pages = max(1, -(-total // size))
    page = min(max(1, query.page), pages)
    rows = db.scalars(wanted.order_by(*columns.order(query.sort)).offset((page - 1) * size).limit(size)).all()
    return ScopePage(tuple(describe(db, rows)), total, page, pages)


class _Columns:
    """What scopes are chosen and sorted by; :func:`.vfolder_quotas.describe` says the same of the rows of a page."""

    def __init__(self) -> None:
        self._sums = (
            select(VFolder.host, VFolder.quota_scope_id, func.sum(VFolder.used_bytes).label("used"))
            .where(VFolder.status != FolderStatus.DELETE_COMPLETE)
            .group_by(VFolder.host, VFolder.quota_scope_id)
            .subquery()
        )
        policy = func.coalesce(UserResourcePolicy.max_quota_scope_size_bytes, ProjectResourcePolicy.max_quota_scope_size_bytes)
        is_counted = QuotaScope.driver.in_(("", ACCOUNTING))
        self.owner = func.coalesce(User.name, Project.name)
        self.domain = func.coalesce(User.domain, Project.domain)
        self.limit = case((QuotaScope.is_limit_set, QuotaScope.limit_bytes), else_=policy)
        self.used = func.coalesce(case((is_counted, self._sums.c.used), else_=QuotaScope.used_bytes), 0)

    def select(self) -> Any:
        kind, id_ = func.substr(QuotaScope.id, 1, 5), QuotaScope.id
        sums = self._sums.c
        return (
            select(QuotaScope)
            .outerjoin(User, and_(kind == "user:", User.id == func.substr(id_, 6)))
            .outerjoin(UserResourcePolicy, UserResourcePolicy.name == User.resource_policy)
            .outerjoin(Project, and_(kind == "proje", Project.id == func.substr(id_, 9)))
            .outerjoin(ProjectResourcePolicy, ProjectResourcePolicy.name == Project.resource_policy)
            .outerjoin(self._sums, and_(sums.host == QuotaScope.host, sums.quota_scope_id == id_))
        )

    def conditions(self, actor: Actor, query: ScopeQuery) -> list[Any]:
        found: list[Any] = [self.owner.is_not(None)]
        if actor.role is not Role.SUPERADMIN:
            found.append(self.domain == (actor.domain if actor.role is Role.ADMIN else None))
        if query.host:
            found.append(QuotaScope.host == query.host)
        if query.kind:
            found.append(func.substr(QuotaScope.id, 1, len(query.kind) + 1) == f"{query.kind}:")
        if query.is_limit_set is not None:
            found.append(QuotaScope.is_limit_set.is_(query.is_limit_set))
        if query.text:
            pattern = "%" + "".join(f"\\{letter}" if letter in "%_\\" else letter for letter in query.text) + "%"
            found.append(or_(like(User.name, pattern), like(User.email, pattern), like(Project.name, pattern), QuotaScope.id == query.text))
        return found

    def order(self, sort: str) -> list[Any]:
        name, is_down = sort.removeprefix("-"), sort.startswith("-")
        unlimited = case((self.limit.is_(None), 1), else_=0)
        full = self.used * 1.0 / func.nullif(self.limit, 0)
        columns: dict[str, list[Any]] = {
            "owner": [self.owner],
            "host": [QuotaScope.host],
            "used": [self.used],
            "limit": [unlimited, self.limit],
            # one that may hold nothing is as full as can be, one without a limit never is
            "percent": [case((self.limit.is_(None), -1.0), (self.limit == 0, 1e30), else_=full)],
        }
        return [*(column.desc() if is_down else column.asc() for column in columns[name]), self.owner, QuotaScope.host, QuotaScope.id]


def list_due(db: Session, at: datetime, *, every_s: float, live_every_s: float, again_after_s: float, limit: int) -> list[str]:
    """Folders that nobody has measured for so long; ``live_every_s`` is for those that a live session may write to.

    A session that ended since makes its folders due at once. One that was tried less than ``again_after_s`` ago is left in peace.
    """
    writers = (SessionMount.vfolder_id == VFolder.id, SessionMount.is_read_only.is_(False), ComputeSession.id == SessionMount.session_id)
    live, ended = ComputeSession.released_at.is_(None), ComputeSession.released_at > VFolder.measured_at
    tried = (
        FolderTask.vfolder_id == VFolder.id,
        FolderTask.kind == "measure",
        FolderTask.created_at > at - timedelta(seconds=again_after_s),
    )
    query = (
        select(VFolder.id)
        .where(VFolder.status == FolderStatus.READY, ~exists().where(*tried))
        .where(
            or_(
                VFolder.measured_at.is_(None),
                VFolder.measured_at < at - timedelta(seconds=every_s),
                and_(VFolder.measured_at < at - timedelta(seconds=live_every_s), exists().where(*writers, live)),
                exists().where(*writers, ended),
            )
        )
        .order_by(VFolder.measured_at.is_not(None), VFolder.measured_at)
    )
    return list(db.scalars(query.limit(limit)))
