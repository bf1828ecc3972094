"""Making, changing and ending virtual folders. Each function is one transaction with an audit row; use them exclusively.

Locks are taken in the order person (or project), folder. Whoever gives somebody a folder in another way (an accepted invitation)
locks the person first, too, and asks :func:`check_free`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from ..core.identity import Role
from ..core.vfolders import (
    DELETABLE,
    GONE,
    IN_TRASH,
    READABLE,
    UPDATABLE,
    Access,
    Folder,
    FolderStatus,
    HostPermission,
    OwnershipType,
    Permission,
    UsageMode,
    check_name,
    quota_scope_of,
)
from ..errors import N_, AlreadyExists, Conflict, Forbidden, InvalidParameters, NotFound, QuotaExceeded, Violation
from . import audit, folder_tasks
from .models import (
    ComputeSession,
    Domain,
    Project,
    ProjectMember,
    ProjectResourcePolicy,
    SessionMount,
    User,
    UserResourcePolicy,
    UserStatus,
    VFolder,
    VFolderInvitation,
    VFolderPermission,
    new_id,
    now,
)
from .vfolder_hosts import allowed_hosts, check_host, find_host
from .vfolders import NO_FOLDER, find_access, read_folder

NO_ACCOUNT = N_("Your account is not active here. Log out and in again, or ask your administrator.")
NOT_OWNER = N_("Only the owner of the folder %(name)s may do this.")


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
    project = _lock_project(db, me, new.project) if new.project else None
    host = _choose_host(db, me, new.host, project)
    _check_mode(new, project)
    _check_count(db, me, project)
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
        db.delete(row)


def rename(db: Session, act: Act, folder_id: str, name: str) -> Folder:
    """Give a folder another name. Raises as :func:`create` and :func:`lock_managed`."""
    me, access, row = lock_managed(db, act, folder_id, UPDATABLE)
    if found := check_name(name, row.usage_mode, row.ownership_type):
        raise InvalidParameters(violations=found)
    check_host(db, me.name, row.host, HostPermission.MODIFY, row.project_id)
    before = row.name
    if name == before:
        return access.folder
    if name.startswith("."):
        _check_unshared(db, row, name)
    check_free(db, name, row.user_id or me.id, row.project_id or "", row.id)
    row.name = name
    record(db, act, "vfolder.rename", row, before=before, name=name)
    db.flush()
    return find_any(db, row.id)


def update_options(db: Session, act: Act, folder_id: str, *, permission: Permission | None = None, cloneable: bool | None = None) -> Folder:
    """What members of its project get by default, and whether others who may read it may copy it. None leaves it as it is."""
    me, _, row = lock_managed(db, act, folder_id, UPDATABLE)
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
    me, _, row = lock_managed(db, act, folder_id, DELETABLE | {FolderStatus.ERROR})
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
    me, _, row = lock_managed(db, act, folder_id, IN_TRASH)
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
    me, _, row = lock_managed(db, act, folder_id, IN_TRASH)
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
    record(db, act, "vfolder.clone", row, name=row.name, host=row.host, of=source_id)
    db.flush()
    return find_any(db, row.id), task


# -- what others need to keep the same rules


def lock_person(db: Session, name: str) -> User:
    """An active person, whose row (and number of folders) nobody else changes before this transaction ends. Raises Forbidden."""
    db.scalar(select(User.id).where(User.name == name).with_for_update())
    return find_person(db, name)


def find_person(db: Session, name: str) -> User:
    """An active person, as they are in the database now. Raises Forbidden."""
    row = db.scalar(select(User).where(User.name == name).execution_options(populate_existing=True))
    is_open = row is not None and db.scalar(select(Domain.is_active).where(Domain.name == row.domain))
    if row is None or row.status is not UserStatus.ACTIVE or not is_open:
        raise Forbidden(NO_ACCOUNT)
    return row


def lock_managed(db: Session, act: Act, folder_id: str, statuses: frozenset[FolderStatus]) -> tuple[User, Access, VFolder]:
    """(who acts, what the folder is to them, its locked row) of one that they may change as its owner could.

    That is: its owner, whoever has it with ``wd``, the administrators of its domain where it is a project's, superadmins. Raises
    NotFound for others, Forbidden for those who may use it but no more, Conflict when it is in another state.
    """
    me = find_person(db, act.user)
    row = db.get(VFolder, folder_id)
    if row is None:
        raise NotFound(NO_FOLDER)
    _lock_owner(db, row)
    row = db.get(VFolder, folder_id, with_for_update=True, populate_existing=True)
    if row is None or row.status in GONE:
        raise NotFound(NO_FOLDER)
    access = find_managed(db, me, row)
    if row.status not in statuses:
        raise Conflict(describe_status(row.status), name=row.name)
    return me, access, row


def find_managed(db: Session, me: User, row: VFolder) -> Access:
    """What a folder is to somebody who may change it; ``source`` is ``administrator`` for those who see none of its files."""
    try:
        access = find_access(db, me.name, row.id, READABLE | IN_TRASH)
    except NotFound:
        access = None
    if access is not None and access.permission.is_owner_level:
        return access
    if administers(me, row):
        return Access(find_any(db, row.id), Permission.READ_WRITE_DELETE, "administrator")
    if access is None:
        raise NotFound(NO_FOLDER)
    raise Forbidden(NOT_OWNER, name=row.name)


def administers(me: User, row: VFolder) -> bool:
    """Whether somebody manages this folder by role."""
    is_of_domain = row.ownership_type is OwnershipType.PROJECT and row.domain == me.domain
    return me.role is Role.SUPERADMIN or (me.role is Role.ADMIN and is_of_domain)


def find_any(db: Session, folder_id: str) -> Folder:
    """Any folder, whoever's. Raises NotFound."""
    row = db.get(VFolder, folder_id)
    if row is None:
        raise NotFound(NO_FOLDER)
    return read_folder(row, db.get(User, row.user_id or ""), db.get(Project, row.project_id or ""))


