"""Administration from programs, through the real proxy and hub: the command line with a token, and on the machine itself."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import yaml

from tests.e2e.marks import PLATFORM

pytestmark = PLATFORM
NAME = "물리 1+2@x.y"


async def run(stack, *arguments, token="", stdin=""):
    environ = {**os.environ, **stack._environment()}
    if token:
        environ |= {"BACKENDAI_URL": stack.url, "BACKENDAI_TOKEN": token}
    command = [sys.executable, "-m", "jupyterhub_backendai.cli.main", "--config", str(stack.config), *arguments]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, env=environ, stdin=pipe, stdout=pipe, stderr=pipe)
    out, err = await process.communicate(stdin.encode())
    return process.returncode, out.decode(), err.decode()


async def test_the_command_line_on_the_machine_and_with_a_token(local, people):
    admin = await people("admin")
    token = await admin.take_token()
    status, _, err = await run(local, "domain", "create", NAME, "--description", "물리학과")
    assert (status, err) == (0, "")
    status, out, _ = await run(local, "domain", "show", NAME, "--json", token=token)
    assert (status, json.loads(out)["name"]) == (0, NAME)
    assert (await run(local, "domain", "remove", NAME, "--yes", token=token))[0] == 0
    user = await people("user1")
    status, _, err = await run(local, "domain", "list", token=await user.take_token())
    assert (status, "no such thing" in err) == (1, True)


async def test_the_whole_configuration_comes_back_as_it_went(local, people):
    status, text, err = await run(local, "config", "export")
    assert (status, err) == (0, "")
    assert [group["name"] for group in yaml.safe_load(text)["resource_groups"]]
    assert await run(local, "config", "import", "-", stdin=text) == (0, "Nothing changes.\n", "")


async def test_an_administrator_ends_somebodys_session(local, people):
    user, admin = await people("user1"), await people("admin")
    status, answer = await user.start("ended", queue="interactive", cpu="1", mem="1g")
    assert status in (201, 202), answer
    await user.until_ready("ended")
    api, headers = f"{local.url}/services/backendai/rest/v1", {"Authorization": f"token {await user.take_token()}"}
    async with user.program.get(f"{api}/sessions", headers=headers) as response:
        (session,) = [item for item in (await response.json())["sessions"] if item["server"] == "ended"]
    address = f"{api}/admin/sessions/{session['id']}"
    async with user.program.delete(address, headers=headers) as response:
        assert response.status == 404
    async with user.program.delete(address, headers={"Authorization": f"token {await admin.take_token()}"}) as response:
        assert response.status == 204
    await user.until_stopped("ended")


async def test_usage_is_recalculated(local):
    status, out, err = await run(local, "recalculate")
    assert (status, yaml.safe_load(out)["released"], err) == (0, [], "")
