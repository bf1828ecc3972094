"""Queues as the lab's Slurm has them: what is refused before anything is submitted, and shares of GPUs for real."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import replace
from time import time

import pytest

from jupyterhub_backendai.backends.slurm import SlurmBackend
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.queues import Queue
from jupyterhub_backendai.core.scheduler_fit import find_gres
from jupyterhub_backendai.core.scheduler_offers import find_offer
from jupyterhub_backendai.core.sessions import JobState, check_request, parse_request
from jupyterhub_backendai.core.slots import CUDA_DEVICE
from tests.backends.jobs import account, reach
from tests.backends.test_slurm import backend, helper, make_job, settings

__all__ = ["backend", "helper", "settings"]
pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def rows():
    """The rows of the lab's partitions as the service keeps them."""

    async def read():
        backend = SlurmBackend(BackendAI())
        try:
            return {name: replace(row, read_at=time()) for name, row in (await backend.capacity()).items()}
        finally:
            await backend.close()

    return asyncio.run(read())


@pytest.mark.parametrize(
    ("partition", "fields", "refused"),
    [
        ("jupyter", {}, []),
        ("jupyter", {"account": "paid", "qos": "normal", "features": "v100&32g", "cluster": "lab"}, []),
        ("jupyter", {"qos": "jupyter_free"}, ["qos"]),  # the partition's own, which nobody may ask for
        ("jupyter", {"account": "root"}, ["account"]),
        ("jupyter", {"features": "80g"}, ["features"]),
        ("jupyter", {"reservation": "nobodys"}, ["reservation"]),
        ("jupyter", {"time": "13:00:00"}, ["time"]),
        ("jupyter", {"shares": "1.5"}, ["shares"]),
        ("jupyter", {"shares": "0.125", "gpu_type": "a100"}, ["gpu_type"]),
        ("cas_v100_4", {}, ["account"]),
        ("cas_v100_4", {"account": "paid", "gpu": 4}, []),
        ("cas_v100_4", {"account": "paid", "shares": "0.5"}, ["shares"]),
        ("bigmem", {"account": "paid", "gpu": 1}, ["gpu"]),
    ],
)
def test_what_the_lab_would_refuse_or_never_start(rows, partition, fields, refused):
    queue, row = Queue(partition, "slurm"), rows[partition]
    request = parse_request({"queue": partition, "project": "p", **fields})
    assert [violation.field for violation in check_request(request, queue, row, ("p",), account("kim01"))] == refused
    # parts of two GPUs are taken by sbatch, and wait for ever
    if "shares" not in fields:
        assert bool(refused) is bool(dry_run(partition, request))


def dry_run(partition, request):
    """What sbatch itself says, without submitting anything."""
    choice, gpus = request.choice, int(request.slots.amount(CUDA_DEVICE))
    options = {
        "account": choice.account,
        "qos": choice.qos,
        "constraint": choice.features,
        "reservation": choice.reservation,
        "gres": gpus and f"gpu:{gpus}",
    }
    command = ["sbatch", "--test-only", f"--partition={partition}", f"--time={request.time_s // 60 or 60}", "--wrap=true"]
    command += [f"--{name}={value}" for name, value in options.items() if value]
    return subprocess.run(["runuser", "-u", "kim01", "--", *command], capture_output=True, check=False, cwd="/").returncode


def test_what_the_lab_lets_people_choose(rows):
    paid = find_offer(Queue("cas_v100_4", "slurm"), rows["cas_v100_4"], account("kim01"))
    assert [one.name for one in paid.accounts] == ["paid"]
    offer = find_offer(Queue("jupyter", "slurm"), rows["jupyter"], account("kim01"))
    assert [(one.name, one.qos, one.is_default) for one in offer.accounts] == [("free", ("normal",), True), ("paid", ("normal",), False)]
    assert (offer.features, offer.clusters) == (("32g", "v100"), ("lab",))


async def test_a_share_of_a_gpu(backend, settings, rows):
    gres = find_gres(parse_request({"queue": "jupyter", "shares": "0.5"}), Queue("jupyter", "slurm"), rows["jupyter"])
    assert gres == "shard:4"
    job = make_job(settings, gres=gres, account="free")
    job_id = await backend.submit(job)
    try:
        await reach(backend, job, job_id, JobState.RUNNING)
        shown = subprocess.run(["scontrol", "show", "job", job_id], capture_output=True, text=True, check=True).stdout
        assert "gres/shard=4" in shown
        assert "TresPerNode=gres:shard:4" in shown
    finally:
        await backend.cancel(job_id, job.admission.posix)
    await reach(backend, job, job_id, JobState.FAILED, JobState.DONE)
