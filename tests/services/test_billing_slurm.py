"""A bill from the lab's own accounting: a job runs, is cancelled, and is charged for what sacct says, to the second."""

import asyncio
import pwd
import secrets
import subprocess
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

import pytest

from jupyterhub_backendai.backends.base import JobRequest
from jupyterhub_backendai.backends.slurm import SlurmBackend
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.ledger import ACCOUNTING
from jupyterhub_backendai.core.queues import QueueFigures
from jupyterhub_backendai.core.sessions import JOB_OVER, JobState, SessionStatus
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.services.billing import Biller
from jupyterhub_backendai.store import batch, ledger, models, sessions
from jupyterhub_backendai.store.database import Database
from tests.databases import sqlite_template
from tests.factories import GIB, add_user, make_queue, make_spec
from tests.fakes import Postbox
from tests.helperd import running_helper
from tests.services.test_billing import Hub, Runner

__all__ = ["sqlite_template"]
pytestmark = pytest.mark.slurm
PRICES = ResourceSlots({"cpu": "3600", "mem": "360000"})
QUEUE = make_queue("batch", "slurm", partition="jupyter", is_free=False, prices=PRICES)
FIGURES = QueueFigures("jupyter", max_slots=ResourceSlots({"cpu": 8, "mem": 64 * GIB}))


@pytest.fixture
async def database(sqlite_template, tmp_path):
    (tmp_path / "backendai.sqlite").write_bytes(sqlite_template.read_bytes())
    opened = Database(f"sqlite:///{tmp_path}/backendai.sqlite")
    yield opened
    await opened.close()


async def test_a_job_is_charged_for_what_accounting_says(database, tmp_path):
    account = pwd.getpwnam("kim01")
    user_id = await database.run(add_user, "kim01", posix_uid=account.pw_uid, posix_gid=account.pw_gid, posix_home=account.pw_dir)
    with running_helper() as helper:
        settings = BackendAI(
            state_dir=str(tmp_path),
            helper_socket=str(helper.socket),
            hub_id=f"test-{secrets.token_hex(4)}",
            starting_interval_s=0.5,
            steady_interval_s=0.5,
            currency_digits=2,
        )
        database.info["billing"] = settings.make_billing()
        backend = SlurmBackend(settings)
        spec = make_spec(queue="batch", mem=100 * 2**20, time_s=600)
        admission = await database.run_exclusive(sessions.admit, spec, QUEUE, FIGURES)
        variables = {"SLEEP": "600", "JUPYTERHUB_API_TOKEN": "x"}
        job_id = await backend.submit(JobRequest(admission, variables, ["/usr/bin/python3"], settings.job_name))
        await database.run_exclusive(batch.keep_job, spec.session_id, job_id)
        await wait_for(backend, admission, job_id, {JobState.RUNNING})
        await database.run(sessions.report, spec.session_id, SessionStatus.RUNNING)
        await backend.cancel(job_id, admission.posix)
        await wait_for(backend, admission, job_id, JOB_OVER)
        await database.run_exclusive(sessions.release, spec.session_id, "stopped")
        biller = Biller(settings, database, Hub(), {"slurm": backend}, Runner(), Postbox())
        async with asyncio.timeout(60):
            while not await biller.look():
                await asyncio.sleep(0.2)
        await backend.close()
    line = subprocess.run(
        ["sacct", "-nXP", "-j", job_id, "-o", "ElapsedRaw,AllocTRES"], check=True, capture_output=True, text=True
    ).stdout.strip()
    seconds, tres = line.split("|")
    cpus = int(dict(part.split("=") for part in tres.split(","))["cpu"])
    bill = await database.run(lambda db: db.get_one(models.SessionBill, spec.session_id))
    assert (bill.source, bill.used_s, bill.used_slots["cpu"], bill.used_slots["mem"]) == (ACCOUNTING, int(seconds), cpus, 100 * 2**20)
    exact = Decimal(seconds) * (cpus + Decimal(100) * 100 / 1024)
    assert bill.charged == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert (await database.run(ledger.get_balance, f"user:{user_id}")).total == -bill.charged
    assert bill.settled_at <= datetime.now(UTC)


async def wait_for(backend, admission, job_id, states):
    async with asyncio.timeout(60):
        while (await backend.status(admission.session_id, job_id, admission.posix)).state not in states:
            await asyncio.sleep(0.2)
