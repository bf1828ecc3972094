"""A whole start by slurmrestd: a real hub without any rights, no helper, no sudo; the job gets its session for a ticket."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess

import pytest

from jupyterhub_backendai.backends.tickets import Tickets
from tests.backends.slurm_worlds import rest_cluster, scratch_of_people

from .harness import NOBODY, running_hub, until
from .test_slurm import account, squeue
from .test_ticket_routes import ask

pytestmark = [pytest.mark.slurm, pytest.mark.e2e, pytest.mark.skipif(os.geteuid() != 0, reason="jobs as other people need root")]


async def test_a_session_is_handed_out_for_its_ticket_also_by_the_next_hub():
    hub_id = f"rest-{secrets.token_hex(4)}"
    with scratch_of_people() as base, rest_cluster() as (url, slurms_key):
        key = base / "jwt.key"  # the hub's own copy: it is nobody here
        shutil.copy(slurms_key, key)
        key.chmod(0o400)
        os.chown(key, NOBODY, NOBODY)
        settings = {"slurm_submit": "rest", "slurm_rest_url": url, "slurm_rest_key_file": str(key), "helper_socket": "/nonexistent"}
        try:
            async with running_hub(hub_id=hub_id, user_root=f"{base}/scratch/{{user}}", steady_interval_s=1.0, **settings) as hub:
                hub.service.posix = account("kim01")
                status, answer = await hub.launch("kim01", queue="jupyter", mem="512m", cpu="1")
                assert status in {201, 202}, answer
                await hub.until_phase("kim01", "pending")
                hub.kill()
                await hub.start()
                model = await hub.until_ready("kim01")
                state = model["state"]
                session_id, job_id = state["session_id"], state["child"]["job_id"]
                assert squeue("-n", f"backendai-{hub_id}", "-o", "%i %u %T") == [job_id, "kim01", "RUNNING"]
                async with hub.http.get(f"http://127.0.0.1:{state['child']['port']}/user/kim01/api") as response:
                    assert response.status == 200
                log = base / "scratch" / "kim01" / "log" / f"{job_id}.log"
                assert log.stat().st_uid == pwd.getpwnam("kim01").pw_uid
                tickets = Tickets(hub.dir / "tickets")
                await until(lambda: "jupyter" in tickets.read_log(session_id, "kim01").lower(), 20, "the log")
                assert not list((base / "scratch" / "kim01" / ".backendai").iterdir())
                script = subprocess.run(
                    ["scontrol", "write", "batch_script", job_id, "-"], capture_output=True, text=True, check=True
                ).stdout
                assert "TICKET" not in script
                assert (await ask(hub, session_id, "ticket", {"ticket": "x", "asker": "y"}))[0] == 404
                await hub.stop_server("kim01")
                await hub.until_stopped("kim01")
                await until(lambda: not squeue("-n", f"backendai-{hub_id}", "-o", "%i"), 30, "the end of the job")
        finally:
            subprocess.run(["scancel", "-n", f"backendai-{hub_id}"], check=False)
