"""Quota scopes in the database: limits, use, and the room that uploads and copies under way hold.

What holds room is a row that is there anyway: an upload (``uploads``) or a copy (``folder_tasks``). So :func:`reserve` locks the scope and
says whether more fits, its caller adds that row in the same transaction, and the room is free again when the row is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from ..core.files import Usage
from ..core.vfolder_quotas import ACCOUNTING, KERNEL_DRIVERS, ScopeUsage, applied_limit, check_room
from ..core.vfolders import FolderStatus
from ..errors import N_, NotFound
from . import folder_tasks
from .models import (
    FolderTask,
    Project,
    ProjectResourcePolicy,
    QuotaScope,
    StorageHost,
    Upload,
    User,
    UserResourcePolicy,
    VFolder,
    now,
)


class Reading(NamedTuple):
    """What a kernel says of one scope."""

    used: int
    files: int | None
    limit: int | None = None


NO_SCOPE = N_("There is no such quota scope.")
KEEP_S = 600.0
_LIVE_TASKS = ("pending", "running")


def ensure_scope(db: Session, host: str, scope_id: str) -> None:
    """Have the row of a scope; one that is there stays as it is."""
    insert = postgresql.insert if db.get_bind().dialect.name == "postgresql" else sqlite.insert
    row = {"host": host, "id": scope_id, "driver": "", "is_limit_set": False, "created_at": now()}
    db.execute(insert(QuotaScope).values(row).on_conflict_do_nothing())


def lock_scope(db: Session, host: str, scope_id: str) -> ScopeUsage:
    """A scope that nobody else reserves in before this transaction ends (use it exclusively); made where it is missing."""
    ensure_scope(db, host, scope_id)
    db.execute(select(QuotaScope.id).where(QuotaScope.host == host, QuotaScope.id == scope_id).with_for_update())
    return read_scope(db, host, scope_id)


def reserve(db: Session, folder_id: str, wanted_bytes: int) -> ScopeUsage:
    """Whether so much more fits into a folder's scope, exactly (use it exclusively). Raises StorageFull with numbers, or NotFound.

    Add the row that holds the room (an :class:`Upload` of that size, or a clone's task with ``total_bytes``) in the same transaction.
    The room is released by deleting the row, or by :func:`settle` when the bytes have arrived.
    """
    found = db.execute(select(VFolder.host, VFolder.quota_scope_id).where(VFolder.id == folder_id)).first()
    if found is None:
        raise NotFound
    return reserve_in(db, found.host, found.quota_scope_id, wanted_bytes)


def reserve_in(db: Session, host: str, scope_id: str, wanted_bytes: int) -> ScopeUsage:
    """:func:`reserve` for a folder that is yet to be made."""
    usage = lock_scope(db, host, scope_id)
    check_room(usage, wanted_bytes)
    return usage


def settle(db: Session, folder_id: str, added_bytes: int, added_files: int = 0) -> None:
    """Count what arrived in (or, negative, went from) a folder, at once; call it where the row that held the room is deleted.

    The next measuring puts right whatever this does not know, such as the size of a file that was replaced.
    """
    row = db.execute(select(VFolder.host, VFolder.quota_scope_id).where(VFolder.id == folder_id)).first()
    if row is None:
        return
    for table, where in (
        (VFolder, (VFolder.id == folder_id,)),
        (QuotaScope, (QuotaScope.host == row.host, QuotaScope.id == row.quota_scope_id)),
    ):
        used, files = func.coalesce(table.used_bytes, 0) + added_bytes, func.coalesce(table.used_files, 0) + added_files
        greatest = func.greatest if db.get_bind().dialect.name == "postgresql" else func.max
        db.execute(update(table).where(*where).values(used_bytes=greatest(used, 0), used_files=greatest(files, 0)))


def read_scope(db: Session, host: str, scope_id: str) -> ScopeUsage:
    """One scope as it stands; one without a row has nothing in it and the policy's limit."""
    found = db.get(QuotaScope, (host, scope_id), populate_existing=True)
    row = found or QuotaScope(host=host, id=scope_id, driver="", is_limit_set=False)
    return describe(db, [row])[0]


def describe(db: Session, rows: Iterable[QuotaScope]) -> list[ScopeUsage]:
    """Rows with owner, policy, use and reservations; a handful of queries however many there are."""
    rows = list(rows)
    keys = {(row.host, row.id) for row in rows}
    owners, folders = _owners(db, {row.id for row in rows}), _folders(db, keys)
    held = _held(db, keys)
    return [_describe(row, owners.get(row.id), folders.get((row.host, row.id)), held.get((row.host, row.id), (0, 0))) for row in rows]


def _describe(row: QuotaScope, owner: Any, folders: Any, held: tuple[int, int]) -> ScopeUsage:
    policy = owner.policy_bytes if owner else None
    is_counted = row.driver in ("", ACCOUNTING)
    used, files = row.used_bytes, row.used_files
    if is_counted and folders:
        used, files = folders.used_bytes, folders.used_files
    return ScopeUsage(
        host=row.host,
        id=row.id,
        owner=owner.name if owner else "",
        domain=owner.domain if owner else "",
        driver=row.driver,
        limit_bytes=row.limit_bytes if row.is_limit_set else policy,
        policy_bytes=policy,
        is_limit_set=row.is_limit_set,
        used_bytes=None if used is None else int(used),
        used_files=None if files is None else int(files),
        # What has arrived of an upload is in the kernel's count already; our own counts whole files.
        reserved_bytes=held[0] if is_counted else held[1],
        folders=folders.folders if folders else 0,
        measured_bytes=int(folders.used_bytes) if folders and folders.used_bytes is not None else None,
        measured_at=folders.measured_at if is_counted and folders else row.measured_at,
    )


def _owners(db: Session, ids: set[str]) -> dict[str, Any]:
    """Name, domain and policy's limit by scope id."""
    found: dict[str, Any] = {}
    users = [scope_id.partition(":")[2] for scope_id in ids if scope_id.startswith("user:")]
    projects = [scope_id.partition(":")[2] for scope_id in ids if scope_id.startswith("project:")]
    if users:
        limit = UserResourcePolicy.max_quota_scope_size_bytes.label("policy_bytes")
        query = select(User.id, User.name, User.domain, limit).join(UserResourcePolicy, UserResourcePolicy.name == User.resource_policy)
        found |= {f"user:{row.id}": row for row in db.execute(query.where(User.id.in_(users)))}
    if projects:
        limit = ProjectResourcePolicy.max_quota_scope_size_bytes.label("policy_bytes")
        policies = select(Project.id, Project.name, Project.domain, limit)
        policies = policies.join(ProjectResourcePolicy, ProjectResourcePolicy.name == Project.resource_policy)
        found |= {f"project:{row.id}": row for row in db.execute(policies.where(Project.id.in_(projects)))}
    return found


def _folders(db: Session, keys: set[tuple[str, str]]) -> dict[tuple[str, str], Any]:
    """What the folders of each scope hold together, the trash and what is being deleted included."""
    query = (
        select(
            VFolder.host,
            VFolder.quota_scope_id,
            func.count().label("folders"),
            func.sum(VFolder.used_bytes).label("used_bytes"),
            func.sum(VFolder.used_files).label("used_files"),
            func.min(VFolder.measured_at).label("measured_at"),
        )
        .where(VFolder.status != FolderStatus.DELETE_COMPLETE, VFolder.quota_scope_id.in_({key[1] for key in keys}))
        .group_by(VFolder.host, VFolder.quota_scope_id)
    )
    return {(row.host, row.quota_scope_id): row for row in db.execute(query)}


def _held(db: Session, keys: set[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, int]]:
    """What uploads and copies under way hold in each scope: whole, and without what has arrived already."""
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for query in (_select_uploads(), _select_copies()):
        for host, scope_id, whole, rest in db.execute(query.where(VFolder.quota_scope_id.in_({key[1] for key in keys}))):
            before = found.get((host, scope_id), (0, 0))
            found[(host, scope_id)] = (before[0] + int(whole or 0), before[1] + int(rest or 0))
    return found


def _select_uploads() -> Any:
    sums = (func.sum(Upload.size_bytes), func.sum(Upload.size_bytes - Upload.received_bytes))
    return select(VFolder.host, VFolder.quota_scope_id, *sums).join(Upload, Upload.vfolder_id == VFolder.id).group_by(*_KEY)


def _select_copies() -> Any:
    total = func.coalesce(FolderTask.total_bytes, 0)
    query = select(VFolder.host, VFolder.quota_scope_id, func.sum(total), func.sum(total - FolderTask.done_bytes))
    query = query.join(FolderTask, FolderTask.vfolder_id == VFolder.id)
    return query.where(FolderTask.kind == "clone", FolderTask.status.in_(_LIVE_TASKS)).group_by(*_KEY)


_KEY = (VFolder.host, VFolder.quota_scope_id)


def set_limit(db: Session, host: str, scope_id: str, limit_bytes: int | None, *, is_set: bool = True) -> ScopeUsage:
    """An administrator's limit for a scope (None is none), or with ``is_set`` False the policy's again. Raises NotFound."""
    if db.get(StorageHost, host) is None or scope_id not in _owners(db, {scope_id}):
        raise NotFound(NO_SCOPE)
    lock_scope(db, host, scope_id)
    changed = update(QuotaScope).where(QuotaScope.host == host, QuotaScope.id == scope_id)
    db.execute(changed.values(limit_bytes=limit_bytes if is_set else None, is_limit_set=is_set))
    return read_scope(db, host, scope_id)


def set_driver(db: Session, host: str, scope_id: str, driver: str) -> None:
    """Keep who enforces the limit of a scope."""
    ensure_scope(db, host, scope_id)
    db.execute(update(QuotaScope).where(QuotaScope.host == host, QuotaScope.id == scope_id).values(driver=driver))


def set_applied(db: Session, host: str, scope_id: str, applied_bytes: int) -> None:
    """Keep what the kernel was told; 0 is no limit."""
    db.execute(update(QuotaScope).where(QuotaScope.host == host, QuotaScope.id == scope_id).values(applied_bytes=applied_bytes))


def set_measured(db: Session, folder_id: str, usage: Usage, seen_bytes: int | None, at: datetime) -> bool:
    """Keep what a measuring of a folder found; ``seen_bytes`` is its ``used_bytes`` when the measuring began.

    What :func:`settle` counted in the meantime is added, because the measuring may have passed before it. Then the number may be too
    large, and the answer is False: measure again.
    """
    row = db.get(VFolder, folder_id, with_for_update={"key_share": True}, populate_existing=True)
    if row is None:
        return True
    meanwhile = (row.used_bytes or 0) - (seen_bytes or 0)
    row.used_bytes, row.used_files, row.measured_at = usage.size + max(meanwhile, 0), usage.files, at
    return meanwhile == 0


def list_host_drivers(db: Session) -> dict[str, str]:
    """Who enforces the newest scope of each host, and so probably the next one's."""
    query = select(QuotaScope.host, QuotaScope.driver).where(QuotaScope.driver != "").order_by(QuotaScope.created_at)
    return {host: driver for host, driver in db.execute(query)}  # noqa: C416 - rows are no pairs to a type checker


def list_enforced(db: Session, host: str) -> list[QuotaScope]:
    """The scopes of a host that a kernel limits."""
    return list(
        db.scalars(select(QuotaScope).where(QuotaScope.host == host, QuotaScope.driver.in_(KERNEL_DRIVERS)).order_by(QuotaScope.id))
    )


def list_wanted(db: Session, host: str) -> dict[str, int]:
    """What the kernel is yet to be told, by scope."""
    rows = list_enforced(db, host)
    wanted: dict[str, int] = {}
    for start in range(0, len(rows), 500):
        part = rows[start : start + 500]
        for row, usage in zip(part, describe(db, part), strict=True):
            if usage.owner and row.applied_bytes != applied_limit(usage.limit_bytes):
                wanted[row.id] = applied_limit(usage.limit_bytes)
    return wanted


def keep_readings(db: Session, host: str, readings: Mapping[str, Reading], at: datetime) -> None:
    """Keep what the kernel says is used, by scope. A limit that somebody changed behind our back is told anew."""
    known = db.scalars(select(QuotaScope).where(QuotaScope.host == host, QuotaScope.id.in_(list(readings))))
    old = at - timedelta(seconds=KEEP_S)
    for row in known:
        found = readings[row.id]
        # thousands that did not change are not written every minute
        if (row.used_bytes, row.used_files) != found[:2] or row.measured_at is None or row.measured_at < old:
            row.used_bytes, row.used_files, row.measured_at = found.used, found.files, at
        if found.limit is not None and row.applied_bytes not in (None, found.limit):
            row.applied_bytes = None


def forget_scopes(db: Session, *, host: str = "", scope_id: str = "") -> None:
    """The scopes of a host, or of an owner, that has no folder any more."""
    query = delete(QuotaScope)
    db.execute(query.where(QuotaScope.host == host) if host else query.where(QuotaScope.id == scope_id))


def want_measured(db: Session, folder_id: str, delay_s: float = 3.0) -> None:
    """Have a folder measured soon (use it exclusively); who deletes a hundred things one by one has it measured once."""
    if is_measurable(db, folder_id):
        folder_tasks.add(db, "measure", folder_id, not_before=now() + timedelta(seconds=delay_s))


def is_measurable(db: Session, folder_id: str) -> bool:
    """Whether somebody may look into a folder now; nobody passes the gate of one in the trash."""
    return db.scalar(select(VFolder.status).where(VFolder.id == folder_id)) in (FolderStatus.READY, FolderStatus.MOUNTED)
