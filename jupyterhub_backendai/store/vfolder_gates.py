"""What was last told to the gates on disk, and which of them do not say any more what is right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from ..core.identity import PosixAccount
from ..core.vfolders import IN_TRASH, UPDATABLE, Folder, FolderStatus, Grant, Permission
from .models import Domain, FolderGate, Project, ProjectMember, User, UserStatus, VFolder, VFolderPermission, now
from .vfolder_grants import list_grants
from .vfolders import read_folder

# Those that have a directory and are no work's: what makes, copies or deletes a folder tells its gate itself.
STEADY = UPDATABLE | IN_TRASH | {FolderStatus.ERROR}
_ORDER = list(Permission)


@dataclass(frozen=True, slots=True)
class Gate:
    """A folder with whom its gate should let in, and whom it was last told to (None: it was told nothing that we know of)."""

    folder: Folder
    wanted: tuple[Grant, ...]
    applied: Mapping[str, str] | None

    @property
    def is_right(self) -> bool:
        return self.applied == describe(self.wanted)

    @property
    def has_new_rights(self) -> bool:
        """Whether somebody may do with the files what their access lists may not know of yet."""
        before, others = self.applied or {}, [grant for grant in self.wanted if not grant.is_owner]
        return any(before.get(uid) != permission for uid, permission in describe(others).items())

    @property
    def has_lost_rights(self) -> bool:
        """Whether the access lists of the files may let somebody do what they may not any more."""
        wanted = describe(self.wanted)
        return any(wanted.get(uid) != permission for uid, permission in (self.applied or {}).items())


def describe(grants: Sequence[Grant]) -> dict[str, str]:
    """Grants as they are kept: permissions by uid."""
    return {str(grant.uid): grant.permission.value for grant in grants}


def load_gate(db: Session, folder_id: str) -> Gate | None:
    """A folder's gate; None for one whose directory is not there, or is being worked on."""
    owner = aliased(User)
    query = (
        select(VFolder, owner, Project).outerjoin(owner, owner.id == VFolder.user_id).outerjoin(Project, Project.id == VFolder.project_id)
    )
    row = db.execute(query.where(VFolder.id == folder_id, VFolder.status.in_(list(STEADY)))).first()
    if row is None:
        return None
    kept = db.get(FolderGate, folder_id)
    return Gate(read_folder(*row), tuple(list_grants(db, folder_id)), kept.applied if kept else None)


def note_applied(db: Session, folder_id: str, grants: Sequence[Grant]) -> None:
    """The gate was told (use it exclusively)."""
    if db.get(VFolder, folder_id) is None:
        return
    row = db.get(FolderGate, folder_id)
    if row is None:
        row = FolderGate(vfolder_id=folder_id)
        db.add(row)
    row.applied, row.applied_at = describe(grants), now()
    db.flush()


def list_behind(db: Session) -> list[tuple[str, str]]:
    """(id, host) of the folders whose gates were told something else than what is right now, the longest known first.

    All folders in a handful of queries; what it finds for one is what :func:`.vfolder_grants.list_grants` says.
    """
    kept = {folder_id: applied for folder_id, applied in db.execute(select(FolderGate.vfolder_id, FolderGate.applied))}  # noqa: C416
    return [(folder_id, host) for folder_id, host, wanted in _list_wanted(db) if kept.get(folder_id) != wanted]


def drop_old_overrides(db: Session) -> int:
    """Whoever left a project has no permission of their own in its folders when they come back; how many were dropped."""
    member = select(ProjectMember.user_id).where(
        ProjectMember.user_id == VFolderPermission.user_id, ProjectMember.project_id == VFolder.project_id
    )
    query = select(VFolderPermission).join(VFolder, VFolder.id == VFolderPermission.vfolder_id)
    old = db.scalars(query.where(VFolderPermission.source == "override", ~member.exists())).all()
    for row in old:
        db.delete(row)
    return len(old)


