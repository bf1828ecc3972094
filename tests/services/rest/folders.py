"""The service with a storage host whose disk is a list, and one folder of kim01's that jung03 was invited to read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest_asyncio

from jupyterhub_backendai.core.files import Usage
from jupyterhub_backendai.core.vfolders import Folder, Grant
from jupyterhub_backendai.errors import BackendAIError
from jupyterhub_backendai.services.folder_access import FolderAccess
from jupyterhub_backendai.services.folder_works import FolderWorks
from jupyterhub_backendai.store import models
from tests.factories_folders import add_folder, share_folder
from tests.services.rest.people import AdminSite, admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "folder_site", "settings", "site", "sqlite_template"]


@dataclass
class ListedStorage:
    """Knows which folders have a directory, and whom their gates let in. ``trouble`` is raised by whatever comes next."""

    gates: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    trouble: BackendAIError | None = None
    is_single_user: bool = False
    skipped: int = 0

    def _fail(self) -> None:
        if self.trouble:
            raise self.trouble

    async def make_folder(self, folder: Folder, grants: Sequence[Grant]) -> None:
        self._fail()
        self.gates[folder.id] = [(grant.uid, grant.permission.value) for grant in grants]

    async def set_gate(self, folder: Folder, grants: Sequence[Grant]) -> None:
        await self.make_folder(folder, grants)

    async def remove_folder(self, folder: Folder) -> None:
        self._fail()
        self.gates.pop(folder.id, None)

    async def measure(self, folder: Folder, as_whom: Any) -> Usage:
        self._fail()
        return Usage(1000, 3)

    async def copy(self, source: Folder, target: Folder, as_whom: Any, progress: Any = None) -> int:
        self._fail()
        progress(1000, 3)
        return self.skipped


@dataclass
class FolderSite:
    """Everybody of :class:`AdminSite`; ``data`` is kim01's folder, ``ours`` one of the project alpha."""

    people: AdminSite
    storage: ListedStorage
    data: str
    ours: str

    @property
    def settings(self) -> dict[str, Any]:
        return self.people.site.application.settings

    async def work(self) -> None:
        """Do all tasks that are due."""
        await self.settings["folder_tasks"].run_due()

    async def change(self, function: Any) -> Any:
        return await self.people.site.db.run_exclusive(function)

    async def actions(self) -> list[str]:
        """The audit log's words about folders."""
        return await self.change(
            lambda db: [row.action for row in db.query(models.AuditEntry).filter(models.AuditEntry.action.like("vf%"))]
        )


def _fill(db: Any) -> tuple[str, str]:
    db.query(models.User).filter_by(name="jung03").one().posix_uid = 5002
    data, ours = add_folder(db, "data"), add_folder(db, "ours", project="alpha", owner="choi01")
    share_folder(db, data, "jung03")
    return data, ours


@pytest_asyncio.fixture
async def folder_site(admin_site: AdminSite) -> AsyncIterator[FolderSite]:
    parts, db = admin_site.site.application.settings, admin_site.site.db
    await parts["storage_hosts"].ready()
    data, ours = await db.run_exclusive(_fill)
    storage = ListedStorage({data: [], ours: []})
    parts["storage"] = storage
    parts["folder_access"] = FolderAccess(db, storage, parts["folder_tasks"])
    FolderWorks(db, storage, parts["folder_tasks"], parts["storage_hosts"])
    yield FolderSite(admin_site, storage, data, ours)
