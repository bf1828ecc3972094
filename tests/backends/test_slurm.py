"""The backend against the lab's cluster, through a helper that is root."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyterhub_backendai import backends
from jupyterhub_backendai.backends.base import JobRequest
from jupyterhub_backendai.backends.helper import HelperUnavailable
from jupyterhub_backendai.backends.slurm import SlurmBackend
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.reasons import explain_end, explain_pending
from jupyterhub_backendai.core.sessions import JOB_OVER, JobState
from jupyterhub_backendai.errors import InvalidParameters, NoPosixAccount, NotFound, SchedulerUnavailable, SubmitRefused
from tests.backends import jobs
from tests.backends.jobs import account, reach
from tests.helperd import RunningHelper, running_helper

pytestmark = pytest.mark.slurm

HUB_ID = f"test-{secrets.token_hex(4)}"


def make_job(settings: BackendAI, user: str = "kim01", *, sleep: str = "600", exit_code: str = "0", **fields) -> JobRequest:
    environment = {"JUPYTERHUB_API_TOKEN": "secret", "SLEEP": sleep, "EXIT": exit_code}
    return jobs.make_job(settings.job_name, user, environment=environment, **fields)


@pytest.fixture(scope="module")
def helper() -> Iterator[RunningHelper]:
    with running_helper() as running:
        yield running
        for user in ("kim01", "kim02"):
            subprocess.run(["scancel", "-u", user, "-n", f"backendai-{HUB_ID}"], check=False)


@pytest.fixture
def settings(helper) -> BackendAI:
    return BackendAI(helper_socket=str(helper.socket), hub_id=HUB_ID, starting_interval_s=0.5, steady_interval_s=0.5)


@pytest.fixture
async def backend(settings):
    backend = SlurmBackend(settings)
    yield backend
    await backend.close()


@pytest.fixture(scope="module")
def one_minute_job(helper) -> dict[str, str]:
    """A job that reaches its time limit while the other tests run."""
    session_id = secrets.token_hex(16)
    answer = helper.ask(
        "submit",
        session_id=session_id,
        job_name=f"backendai-{HUB_ID}",
        partition="jupyter",
        cpus=1,
        mem_bytes=2**27,
        time_s=60,
        environment={"SLEEP": "600"},
        command=["x"],
    )
    return {"session_id": session_id, "job_id": answer["job_id"]}


async def test_submit_run_and_cancel(backend, settings, one_minute_job, helper):
    job = make_job(settings, gpu=1, gpu_type="v100")
    job_id = await backend.submit(job)
    running = await reach(backend, job, job_id, JobState.RUNNING)
    assert running.node.startswith("jnode")
    assert await backend.node_address(running.node) == "127.0.0.1"
    assert (await backend.statuses())[job.admission.session_id].user == "kim01"
    async with asyncio.timeout(20):
        while "started" not in await backend.read_log(job_id, job.admission.posix):
            await asyncio.sleep(0.1)
    await backend.cancel(job_id, job.admission.posix, job.admission.session_id)
    over = await reach(backend, job, job_id, *JOB_OVER)
    assert (over.state, over.detail, over.ended_by) == (JobState.FAILED, "CANCELLED", job.admission.posix.uid)
    assert "from your account" in str(explain_end(over, job.admission.posix.uid))
    assert not list((helper.root("kim01") / ".backendai").glob(f"{job.admission.session_id}*"))
    await backend.cancel(job_id, job.admission.posix)


async def test_an_administrators_scancel_and_an_exit_code_are_told_apart(backend, settings):
    cancelled, failed = make_job(settings), make_job(settings, sleep="0", exit_code="3")
    first, second = await asyncio.gather(backend.submit(cancelled), backend.submit(failed))
    await reach(backend, cancelled, first, JobState.RUNNING)
    subprocess.run(["scancel", first], check=True)
    over = await reach(backend, cancelled, first, *JOB_OVER)
    assert "by an administrator" in str(explain_end(over, cancelled.admission.posix.uid))
    over = await reach(backend, failed, second, *JOB_OVER)
    assert (over.exit_code, "exit code 3" in str(explain_end(over))) == (3, True)


async def test_waiting_jobs_have_a_place_and_a_reason(backend, settings):
    jobs = [make_job(settings, user, partition="bigmem", account="paid") for user in ("kim01", "kim02", "kim01")]
    ids = [await backend.submit(job) for job in jobs]
    for job in jobs:
        backend.starting(job.admission.session_id)
    try:
        waiting = [await reach(backend, job, job_id, JobState.PENDING) for job, job_id in zip(jobs[1:], ids[1:], strict=True)]
        async with asyncio.timeout(20):
            while not all(status.position and status.reason != "None" for status in waiting):
                await backend.refresh()
                waiting = [
                    await backend.status(job.admission.session_id, job_id, job.admission.posix)
                    for job, job_id in zip(jobs[1:], ids[1:], strict=True)
                ]
        assert waiting[1].position > waiting[0].position >= 1
        assert "scheduler says" not in str(explain_pending(waiting[0].reason))
        row = (await backend.capacity())["bigmem"]
        assert row.waiting >= 2
    finally:
        for job, job_id in zip(jobs, ids, strict=True):
            await backend.cancel(job_id, job.admission.posix)


async def test_a_neighbours_job_cannot_pass_for_ours_nor_break_the_reading(backend, settings):
    job = make_job(settings)
    job_id = await backend.submit(job)
    session_id = job.admission.session_id
    own = [
        "runuser",
        "-u",
        "kim02",
        "--",
        "sbatch",
        "--parsable",
        "-D",
        "/tmp",
        "-o",
        "/dev/null",
        "-p",
        "jupyter",
        "-J",
        settings.job_name,
    ]
    comments = [session_id, f"{session_id}\n{job_id}|kim01|CANCELLED|n|N/A|jupyter|None", "|" * 500, "\n" * 30]
    spoofs = [
        subprocess.run([*own, f"--comment={comment}", "--wrap", "exit 1"], check=True, capture_output=True, text=True).stdout.strip()
        for comment in comments
    ]
    try:
        assert (await reach(backend, job, job_id, JobState.RUNNING)).job_id == job_id
        found = await backend.status(session_id, "", job.admission.posix)
        assert (found.job_id, found.user) == (job_id, "kim01")
        subprocess.run(["runuser", "-u", "kim01", "--", "scontrol", "update", f"JobId={job_id}", "Name=mine", "Comment=mine"], check=True)
        await backend.refresh()
        assert (await backend.status(session_id, job_id, job.admission.posix)).state is JobState.RUNNING
    finally:
        subprocess.run(["scancel", job_id, *spoofs], check=False)


async def test_a_submit_that_is_cancelled_leaves_a_job_that_can_be_found(backend, settings):
    job = make_job(settings)
    task = asyncio.create_task(backend.submit(job))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    found = await reach(backend, job, "", JobState.PENDING, JobState.RUNNING)
    await backend.cancel(found.job_id, job.admission.posix)


async def test_what_the_scheduler_refuses_is_told_in_plain_words(backend, settings):
    with pytest.raises(SubmitRefused, match="Your project may not use this queue") as caught:
        await backend.submit(make_job(settings, partition="bigmem", account="free"))
    assert caught.value.advice
    assert "Invalid account" in caught.value.params["reason"]
    with pytest.raises(InvalidParameters):
        await backend.submit(make_job(settings, options=("--uid=0",)))
    with pytest.raises(NoPosixAccount):
        await backend.submit(make_job(settings, posix=None))
    with pytest.raises(SubmitRefused, match="quality of service"):
        await backend.submit(make_job(settings, options=("--qos=nosuch",)))


async def test_the_table_of_a_real_cluster(backend):
    rows = await backend.capacity()
    assert {"jupyter", "cas_v100_4", "cas_v100_2", "amd_a100nv_8", "bigmem"} <= set(rows)
    row = rows["jupyter"]
    assert (row.nodes_total, row.max_time_s, row.is_exclusive) == (5, 12 * 3600, False)
    assert [(gpu.type, gpu.per_node) for gpu in row.gpus] == [("v100", 2)]
    assert row.nodes_alloc + row.nodes_idle + row.nodes_down == row.nodes_total


@pytest.mark.parametrize(
    ("line", "replacement"),
    [("SlurmctldPort=", "SlurmctldPort=1"), ("AuthType=", "AuthType=auth/munge\nAuthInfo=socket=/nonexistent/munge.sock")],
    ids=["controller", "munge"],
)
async def test_a_cluster_that_cannot_be_asked_loses_no_session(backend, settings, monkeypatch, tmp_path, line, replacement):
    """Slurm's own commands and words, with a configuration that leads them nowhere."""
    job = make_job(settings)
    job_id = await backend.submit(job)
    await reach(backend, job, job_id, JobState.RUNNING)
    lines = Path("/etc/slurm/slurm.conf").read_text().splitlines()
    (tmp_path / "slurm.conf").write_text("\n".join(replacement if text.startswith(line) else text for text in lines) + "\n")
    with monkeypatch.context() as patch:
        patch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
        for _ in range(2):
            await backend.refresh()
            status = await backend.status(job.admission.session_id, job_id, job.admission.posix)
            assert status.state is JobState.UNKNOWN
        with pytest.raises(SchedulerUnavailable):
            await backend.capacity()
    await backend.refresh()
    assert (await backend.status(job.admission.session_id, job_id, job.admission.posix)).state is JobState.RUNNING
    await backend.cancel(job_id, job.admission.posix)


