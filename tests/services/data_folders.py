"""Folders for tests of the pages: rows only, of people whom the site knows."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

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
