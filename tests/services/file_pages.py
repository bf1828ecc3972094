"""The service with real files behind its pages: kim01's folder in a directory of the test's own, by workers of this account."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest_asyncio

from jupyterhub_backendai.core.vfolders import Grant, Permission
from jupyterhub_backendai.services.storage.hosts import Storage
from jupyterhub_backendai.store import vfolders
from tests.local_files import add_folder, add_host, share
from tests.services.public import Browser, Site

HOST = "local:folders"


@dataclass
class FilePages:
    """``top`` is the directory with the files of ``folder``, which lee01 may read."""

    site: Site
    storage: Storage
    folder: str
    top: Path

    @property
    def page(self) -> str:
        return f"data/{self.folder}"

    @property
    def url(self) -> str:
        return f"{self.site.url}data/{self.folder}"


def fill(db):
    add_host(db)
    folder_id = add_folder(db, name="user1-ml-test")
    share(db, folder_id, "lee01")
    return folder_id


@pytest_asyncio.fixture
async def file_pages(site, tmp_path):
    folder_id = await site.db.run(fill)
    (tmp_path / "folders").mkdir(mode=0o700)
    storage = Storage({HOST: str(tmp_path / "folders")})
    parts = site.application.settings
    parts["storage"] = parts["uploads"]._storage = parts["folder_access"]._storage = storage
    access = await site.db.run(vfolders.find_access, "kim01", folder_id)
    await storage.make_folder(access.folder, [Grant(5000, Permission.READ_WRITE_DELETE, 5000, is_owner=True)])
    yield FilePages(site, storage, folder_id, Path(storage.path(access.folder)))
    storage.close()
    parts["uploads"].pools.close()


async def log_in(pages: FilePages, user: str) -> Browser:
    browser = Browser(pages.site)
    await browser.log_in(pages.site.hub.let_in(user))
    return browser
