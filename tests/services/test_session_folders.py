"""A session's folders over REST and on its page, as each kind of person meets them."""

import pytest

from jupyterhub_backendai.core.vfolders import Permission
from tests.batch_engine import FakeBatchEngine
from tests.databases import sqlite_template
from tests.factories import add_others
from tests.services.data_folders import add_folder, share
from tests.services.public import browser, rest, settings, site
from tests.services.test_summary import text

__all__ = ["browser", "settings", "site", "sqlite_template"]
BODY = {"queue": "small", "command": "ls"}


@pytest.fixture
async def folders(site):
    site.application.settings["backends"]["local"] = FakeBatchEngine(name="local")
    await site.application.settings["groups"].ready()

    def add(db):
        add_others(db)
        found = {"data": add_folder(db, "data"), ".cache": add_folder(db, ".cache")}
        found["project"] = add_folder(db, "project", project="default", permission=Permission.READ_ONLY)
        share(db, found["data"], "member", Permission.READ_ONLY)
        return found

    return await site.db.run(add)


async def test_a_batch_session_has_the_folders_that_it_asks_for(browser, folders, site):
    mounts = ["data/in:input:ro", {"folder": "project", "target": "p"}]
    status, session = await rest(site, "POST", "sessions", {**BODY, "mounts": mounts})
    assert status == 201, session
    expected = [
        {"folder": folders[".cache"], "name": ".cache", "subpath": "", "target": ".cache", "mode": "rw", "is_automatic": True},
        {"folder": folders["data"], "name": "data", "subpath": "in", "target": "input", "mode": "ro", "is_automatic": False},
        {"folder": folders["project"], "name": "project", "subpath": "", "target": "p", "mode": "ro", "is_automatic": False},
    ]
    assert session["mounts"] == expected
    assert (await rest(site, "GET", f"sessions/{session['id']}"))[1]["mounts"] == expected
    _, page = await browser.get(f"sessions/{session['id']}")
    words = text(page.find(id="folders"))
    assert "data/in at ~/input read only" in words
    assert ".cache at ~/.cache by itself" in words
    assert page.select_one("#folders a")["href"].endswith(f"data/{folders['.cache']}")


@pytest.mark.parametrize("user", ["domain-admin", "superadmin", "stranger"])
async def test_a_folder_of_somebody_else_is_none_whoever_asks(user, folders, site):
    status, answer = await rest(site, "POST", "sessions", {**BODY, "mounts": [folders["data"]]}, user=user)
    assert status in (400, 403), answer
    assert "There is no folder" in str(answer)
    assert (await rest(site, "GET", "sessions", user=user))[1]["sessions"] == []


async def test_an_invited_member_reads_and_does_not_write(folders, site):
    status, session = await rest(site, "POST", "sessions", {**BODY, "mounts": ["data"]}, user="member")
    assert (status, session["mounts"][0]["mode"]) == (201, "ro")
    status, answer = await rest(site, "POST", "sessions", {**BODY, "mounts": ["data:rw"]}, user="member")
    assert status == 400
    assert "You may only read the folder data" in str(answer)


async def test_all_that_is_wrong_is_told_beside_the_field(folders, site):
    status, answer = await rest(site, "POST", "sessions", {**BODY, "mounts": "nothing,data:.ssh,project:rw"})
    assert status == 400
    assert [violation["field"] for violation in answer["violations"]] == ["mounts"] * 3
    for value in (5, [5], [{"x": 1}], "data:a:b:c", {"folder": ".."}, [None], True):
        assert (await rest(site, "POST", "sessions", {**BODY, "mounts": value}))[0] == 400, value
