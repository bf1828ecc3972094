"""Who may change a folder, what its name and number are checked against, and the locks that keep it true.

Locks are taken in the order person (or project), folder. Whoever gives somebody a folder in another way (an accepted invitation)
locks the person first, too, and asks :func:`check_free`. Who puts a folder into a session locks its row (``FOR SHARE`` is enough)
and looks at its status then: it is thrown away only under that lock, and only when no live session has it.
"""

from __future__ import annotations

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from ..core.identity import Role
from ..core.vfolders import GONE, IN_TRASH, READABLE, Access, Folder, FolderStatus, HostPermission, OwnershipType, Permission, UsageMode
from ..errors import N_, AlreadyExists, Conflict, Forbidden, InvalidParameters, NotFound, QuotaExceeded, Violation
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
    now,
)
from .vfolder_hosts import allowed_hosts, check_host, find_host
from .vfolders import NO_FOLDER, find_access, read_folder, select_projects

NO_ACCOUNT = N_("Your account is not active here. Log out and in again, or ask your administrator.")
NOT_OWNER = N_("Only the owner of the folder %(name)s may do this.")


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


def lock_managed(db: Session, user: str, folder_id: str, statuses: frozenset[FolderStatus]) -> tuple[User, Access, VFolder]:
    """(who acts, what the folder is to them, its locked row) of one that they may change as its owner could.

    That is: its owner, whoever has it with ``wd``, the administrators of its domain where it is a project's, superadmins. Raises
    NotFound for others, Forbidden for those who may use it but no more, Conflict when it is in another state.
    """
    me = find_person(db, user)
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
    if access is None or row.status in IN_TRASH:  # what somebody else threw away is away
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
        mine = select_projects(user_id)
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


def _lock_owner(db: Session, row: VFolder) -> None:
    """Nobody else names a folder of the same owner meanwhile."""
    if row.user_id:
        db.scalar(select(User.id).where(User.id == row.user_id).with_for_update())
    else:
        db.scalar(select(Project.id).where(Project.id == row.project_id).with_for_update())


def lock_project(db: Session, me: User, named: str) -> Project:
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


def choose_host(db: Session, me: User, wanted: str, project: Project | None) -> str:
    """The host that a new folder goes to. Raises NotFound, Forbidden."""
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


def check_mode(usage_mode: UsageMode, project: Project | None) -> None:
    """Raises InvalidParameters for a folder that the project does not take."""
    if project is not None and project.type == "model-store" and usage_mode is not UsageMode.MODEL:
        message = N_("The project %(project)s holds folders of models only.")
        raise InvalidParameters(violations=[Violation(message, {"project": project.name}, "usage_mode", "model-store")])


def check_count(db: Session, me: User, project: Project | None) -> None:
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


def check_unshared(db: Session, row: VFolder, name: str) -> None:
    """A dot folder mounts by itself in every session of whoever has it, so it is never shared with people one by one."""
    shared = select(VFolderPermission.user_id).where(VFolderPermission.vfolder_id == row.id, VFolderPermission.source == "invitation")
    asked = select(VFolderInvitation.id).where(VFolderInvitation.vfolder_id == row.id, VFolderInvitation.state == "pending")
    if db.scalar(shared.limit(1)) or db.scalar(asked.limit(1)):
        message = N_("The folder is shared with others, so its name cannot begin with a dot: it would mount by itself in their sessions.")
        raise InvalidParameters(violations=[Violation(message, {"name": name}, "name", "automount-shared")])
