"""Two clusters as one engine, without a cluster: what each is asked, and what is said while one is away."""

from __future__ import annotations

from decimal import Decimal

import pytest

from jupyterhub_backendai.backends.slurm_clusters import SlurmClusters
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.nodes import Node, NodeState
from jupyterhub_backendai.core.queues import QueueFigures
from jupyterhub_backendai.core.sessions import JobState, JobStatus
from jupyterhub_backendai.errors import NotFound, SchedulerUnavailable
from tests.fakes import FakeEngine

ONE, TWO = "1" * 32, "2" * 32


class Member(FakeEngine):
    """One cluster, whose answers a test gives it."""

    def __init__(self, name: str) -> None:
        super().__init__({"gpu": QueueFigures("gpu")})
        self.jobs: dict[str, JobStatus] = {}
        self.usage: dict[str, object] | None = {}
        self.asked: list[object] = []
        self.cluster = name

    def _check(self) -> None:
        if self.error:
            raise self.error

    async def status(self, session_id, job_id, posix):
        self.asked.append(job_id)
        if self.error:
            return JobStatus(job_id, JobState.UNKNOWN)
        return self.jobs.get(session_id, JobStatus(job_id, JobState.GONE))

    async def statuses(self):
        self._check()
        return self.jobs

    async def read_usage(self, job_ids, cluster=""):
        self._check()
        self.asked.append(list(job_ids))
        return None if self.usage is None else {job_id: self.usage[job_id] for job_id in job_ids if job_id in self.usage}

    async def nodes(self):
        self._check()
        return [Node("n01", "slurm", NodeState.IDLE, partitions=("gpu",))]

    async def slot_kinds(self):
        self._check()
        return {}


@pytest.fixture
def members() -> dict[str, Member]:
    return {name: Member(name) for name in ("east", "west")}


@pytest.fixture
def engine(members) -> SlurmClusters:
    return SlurmClusters(BackendAI(slurm_clusters=["east", "west"]), members.__getitem__)


async def test_each_cluster_is_asked_about_its_own_jobs(engine, members) -> None:
    members["east"].usage, members["west"].usage = {"17": Decimal(1)}, {"17": Decimal(2)}
    assert await engine.read_usage(["17", "17;west", "18;west"]) == {"17": 1, "17;west": 2}
    assert (members["east"].asked, members["west"].asked) == ([["17"]], [["17", "18"]])
    members["west"].usage = None
    assert await engine.read_usage(["17;west"]) is None


async def test_a_job_of_a_cluster_that_the_site_has_no_more_is_unknown(engine) -> None:
    assert (await engine.status(ONE, "17;north", None)).state is JobState.UNKNOWN
    with pytest.raises(NotFound):
        await engine.cancel("17;north", None)


@pytest.mark.parametrize(
    ("west", "away", "state"),
    [
        (JobStatus("17", JobState.RUNNING, node="n01"), False, JobState.RUNNING),
        (JobStatus("17", JobState.FAILED), False, JobState.FAILED),
        (None, False, JobState.GONE),
        (None, True, JobState.UNKNOWN),
    ],
)
async def test_a_job_whose_number_was_never_learnt_is_gone_when_it_is_gone_everywhere(engine, members, west, away, state) -> None:
    if west:
        members["west"].jobs[ONE] = west
    members["west"].error = SchedulerUnavailable() if away else None
    found = await engine.status(ONE, "", None)
    assert found.state is state
    assert found.job_id == ("17;west" if west else "")


async def test_what_was_never_seen_is_not_nothing(engine, members) -> None:
    """A list without a cluster's jobs would have its sessions released."""
    members["east"].jobs[ONE] = JobStatus("17", JobState.RUNNING)
    members["west"].error = SchedulerUnavailable()
    with pytest.raises(SchedulerUnavailable):
        await engine.statuses()
    members["west"].error, members["west"].jobs = None, {TWO: JobStatus("17", JobState.RUNNING, node="n01")}
    assert {session: job.job_id for session, job in (await engine.statuses()).items()} == {ONE: "17", TWO: "17;west"}
    members["west"].error = SchedulerUnavailable()
    found = await engine.statuses()
    assert (found[ONE].state, found[TWO].state, found[TWO].node) == (JobState.RUNNING, JobState.UNKNOWN, "n01@west")


async def test_rows_and_nodes_of_one_that_is_away_are_the_last_ones(engine, members) -> None:
    first = await engine.capacity()
    assert {name: row.error for name, row in first.items()} == {"gpu": "", "gpu@west": ""}
    await engine.nodes()
    members["west"].error = SchedulerUnavailable()
    rows = await engine.capacity()
    assert (rows["gpu"].error, rows["gpu@west"].error, rows["gpu@west"].read_at) == ("", "away", first["gpu@west"].read_at)
    assert [node.name for node in await engine.nodes()] == ["n01", "n01@west"]
    members["east"].error = SchedulerUnavailable()
    with pytest.raises(SchedulerUnavailable):
        await engine.capacity()
