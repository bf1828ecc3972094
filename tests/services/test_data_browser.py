"""The page "Data" in Chromium: by script and by keyboard, at both widths, light and dark, in both languages."""

import pytest

from jupyterhub_backendai.core.vfolders import FolderStatus, Permission, UsageMode
from tests.databases import sqlite_template
from tests.services.browsing import AXE, RUN, chromium, open_page, shoot, watch
from tests.services.data_folders import add_folder, share
from tests.services.public import settings, site

__all__ = ["chromium", "settings", "site", "sqlite_template"]
pytestmark = pytest.mark.browser


def fill(db):
    """Folders of every kind, as kim01 meets them."""
    add_folder(db, "user1-ml-test", used_bytes=1_757_016_770)
    add_folder(db, "experiments-2026", used_bytes=93_231_821)
    add_folder(db, ".local", used_bytes=1024)
    add_folder(db, "bert-base", usage_mode=UsageMode.MODEL, cloneable=True)
    add_folder(db, "course", project="default", permission=Permission.READ_ONLY)
    add_folder(db, "old-results", status=FolderStatus.DELETE_PENDING, used_bytes=4096)
    theirs = add_folder(db, "user2-vfolder", owner="lee01", used_bytes=10_000)
    share(db, theirs, "kim01", Permission.READ_WRITE)


async def test_the_list(chromium, site):
    await site.db.run(fill)
    for language in ("en", "ko"):
        page = await open_page(chromium, site, language=language, bypass_csp=True)
        await page.context.add_init_script(AXE.read_text())
        complaints = watch(page)
        await page.goto(site.url + "data")
        assert await page.evaluate(RUN, []) == []
        await shoot(page, "data-list", language)
        assert complaints == []
        await page.context.close()
