"""``GET folders`` and ``folders/all``, by each kind of person."""

from __future__ import annotations

import pytest

from jupyterhub_backendai.store import models
from tests.factories_folders import add_folder
from tests.services.rest.folders import admin_site, folder_site, settings, site, sqlite_template

__all__ = ["admin_site", "folder_site", "settings", "site", "sqlite_template"]


def names(answer) -> list[str]:
    return [folder["name"] for folder in answer["folders"]]


async def test_everybody_sees_what_they_may_use(folder_site):
    people = folder_site.people
    for caller, expected in (
        (people.owner, ["data", "ours"]),
        (people.member, ["data", "ours"]),
        (people.admin, []),
        (people.root, []),
        (people.stranger, []),
    ):
        status, answer, _ = await caller.get("folders")
        assert (status, names(answer), answer["total"]) == (200, expected, len(expected))
    assert (await people.outsider.get("folders"))[0] == 401


async def test_what_one_folder_is_to_each(folder_site):
    found = {}
    for who in ("owner", "member"):
        _, answer, _ = await getattr(folder_site.people, who).get("folders?search=DAT")
        (found[who],) = answer["folders"]
    assert {name: (item["permission"], item["source"], item["is_owner"]) for name, item in found.items()} == {
        "owner": ("wd", "owner", True),
        "member": ("ro", "invitation", False),
    }
    assert found["owner"].keys() == found["member"].keys()
    assert found["owner"]["quota_scope_id"].startswith("user:")
    assert found["owner"]["created_at"].endswith("+00:00")


async def test_administrators_see_the_folders_that_they_manage(folder_site):
    people = folder_site.people
    for caller, expected in ((people.root, ["data", "ours"]), (people.admin, ["ours"]), (people.stranger, [])):
        status, answer, _ = await caller.get("folders/all")
        assert (status, names(answer)) == (200, expected)
    for caller in (people.owner, people.member):
        assert (await caller.get("folders/all"))[0] == 404
    assert (await people.outsider.get("folders/all"))[0] == 401


async def test_filters_order_and_pages(folder_site):
    def fill(db):
        for number in range(5):
            add_folder(db, f"set{number}", used_bytes=number * 10, usage_mode=models.vfolders.UsageMode.DATA)

    await folder_site.change(fill)
    owner = folder_site.people.owner
    _, answer, _ = await owner.get("folders?usage_mode=data&sort=-used_bytes&size=2&page=2")
    assert (names(answer), answer["total"], answer["page"], answer["pages"]) == (["set2", "set1"], 5, 2, 3)
    assert names((await owner.get("folders?ownership_type=project"))[1]) == ["ours"]
    assert names((await owner.get("folders?search=%25"))[1]) == []  # no pattern of SQL
    assert names((await owner.get(f"folders?search={folder_site.data}"))[1]) == ["data"]
    assert names((await owner.get("folders?owner=kim01&host=local:folders&status=ready&size=1"))[1]) == ["data"]
    assert names((await owner.get("folders?page=99"))[1])[0] == "data"  # beyond the last page is the last
    assert names((await folder_site.people.root.get("folders/all?owner=alpha"))[1]) == ["ours"]


@pytest.mark.parametrize("query", ["sort=id", "status=none", "page=0", "size=-1", "page=x", "usage_mode=Data", "page=1e3"])
async def test_filters_that_cannot_be(folder_site, query):
    status, _, _ = await folder_site.people.owner.get(f"folders?{query}")
    assert status == 400


async def test_the_trash_is_a_list_of_its_own(folder_site):
    people = folder_site.people
    assert (await people.owner.ask("POST", f"folders/{folder_site.data}/trash"))[0] == 200
    assert (await people.admin.ask("POST", f"folders/{folder_site.ours}/trash"))[0] == 200
    assert names((await people.owner.get("folders"))[1]) == []
    assert names((await people.owner.get("folders?trash=1"))[1]) == ["data"]
    assert names((await people.member.get("folders?trash=1"))[1]) == []  # what others threw away is away
    assert names((await people.admin.get("folders/all?trash=true"))[1]) == ["ours"]
