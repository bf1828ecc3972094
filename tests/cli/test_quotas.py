"""``quota …`` on the machine itself, and as a person uses it."""

from __future__ import annotations

import json

import pytest_asyncio

from jupyterhub_backendai.store import models
from tests.cli.listener import database, parts, run
from tests.factories_folders import add_folder

__all__ = ["database", "parts", "run"]
HOST = "local:folders"


@pytest_asyncio.fixture
async def scope(run, database):
    """kim01's, with a folder of 5 MiB."""

    def act(db):
        folder = db.get(models.VFolder, add_folder(db, used_bytes=5 * 1024**2))
        db.add(models.QuotaScope(host=HOST, id=folder.quota_scope_id))
        return folder.quota_scope_id

    return await database.run_exclusive(act)


async def test_limits_are_listed_set_and_unset(run, scope):
    status, out, _ = await run("quota", "list", "--search", "kim")
    assert (status, out.splitlines()[1].split()[:6]) == (0, [HOST, "kim01", "5", "MiB", "0", "B"])
    status, out, _ = await run("quota", "set", HOST, "user:kim01", "50GiB", "--json")
    assert (status, json.loads(out)["limit_bytes"], json.loads(out)["id"]) == (0, 50 * 1024**3, scope)
    assert json.loads((await run("quota", "set", HOST, scope, "Infinity", "--json"))[1])["limit_bytes"] is None
    assert json.loads((await run("quota", "list", "--json"))[1])[0]["is_limit_set"] is True
    assert json.loads((await run("quota", "unset", HOST, "user:kim01", "--json"))[1])["is_limit_set"] is False


async def test_what_cannot_be(run, scope):
    assert (await run("quota", "set", HOST, "user:nobody", "5G"))[0] == 1
    assert (await run("quota", "set", "no:host", "user:kim01", "5G"))[0] == 1
    status, _, err = await run("quota", "set", HOST, "user:kim01", "viel")
    assert (status, "viel is not an amount" in err) == (1, True)
