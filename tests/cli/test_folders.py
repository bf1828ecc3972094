"""``folder …`` as a person uses it: over the public listener, with a token of the hub."""

from __future__ import annotations

import asyncio
import json

import pytest

from jupyterhub_backendai.cli.main import main
from tests.services.rest.folders import admin_site, folder_site, settings, site, sqlite_template

__all__ = ["admin_site", "folder_site", "settings", "site", "sqlite_template"]


@pytest.fixture
def run(folder_site, monkeypatch, capsys):
    monkeypatch.setenv("BACKENDAI_URL", folder_site.people.site.url.removesuffix("/services/backendai/"))

    async def run(*arguments, user="kim01"):
        monkeypatch.setenv("BACKENDAI_TOKEN", folder_site.people.site.hub.let_in(user))
        status = await asyncio.to_thread(main, ["folder", *arguments])
        return status, *capsys.readouterr()

    return run


async def test_the_life_of_a_folder(run, folder_site):
    status, out, _ = await run("create", "models", "--usage-mode", "model", "--cloneable")
    assert (status, "models" in out, "ready" in out) == (0, True, True)
    assert (await run("rename", "models", "weights"))[0] == 0
    assert (await run("options", "weights", "--no-cloneable", "--permission", "ro"))[0] == 0
    folder = json.loads((await run("info", "weights", "--json"))[1])
    assert (folder["cloneable"], folder["project_permission"], folder["usage_mode"]) == (False, "ro", "model")
    assert (await run("trash", "weights"))[0] == 0
    assert (await run("trash", "weights"))[0] == 1
    assert (await run("restore", "weights"))[0] == 0
    assert (await run("trash", folder["id"]))[0] == 0
    assert [line.split()[1] for line in (await run("list", "--trash"))[1].splitlines()[1:]] == ["weights"]
    status, _, err = await run("purge", "weights")
    assert (status, "--name" in err) == (1, True)
    assert (await run("purge", "weights", "--name", "wrong"))[0] == 1
    assert (await run("purge", "weights", "--name", "weights"))[0] == 0
    await folder_site.work()
    assert (await run("info", folder["id"]))[0] == 1


async def test_lists_and_hosts(run):
    _, out, _ = await run("list", "--sort=-name")
    assert [line.split()[1] for line in out.splitlines()] == ["NAME", "ours", "data"]
    assert [item["name"] for item in json.loads((await run("list", "--search", "dat", "--json"))[1])] == ["data"]
    assert (await run("list", "--all"))[0] == 1
    assert [item["name"] for item in json.loads((await run("list", "--all", "--json", user="choi01"))[1])] == ["ours"]
    status, out, _ = await run("hosts")
    assert (status, out.splitlines()[1].split()[0]) == (0, "local:folders")


async def test_copying_and_sharing(run, folder_site):
    status, _, err = await run("clone", "data", "copy", user="jung03")
    assert (status, "may not be copied" in err) == (1, True)
    await run("options", "data", "--cloneable")
    working = asyncio.create_task(folder_site.settings["folder_tasks"].run())
    try:
        status, out, _ = await run("clone", "data", "copy", "--wait", "--json", user="jung03")
    finally:
        working.cancel()
    assert (status, json.loads(out)["status"]) == (0, "ready")
    _, out, _ = await run("share", "list", "data", "--json")
    assert [item["permission"] for item in json.loads(out)["shares"]] == ["ro"]
    assert (await run("share", "list"))[0] == 0
    status, _, err = await run("share", "invite", "data", "nobody@example.org")
    assert (status, bool(err)) == (1, True)


async def test_administrators_name_folders_of_their_projects(run):
    assert (await run("rename", "ours", "theirs", user="choi01"))[0] == 0
    assert (await run("rename", "data", "mine", user="choi01"))[0] == 1
