"""The folders on the launch page, as each kind of person meets them."""

from urllib.parse import parse_qs, urlsplit

import pytest

from jupyterhub_backendai.core.vfolder_mounts import parse_mounts
from jupyterhub_backendai.core.vfolders import Permission
from jupyterhub_backendai.store import models, session_mounts
from jupyterhub_backendai.store.circumstances import lock_owner
from tests.databases import sqlite_template
from tests.factories import add_others, add_user
from tests.services.data_folders import add_folder, add_host, share
from tests.services.public import Browser, browser, nobody, read_form, settings, site
from tests.services.test_summary import add_session, text

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]


@pytest.fixture
async def folders(site):
    """Folders of kim01, and others that kim01 has to do with in every way; ids by name."""
    await site.application.settings["groups"].ready()

    def add(db):
        add_user(db, "owner", "elsewhere")
        add_others(db)
        found = {"data": add_folder(db, "data"), ".cache": add_folder(db, ".cache"), "theirs": add_folder(db, "theirs", "owner")}
        found["shared"] = add_folder(db, "shared", "owner")
        share(db, found["shared"], "kim01", Permission.READ_ONLY)
        found["project"] = add_folder(db, "project", project="default", permission=Permission.READ_WRITE)
        found["other"] = add_folder(db, "other", project="elsewhere")
        return found

    return await site.db.run(add)


def rows(page):
    return {box["data-name"]: box for box in page.select("#folders li input[type=checkbox]")}


def row_of(page, name):
    return rows(page)[name].find_parent("li")


async def fill(browser, query="", **chosen):
    """The form as the page came, with these folders ticked too: name → (subpath, target, mode)."""
    _, page = await browser.get(f"launch?opt-queue=small{query}")
    fields = read_form(page)
    for name, box in rows(page).items():
        if name in chosen:
            subpath, target, mode = chosen[name]
            fields |= {f"{box['name']}.subpath": subpath, f"{box['name']}.target": target, f"{box['name']}.mode": mode}
        elif not box.has_attr("checked"):
            del fields[box["name"]]
    return fields


async def test_somebody_without_folders_is_told_where_to_make_one(browser):
    _, page = await browser.get("launch")
    assert page.select_one("#folders a")["href"].endswith("/data")
    assert text(page.find(id="sum-folders")) == "none"


async def test_one_may_choose_ones_own_shared_and_project_folders_and_nobody_elses(browser, folders):
    _, page = await browser.get("launch?opt-queue=small")
    assert set(rows(page)) == {"data", "shared", "project"}
    assert not any(box.has_attr("checked") for box in rows(page).values())
    assert "read only" in text(row_of(page, "shared"))
    assert "default" in text(row_of(page, "project"))
    assert text(page.find(id="folders-automatic")) == ".cache at ~/.cache"
    assert page.find(id="folders-warning").has_attr("hidden")  # a local session's directory stays


async def test_what_is_chosen_reaches_the_hub(browser, folders, site):
    fields = await fill(browser, data=("in/2026", "input", ""), shared=("", "", ""))
    response, page = await browser.post("launch", fields)
    assert response.status == 303, text(page.find(id="errors"))
    mounts = site.hub.starts[-1][2]["user_options"]["mounts"]
    assert mounts == f"{folders['data']}/in/2026:input,{folders['shared']}"


async def test_rows_that_are_not_ticked_say_nothing(browser, folders, site):
    fields = await fill(browser)
    fields |= {"folder.0.subpath": "x", "folder.0.mode": "ro"}
    response, _ = await browser.post("launch", fields)
    assert response.status == 303
    assert "mounts" not in site.hub.starts[-1][2]["user_options"]


async def test_what_cannot_be_is_said_beside_the_card_and_nothing_is_lost(browser, folders, site):
    fields = await fill(browser, data=("", "shared", ""), shared=("", "x", ""))
    fields |= {"folder.9": "nothing"}
    response, page = await browser.post("launch", fields)
    assert response.status == 400
    assert site.hub.starts == []
    words = text(page.find(id="mounts-error"))
    assert "There is no folder nothing" in words
    assert "Another folder of yours is named shared" in words
    found = rows(page)
    assert found["data"].has_attr("checked")
    assert found["nothing"].has_attr("checked")
    assert "not there" in text(row_of(page, "nothing"))
    assert page.find("input", attrs={"name": f"{found['shared']['name']}.target"})["value"] == "x"


