"""Slurm without accounting, with private jobs, with Korean everywhere: a small cluster of the test's own."""

from __future__ import annotations

import asyncio
import pwd
import secrets
import time

import pytest

from jupyterhub_backendai.backends import slurm_privacy, slurm_reader
from jupyterhub_backendai.backends.commands import run
from jupyterhub_backendai.backends.slurm import SlurmBackend
from jupyterhub_backendai.backends.slurm_reader import SlurmReader
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.core.nodes import NodeState
from jupyterhub_backendai.core.sessions import JOB_OVER, JobState
from tests.backends.fake_slurm import FakeJob, FakeSlurm
from tests.small_slurm import NodeLine, SmallSlurm, running

PRIVATE = "PrivateData=jobs,usage,users,accounts,reservations"
ONE = "1" * 32


@pytest.fixture(scope="module")
def cluster():
    nodes = [NodeLine("n01", gres="gpu:v100:2"), NodeLine("n02")]
    with running(SmallSlurm("small", nodes, ["gpu Nodes=n01,n02 Default=YES MaxTime=60"], PRIVATE)) as cluster:
        yield cluster


@pytest.fixture
async def backend(cluster):
    backend = SlurmBackend(BackendAI(hub_id=f"small-{secrets.token_hex(4)}", starting_interval_s=0.2, steady_interval_s=0.2))
    yield backend
    await backend.close()


def submit(cluster: SmallSlurm, name: str, comment: str, user: str = "kim01") -> str:
    command = ("sbatch", "--parsable", "--output=/dev/null", "--chdir=/", f"--job-name={name}", f"--comment={comment}", "--wrap=sleep 60")
    return cluster.run(*command, user=user).strip()


@pytest.mark.slurm
async def test_without_accounting_nothing_is_said_of_people_and_sessions_end(cluster, backend) -> None:
    account = PosixAccount("kim01", pwd.getpwnam("kim01").pw_uid, 0, "/")
    rows = await backend.capacity()
    assert (rows["gpu"].nodes_total, rows["gpu"].gpus[0].total, rows["gpu"].scheduler.associations) == (2, 2, None)
    assert await backend.read_usage(["1"]) is None

    session, stranger = secrets.token_hex(16), "한글 | 설명\n둘째 줄"
    job_id = submit(cluster, backend._settings.job_name, session)
    other = submit(cluster, backend._settings.job_name, stranger)
    deadline = time.monotonic() + 60
    while (status := await backend.status(session, job_id, account)).state is not JobState.RUNNING and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    assert (status.state, status.user) == (JobState.RUNNING, "kim01")
    assert set(await backend.statuses()) == {session}
    cluster.run("scancel", job_id, other)
    while (status := await backend.status(session, job_id, account)).state not in JOB_OVER and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    assert status.detail == "CANCELLED"


@pytest.mark.slurm
async def test_reasons_of_nodes_may_be_korean(cluster, backend) -> None:
    reason = "점검 중: 전원 (화요일) State=IDLE"
    cluster.run("scontrol", "update", "NodeName=n02", "State=DRAIN", f"Reason={reason}")
    node = next(node for node in await backend.nodes() if node.name == "n02")
    assert (node.reason, node.state) == (reason, NodeState.DRAINED)
    cluster.run("scontrol", "update", "NodeName=n02", "State=RESUME")
    rows = await backend.capacity()
    assert rows["gpu"].nodes_total == 2


@pytest.mark.slurm
async def test_a_job_that_is_hidden_from_us_is_not_gone(cluster, monkeypatch) -> None:
    """The controller says of it what it says of a job that never was."""
    name = f"backendai-{secrets.token_hex(4)}"
    job_id = submit(cluster, name, ONE)

    async def ask_as_nobody(arguments):
        return await run("slurm", ["/usr/sbin/runuser", "-u", "lee01", "--", *arguments], timeout_s=20)

    for account, state in (("lee01", JobState.UNKNOWN), ("", JobState.GONE)):
        now = [1000.0]
        monkeypatch.setattr(slurm_privacy, "own_account", lambda account=account: account)
        reader = SlurmReader(ask_as_nobody, "/usr/bin", name, starting_s=3600, steady_s=3600, clock=lambda now=now: now[0])
        for _ in range(4):
            now[0] += 30
            await reader.refresh()
            found = await reader.status(ONE, job_id, "kim01")
        # root would have seen it: what nobody hides and is not there is gone
        assert found.state is state
        await reader.close()
    cluster.run("scancel", job_id)


@pytest.mark.parametrize(
    ("config", "level", "state"),
    [
        ("PrivateData             = none\n", "", JobState.GONE),
        ("PrivateData             = jobs,usage\nAccountingStorageType   = accounting_storage/slurmdbd\n", "", JobState.UNKNOWN),
        ("PrivateData             = jobs,usage\nAccountingStorageType   = accounting_storage/slurmdbd\n", "None\n", JobState.UNKNOWN),
        ("PrivateData             = jobs,usage\nAccountingStorageType   = accounting_storage/slurmdbd\n", "Operator\n", JobState.GONE),
        ("PrivateData             = jobs\nAccountingStorageType   = accounting_storage/none\n", "Operator\n", JobState.UNKNOWN),
        ("PrivateData             = jobs\nSlurmUser               = hub(990)\n", "", JobState.GONE),
        ("PrivateData             = usage,users\n", "", JobState.GONE),
        ("", "", JobState.UNKNOWN),
    ],
)
@pytest.mark.parametrize("job_id", ["7", ""])
async def test_gone_is_only_what_we_would_have_seen(config, level, state, job_id, monkeypatch) -> None:
    monkeypatch.setattr(slurm_privacy, "own_account", lambda: "hub")
    monkeypatch.setattr(slurm_reader, "MIN_GAP_S", 0.0)
    slurm = FakeSlurm(config=config, level=level, jobs={"9": FakeJob(user="lee01", comment="2" * 32)})
    reader = SlurmReader(slurm.run, "/usr/bin", "backendai-hub", starting_s=3600, steady_s=3600, clock=slurm.clock)
    await reader.status(ONE, job_id, "kim01")
    for _ in range(3):
        slurm.now += 60
        await reader.refresh()
    assert (await reader.status(ONE, job_id, "kim01")).state is state
    assert slurm.commands["scontrol"] <= 3
    await reader.close()
