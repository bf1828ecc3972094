"""The page "Data": what its owner, a member of the project, both kinds of administrators and a stranger see, and what its forms do."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from sqlalchemy import select

from jupyterhub_backendai.core.vfolders import FolderStatus, Permission, UsageMode
from jupyterhub_backendai.errors import StorageUnavailable
from jupyterhub_backendai.store import models
from tests.databases import sqlite_template
from tests.factories import add_others
from tests.services.admin.conftest import open_browser
from tests.services.data_folders import FakeStorage, add_folder, add_host, share
from tests.services.public import Browser, Site, browser, nobody, settings, site

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]


@pytest_asyncio.fixture
async def storage(site: Site):
    await site.db.run(add_others)
    await site.db.run(add_host)
    site.application.settings["storage"] = FakeStorage()
    return site.application.settings["storage"]


def names(page) -> list[str]:
    return [row.select_one("th a, th span").text for row in page.select("#folders tbody tr")]


def counts(page) -> dict[str, int]:
    return {link.contents[0].strip(): int(link.select_one(".bai-count").text) for link in page.select("#tabs a")}


async def send(browser: Browser, path: str, **fields: str):
    """Post a form as a browser does that got it first."""
    response, page = await browser.get(path)
    assert response.status == 200, (path, response.status)
    token = page.select_one("#form input[name=_xsrf]")["value"]
    return await browser.post(path, {"_xsrf": token, **fields})


def done(response) -> str:
    assert response.status == 303, response.status
    return parse_qs(urlsplit(response.headers["Location"]).query)["done"][0]


async def status_of(site, folder_id) -> FolderStatus:
    return await site.db.run(lambda db: db.get_one(models.VFolder, folder_id).status)


async def test_tabs_filters_order_and_pages_stand_in_the_address(site, storage, browser):
    def fill(db):
        for number in range(120):
            add_folder(db, f"run-{number:03}", used_bytes=number)
        add_folder(db, ".local")
        add_folder(db, "bert", usage_mode=UsageMode.MODEL)
        add_folder(db, "course", project="default")
        share(db, add_folder(db, "theirs", owner="lee01"), "kim01", Permission.READ_WRITE)
        add_folder(db, "gone", status=FolderStatus.DELETE_PENDING)
        add_folder(db, "not-mine", owner="lee01")

    await site.db.run(fill)
    response, page = await browser.get("data")
    assert response.status == 200
    assert counts(page) == {"General": 122, "Automount": 1, "Models": 1, "Project": 1, "Invited": 1, "Trash": 1}
    assert len(names(page)) == 50
    _, page = await browser.get("data?q=run-11&sort=-use")
    assert names(page) == [f"run-{number}" for number in range(119, 109, -1)]
    _, page = await browser.get("data?page=3")
    assert len(names(page)) == 22
    assert page.select_one("#pages [aria-current=page]").text == "3"
    _, page = await browser.get("data?permission=rw&type=user")
    assert names(page) == ["theirs"]
    for tab, only in {"automount": ".local", "models": "bert", "project": "course", "invited": "theirs", "trash": "gone"}.items():
        _, page = await browser.get(f"data?tab={tab}")
        assert names(page) == [only], tab
        assert page.select_one("#tabs [aria-current=page]")["href"].endswith(f"tab={tab}")
    _, page = await browser.get("data?tab=nonsense&page=x&sort=nonsense&permission=nonsense&q=%25")
    assert "Nothing fits this search." in page.select_one("#empty").text


async def test_a_folder_is_made_and_used_up(site, storage, browser):
    response, page = await browser.get("data/new?usage_mode=automount")
    assert response.status == 200
    assert page.select_one("input[name=usage_mode][checked]")["value"] == "automount"
    assert page.select_one("#f-project") is None  # folders of projects are made by administrators
    response, page = await send(browser, "data/new", usage_mode="automount", name="local", host="local:folders")
    assert done(response) == "created"
    folder_id = response.headers["Location"].split("data/")[1].partition("?")[0]
    assert ("make", ".local") in storage.asked
    response, page = await browser.get(response.headers["Location"].removeprefix("/services/backendai/"))
    assert page.select_one("#done").text == "The folder .local was made."
    assert "한글 보고서.ipynb" in page.select_one("#explorer").text
    response, _ = await send(browser, f"data/{folder_id}/rename", name="kept")
    assert done(response) == "renamed"
    response, _ = await send(browser, f"data/{folder_id}/options", cloneable="1")
    assert done(response) == "changed"
    response, _ = await send(browser, f"data/{folder_id}/clone", name="kept-copy")
    assert done(response) == "copying"
    _, page = await browser.get(response.headers["Location"].removeprefix("/services/backendai/"))
    assert names(page) == ["kept", "kept-copy"]
    assert "being copied" in page.select("#folders tbody tr")[1].text


async def test_trash_restore_and_delete_for_good(site, storage, browser):
    folder_id = await site.db.run(add_folder, "old")
    response, _ = await send(browser, f"data/{folder_id}/trash")
    assert done(response) == "trashed"
    assert await status_of(site, folder_id) is FolderStatus.DELETE_PENDING
    response, page = await browser.get(f"data/{folder_id}")
    assert response.status == 200
    assert page.select_one("#explorer") is None
    assert [link.text.strip() for link in page.select("#acts a")] == ["Restore", "Delete for good"]
    assert done((await send(browser, f"data/{folder_id}/restore"))[0]) == "restored"
    await send(browser, f"data/{folder_id}/trash")
    response, page = await send(browser, f"data/{folder_id}/purge", name="Old")
    assert response.status == 400
    assert page.select_one("#f-name")["value"] == "Old"
    assert "exactly" in page.select_one("#wrong").text
    assert await status_of(site, folder_id) is FolderStatus.DELETE_PENDING
    response, _ = await send(browser, f"data/{folder_id}/purge", name="old")
    assert done(response) == "purging"
    assert await status_of(site, folder_id) is FolderStatus.DELETE_ONGOING


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"name": ""}, "name", "Give the folder a name."),
        ({"name": "a/b"}, "name", "only letters"),
        ({"name": ".hidden"}, "name", "Choose Automount"),
        ({"name": "bashrc", "usage_mode": "automount"}, "name", "reserved"),
        ({"name": "x" * 65}, "name", "at most 64"),
        ({"name": "taken"}, "", "already"),
        ({"name": "fine", "usage_mode": "pipeline"}, "usage_mode", "Choose one"),
        ({"name": "fine", "permission": "rwx"}, "permission", "Choose one"),
        ({"name": "fine", "host": "nowhere:at-all"}, "", "no storage host"),
        ({"name": "fine", "project": "elsewhere"}, "", "no project"),
    ],
)
async def test_a_refusal_keeps_what_was_typed(site, storage, browser, fields, field, words):
    await site.db.run(add_folder, "taken")
    response, page = await send(browser, "data/new", **fields)
    assert 400 <= response.status < 500
    assert words in page.select_one("#wrong").text
    assert page.select_one("#f-name")["value"] == fields["name"]
    if field == "name":
        assert page.select_one("#f-name")["aria-invalid"] == "true"
        assert words in page.select_one("#wrong-name").text


async def test_a_form_in_a_dialog_names_the_next_address(site, storage, browser):
    _, page = await browser.get("data/new")
    fields = {"_xsrf": page.select_one("#form input[name=_xsrf]")["value"], "name": "first"}
    response, _ = await browser.post("data/new", fields, headers={"X-Dialog": "1"})
    assert response.status == 204
    assert response.headers["X-Next"].startswith("/services/backendai/data/")
    response, page = await browser.post("data/new", {**fields, "name": "first"}, headers={"X-Dialog": "1"})
    assert response.status == 409
    assert page.select_one("#form #wrong") is not None


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example/data", "/hub/logout", "/services/backendai/data/../launch", "data\r\nX: y"]
)
async def test_only_addresses_of_ours_are_gone_back_to(site, storage, browser, back):
    folder_id = await site.db.run(add_folder, "old")
    response, _ = await send(browser, f"data/{folder_id}/trash", back=back)
    assert response.headers["Location"].startswith("/services/backendai/data?done=trashed")


async def test_a_storage_host_that_is_away_leaves_the_form(site, storage, browser):
    storage.trouble = StorageUnavailable(host="local:folders")
    response, page = await send(browser, "data/new", name="later")
    assert response.status == 503
    assert "does not answer" in page.select_one("#wrong").text
    assert await site.db.run(lambda db: db.scalars(select(models.VFolder)).all()) == []


FORMS = ("rename", "options", "clone", "trash", "leave", "share", "restore", "purge")


@pytest.mark.parametrize(
    ("who", "own", "project"),
    [("kim01", 200, 200), ("member", 404, 200), ("domain-admin", 404, 200), ("superadmin", 200, 200), ("stranger", 404, 404)],
)
async def test_who_may_look_at_a_folder(site, storage, who, own, project):
    mine = await site.db.run(add_folder, "mine", cloneable=True)
    ours = await site.db.run(lambda db: add_folder(db, "ours", project="default"))
    browser = await open_browser(site, who)
    for folder_id, status in ((mine, own), (ours, project)):
        response, page = await browser.get(f"data/{folder_id}")
        assert response.status == status
        if who == "superadmin" and folder_id == mine:
            assert page.select_one("#explorer") is None
        if status == 404:
            for form in FORMS:
                response, _ = await browser.get(f"data/{folder_id}/{form}")
                assert response.status == 404, form
    _, page = await browser.get("data")
    assert ("mine" in names(page)) == (who == "kim01")
    assert ("ours" in names(page)) == (who != "stranger")
    await browser.http.close()


@pytest.mark.parametrize(
    ("who", "status"), [("kim01", 403), ("member", 403), ("domain-admin", 303), ("superadmin", 303), ("stranger", 404)]
)
async def test_who_may_change_a_folder_of_a_project(site, storage, who, status):
    ours = await site.db.run(lambda db: add_folder(db, "ours", project="default"))
    browser = await open_browser(site, who)
    _, page = await browser.get("data/new")
    token = page.select_one("#form input[name=_xsrf]")["value"]
    for form, fields in {"rename": {"name": "theirs"}, "options": {"permission": "ro"}, "trash": {}}.items():
        response, _ = await browser.post(f"data/{ours}/{form}", {"_xsrf": token, **fields})
        assert response.status == status, form
    await browser.http.close()


async def test_an_administrator_makes_a_folder_of_a_project(site, storage):
    browser = await open_browser(site, "domain-admin")
    _, page = await browser.get("data/new")
    projects = {option.text: option["value"] for option in page.select("#f-project option")}
    assert {"Mine", "Project default", "Project vips"} <= set(projects)
    response, _ = await send(browser, "data/new", name="course", project=projects["Project default"], permission="ro")
    assert done(response) == "created"
    member = await open_browser(site, "member")
    _, page = await member.get("data?tab=project")
    assert names(page) == ["course"]
    assert "Read only" in page.select_one("#folders tbody").text
    await browser.http.close()
    await member.http.close()


async def test_writing_takes_the_token_of_a_page_and_a_login(site, storage, browser, nobody):
    folder_id = await site.db.run(add_folder, "mine")
    for path in ("data/new", f"data/{folder_id}/trash"):
        response, _ = await browser.post(path, {"_xsrf": "wrong"})
        assert response.status == 403
        response, _ = await nobody.post(path, {})
        assert response.status in (401, 403)
    response, _ = await nobody.get("data")
    assert response.status == 302
    response, _ = await browser.get("data?folder=" + folder_id)
    assert response.headers["Location"] == f"/services/backendai/data/{folder_id}"
