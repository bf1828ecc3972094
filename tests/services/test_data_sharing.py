"""Sharing on the page "Data": invitations given and answered, permissions changed and taken back, and the sessions that still have it."""

from __future__ import annotations

import pytest
import pytest_asyncio

from jupyterhub_backendai.core.vfolders import Permission
from jupyterhub_backendai.store import models
from tests.databases import sqlite_template
from tests.factories import add_others
from tests.services.admin.conftest import open_browser
from tests.services.data_folders import FakeStorage, add_folder, add_host, add_session, share, user_id
from tests.services.public import browser, settings, site
from tests.services.test_data import done, names, send

__all__ = ["browser", "settings", "site", "sqlite_template"]


@pytest_asyncio.fixture
async def storage(site):
    def fill(db):
        add_others(db)
        add_host(db)
        for name in ("kim01", "lee01", "member"):
            db.query(models.User).filter_by(name=name).update({"email": f"{name}@example.org"})

    await site.db.run(fill)
    storage = site.application.settings["storage"] = FakeStorage()
    site.application.settings["folder_access"]._storage = storage
    return storage


@pytest_asyncio.fixture
async def lee01(site):
    opened = await open_browser(site, "lee01")
    yield opened
    await opened.http.close()


async def shares_of(site, folder_id):
    found = await site.db.run(lambda db: db.query(models.VFolderPermission).filter_by(vfolder_id=folder_id).all())
    return {row.user_id: row.permission for row in found}


async def test_asked_accepted_changed_and_taken_back(site, storage, browser, lee01):
    folder_id = await site.db.run(add_folder, "ours")
    response, page = await send(
        browser, f"data/{folder_id}/share", act="invite", emails="lee01@example.org\nnobody@example.org", permission="ro"
    )
    assert response.status == 200
    assert "Invited: 1" in page.select_one("#wrong").text
    assert page.select_one("#f-emails").text.strip() == "nobody@example.org"
    _, page = await lee01.get("data")
    invitation = page.select_one("[data-invitation]")["data-invitation"]
    assert "kim01@example.org" in page.select_one("#invitations").text
    response, _ = await send(browser, f"data/{folder_id}/share", act="offer", invitation=invitation, permission="rw")
    assert done(response) == "offered"
    response, _ = await send(lee01, f"data/invitations/{invitation}", act="accept")
    assert done(response) == "accepted"
    _, page = await lee01.get("data?tab=invited")
    assert names(page) == ["ours"]
    assert "Read and write" in page.select_one("#folders tbody").text
    lee = await site.db.run(user_id, "lee01")
    response, _ = await send(browser, f"data/{folder_id}/share", act="give", user=lee, permission="wd")
    assert done(response) == "given"
    assert await shares_of(site, folder_id) == {lee: Permission.READ_WRITE_DELETE}
    _, page = await browser.get("data/shared")
    assert "lee01" in page.select_one("#shared").text
    response, _ = await send(browser, f"data/{folder_id}/share", act="take", user=lee)
    assert done(response) == "taken"
    _, page = await lee01.get("data?tab=invited")
    assert names(page) == []


async def test_an_invitation_is_declined_or_taken_back(site, storage, browser, lee01):
    folder_id = await site.db.run(add_folder, "ours")
    for act in ("decline", "cancel"):
        response, _ = await send(browser, f"data/{folder_id}/share", act="invite", emails="lee01@example.org", permission="ro")
        assert done(response) == "invited"
        _, page = await lee01.get("data")
        invitation = page.select_one("[data-invitation]")["data-invitation"]
        if act == "decline":
            assert done((await send(lee01, f"data/invitations/{invitation}", act="decline"))[0]) == "declined"
        else:
            assert done((await send(browser, f"data/{folder_id}/share", act="cancel", invitation=invitation))[0]) == "cancelled"
        _, page = await lee01.get("data")
        assert page.select_one("#invitations") is None
        response, _ = await lee01.get(f"data/invitations/{invitation}")
        assert response.status == 404


async def test_a_name_that_is_taken_is_said_where_it_is_answered(site, storage, browser, lee01):
    folder_id = await site.db.run(add_folder, "ours")
    await send(browser, f"data/{folder_id}/share", act="invite", emails="lee01@example.org", permission="ro")
    await site.db.run(lambda db: add_folder(db, "ours", owner="lee01"))
    _, page = await lee01.get("data")
    invitation = page.select_one("[data-invitation]")["data-invitation"]
    response, page = await send(lee01, f"data/invitations/{invitation}", act="accept")
    assert response.status == 409
    assert "already" in page.select_one("#wrong").text


async def test_the_page_names_the_sessions_that_still_have_it(site, storage, browser):
    folder_id = await site.db.run(add_folder, "ours")
    await site.db.run(lambda db: share(db, folder_id, "lee01"))
    await site.db.run(lambda db: add_session(db, folder_id, "lee01", "training", engine="local"))
    _, page = await browser.get(f"data/{folder_id}")
    assert "training" in page.text
    assert "in 1 session" in page.text
    _, page = await browser.get(f"data/{folder_id}/share")
    assert page.select_one("#left-over") is None
    await send(browser, f"data/{folder_id}/share", act="take", user=await site.db.run(user_id, "lee01"))
    _, page = await browser.get(f"data/{folder_id}/share")
    assert "still has it until it ends" in page.select_one("#left-over").text
    _, page = await browser.get(f"data/{folder_id}/trash")
    assert page.select_one("#form button[type=submit]") is None
    assert "training" in page.select_one("#form").text


@pytest.mark.parametrize(
    ("who", "own", "project"),
    [("kim01", 200, 200), ("member", 404, 200), ("domain-admin", 404, 200), ("superadmin", 200, 200), ("stranger", 404, 404)],
)
async def test_who_sees_who_shares_a_folder(site, storage, who, own, project):
    mine = await site.db.run(add_folder, "mine")
    ours = await site.db.run(lambda db: add_folder(db, "ours", project="default"))
    browser = await open_browser(site, who)
    for folder_id, status in ((mine, own), (ours, project)):
        response, page = await browser.get(f"data/{folder_id}/share")
        assert response.status == status
        if status == 200:
            assert (page.select_one("#invite") is not None) == (folder_id == mine or who in ("domain-admin", "superadmin"))
    await browser.http.close()


@pytest.mark.parametrize(("who", "status"), [("member", 403), ("domain-admin", 303), ("superadmin", 303), ("stranger", 404)])
async def test_who_gives_a_member_a_permission_of_their_own(site, storage, who, status):
    ours = await site.db.run(lambda db: add_folder(db, "ours", project="default", permission=Permission.READ_ONLY))
    browser = await open_browser(site, who)
    _, page = await browser.get("data/new")
    token = page.select_one("#form input[name=_xsrf]")["value"]
    response, _ = await browser.post(f"data/{ours}/share", {"_xsrf": token, "act": "invite", "emails": "kim01", "permission": "rw"})
    assert response.status == status
    kim = await site.db.run(user_id, "kim01")
    assert await shares_of(site, ours) == ({kim: Permission.READ_WRITE} if status == 303 else {})
    await browser.http.close()


async def test_a_guest_leaves(site, storage, lee01):
    folder_id = await site.db.run(add_folder, "ours")
    await site.db.run(lambda db: share(db, folder_id, "lee01"))
    response, _ = await send(lee01, f"data/{folder_id}/leave")
    assert done(response) == "left"
    assert (await lee01.get(f"data/{folder_id}"))[0].status == 404
