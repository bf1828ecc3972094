"""The command ``batch`` as a person uses it: over the public listener, with a token of the hub."""

import asyncio
import io
import json
import sys

import pytest

from jupyterhub_backendai.cli.main import main
from jupyterhub_backendai.core.sessions import JobState
from tests.batch_engine import FakeBatchEngine
from tests.databases import sqlite_template
from tests.services.public import settings, site

__all__ = ["settings", "site", "sqlite_template"]


@pytest.fixture
def engine(site):
    engine = FakeBatchEngine(name="local")
    site.application.settings["backends"]["local"] = engine
    return engine


@pytest.fixture
def run(site, monkeypatch, capsys):
    monkeypatch.setenv("BACKENDAI_URL", site.url.removesuffix("/services/backendai/"))
    monkeypatch.setenv("BACKENDAI_TOKEN", site.hub.let_in("kim01"))

    async def run(*arguments, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        status = await asyncio.to_thread(main, ["batch", *arguments])
        return status, *capsys.readouterr()

    return run


async def test_run_list_show_log_and_end(site, engine, run, tmp_path):
    script = tmp_path / "job.sh"
    script.write_text("echo 안녕\n")
    status, out, _ = await run("run", "--queue", "small", "--name", "first", "--cpu", "2", "--json", str(script))
    session = json.loads(out)
    assert (status, session["name"], session["slots"]["cpu"]) == (0, "first", "2")
    await site.application.settings["batch_runner"].look()
    engine.logs[session["id"]] = "안녕\n"
    assert engine.submitted[0].script == "echo 안녕"
    assert (await run("log", session["id"]))[:2] == (0, "안녕\n")
    status, out, _ = await run("list")
    assert "first" in out.splitlines()[1]
    status, out, _ = await run("show", session["id"])
    assert "echo 안녕" in out
    assert (await run("end", session["id"]))[0] == 0
    for _ in range(2):
        await site.application.settings["batch_runner"].look()
    status, _, err = await run("end", session["id"])
    assert (status, "over already" in err) == (1, True)


@pytest.mark.parametrize(("state", "code", "expected"), [(JobState.DONE, 0, 0), (JobState.FAILED, 5, 5), (JobState.FAILED, None, 1)])
async def test_run_and_wait_exits_as_the_commands_did(site, engine, run, state, code, expected, monkeypatch):
    monkeypatch.setattr("jupyterhub_backendai.cli.batch.WAIT_S", 0.05)
    waiting = asyncio.create_task(run("run", "--queue", "small", "--wait", stdin="exit\n"))
    async with asyncio.timeout(10):
        while not engine.submitted:
            await asyncio.sleep(0.02)
            await site.application.settings["batch_runner"].look()
    session_id = engine.submitted[0].admission.session_id
    engine.logs[session_id] = "printed\n"
    engine.end(session_id, state, exit_code=code)
    await site.application.settings["batch_runner"].look()
    status, out, err = await asyncio.wait_for(waiting, 10)
    assert (status, out, session_id in err) == (expected, "printed\n", True)


async def test_what_is_refused(site, engine, run, monkeypatch):
    status, _, err = await run("run", "--queue", "small", stdin="  \n")
    assert (status, "Type the commands" in err) == (1, True)
    assert (await run("show", "../x"))[0] == 1
    assert (await run("run", "--queue", "small", "/no/such/file"))[0] == 1
    monkeypatch.delenv("BACKENDAI_URL")
    status, _, err = await run("list")
    assert (status, "BACKENDAI_URL" in err) == (1, True)