def check_free(db: Session, name: str, user_id: str, project_id: str = "", but: str = "") -> None:
    """Raises AlreadyExists when a folder of this name is there: for a project among its own, for a person among all that they can see.

    ``but`` is a folder that does not count. Call it under a lock of the person or project.
    """
    query = select(VFolder.id).where(VFolder.name == name, VFolder.status.not_in(GONE), VFolder.id != but)
    if project_id:
        query = query.where(VFolder.project_id == project_id)
    else:
        invited = select(VFolderPermission.vfolder_id).where(VFolderPermission.user_id == user_id, VFolderPermission.source == "invitation")
        mine = select(ProjectMember.project_id).where(ProjectMember.user_id == user_id)
        query = query.where(or_(VFolder.user_id == user_id, VFolder.id.in_(invited), VFolder.project_id.in_(mine)))
    if db.scalar(query.limit(1)):
        raise AlreadyExists(N_("There is already a folder %(name)s."), name=name)


def count_mounting(db: Session, folder_id: str) -> int:
    """How many live sessions have the folder."""
    live = and_(ComputeSession.id == SessionMount.session_id, ComputeSession.released_at.is_(None))
    query = select(func.count(func.distinct(SessionMount.session_id))).join(ComputeSession, live)
    return db.scalar(query.where(SessionMount.vfolder_id == folder_id)) or 0


def set_status(row: VFolder, status: FolderStatus, reason: str = "") -> None:
    """Change where a folder is in its life."""
    row.status, row.status_reason, row.status_changed_at = status, reason, now()


def record(db: Session, act: Act, action: str, row: VFolder, **details: Any) -> None:
    """Keep who did what to a folder."""
    audit.record(db, actor=act.user, action=action, object=row.id, source=act.source, details=details)


def describe_status(status: FolderStatus) -> str:
    """Why something cannot be done to a folder in this state."""
    return _STATES.get(status, N_("The folder %(name)s is in the trash. Restore it first."))


_BUSY = N_("The folder %(name)s is just being made. Try again in a moment.")
_READY = N_("The folder %(name)s is not in the trash. Move it there first.")
_STATES = {
    FolderStatus.PERFORMING: _BUSY,
    FolderStatus.CLONING: N_("The folder %(name)s is still being copied. Wait until that is done."),
    FolderStatus.READY: _READY,
    FolderStatus.MOUNTED: _READY,
    FolderStatus.ERROR: N_("The folder %(name)s could not be made. Delete it and try again."),
}


