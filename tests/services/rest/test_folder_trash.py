"""``folders/<id>/trash``, ``/restore`` and ``/purge``, by each kind of person."""

from __future__ import annotations

from jupyterhub_backendai.errors import StorageUnavailable
from jupyterhub_backendai.store import models
from tests.factories_folders import mount_folder
from tests.services.rest.folders import admin_site, folder_site, settings, site, sqlite_template
from tests.services.rest.test_folder import statuses

__all__ = ["admin_site", "folder_site", "settings", "site", "sqlite_template"]


async def test_to_the_trash_and_back(folder_site):
    data, storage = folder_site.data, folder_site.storage
    found = await statuses(folder_site, "POST", f"folders/{data}/trash")
    assert found == {"outsider": 401, "stranger": 404, "admin": 404, "member": 403, "root": 200, "owner": 409}
    assert storage.gates[data] == []  # nobody passes
    assert (await statuses(folder_site, "GET", f"folders/{data}"))["member"] == 404
    found = await statuses(folder_site, "POST", f"folders/{data}/restore")
    assert found == {"outsider": 401, "stranger": 404, "admin": 404, "member": 404, "root": 200, "owner": 409}
    assert storage.gates[data] == [(5000, "wd"), (5002, "ro")]
    assert await folder_site.actions() == ["vfolder.trash", "vfolder.restore"]


async def test_deleting_for_good(folder_site):
    data, owner = folder_site.data, folder_site.people.owner
    assert (await owner.ask("POST", f"folders/{data}/purge", {"name": "data"}))[0] == 409
    await owner.ask("POST", f"folders/{data}/trash")
    status, answer, _ = await owner.ask("POST", f"folders/{data}/purge", {"name": "DATA"})
    assert (status, answer["violations"][0]["rule"]) == (400, "mismatch")
    found = await statuses(folder_site, "POST", f"folders/{data}/purge", {"name": "data"})
    assert found == {"outsider": 401, "stranger": 404, "admin": 404, "member": 404, "root": 202, "owner": 404}
    _, answer, _ = await owner.get(f"folders/{data}")
    assert (answer["status"], answer["task"]["kind"], answer["task"]["status"]) == ("delete-ongoing", "purge", "pending")
    await folder_site.work()
    assert (await owner.get(f"folders/{data}"))[0] == 404
    assert data not in folder_site.storage.gates
    assert await folder_site.change(lambda db: db.query(models.VFolderPermission).count()) == 0
    assert (await folder_site.actions())[-2:] == ["vfolder.purge", "vfolder.purged"]
    assert (await owner.ask("POST", "folders", {"name": "data"}))[0] == 201


async def test_administrators_delete_the_folders_of_their_projects(folder_site):
    ours, admin = folder_site.ours, folder_site.people.admin
    assert (await admin.ask("POST", f"folders/{ours}/trash"))[0] == 200
    assert (await admin.ask("POST", f"folders/{ours}/purge", {"name": "ours"}))[0] == 202
    await folder_site.work()
    assert list(folder_site.storage.gates) == [folder_site.data]


async def test_a_folder_in_use_stays(folder_site):
    await folder_site.change(lambda db: mount_folder(db, folder_site.data, "jung03"))
    status, answer, _ = await folder_site.people.owner.ask("POST", f"folders/{folder_site.data}/trash")
    assert (status, answer["title"]) == (409, "The folder data is in use by 1 sessions. End them first.")


async def test_a_host_that_does_not_answer_hears_of_it_later(folder_site):
    folder_site.storage.gates[folder_site.data] = [(5000, "wd")]
    folder_site.storage.trouble = StorageUnavailable(host="local:folders")
    assert (await folder_site.people.owner.ask("POST", f"folders/{folder_site.data}/trash"))[0] == 200
    folder_site.storage.trouble = None
    await folder_site.settings["folder_access"].look()
    assert folder_site.storage.gates[folder_site.data] == []


async def test_a_deletion_that_does_not_work_is_tried_again_and_then_said(folder_site):
    data, owner = folder_site.data, folder_site.people.owner
    await owner.ask("POST", f"folders/{data}/trash")
    await owner.ask("POST", f"folders/{data}/purge", {"name": "data"})
    folder_site.storage.trouble = StorageUnavailable(host="local:folders")
    await folder_site.work()
    _, answer, _ = await owner.get(f"folders/{data}")
    assert (answer["status"], answer["task"]["status"]) == ("delete-ongoing", "pending")
    assert "does not answer" in answer["task"]["trouble"]

    def be_late(db):
        task = db.query(models.FolderTask).filter_by(kind="purge").one()
        task.not_before, task.tries = None, 11

    await folder_site.change(be_late)
    await folder_site.work()
    _, answer, _ = await owner.get(f"folders/{data}")
    assert (answer["status"], answer["task"]["status"]) == ("delete-error", "failed")
    assert (await owner.ask("POST", f"folders/{data}/restore"))[0] == 409
    folder_site.storage.trouble = None
    assert (await owner.ask("POST", f"folders/{data}/purge", {"name": "data"}))[0] == 202
    await folder_site.work()
    assert (await owner.get(f"folders/{data}"))[0] == 404
