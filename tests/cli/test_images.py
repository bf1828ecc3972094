"""``image rescan`` against a real private listener, with the lab's registry behind it."""

import asyncio
import json

import pytest

from tests.cli.listener import database, parts, run
from tests.lab import REGISTRY_LOGIN, REGISTRY_URL
from tests.pushing import Pusher

__all__ = ["database", "parts", "run"]


@pytest.mark.registry
async def test_registries_are_looked_through(run, tmp_path):
    async with Pusher() as pusher:
        await pusher.push("python", "3.12")
        (tmp_path / "password").write_text(REGISTRY_LOGIN[1])
        options = ("--url", REGISTRY_URL, "--user-name", REGISTRY_LOGIN[0], "--projects", pusher.project)
        status, _, err = await run("container-registry", "create", "lab", *options, "--password-file", str(tmp_path / "password"))
        assert (status, err) == (0, "")
        status, out, err = await run("image", "rescan", "lab")
        assert (status, err) == (0, "")
        _, line = out.splitlines()
        assert line.split() == ["lab", "done", "1", "0", "0", "0", "0", "0"]
        status, out, _ = await run("image", "list", "--filter", "container_registry=lab", "--json")
        assert [item["name"] for item in json.loads(out)] == [pusher.name("python", "3.12")]
        status, out, _ = await run("image", "rescan", "--json")
        assert (status, json.loads(out)[0]["unchanged"]) == (0, 1)


async def test_what_fails_is_said(run):
    await run("container-registry", "create", "gone", "--url", "http://127.0.0.1:1")
    status, out, _ = await run("image", "rescan")
    assert (status, "The registry 127.0.0.1:1 does not answer." in out) == (1, True)
    status, out, err = await run("image", "rescan", "none")
    assert (status, out, "no registry none" in err) == (1, "", True)


async def test_who_does_not_wait_hears_that_it_began(run):
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        await run("container-registry", "create", "silent", "--url", f"http://127.0.0.1:{port}")
        status, out, _ = await run("image", "rescan", "silent", "--no-wait", "--json")
        assert (status, json.loads(out)[0]["state"]) == (0, "running")
