"""``POST folders`` and ``GET folders/hosts``, by each kind of person."""

from __future__ import annotations

import pytest

from jupyterhub_backendai.errors import StorageUnavailable
from jupyterhub_backendai.store import models
from tests.services.rest.folders import admin_site, folder_site, settings, site, sqlite_template

__all__ = ["admin_site", "folder_site", "settings", "site", "sqlite_template"]


async def test_a_folder_of_one_s_own(folder_site):
    body = {"name": "models.v1", "usage_mode": "model", "cloneable": True, "permission": "ro"}
    status, answer, response = await folder_site.people.owner.ask("POST", "folders", body)
    assert (status, answer["status"], answer["is_owner"], answer["cloneable"]) == (201, "ready", True, True)
    assert (answer["permission"], answer["project_permission"], answer["host"]) == ("wd", "ro", "local:folders")
    assert response.headers["Location"].endswith(f"/rest/v1/folders/{answer['id']}")
    assert folder_site.storage.gates[answer["id"]] == [(5000, "wd")]
    assert await folder_site.actions() == ["vfolder.create"]


async def test_a_folder_of_a_project_is_its_members(folder_site):
    people = folder_site.people
    body = {"name": "shared", "project": "alpha", "permission": "rw"}
    assert (await people.owner.ask("POST", "folders", body))[0] == 403
    assert (await people.member.ask("POST", "folders", body))[0] == 403
    assert (await people.stranger.ask("POST", "folders", body))[0] == 404
    assert (await people.outsider.ask("POST", "folders", body))[0] == 401
    status, answer, _ = await people.admin.ask("POST", "folders", body)
    assert (status, answer["ownership_type"], answer["project"], answer["source"]) == (201, "project", "alpha", "administrator")
    assert folder_site.storage.gates[answer["id"]] == [(5000, "rw"), (5002, "rw")]
    project = answer["project_id"]
    status, answer, _ = await people.root.ask("POST", "folders", {**body, "name": "other", "project": project})
    assert (status, answer["project"]) == (201, "alpha")


async def test_a_name_that_is_taken(folder_site):
    for caller in (folder_site.people.owner, folder_site.people.member):
        status, answer, _ = await caller.ask("POST", "folders", {"name": "data"})
        assert (status, answer["title"]) == (409, "There is already a folder data.")
    assert (await folder_site.people.stranger.ask("POST", "folders", {"name": "data"}))[0] == 201


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "a/b"},
        {"name": ".ssh"},
        {"name": "x", "usage_mode": "Model"},
        {"name": "x", "permission": "all"},
        {"name": "x", "cloneable": "yes"},
        {"name": "x", "unmanaged_path": "/etc"},
        {"name": ["x"]},
        {"name": "x", "host": 5},
        {"name": "\ud800"},
        {"name": "x\u0000"},
    ],
)
async def test_what_cannot_be_made(folder_site, body):
    status, answer, _ = await folder_site.people.owner.ask("POST", "folders", body)
    assert status == 400, answer
    assert len(folder_site.storage.gates) == 2


async def test_a_host_that_does_not_answer_leaves_nothing(folder_site):
    folder_site.storage.trouble = StorageUnavailable(host="local:folders")
    status, answer, _ = await folder_site.people.owner.ask("POST", "folders", {"name": "new"})
    assert (status, answer["error_code"]) == (503, "backendai_vfolder_storage-unavailable")
    folder_site.storage.trouble = None
    assert (await folder_site.people.owner.ask("POST", "folders", {"name": "new"}))[0] == 201


async def test_limits_and_permissions_are_said(folder_site):
    def limit(db):
        db.get(models.UserResourcePolicy, "default").max_vfolder_count = 1

    await folder_site.change(limit)
    status, answer, _ = await folder_site.people.owner.ask("POST", "folders", {"name": "new"})
    assert (status, answer["violations"][0]["rule"]) == (412, "vfolder-count")

    def take_away(db):
        db.get(models.KeypairResourcePolicy, "default").allowed_vfolder_hosts = {}

    await folder_site.change(take_away)
    status, answer, _ = await folder_site.people.owner.ask("POST", "folders", {"name": "new", "host": "local:folders"})
    assert status == 403
    assert "local:folders" in answer["title"]
    assert (await folder_site.people.owner.get("folders/hosts"))[1] == {"hosts": [], "default": None}


async def test_hosts(folder_site):
    people = folder_site.people
    for caller in (people.owner, people.member, people.admin, people.root, people.stranger):
        status, answer, _ = await caller.get("folders/hosts")
        assert (status, answer["default"], [len(host["permissions"]) for host in answer["hosts"]]) == (200, "local:folders", [8])
    assert (await people.outsider.get("folders/hosts"))[0] == 401