def _list_wanted(db: Session) -> list[tuple[str, str, dict[str, str]]]:
    uids, own, members = _list_uids(db), _list_own_rights(db), _list_members(db)
    # columns, not rows: ten thousand objects would cost more than all the rest
    columns = (VFolder.id, VFolder.host, VFolder.status, VFolder.user_id, VFolder.project_id, VFolder.permission)
    folders = select(*columns).where(VFolder.status.in_(list(STEADY))).order_by(VFolder.created_at, VFolder.id)
    return [(row.id, row.host, _by_uid(_rights_of(row, own.get(row.id, {}), members), uids)) for row in db.execute(folders)]


def _rights_of(row: Any, own: Mapping[str, tuple[Permission, str]], members: Mapping[str, Sequence[str]]) -> dict[str, Permission]:
    """What each person may do, by id."""
    if row.status in IN_TRASH:
        return {}
    if row.project_id:
        return {user_id: own.get(user_id, (row.permission, ""))[0] for user_id in members.get(row.project_id, ())}
    rights = {user_id: right for user_id, (right, source) in own.items() if source == "invitation"}
    return {**rights, str(row.user_id): Permission.READ_WRITE_DELETE}


def _list_own_rights(db: Session) -> dict[str, dict[str, tuple[Permission, str]]]:
    """(permission, source) by folder and person."""
    found: dict[str, dict[str, tuple[Permission, str]]] = defaultdict(dict)
    columns = (VFolderPermission.vfolder_id, VFolderPermission.user_id, VFolderPermission.permission, VFolderPermission.source)
    for folder_id, user_id, permission, source in db.execute(select(*columns)):
        found[folder_id][user_id] = (permission, source)
    return found


def _list_members(db: Session) -> dict[str, list[str]]:
    """The people of each active project."""
    found: dict[str, list[str]] = defaultdict(list)
    query = select(ProjectMember.project_id, ProjectMember.user_id).join(Project, Project.id == ProjectMember.project_id)
    for project_id, user_id in db.execute(query.where(Project.is_active.is_(True))):
        found[project_id].append(user_id)
    return found


def _list_uids(db: Session) -> dict[str, int]:
    """The Unix accounts of everybody who may work, by id."""
    query = select(User.id, User.posix_uid).join(Domain, Domain.name == User.domain)
    query = query.where(User.status == UserStatus.ACTIVE, Domain.is_active.is_(True), User.posix_uid.is_not(None))
    return {user_id: uid for user_id, uid in db.execute(query) if uid is not None}


def _by_uid(rights: Mapping[str, Permission], uids: Mapping[str, int]) -> dict[str, str]:
    found: dict[int, Permission] = {}
    for user_id, permission in rights.items():
        uid = uids.get(user_id)
        if uid is not None and (uid not in found or _ORDER.index(permission) > _ORDER.index(found[uid])):
            found[uid] = permission
    return {str(uid): permission.value for uid, permission in found.items()}


def list_accounts(db: Session, folder_id: str) -> list[PosixAccount]:
    """The Unix accounts of those who may use a folder now, its owner's first; each once."""
    folder = db.get(VFolder, folder_id)
    uids = [grant.uid for grant in list_grants(db, folder_id)]
    query = select(User).where(User.posix_uid.in_(uids), User.posix_name.is_not(None), User.posix_gid.is_not(None))
    found: dict[int, PosixAccount] = {}
    for row in sorted(db.scalars(query), key=lambda row: (folder is None or row.id != folder.user_id, row.posix_uid, row.id)):
        account = read_account(row)
        if account is not None:
            found.setdefault(account.uid, account)
    return list(found.values())


def read_account(row: User) -> PosixAccount | None:
    """Somebody's Unix account, None where there is none."""
    if row.posix_name is None or row.posix_uid is None or row.posix_gid is None:
        return None
    return PosixAccount(row.posix_name, row.posix_uid, row.posix_gid, row.posix_home or "/")
