"""Making, changing and ending virtual folders. Each function is one transaction with an audit row; use them exclusively."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from ..core.vfolders import (
    DELETABLE,
    IN_TRASH,
    UPDATABLE,
    Folder,
    FolderStatus,
    HostPermission,
    OwnershipType,
    Permission,
    UsageMode,
    check_name,
    quota_scope_of,
)
from ..errors import N_, Conflict, Forbidden, InvalidParameters, NotFound, Violation
from . import audit, folder_tasks, vfolder_quotas
from .models import FolderTask, VFolder, new_id
from .vfolder_hosts import check_host
from .vfolder_rules import (
    check_count,
    check_free,
    check_mode,
    check_unshared,
    choose_host,
    count_mounting,
    find_any,
    lock_managed,
    lock_person,
    lock_project,
    set_status,
)
from .vfolders import NO_FOLDER, find_access, read_folder


@dataclass(frozen=True, slots=True)
class NewFolder:
    """What somebody wants to make. ``project`` is an id, or the name of a project of the person's domain; "" makes a folder of one's own.

    ``host`` "" is the first one where it may be made.
    """

    name: str
    host: str = ""
    project: str = ""
    usage_mode: UsageMode = UsageMode.GENERAL
    permission: Permission = Permission.READ_WRITE
    cloneable: bool = False
    id: str = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class Act:
    """Who does something, by the hub's name, and from where."""

    user: str
    source: str = ""


def create(db: Session, act: Act, new: NewFolder) -> Folder:
    """A new folder that has no directory yet: its status is ``performing`` until :func:`finish_making`.

    Raises InvalidParameters (its name), NotFound (host, project), Forbidden (permission of the host; a project's without being its
    administrator), QuotaExceeded (number of folders), AlreadyExists.
    """
    ownership = OwnershipType.PROJECT if new.project else OwnershipType.USER
    if found := check_name(new.name, new.usage_mode, ownership):
        raise InvalidParameters(violations=found)
    me = lock_person(db, act.user)
    project = lock_project(db, me, new.project) if new.project else None
    host = choose_host(db, me, new.host, project)
    check_mode(new.usage_mode, project)
    check_count(db, me, project)
    check_free(db, new.name, me.id, project.id if project else "")
    row = VFolder(
        id=new.id,
        name=new.name,
        host=host,
        quota_scope_id=quota_scope_of(ownership, project.id if project else me.id),
        domain=project.domain if project else me.domain,
        ownership_type=ownership,
        user_id=None if project else me.id,
        project_id=project.id if project else None,
        creator=me.name,
        usage_mode=new.usage_mode,
        permission=new.permission,
        cloneable=new.cloneable,
        status=FolderStatus.PERFORMING,
    )
    db.add(row)
    db.flush()
    return read_folder(row, None if project else me, project)


def finish_making(db: Session, act: Act, folder_id: str) -> None:
    """The directory of a new folder is there. A folder that was given up meanwhile stays so."""
    row = db.get(VFolder, folder_id, with_for_update=True)
    if row is not None and row.status is FolderStatus.PERFORMING:
        set_status(row, FolderStatus.READY)
        details = {"name": row.name, "host": row.host, "quota_scope": row.quota_scope_id}
        record(db, act, "vfolder.create", row, **details)


def give_up_making(db: Session, folder_id: str) -> None:
    """The directory of a new folder cannot be made: there is no such folder."""
    row = db.get(VFolder, folder_id, with_for_update=True)
    if row is not None and row.status is FolderStatus.PERFORMING:
        audit.record(db, actor=row.creator, action="vfolder.give-up", object=row.id, details={"name": row.name, "host": row.host})
        db.delete(row)


def rename(db: Session, act: Act, folder_id: str, name: str) -> Folder:
    """Give a folder another name. Raises as :func:`create` and :func:`lock_managed`."""
    me, access, row = lock_managed(db, act.user, folder_id, UPDATABLE)
    if found := check_name(name, row.usage_mode, row.ownership_type):
        raise InvalidParameters(violations=found)
    check_host(db, me.name, row.host, HostPermission.MODIFY, row.project_id)
    before = row.name
    if name == before:
        return access.folder
    if name.startswith("."):
        check_unshared(db, row, name)
    check_free(db, name, row.user_id or me.id, row.project_id or "", row.id)
    row.name = name
    record(db, act, "vfolder.rename", row, before=before, name=name)
    db.flush()
    return find_any(db, row.id)


def update_options(db: Session, act: Act, folder_id: str, *, permission: Permission | None = None, cloneable: bool | None = None) -> Folder:
    """What members of its project get by default, and whether others who may read it may copy it. None leaves it as it is."""
    me, _, row = lock_managed(db, act.user, folder_id, UPDATABLE)
    check_host(db, me.name, row.host, HostPermission.MODIFY, row.project_id)
    changes: dict[str, Any] = {}
    if permission is not None and permission is not row.permission:
        row.permission, changes["permission"] = permission, permission.value
    if cloneable is not None and cloneable is not row.cloneable:
        row.cloneable = changes["cloneable"] = cloneable
    if changes:
        record(db, act, "vfolder.options", row, name=row.name, **changes)
    db.flush()
    return find_any(db, row.id)


