"""Folders and people for tests of the storage: no database, real directories."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from jupyterhub_backendai.core.vfolders import Access, Folder, FolderStatus, Grant, OwnershipType, Permission, UsageMode

HOST = "local:folders"


def make_folder(number: int = 1, **fields: Any) -> Folder:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    values: dict[str, Any] = {
        "id": f"{number:032x}",
        "name": f"folder{number}",
        "host": HOST,
        "quota_scope_id": f"user:{7:032x}",
        "status": FolderStatus.READY,
        "usage_mode": UsageMode.GENERAL,
        "ownership_type": OwnershipType.USER,
        "permission": Permission.READ_WRITE,
        "domain": "default",
        "creator": "kim",
        "cloneable": False,
        "created_at": moment,
        "status_changed_at": moment,
        "user_id": f"{7:032x}",
        "user": "kim",
    }
    return Folder(**{**values, **fields})


def access(folder: Folder, permission: Permission = Permission.READ_WRITE_DELETE, source: str = "owner") -> Access:
    return Access(folder, permission, source)


def own_grant() -> Grant:
    return Grant(os.getuid(), Permission.READ_WRITE_DELETE, os.getgid(), is_owner=True)
