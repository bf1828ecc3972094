"""The service with folders of people on a directory of ours, and programs of those people."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio
from sqlalchemy.orm import Session

from jupyterhub_backendai.core.identity import Role
from jupyterhub_backendai.core.vfolders import OwnershipType, Permission, quota_scope_of
from jupyterhub_backendai.store import models
from tests.factories import add_user
from tests.services.public import Site
from tests.services.storage.local_files import LocalFiles, LocalStorage

HOST = "local:folders"
ALL = [
    "create-vfolder",
    "modify-vfolder",
    "delete-vfolder",
    "mount-in-session",
    "upload-file",
    "download-file",
    "invite-others",
    "set-user-specific-permission",
]


@dataclass
class FileSite:
    """kim01 owns ``folder``, lee01 was invited to it read-only, jung03 read-write; park04 is a stranger, choi01 the administrator of
    the domain, root a superadmin.
    """

    site: Site
    storage: LocalStorage
    folder: str
    programs: dict[str, aiohttp.ClientSession]

    @property
    def files(self) -> LocalFiles:
        return LocalFiles(self.storage.root / self.folder)

    @property
    def url(self) -> str:
        return f"{self.site.url}rest/v1/folders/{self.folder}/"

    def of(self, user: str) -> aiohttp.ClientSession:
        if user not in self.programs:
            headers = {"Authorization": f"token {self.site.hub.let_in(user)}", "Accept-Language": "en"}
            self.programs[user] = aiohttp.ClientSession(headers=headers)
        return self.programs[user]

    async def ask(self, method: str, path: str = "uploads", user: str = "kim01", **kwargs: Any) -> tuple[int, Any, Any]:
        address = path if path.startswith(("http", "/")) else self.url + path
        if address.startswith("/"):
            address = self.site.url.partition("/services/")[0] + address
        async with self.of(user).request(method, address, allow_redirects=False, **kwargs) as answer:
            body = await answer.read()
            is_json = "json" in answer.headers.get("Content-Type", "")
            return answer.status, (await answer.json(content_type=None) if is_json and body else body), answer.headers


def add_host(db: Session) -> None:
    if db.get(models.StorageHost, HOST) is None:
        db.add(models.StorageHost(name=HOST, path="/nowhere", quota_driver="accounting"))
    db.get(models.KeypairResourcePolicy, models.DEFAULT_POLICY).allowed_vfolder_hosts = {HOST: ALL}


def add_folder(db: Session, owner: str = "kim01", name: str = "data", shared: dict[str, Permission] | None = None) -> str:
    user = db.query(models.User).filter_by(name=owner).one()
    row = models.VFolder(
        id=models.new_id(),
        name=name,
        host=HOST,
        quota_scope_id=quota_scope_of(OwnershipType.USER, user.id),
        domain="default",
        ownership_type=OwnershipType.USER,
        user_id=user.id,
        creator=owner,
    )
    db.add(row)
    db.flush()
    for other, permission in (shared or {}).items():
        user_id = db.query(models.User).filter_by(name=other).one().id
        db.add(models.VFolderPermission(vfolder_id=row.id, user_id=user_id, permission=permission))
    return str(row.id)


def add_everybody(db: Session) -> str:
    add_user(db, "jung03")
    add_user(db, "park04", "elsewhere")
    add_user(db, "choi01", role=Role.ADMIN)
    add_user(db, "root", role=Role.SUPERADMIN)
    add_host(db)
    return add_folder(db, shared={"lee01": Permission.READ_ONLY, "jung03": Permission.READ_WRITE})


@pytest_asyncio.fixture
async def file_site(site: Site, tmp_path: Path) -> AsyncIterator[FileSite]:
    folder = await site.db.run(add_everybody)
    storage = LocalStorage(tmp_path / "folders")
    site.application.settings["storage"] = storage
    site.application.settings["uploads"]._storage = storage
    found = FileSite(site, storage, folder, {})
    yield found
    for program in found.programs.values():
        await program.close()
    await site.application.settings["server"].close_all_connections()
    await site.application.settings["uploads"].close()