def move_to_trash(db: Session, act: Act, folder_id: str) -> Folder:
    """Nobody can use it from now on; its files stay, and count. Raises Conflict while a session has it or somebody copies it."""
    me, _, row = lock_managed(db, act.user, folder_id, DELETABLE | {FolderStatus.ERROR})
    check_host(db, me.name, row.host, HostPermission.DELETE, row.project_id)
    if count := count_mounting(db, row.id):
        message = N_("The folder %(name)s is in use by %(count)s sessions. End them first.")
        raise Conflict(message, name=row.name, count=count)
    if folder_tasks.is_source(db, row.id):
        raise Conflict(N_("The folder %(name)s is being copied right now. Wait until that is done."), name=row.name)
    set_status(row, FolderStatus.DELETE_PENDING)
    record(db, act, "vfolder.trash", row, name=row.name)
    db.flush()
    return find_any(db, row.id)


def restore(db: Session, act: Act, folder_id: str) -> Folder:
    """Out of the trash, as it was."""
    me, _, row = lock_managed(db, act.user, folder_id, IN_TRASH)
    check_host(db, me.name, row.host, HostPermission.DELETE, row.project_id)
    if row.status is not FolderStatus.DELETE_PENDING:
        raise Conflict(N_("Parts of the folder %(name)s are deleted already. It cannot come back."), name=row.name)
    copying = folder_tasks.list_of(db, [row.id], ["clone"]).get(row.id)
    is_whole = copying is None or copying.status == "done"
    set_status(row, FolderStatus.READY if is_whole else FolderStatus.ERROR)
    record(db, act, "vfolder.restore", row, name=row.name)
    db.flush()
    return find_any(db, row.id)


def begin_purge(db: Session, act: Act, folder_id: str, typed_name: str) -> Folder:
    """Delete a folder of the trash for good; a task does it. ``typed_name`` must be its name. Raises InvalidParameters, Conflict."""
    me, _, row = lock_managed(db, act.user, folder_id, IN_TRASH)
    check_host(db, me.name, row.host, HostPermission.DELETE, row.project_id)
    if typed_name != row.name:
        message = N_("Type the name of the folder, %(name)s, exactly as it is.")
        raise InvalidParameters(violations=[Violation(message, {"name": row.name}, "name", "mismatch")])
    set_status(row, FolderStatus.DELETE_ONGOING)
    folder_tasks.add(db, "purge", row.id, user_id=me.id)
    record(db, act, "vfolder.purge", row, name=row.name, host=row.host, quota_scope=row.quota_scope_id)
    db.flush()
    return find_any(db, row.id)


def begin_clone(db: Session, act: Act, source_id: str, new: NewFolder) -> tuple[Folder, str]:
    """(the copy, whose status is ``cloning`` until a task is done, the task's id). Everybody's copy is their own, on the same host.

    Raises as :func:`create`; Forbidden for a folder that may not be copied.
    """
    source = find_access(db, act.user, source_id, UPDATABLE)
    if not source.folder.cloneable:
        message = N_("The folder %(name)s may not be copied. Its owner can allow it in its options.")
        raise Forbidden(message, name=source.folder.name)
    if new.host and new.host != source.folder.host:
        message = N_("A copy is made on the same storage host, %(host)s.")
        raise InvalidParameters(violations=[Violation(message, {"host": source.folder.host}, "host", "host")])
    me = lock_person(db, act.user)
    # whoever deletes the source waits for this, and then sees the task
    if db.get(VFolder, source_id, with_for_update=True, populate_existing=True) is None:
        raise NotFound(NO_FOLDER)
    find_access(db, act.user, source_id, UPDATABLE)
    folder = create(db, act, NewFolder(new.name, source.folder.host, "", new.usage_mode, new.permission, new.cloneable, new.id))
    row = db.get_one(VFolder, folder.id)
    set_status(row, FolderStatus.CLONING)
    task = folder_tasks.add(db, "clone", row.id, source_id=source_id, user_id=me.id)
    if size := source.folder.used_bytes:  # refused at once where that much does not fit; the task looks again
        vfolder_quotas.reserve(db, row.id, size)
        db.get_one(FolderTask, task).total_bytes = size
    record(db, act, "vfolder.clone", row, name=row.name, host=row.host, of=source_id)
    db.flush()
    return find_any(db, row.id), task


def record(db: Session, act: Act, action: str, row: VFolder, **details: Any) -> None:
    """Keep who did what to a folder."""
    audit.record(db, actor=act.user, action=action, object=row.id, source=act.source, details=details)
