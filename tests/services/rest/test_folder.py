"""``folders/<id>``, ``/rename`` and ``/options``, by each kind of person."""

from __future__ import annotations

import pytest

from jupyterhub_backendai.core.vfolders import Permission
from jupyterhub_backendai.store import models
from tests.services.rest.folders import admin_site, folder_site, settings, site, sqlite_template

__all__ = ["admin_site", "folder_site", "settings", "site", "sqlite_template"]
NONE = "0" * 32


async def statuses(folder_site, method: str, path: str, body=None) -> dict[str, int]:
    """What each kind of person is answered; the owner comes last."""
    people = folder_site.people
    order = ("outsider", "stranger", "admin", "member", "root", "owner")
    return {who: (await getattr(people, who).ask(method, path, body))[0] for who in order}


async def test_who_may_look_at_it(folder_site):
    found = await statuses(folder_site, "GET", f"folders/{folder_site.data}")
    assert found == {"outsider": 401, "stranger": 404, "admin": 404, "member": 200, "root": 200, "owner": 200}
    found = await statuses(folder_site, "GET", f"folders/{folder_site.ours}")
    assert found == {"outsider": 401, "stranger": 404, "admin": 200, "member": 200, "root": 200, "owner": 200}
    assert set((await statuses(folder_site, "GET", f"folders/{NONE}")).values()) == {401, 404}


async def test_who_may_rename_it(folder_site):
    found = await statuses(folder_site, "POST", f"folders/{folder_site.data}/rename", {"name": "new"})
    assert found == {"outsider": 401, "stranger": 404, "admin": 404, "member": 403, "root": 200, "owner": 200}
    found = await statuses(folder_site, "POST", f"folders/{folder_site.ours}/rename", {"name": "newer"})
    assert found == {"outsider": 401, "stranger": 404, "admin": 200, "member": 403, "root": 200, "owner": 403}
    _, answer, _ = await folder_site.people.member.get("folders")
    assert [folder["name"] for folder in answer["folders"]] == ["new", "newer"]
    assert await folder_site.actions() == ["vfolder.rename", "vfolder.rename"]


async def test_who_may_change_its_options(folder_site):
    found = await statuses(folder_site, "POST", f"folders/{folder_site.data}/options", {"cloneable": True})
    assert found == {"outsider": 401, "stranger": 404, "admin": 404, "member": 403, "root": 200, "owner": 200}
    found = await statuses(folder_site, "POST", f"folders/{folder_site.ours}/options", {"permission": "ro"})
    assert found == {"outsider": 401, "stranger": 404, "admin": 200, "member": 403, "root": 200, "owner": 403}
    assert folder_site.storage.gates[folder_site.ours] == [(5000, "ro"), (5002, "ro")]


async def test_whoever_has_all_rights_changes_it_too(folder_site):
    def give(db):
        db.query(models.VFolderPermission).one().permission = Permission.READ_WRITE_DELETE

    await folder_site.change(give)
    assert (await folder_site.people.member.ask("POST", f"folders/{folder_site.data}/rename", {"name": "new"}))[0] == 200


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("rename", {}),
        ("rename", {"name": "a b"}),
        ("rename", {"name": None}),
        ("rename", {"new_name": "x"}),
        ("options", {"permission": "x"}),
        ("options", {"cloneable": 1}),
        ("options", {"name": "x"}),
        ("purge", {"nam": "x"}),
        ("trash", {"force": True}),
    ],
)
async def test_what_cannot_be_asked(folder_site, verb, body):
    assert (await folder_site.people.owner.ask("POST", f"folders/{folder_site.data}/{verb}", body))[0] == 400


async def test_a_clash_of_names_is_said(folder_site):
    status, answer, _ = await folder_site.people.owner.ask("POST", f"folders/{folder_site.data}/rename", {"name": "ours"})
    assert (status, answer["error_code"]) == (409, "backendai_generic_already-exists")


async def test_other_methods_and_addresses(folder_site):
    owner = folder_site.people.owner
    assert (await owner.ask("DELETE", f"folders/{folder_site.data}"))[0] == 405
    assert (await owner.get(f"folders/{folder_site.data}/rename"))[0] == 405
    assert (await owner.get("folders/" + "F" * 32))[0] == 404
