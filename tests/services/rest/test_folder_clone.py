"""``folders/<id>/clone``, by each kind of person."""

from __future__ import annotations

from jupyterhub_backendai.errors import StorageFull
from jupyterhub_backendai.store import models
from tests.services.rest.folders import admin_site, folder_site, settings, site, sqlite_template
from tests.services.rest.test_folder import statuses

__all__ = ["admin_site", "folder_site", "settings", "site", "sqlite_template"]


async def allow(folder_site, folder_id: str = "") -> None:
    def change(db):
        db.get(models.VFolder, folder_id or folder_site.data).cloneable = True

    await folder_site.change(change)


async def test_who_may_copy_what(folder_site):
    path = f"folders/{folder_site.data}/clone"
    found = await statuses(folder_site, "POST", path, {"name": "copy"})
    assert found == {"outsider": 401, "stranger": 404, "admin": 404, "member": 403, "root": 404, "owner": 403}
    await allow(folder_site)
    found = await statuses(folder_site, "POST", path, {"name": "copy"})
    # administrators do not see the files of others, so they do not copy them either
    assert found == {"outsider": 401, "stranger": 404, "admin": 404, "member": 202, "root": 404, "owner": 202}


async def test_a_copy_is_one_s_own_and_ready_when_it_is_whole(folder_site):
    await allow(folder_site)
    member = folder_site.people.member
    status, answer, response = await member.ask("POST", f"folders/{folder_site.data}/clone", {"name": "copy", "usage_mode": "data"})
    assert (status, answer["status"], answer["is_owner"], answer["usage_mode"]) == (202, "cloning", True, "data")
    assert (answer["task"]["kind"], answer["task"]["status"]) == ("clone", "pending")
    assert response.headers["Location"].endswith(answer["id"])
    await folder_site.work()
    _, answer, _ = await member.get(f"folders/{answer['id']}")
    assert (answer["status"], answer["used_bytes"], answer["used_files"]) == ("ready", 1000, 3)
    assert (answer["task"]["done_bytes"], answer["task"]["total_bytes"], answer["task"]["trouble"]) == (1000, 1000, "")
    assert folder_site.storage.gates[answer["id"]] == [(5002, "wd")]


async def test_what_could_not_be_copied_is_said(folder_site):
    await allow(folder_site)
    folder_site.storage.skipped = 2
    _, answer, _ = await folder_site.people.owner.ask("POST", f"folders/{folder_site.data}/clone", {"name": "copy"})
    await folder_site.work()
    _, answer, _ = await folder_site.people.owner.get(f"folders/{answer['id']}")
    assert answer["status"] == "ready"
    assert answer["task"]["trouble"].startswith("2 things could not be copied")


async def test_a_copy_that_does_not_fit_is_refused_with_numbers(folder_site):
    await allow(folder_site)

    def fill(db):
        db.get(models.UserResourcePolicy, "default").max_quota_scope_size_bytes = 1500
        db.get(models.VFolder, folder_site.data).used_bytes = 2000

    await folder_site.change(fill)
    status, answer, _ = await folder_site.people.owner.ask("POST", f"folders/{folder_site.data}/clone", {"name": "copy"})
    assert status == 507, answer
    assert (await folder_site.people.owner.get("folders?search=copy"))[1]["total"] == 0


async def test_a_copy_that_fails_is_kept_with_the_reason_and_can_be_deleted(folder_site):
    await allow(folder_site)
    owner = folder_site.people.owner
    _, answer, _ = await owner.ask("POST", f"folders/{folder_site.data}/clone", {"name": "copy"})
    folder_site.storage.trouble = StorageFull()
    await folder_site.work()
    _, answer, _ = await owner.get(f"folders/{answer['id']}")
    assert (answer["status"], answer["task"]["status"]) == ("error", "failed")
    assert "no room left" in answer["task"]["trouble"]
    folder_site.storage.trouble = None
    assert (await owner.ask("POST", f"folders/{answer['id']}/trash"))[0] == 200
    assert (await owner.ask("POST", f"folders/{answer['id']}/restore"))[1]["status"] == "error"
    await owner.ask("POST", f"folders/{answer['id']}/trash")
    assert (await owner.ask("POST", f"folders/{answer['id']}/purge", {"name": "copy"}))[0] == 202


async def test_a_right_that_is_taken_away_ends_the_copy(folder_site):
    await allow(folder_site)
    member = folder_site.people.member
    _, answer, _ = await member.ask("POST", f"folders/{folder_site.data}/clone", {"name": "copy"})
    await folder_site.change(lambda db: db.query(models.VFolderPermission).delete())
    await folder_site.work()
    _, answer, _ = await member.get(f"folders/{answer['id']}")
    assert (answer["status"], answer["task"]["status"]) == ("error", "failed")


async def test_other_hosts_and_names_that_are_taken(folder_site):
    await allow(folder_site)
    owner, path = folder_site.people.owner, f"folders/{folder_site.data}/clone"
    assert (await owner.ask("POST", path, {"name": "data"}))[0] == 409
    assert (await owner.ask("POST", path, {"name": "copy", "host": "local:other"}))[0] == 400
    assert (await owner.ask("POST", path, {"name": "copy", "project": "alpha"}))[0] == 400
