"""Administration → Storage: everybody's folders, quota scopes and their limits, and a new owner; for whom there is something."""

from __future__ import annotations

import pytest
import pytest_asyncio

from jupyterhub_backendai.core.vfolders import FolderStatus
from jupyterhub_backendai.store import models, vfolder_quotas
from tests.databases import sqlite_template
from tests.factories import GIB, add_others
from tests.services.admin.conftest import open_browser
from tests.services.data_folders import HOST, FakeStorage, add_folder, add_host, user_id
from tests.services.public import settings, site

__all__ = ["settings", "site", "sqlite_template"]


@pytest_asyncio.fixture
async def filled(site):
    def fill(db):
        add_others(db)
        add_host(db)
        ids = {"mine": add_folder(db, "mine", used_bytes=3 * GIB), "ours": add_folder(db, "ours", project="default", used_bytes=GIB)}
        add_folder(db, "gone", status=FolderStatus.DELETE_PENDING)
        for folder in ids.values():
            row = db.get(models.VFolder, folder)
            vfolder_quotas.ensure_scope(db, row.host, row.quota_scope_id)
        return ids

    site.application.settings["storage"] = FakeStorage()
    return await site.db.run(fill)


def names(page):
    return [row.th.get_text(strip=True) for row in page.select("table.bai-list tbody tr")]


async def scope_of(site, name):
    return await site.db.run(lambda db: f"user:{user_id(db, name)}")


@pytest.mark.parametrize(
    ("who", "folders", "scopes"),
    [
        ("superadmin", ["mine", "ours"], ["Project default", "kim01"]),
        ("domain-admin", ["ours"], ["Project default", "kim01"]),
        ("kim01", None, None),
        ("stranger", None, None),
    ],
)
async def test_who_administers_what(site, filled, who, folders, scopes):
    browser = await open_browser(site, who)
    for path, expected in (("admin/folders", folders), ("admin/quota_scopes", scopes)):
        response, page = await browser.get(path)
        assert response.status == (404 if expected is None else 200)
        if expected is not None:
            assert sorted(names(page)) == sorted(expected)
            assert page.select_one(".bai-menu-wide [aria-current=page]")["href"].endswith(path)
    await browser.http.close()


async def test_folders_are_found_by_name_owner_and_trash(site, filled):
    browser = await open_browser(site, "superadmin")
    for query, expected in {
        "q=min": ["mine"],
        "owner=kim01": ["mine"],
        "owner=default": ["ours"],
        "ownership_type=project": ["ours"],
        "tab=trash": ["gone"],
        "sort=-used_bytes": ["mine", "ours"],
        "q=nothing": [],
        "sort=nonsense&page=x&ownership_type=nonsense": ["mine", "ours"],
    }.items():
        response, page = await browser.get(f"admin/folders?{query}")
        assert (response.status, names(page)) == (200, expected), query
    _, page = await browser.get("admin/folders")
    response, page = await browser.get(page.select_one("#folders a[href*='data/']")["href"].removeprefix("/services/backendai/"))
    assert response.status == 200
    await browser.http.close()


async def test_a_limit_is_set_and_unset(site, filled):
    browser = await open_browser(site, "superadmin")
    path = f"admin/quota_scopes/{HOST.replace(':', '%3A')}/{await scope_of(site, 'kim01')}"

    async def send(**fields):
        response, page = await browser.get(path)
        assert response.status == 200
        return await browser.post(path, {"_xsrf": page.select_one("main input[name=_xsrf]")["value"], **fields})

    for fields, words in (
        ({"limit": "own", "size": "4 GiB"}, "3 GiB of 4 GiB used"),
        ({"limit": "own", "size": "2g"}, "It is full"),
        ({"limit": "none"}, "3 GiB used, no limit"),
        ({"limit": "policy"}, "3 GiB used, no limit"),
    ):
        response, _ = await send(**fields)
        assert response.status == 303
        _, page = await browser.get(f"{path}?done=set")
        assert words in page.select_one("main").text
        assert page.select_one("input[name=limit][checked]")["value"] == fields["limit"]
    for fields in (
        {"limit": "own", "size": "much"},
        {"limit": "own", "size": ""},
        {"limit": "all"},
        {"limit": "own", "size": "9999999999999 TiB"},
    ):
        response, page = await send(**fields)
        assert response.status == 400
        assert page.select_one("#errors") is not None
    _, page = await browser.get("admin/quota_scopes?is_limit_set=true")
    assert names(page) == []
    await browser.http.close()


async def test_somebody_without_folders_is_looked_up(site, filled):
    browser = await open_browser(site, "superadmin")
    response, _ = await browser.get(f"admin/quota_scopes/find?find_kind=user&find_name=stranger&find_host={HOST}")
    assert response.status == 302
    assert (await browser.get(response.headers["Location"].removeprefix("/services/backendai/")))[0].status == 200
    response, page = await browser.get(f"admin/quota_scopes/find?find_kind=user&find_name=nobody&find_host={HOST}")
    assert response.status == 404
    assert "nobody" in page.select_one("#wrong").text
    assert page.select_one("#find_name")["value"] == "nobody"
    await browser.http.close()


@pytest.mark.parametrize(("who", "person", "project"), [("domain-admin", 403, 303), ("superadmin", 303, 303), ("kim01", 404, 404)])
async def test_who_sets_which_limit(site, filled, who, person, project):
    browser = await open_browser(site, who)
    _, page = await browser.get("data/new")
    token = page.select_one("#form input[name=_xsrf]")["value"]
    project_scope = await site.db.run(lambda db: db.get(models.VFolder, filled["ours"]).quota_scope_id)
    for scope, status in ((await scope_of(site, "kim01"), person), (project_scope, project)):
        response, _ = await browser.post(f"admin/quota_scopes/{HOST}/{scope}", {"_xsrf": token, "limit": "own", "size": "1 GiB"})
        assert response.status == status
    for wrong in ("user:1", "nonsense", f"user:{'0' * 32}"):
        assert (await browser.get(f"admin/quota_scopes/{HOST}/{wrong}"))[0].status == 404
    await browser.http.close()


@pytest.mark.parametrize(("who", "status"), [("superadmin", 303), ("domain-admin", 404), ("kim01", 404), ("stranger", 404)])
async def test_who_gives_a_folder_a_new_owner(site, filled, who, status):
    browser = await open_browser(site, who)
    _, page = await browser.get("data/new")
    token = page.select_one("#form input[name=_xsrf]")["value"]
    response, page = await browser.post(f"data/{filled['mine']}/owner", {"_xsrf": token, "to": "lee01"})
    assert response.status == status, page.text
    assert (await browser.get(f"data/{filled['ours']}/owner"))[0].status == 404
    await browser.http.close()
