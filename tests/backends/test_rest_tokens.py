from __future__ import annotations

import time

import jwt
import pytest
from aiohttp import web

from jupyterhub_backendai.backends.slurm_rest import Rest, RestWay
from jupyterhub_backendai.backends.slurm_tokens import LIFETIME_S, Tokens
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.errors import BackendAIError, Forbidden, SchedulerUnavailable


async def test_a_token_is_signed_as_slurm_signs(tmp_path):
    key = tmp_path / "key"
    key.write_bytes(b"k" * 32)
    tokens = Tokens(str(key), "/nonexistent")
    token = await tokens.make("kim01")
    claims = jwt.decode(token, b"k" * 32, algorithms=["HS256"])
    assert claims["sun"] == "kim01"
    assert claims["exp"] - claims["iat"] == LIFETIME_S
    assert abs(claims["iat"] - time.time()) < 5
    assert await tokens.make("kim01") == token
    assert await tokens.make("kim02") != token
    for name in ("", "#0", "kim 01", "kim01\nX-Other: 1", "-x"):
        with pytest.raises(Forbidden):
            await tokens.make(name)
    with pytest.raises(SchedulerUnavailable):
        await Tokens(str(tmp_path / "none"), "/nonexistent").make("kim01")


@pytest.mark.parametrize(("name", "uid"), [("slurm", 6001), ("root", 6001), ("kim99", 999), ("kim99", 0)])
async def test_nobody_is_an_account_of_the_system(tmp_path, name, uid):
    """This machine need not know SlurmUser: somebody of that name in a directory would be Slurm's own administrator."""
    way = RestWay(BackendAI(state_dir=str(tmp_path)))
    with pytest.raises(BackendAIError):
        await way.make_directories(PosixAccount(name, uid, uid, f"/home/{name}"))
    await way.make_directories(PosixAccount("kim99", 6001, 6001, "/home/kim99"))


@pytest.mark.parametrize(
    ("script", "is_good"),
    [
        ("echo SLURM_JWT=aa.bb.cc; echo $2 >&2", True),
        ("echo 'error: Error fetching token' >&2; exit 1", False),
        ("echo SLURM_JWT=", False),
        ("echo nothing", False),
    ],
)
async def test_an_operator_asks_slurm_for_one(tmp_path, script, is_good):
    program = tmp_path / "scontrol"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    tokens = Tokens("", str(tmp_path))
    if is_good:
        assert await tokens.make("kim01") == "aa.bb.cc"
    else:
        with pytest.raises(SchedulerUnavailable):
            await tokens.make("kim01")


async def test_a_slurmrestd_that_is_replaced_is_asked_anew(tmp_path, aiohttp_server_of):
    """Its versions change with an upgrade, under a hub that runs on."""
    (tmp_path / "key").write_bytes(b"k" * 32)
    versions = ["38"]

    async def answer(request):
        number, _, path = request.match_info["rest"].partition("/")
        if number not in versions:
            return web.Response(status=404, text="Unable find requested URL.")
        assert request.headers["X-SLURM-USER-NAME"] == "kim01"
        return web.json_response({"errors": [], "version": number, "path": path})

    url = await aiohttp_server_of("/slurm/v0.0.{rest:.*}", answer)
    rest = Rest(BackendAI(slurm_rest_url=url, slurm_rest_key_file=str(tmp_path / "key")))
    assert (await rest.call("kim01", "GET", "job/1"))["version"] == "38"
    versions[:] = ["41", "40"]
    with pytest.raises(SchedulerUnavailable):
        await rest.call("kim01", "GET", "job/1")
    assert (await rest.call("kim01", "GET", "job/1")) == {"errors": [], "version": "41", "path": "job/1"}
    versions[:] = ["99"]
    with pytest.raises(SchedulerUnavailable):
        await rest.call("kim01", "GET", "job/1")
    with pytest.raises(SchedulerUnavailable):
        await rest.find_version("kim01")


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, ""),
        (200, "[]"),
        (200, "{"),
        (200, "\ufffd\ufffd"),
        (500, "{}"),
        (502, "<html>"),
        (401, "Authentication failure"),
        (200, "null"),
    ],
)
async def test_an_answer_that_is_none_is_no_refusal(tmp_path, aiohttp_server_of, caplog, status, text):
    (tmp_path / "key").write_bytes(b"k" * 32)

    async def answer(_request):
        return web.Response(status=status, text=text)

    url = await aiohttp_server_of("/{rest:.*}", answer)
    rest = Rest(BackendAI(slurm_rest_url=url, slurm_rest_key_file=str(tmp_path / "key"), slurm_rest_version="v0.0.38"))
    with pytest.raises(SchedulerUnavailable):
        await rest.call("kim01", "POST", "job/submit", {})
    (record,) = (record for record in caplog.records if record.levelname == "WARNING")
    assert "POST job/submit" in record.getMessage()  # why is nothing for people, and all that an administrator has


@pytest.fixture
async def aiohttp_server_of():
    """Starts a server with one handler; where it is."""
    runners = []

    async def start(path, handler) -> str:
        app = web.Application()
        app.router.add_route("*", path, handler)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"

    yield start
    for runner in runners:
        await runner.cleanup()
