"""Two real clusters as one engine: numbers of jobs and names of nodes that both have are never confused, and one may be away."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
import time

import pytest

from jupyterhub_backendai.backends import SlurmBackend
from jupyterhub_backendai.backends.base import JobRequest
from jupyterhub_backendai.backends.slurm_clusters import SlurmClusters
from jupyterhub_backendai.backends.slurm_parse import name_cluster
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.scheduler_choice import SchedulerChoice
from jupyterhub_backendai.core.sessions import JOB_OVER, JobState
from jupyterhub_backendai.errors import BackendUnavailable, InvalidParameters
from tests.backends import jobs
from tests.backends.jobs import account, reach
from tests.helperd import RunningHelper, running_helper
from tests.small_slurm import pair_of_clusters

pytestmark = pytest.mark.slurm


@pytest.fixture(scope="module")
def clusters():
    with pair_of_clusters() as pair:
        yield pair


@pytest.fixture(scope="module")
def helper(clusters):
    with running_helper("--allow-drain", slurm_conf=str(clusters[0].conf)) as helper:
        yield helper


@pytest.fixture
async def backend(clusters, helper: RunningHelper):
    settings = BackendAI(
        helper_socket=str(helper.socket),
        hub_id=f"two-{secrets.token_hex(4)}",
        slurm_clusters=[cluster.name for cluster in clusters],
        starting_interval_s=0.3,
        steady_interval_s=0.3,
    )
    backend = SlurmClusters(settings)
    backend.job_name = settings.job_name
    yield backend
    await backend.close()


def make_job(backend: SlurmClusters, cluster: str, partition: str = "gpu") -> JobRequest:
    environment = {"SLEEP": "300", "GREETING": f"on {cluster}"}
    choice = SchedulerChoice(cluster=cluster)
    return jobs.make_job(backend.job_name, environment=environment, queue="gpu", partition=partition, choice=choice)


async def test_two_jobs_of_one_number_are_two_jobs(backend, clusters) -> None:
    """The same number on both: told apart when asked about, when their logs are read, and when one is ended."""
    east, west = clusters
    on_east, on_west = make_job(backend, east.name), make_job(backend, west.name)
    east_id, west_id = await backend.submit(on_east), await backend.submit(on_west)
    assert west_id == f"{east_id};{west.name}"

    assert (await reach(backend, on_east, east_id, JobState.RUNNING)).node == "n01"
    there = await reach(backend, on_west, west_id, JobState.RUNNING)
    assert (there.node, there.job_id) == (f"n01@{west.name}", west_id)
    found = await backend.statuses()
    assert {found[job.admission.session_id].job_id for job in (on_east, on_west)} == {east_id, west_id}
    # whoever never learnt the number finds each by its session
    assert (await reach(backend, on_west, "", JobState.RUNNING)).job_id == west_id
    assert (await reach(backend, on_east, "", JobState.RUNNING)).job_id == east_id

    deadline = time.monotonic() + 30
    while f"on {west.name}" not in (log := await backend.read_log(west_id, account())) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    assert f"on {west.name}" in log
    assert f"on {east.name}" in await backend.read_log(east_id, account())

    await backend.cancel(west_id, account())
    await reach(backend, on_west, west_id, *JOB_OVER)
    assert (await backend.status(on_east.admission.session_id, east_id, account())).state is JobState.RUNNING
    await backend.cancel(east_id, account())
    await reach(backend, on_east, east_id, *JOB_OVER)


async def test_nodes_and_partitions_carry_their_cluster(backend, clusters) -> None:
    east, west = clusters
    rows = await backend.capacity()
    assert set(rows) == {"gpu", "east", f"gpu@{west.name}"}
    assert [rows[name].max_slots["cpu"] for name in ("gpu", f"gpu@{west.name}")] == [4, 8]
    assert rows[f"gpu@{west.name}"].max_time_s == 7200
    assert rows["gpu"].scheduler.cluster == east.name
    assert rows[f"gpu@{west.name}"].scheduler.cluster == west.name
    nodes = {node.name: node for node in await backend.nodes()}
    assert set(nodes) == {"n01", f"n01@{west.name}"}
    assert nodes[f"n01@{west.name}"].partitions == (f"gpu@{west.name}",)
    assert await backend.node_address(f"n01@{west.name}") == "127.0.0.1"

    await backend.drain(f"n01@{west.name}", "looked at")
    states = {node.name: node.detail for node in await backend.nodes()}
    assert "DRAIN" in states[f"n01@{west.name}"]
    assert "DRAIN" not in states["n01"]
    await backend.resume(f"n01@{west.name}")


async def test_what_is_on_no_cluster_is_refused(backend, clusters) -> None:
    with pytest.raises(InvalidParameters):
        await backend.submit(make_job(backend, "nowhere"))


async def test_a_cluster_that_is_away_takes_no_truth_of_the_other(backend, clusters) -> None:
    east, west = clusters
    on_east, on_west = make_job(backend, east.name), make_job(backend, west.name)
    east_id, west_id = await backend.submit(on_east), await backend.submit(on_west)
    await reach(backend, on_east, east_id, JobState.RUNNING)
    await reach(backend, on_west, west_id, JobState.RUNNING)
    await backend.statuses()
    await backend.capacity()

    west.stop_controller()
    assert (await reach(backend, on_west, west_id, JobState.UNKNOWN)).job_id == west_id
    found = await backend.statuses()
    assert found[on_east.admission.session_id].state is JobState.RUNNING
    assert found[on_west.admission.session_id].state is JobState.UNKNOWN
    assert (await backend.status(on_east.admission.session_id, east_id, account())).state is JobState.RUNNING
    rows = await backend.capacity()
    assert (rows["gpu"].error, bool(rows[f"gpu@{west.name}"].error)) == ("", True)
    assert {node.name for node in await backend.nodes()} == {"n01"}
    with pytest.raises(BackendUnavailable):
        await backend.submit(make_job(backend, west.name))
    # one that may be on the cluster that is away is not gone
    assert (await backend.status(secrets.token_hex(16), "", account())).state is JobState.UNKNOWN

    west.start_controller()
    assert (await reach(backend, on_west, west_id, JobState.RUNNING)).job_id == west_id
    for job, job_id in ((on_east, east_id), (on_west, west_id)):
        await backend.cancel(job_id, account())
        await reach(backend, job, job_id, *JOB_OVER)


async def test_in_a_federation_a_session_stays_where_it_was_sent(backend, clusters) -> None:
    """Without a cluster's name a federation starts a job wherever it likes, and shows everybody's jobs everywhere."""
    east, west = clusters
    name = f"fed{secrets.token_hex(3)}"
    subprocess.run(
        ["sacctmgr", "-i", "-Q", "add", "federation", name, f"clusters={east.name},{west.name}"], check=True, capture_output=True
    )
    try:
        for cluster in clusters:
            cluster.until(lambda cluster=cluster: "ACTIVE" in cluster.run("scontrol", "show", "federation"))
        for cluster in (west, east):
            job = make_job(backend, cluster.name)
            job_id = await backend.submit(job)
            status = await reach(backend, job, job_id, JobState.RUNNING)
            assert status.node == ("n01" if cluster is east else f"n01@{west.name}")
            assert int(job_id.partition(";")[0]) > 2**26
            await backend.cancel(job_id, account())
            await reach(backend, job, job_id, *JOB_OVER)
            own = {"" if cluster is east else west.name}
            assert {id_.partition(";")[2] for id_ in [status.job_id]} == own
    finally:
        subprocess.run(["sacctmgr", "-i", "-Q", "delete", "federation", name], check=False, capture_output=True)


def test_the_first_cluster_is_asked_without_the_accounting() -> None:
    squeue, sacctmgr = ["/usr/bin/squeue", "-h"], ["/usr/bin/sacctmgr", "-nP", "show", "qos"]
    assert name_cluster(squeue, "east", is_first=True) == ["/usr/bin/squeue", "--local", "-h"]
    assert name_cluster(squeue, "west", is_first=False) == ["/usr/bin/squeue", "--clusters=west", "-h"]
    assert name_cluster(["/usr/bin/scontrol", "ping"], "east", is_first=True) == ["/usr/bin/scontrol", "ping"]
    assert name_cluster(sacctmgr, "west", is_first=False) == sacctmgr


def test_the_settings_choose() -> None:
    from jupyterhub_backendai.backends import connect

    assert isinstance(connect(BackendAI(hub_id=secrets.token_hex(4)), "slurm"), SlurmBackend)
    assert isinstance(connect(BackendAI(hub_id=secrets.token_hex(4), slurm_clusters=["a", "b"]), "slurm"), SlurmClusters)
