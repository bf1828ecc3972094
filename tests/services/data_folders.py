"""Folders for tests of the pages: rows only, of people whom the site knows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from jupyterhub_backendai.core.files import Entry, EntryKind, Listing
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.core.vfolders import OwnershipType, Permission, quota_scope_of
from jupyterhub_backendai.store import models

HOST = "local:folders"


def add_host(db: Session, name: str = HOST, path: str = "/nowhere") -> None:
    if db.get(models.StorageHost, name) is None:
        db.add(models.StorageHost(name=name, path=path))
        db.flush()
    domain = db.get(models.Domain, "default")
    domain.allowed_vfolder_hosts = {
        **domain.allowed_vfolder_hosts,
        name: [
            "create-vfolder",
            "modify-vfolder",
            "delete-vfolder",
            "mount-in-session",
            "upload-file",
            "download-file",
            "invite-others",
            "set-user-specific-permission",
        ],
    }
    db.flush()


def add_folder(db: Session, name: str, owner: str = "kim01", project: str = "", host: str = HOST, **fields: Any) -> str:
    """A folder of a person, or of a project; its id."""
    add_host(db, host)
    owner_id = None if project else user_id(db, owner)
    project_id = db.scalar(select(models.Project.id).where(models.Project.name == project)) if project else None
    kind = OwnershipType.PROJECT if project else OwnershipType.USER
    row = models.VFolder(
        id=models.new_id(),
        name=name,
        host=host,
        quota_scope_id=quota_scope_of(kind, str(project_id or owner_id)),
        domain="default",
        ownership_type=kind,
        user_id=owner_id,
        project_id=project_id,
        creator=owner,
        **fields,
    )
    db.add(row)
    db.flush()
    return str(row.id)


def share(db: Session, folder_id: str, user: str, permission: Permission = Permission.READ_ONLY, source: str = "invitation") -> None:
    db.add(models.VFolderPermission(vfolder_id=folder_id, user_id=user_id(db, user), permission=permission, source=source))
    db.flush()


def user_id(db: Session, name: str) -> str:
    return str(db.scalars(select(models.User.id).where(models.User.name == name)).one())


class FakeFiles:
    """A directory with the same things in it, whatever its path."""

    def __init__(self, entries: tuple[Entry, ...] = ()) -> None:
        self.entries = entries

    async def list(self, path: bytes, **options: Any) -> Listing:
        return Listing(self.entries, len(self.entries))


class FakeStorage:
    """A storage host that remembers what it was asked, and can be away."""

    is_single_user = True

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.trouble: Exception | None = None
        mode = 0o644
        self.files_of = FakeFiles(
            (
                Entry(b"tensorflow", EntryKind.DIRECTORY, 0, 0o755, 1_586_538_436_000_000_000, 0),
                Entry("한글 보고서.ipynb".encode(), EntryKind.FILE, 93_231, mode, 1_586_538_441_000_000_000, 0),
                Entry(b"ml_examples.zip", EntryKind.FILE, 1_274_250_233, mode, 1_586_538_458_000_000_000, 0),
            )
        )

    def files(self, access: Any, posix: Any) -> FakeFiles:
        return self.files_of

    async def make_folder(self, folder: Any, grants: Any) -> None:
        self._ask("make", folder.name)

    async def set_gate(self, folder: Any, grants: Any) -> None:
        self._ask("gate", folder.name, len(grants))

    def _ask(self, *words: Any) -> None:
        if self.trouble:
            raise self.trouble
        self.asked.append(words)


def add_session(db: Session, folder_id: str, user: str, name: str, engine: str = "slurm", target: str = "data") -> str:
    """A live session that has a folder."""
    row = models.ComputeSession(
        id=models.new_id(),
        user_id=user_id(db, user),
        name=name,
        server_name=name,
        queue="small",
        engine=engine,
        project="default",
        domain="default",
        environment="default",
        interface="lab",
        slots=ResourceSlots({"cpu": 1}),
        time_limit_s=3600,
        status=SessionStatus.RUNNING,
    )
    db.add(row)
    db.flush()
    mount = models.SessionMount(session_id=row.id, target=target, vfolder_id=folder_id, name=target, source="/nowhere", is_read_only=False)
    db.add(mount)
    db.flush()
    return str(row.id)
