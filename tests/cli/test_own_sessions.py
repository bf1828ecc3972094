"""``session mine``, ``log``, ``extend`` and ``keep`` as a person uses them: over the public listener, with a token of the hub."""

import asyncio
import json

import pytest

from jupyterhub_backendai.cli.main import main
from tests.databases import sqlite_template
from tests.services.public import settings, site
from tests.services.test_own_sessions import Engine, permits, start

__all__ = ["permits", "settings", "site", "sqlite_template"]


@pytest.fixture
def run(permits, site, monkeypatch, capsys):
    monkeypatch.setenv("BACKENDAI_URL", site.url.removesuffix("/services/backendai/"))
    monkeypatch.setenv("BACKENDAI_TOKEN", site.hub.let_in("kim01"))
    site.application.settings["backends"]["local"] = Engine(name="local")

    async def run(*arguments):
        status = await asyncio.to_thread(main, ["session", *arguments])
        return status, *capsys.readouterr()

    return run


async def test_list_log_extend_and_keep(run, site):
    session_id = await start(site, name="training")
    engine = site.application.settings["backends"]["local"]
    engine.logs[session_id] = "epoch 1 끝\n"
    _, out, _ = await run("mine", "--state", "live")
    assert out.splitlines()[1].split()[:4] == [session_id, "training", "small", "RUNNING"]
    assert (await run("log", session_id))[:2] == (0, "epoch 1 끝\n")
    status, out, _ = await run("extend", session_id, "--time", "90m", "--json")
    assert (status, json.loads(out)["time_limit_s"], engine.extended) == (0, 12600, {session_id: 12600})
    assert (await run("keep", session_id))[0] == 0
    _, out, _ = await run("mine", "--json")
    (session,) = json.loads(out)
    assert (session["extended_s"], session["end"]["kind"]) == (5400, "time")


async def test_what_is_refused(run, site):
    session_id = await start(site)
    status, _, err = await run("extend", session_id, "--time", "9h")
    assert (status, "At most 8:00 in the queue small" in err) == (1, True)
    assert (await run("extend", "../x", "--time", "1h"))[0] == 1
    status, _, err = await run("mine", "--state", "asleep")
    assert (status, "Choose one of: live, ended, failed" in err) == (1, True)
    assert (await run("log", "0" * 32))[0] == 1