async def test_without_the_helper_the_message_says_so(settings):
    settings.helper_socket = "/nonexistent/helper.sock"
    with pytest.raises(HelperUnavailable):
        await SlurmBackend(settings).submit(make_job(settings))


async def test_addresses_can_be_overridden(backend, settings):
    settings.node_addresses = {"jnode01": "10.0.0.1"}
    assert await backend.node_address("jnode01") == "10.0.0.1"
    for node in ("nosuchnode", "a b"):
        with pytest.raises(SchedulerUnavailable):
            await backend.node_address(node)


async def test_one_backend_for_each_engine_and_process(settings):
    assert backends.connect(settings, "slurm") is backends.connect(settings, "slurm")
    assert (await backends.connect(settings, "local").capacity()) == {}
    with pytest.raises(NotFound):
        backends.connect(settings, "kubernetes")


async def test_the_time_limit_ends_a_session_and_says_so(backend, one_minute_job):
    posix = account("kim01")
    async with asyncio.timeout(200):
        while (status := await backend.status(one_minute_job["session_id"], one_minute_job["job_id"], posix)).state not in JOB_OVER:
            await asyncio.sleep(0.5)
    assert (status.state, status.detail) == (JobState.FAILED, "TIMEOUT")
    assert "time limit" in str(explain_end(status, posix.uid))
