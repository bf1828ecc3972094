"""Folders in the database, for tests that do not care how they came there."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from jupyterhub_backendai.core.storage_hosts import ConfiguredHost
from jupyterhub_backendai.core.vfolders import FolderStatus, OwnershipType, Permission, quota_scope_of
from jupyterhub_backendai.store import models, vfolder_hosts
from tests.factories import make_slots

HOST = "local:folders"


def add_host(db: Session, path: str = "/nowhere/folders", name: str = HOST) -> None:
    """A storage host on which everybody under the default policy may do everything."""
    known = {row.name: ConfiguredHost(row.name, row.path) for row in db.query(models.StorageHost)}
    vfolder_hosts.sync(db, {**known, name: ConfiguredHost(name, path)})


def add_folder(db: Session, name: str = "data", owner: str = "kim01", project: str = "", **fields: Any) -> str:
    """A folder of a person's, or of a project of the domain ``default``; its id."""
    if db.get(models.StorageHost, fields.get("host", HOST)) is None:
        add_host(db)
    user = db.query(models.User).filter_by(name=owner).one()
    ownership, owner_id = OwnershipType.USER, user.id
    if project:
        ownership, owner_id = OwnershipType.PROJECT, db.query(models.Project).filter_by(domain="default", name=project).one().id
    row = models.VFolder(
        id=models.new_id(),
        name=name,
        host=fields.pop("host", HOST),
        quota_scope_id=quota_scope_of(ownership, owner_id),
        domain=user.domain,
        ownership_type=ownership,
        user_id=None if project else owner_id,
        project_id=owner_id if project else None,
        creator=owner,
        status=fields.pop("status", FolderStatus.READY),
        **fields,
    )
    db.add(row)
    db.flush()
    return str(row.id)


def share_folder(db: Session, folder_id: str, user: str, permission: Permission = Permission.READ_ONLY, source: str = "invitation") -> None:
    """Somebody may use a folder of another one's."""
    user_id = db.query(models.User).filter_by(name=user).one().id
    db.add(models.VFolderPermission(vfolder_id=folder_id, user_id=user_id, permission=permission, source=source))
    db.flush()


def mount_folder(db: Session, folder_id: str, user: str = "kim01", *, is_live: bool = True) -> str:
    """A session of somebody's that has the folder; its id."""
    user_id, session_id = db.query(models.User).filter_by(name=user).one().id, models.new_id()
    same = {"domain": "default", "project": "default", "queue": "small", "engine": "local", "environment": "default", "interface": "lab"}
    db.add(
        models.ComputeSession(
            id=session_id,
            user_id=user_id,
            server_name=session_id[:8],
            slots=make_slots(),
            time_limit_s=60,
            released_at=None if is_live else models.now(),
            **same,
        )
    )
    db.flush()
    db.add(models.SessionMount(session_id=session_id, target="data", vfolder_id=folder_id, name="data", source="/x", is_read_only=False))
    db.flush()
    return session_id
