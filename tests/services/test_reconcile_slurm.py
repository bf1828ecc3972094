"""The reconciler with the lab's cluster: an orphan really ends, and a job of a live session really stays."""

import asyncio
import pwd
import secrets
import subprocess

import pytest

from jupyterhub_backendai.backends.base import JobRequest
from jupyterhub_backendai.backends.slurm import SlurmBackend
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.reconcile import CONFIRM_S, GRACE_S
from jupyterhub_backendai.core.sessions import JOB_OVER
from jupyterhub_backendai.services.hub import HubClient
from jupyterhub_backendai.services.reconcile import Reconciler
from jupyterhub_backendai.store import models, sessions
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import add_user, make_queue, make_spec
from tests.helperd import running_helper
from tests.services.test_reconcile import FakeHub

__all__ = ["database", "database_url", "postgres_url", "sqlite_template"]
pytestmark = pytest.mark.slurm

HUB_ID = f"test-{secrets.token_hex(4)}"
QUEUE = make_queue("batch", "slurm", partition="jupyter")


@pytest.fixture
async def backend():
    with running_helper() as helper:
        settings = BackendAI(helper_socket=str(helper.socket), hub_id=HUB_ID, starting_interval_s=0.5, steady_interval_s=0.5)
        backend = SlurmBackend(settings)
        yield backend
        await backend.close()
        subprocess.run(["scancel", "-u", "kim01", "-n", settings.job_name], check=False)


async def test_an_orphan_ends_and_a_live_job_stays(database, backend):
    account = pwd.getpwnam("kim01")
    posix = {"posix_uid": account.pw_uid, "posix_gid": account.pw_gid, "posix_home": account.pw_dir}
    await database.run(lambda db: add_user(db, "kim01", **posix))
    hub = FakeHub()
    client = HubClient(hub.start(), "token")
    hub.set_server("kim01", "kept")

    async def start(server_name):
        spec = make_spec(server_name=server_name, queue="batch", mem=100 * 2**20)
        admission = await database.run_exclusive(sessions.admit, spec, QUEUE, None)
        environment = {"SLEEP": "600", "JUPYTERHUB_API_TOKEN": "x"}
        job_id = await backend.submit(JobRequest(admission, environment, ["/usr/bin/python3"], f"backendai-{HUB_ID}"))
        return admission, job_id

    async def is_over(admission, job_id):
        return (await backend.status(admission.session_id, job_id, admission.posix)).state in JOB_OVER

    (kept, kept_job), (orphan, orphan_job) = await start("kept"), await start("lost")
    async with asyncio.timeout(30):
        while {kept.session_id, orphan.session_id} - set(await backend.statuses()):
            await asyncio.sleep(0.2)
    reconciler = Reconciler(BackendAI(hub_id=HUB_ID), database, client, {"slurm": backend})
    at = models.now().timestamp() + GRACE_S + 1
    await reconciler.reconcile(at)
    plan = await reconciler.reconcile(at + CONFIRM_S + 1)
    assert [cancel.job_id for cancel in plan.cancel] == [orphan_job]
    async with asyncio.timeout(30):
        while not await is_over(orphan, orphan_job):
            await asyncio.sleep(0.2)
    assert not await is_over(kept, kept_job)
    assert [info.server_name for info in await database.run(sessions.list_live)] == ["kept"]
    await backend.cancel(kept_job, kept.posix)
    await client.close()
    hub.server.stop()