async def test_a_link_names_folders_and_survives_a_refresh(browser, folders):
    _, page = await browser.get("launch?opt-queue=small&opt-mounts=data/in:input:ro&opt-mounts=project")
    found = rows(page)
    assert [name for name, box in found.items() if box.has_attr("checked")] == ["data", "project"]
    row = row_of(page, "data")
    assert [item["value"] for item in row.select("input")[1:]] == ["in", "input"]
    assert row.select_one("option[selected]")["value"] == "ro"
    assert text(page.find(id="sum-folders")) == "data, project"
    fields = await fill(browser, "&opt-mounts=data/in:input:ro")
    response, _ = await browser.get("launch", params=fields)
    query = parse_qs(urlsplit(response.headers["Location"]).query)
    assert query["opt-mounts"] == [f"{folders['data']}/in:input:ro"]


async def test_a_link_to_a_folder_of_somebody_else_is_like_one_to_none(browser, folders, site):
    fields = await fill(browser, "&opt-mounts=" + folders["theirs"])
    response, page = await browser.post("launch", fields)
    assert response.status == 400
    assert "There is no folder" in text(page.find(id="mounts-error"))
    assert site.hub.starts == []


@pytest.mark.parametrize("user", ["domain-admin", "superadmin", "stranger"])
async def test_administrators_and_strangers_see_their_own_folders_only(user, site, folders):
    other = Browser(site)
    await other.log_in(site.hub.let_in(user))
    try:
        _, page = await other.get("launch?opt-queue=small&opt-mounts=" + folders["data"])
        assert "not there" in text(page.find(id="folders"))
    finally:
        await other.http.close()


async def test_folders_of_a_host_that_one_may_not_use_in_sessions_are_not_offered(browser, folders, site):
    def forbid(db):
        add_host(db, name="other:host")
        add_folder(db, "barred", host="other:host")
        for row in (*db.query(models.Domain), *db.query(models.KeypairResourcePolicy)):
            row.allowed_vfolder_hosts = {**row.allowed_vfolder_hosts, "other:host": ["upload-file"]}

    await site.db.run(forbid)
    _, page = await browser.get("launch?opt-queue=small")
    assert "barred" not in rows(page)
    _, page = await browser.post("launch", await fill(browser, "&opt-mounts=barred"))
    assert "You may not use folders of the storage host other:host in sessions" in text(page.find(id="mounts-error"))


async def test_many_folders_are_found_by_name(browser, site):
    await site.application.settings["groups"].ready()

    def add(db):
        for number in range(130):
            add_folder(db, f"set-{number:03}")

    await site.db.run(add)
    _, page = await browser.get("launch?opt-queue=small")
    assert len(rows(page)) == 100
    _, part = await browser.get("launch/folders?opt-queue=small&folder_search=SET-12&folders=shown")
    assert sorted(rows(part)) == [f"set-{number:03}" for number in range(120, 130)]
    _, part = await browser.get("launch/folders?opt-queue=small&folder_search=zzz&folders=shown&folder.3=set-001")
    assert list(rows(part)) == ["set-001"]
    assert rows(part)["set-001"].has_attr("checked")


async def test_run_again_keeps_the_folders(browser, folders, site):
    session_id = await site.db.run(add_session, "kim01")

    def mount(db):
        owner = lock_owner(db, "kim01")
        plan = session_mounts.plan(db, owner, "", "default", "local", parse_mounts("data/in:input:ro"))
        session_mounts.keep(db, db.get(models.ComputeSession, session_id), plan)

    await site.db.run(mount)
    _, page = await browser.get(f"launch?again={session_id}")
    assert [name for name, box in rows(page).items() if box.has_attr("checked")] == ["data"]
    assert [item["value"] for item in row_of(page, "data").select("input")[1:]] == ["in", "input"]