# -- inside


def _lock_owner(db: Session, row: VFolder) -> None:
    """Nobody else names a folder of the same owner meanwhile."""
    if row.user_id:
        db.scalar(select(User.id).where(User.id == row.user_id).with_for_update())
    else:
        db.scalar(select(Project.id).where(Project.id == row.project_id).with_for_update())


def _lock_project(db: Session, me: User, named: str) -> Project:
    """The project by id or name, locked. Raises NotFound, Forbidden for whoever is no administrator of it."""
    query = select(Project).where(
        Project.is_active.is_(True), or_(Project.id == named, and_(Project.name == named, Project.domain == me.domain))
    )
    row = db.scalar(query.order_by(Project.id != named).limit(1).with_for_update())
    is_mine = row is not None and db.get(ProjectMember, (me.id, row.id)) is not None
    may_make = row is not None and (me.role is Role.SUPERADMIN or (me.role is Role.ADMIN and row.domain == me.domain))
    if row is None or not (is_mine or may_make):
        raise NotFound(N_("There is no project %(name)s, or you are not in it."), name=named[:64])
    if not may_make:
        raise Forbidden(N_("Folders of a project are made by the administrators of its domain."))
    return row


def _choose_host(db: Session, me: User, wanted: str, project: Project | None) -> str:
    project_id = project.id if project else None
    if not wanted:
        return find_default_host(db, me.name, project_id)
    find_host(db, wanted)
    check_host(db, me.name, wanted, HostPermission.CREATE, project_id)
    return wanted


def find_default_host(db: Session, user: str, project: str | None = None) -> str:
    """The first host where somebody may make folders. Raises Forbidden where there is none."""
    for host, permissions in allowed_hosts(db, user, project).items():
        if HostPermission.CREATE in permissions:
            return host
    raise Forbidden(N_("There is no storage host where you may make folders. Ask your administrator."))


def _check_mode(new: NewFolder, project: Project | None) -> None:
    if project is not None and project.type == "model-store" and new.usage_mode is not UsageMode.MODEL:
        message = N_("The project %(project)s holds folders of models only.")
        raise InvalidParameters(violations=[Violation(message, {"project": project.name}, "usage_mode", "model-store")])


def _check_count(db: Session, me: User, project: Project | None) -> None:
    """Raises QuotaExceeded. What is in the trash counts, too."""
    if project is None:
        most = db.scalar(select(UserResourcePolicy.max_vfolder_count).where(UserResourcePolicy.name == me.resource_policy))
        mine, owner = VFolder.user_id == me.id, me.name
    else:
        most = db.scalar(select(ProjectResourcePolicy.max_vfolder_count).where(ProjectResourcePolicy.name == project.resource_policy))
        mine, owner = VFolder.project_id == project.id, project.name
    if most is None:
        return
    used = db.scalar(select(func.count()).select_from(VFolder).where(mine, VFolder.status.not_in(GONE))) or 0
    if used >= most:
        message = N_("%(owner)s may have %(most)s folders and has %(used)s, those in the trash included. Delete one for good first.")
        raise QuotaExceeded(violations=[Violation(message, {"owner": owner, "most": most, "used": used}, "", "vfolder-count")])


def _check_unshared(db: Session, row: VFolder, name: str) -> None:
    """A dot folder mounts by itself in every session of whoever has it, so it is never shared with people one by one."""
    shared = select(VFolderPermission.user_id).where(VFolderPermission.vfolder_id == row.id, VFolderPermission.source == "invitation")
    asked = select(VFolderInvitation.id).where(VFolderInvitation.vfolder_id == row.id, VFolderInvitation.state == "pending")
    if db.scalar(shared.limit(1)) or db.scalar(asked.limit(1)):
        message = N_("The folder is shared with others, so its name cannot begin with a dot: it would mount by itself in their sessions.")
        raise InvalidParameters(violations=[Violation(message, {"name": name}, "name", "automount-shared")])
