from __future__ import annotations

import asyncio
import json
import os
import pwd
import shutil
import sys
import uuid
from pathlib import Path

import pytest

from jupyterhub_backendai.backends.base import JobRequest
from jupyterhub_backendai.backends.local import LocalBackend
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.queues import QueueFigures
from jupyterhub_backendai.errors import BackendUnavailable

ACCOUNT = "nobody"


async def test_the_local_engine_knows_only_what_admission_tells_it(tmp_path):
    async def usage():
        return {"local-cpu": QueueFigures("local-cpu", running=3)}

    backend = LocalBackend(BackendAI(state_dir=str(tmp_path)), usage)
    assert (await backend.capacity())["local-cpu"].running == 3
    assert (await backend.statuses(), await backend.read_log("7", None), await backend.node_address("n")) == ({}, "", "n")
    backend.starting("s")
    backend.started("s")
    await backend.refresh()
    await backend.cancel("7", None)
    with pytest.raises(BackendUnavailable):
        await backend.submit(JobRequest(None, {}, [], "x"))


async def run_as(account: str, *command: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, cwd="/", user=account, group=pwd.getpwnam(account).pw_gid, extra_groups=[]
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    return output


@pytest.fixture
def state(tmp_path):
    """A directory of the ordinary account's, which may go through what is above it."""
    if os.geteuid() == 0:
        path = Path("/tmp") / f"backendai-batch-{uuid.uuid4().hex[:8]}"
        path.mkdir(mode=0o700)
        os.chown(path, pwd.getpwnam(ACCOUNT).pw_uid, -1)
        yield path
        shutil.rmtree(path)
    else:
        yield tmp_path


async def test_batch_jobs_run_once_and_tell_how_they_ended(state):
    command = [sys.executable, str(Path(__file__).parent / "local_batch.py"), str(state)]
    account = ACCOUNT if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    found = json.loads(await run_as(account, *command))
    good = found["good"]
    assert (good["state"], good["code"]) == ("DONE", 0)
    assert good["log"].splitlines() == [f"한글 {1:032x}", sys.prefix, str(state / "home" / "%EA%B9%80 01" / "workspace"), "1,3"]
    assert (found["bad"]["state"], found["bad"]["code"], found["bad"]["log"]) == ("FAILED", 7, "oops\n")
    assert (found["late"]["state"], found["late"]["detail"]) == ("FAILED", "TIMEOUT")
    assert (found["ended"]["state"], found["ended"]["detail"]) == ("FAILED", "CANCELLED")
    assert (found["longer"]["state"], found["longer"]["log"]) == ("DONE", "done\n")  # it was given more time
    assert found["never"]["state"] == "GONE"
    assert found["missing"]["state"] == "FAILED"
    assert all(found["same"].values())
    assert found["twice"] == "0-0"
