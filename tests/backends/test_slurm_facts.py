from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace

import pytest
from traitlets.config import Config

from jupyterhub_backendai.backends.slurm_facts import PARTITIONS_S, PEOPLE_S, RETRY_S, SlurmFacts, find_site_qos, find_unix_group
from jupyterhub_backendai.core.partitions import UnixGroup
from jupyterhub_backendai.errors import SchedulerUnavailable
from tests.backends.test_slurm_figures import recorded


class Cluster:
    """Recorded answers, a clock, and what was asked."""

    def __init__(self) -> None:
        self.now, self.asked, self.answers = 0.0, Counter(), {}
        self.accounting = asyncio.Event()
        self.accounting.set()
        self.error = ""

    async def ask(self, arguments):
        words = " ".join(arguments)
        subject = next(
            name
            for name in ("partition", "node", "squeue", "reservation", "config", "qos", "user", "assoc")
            if f" {name}" in words or f"/{name}" in words
        )
        self.asked[subject] += 1
        if "sacctmgr" in words:
            await self.accounting.wait()
        if subject == self.error:
            raise SchedulerUnavailable
        if subject in self.answers:
            return self.answers[subject]
        return recorded({"squeue": "counts", "user": "users", "assoc": "associations"}.get(subject, subject))

    def clock(self):
        return self.now


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
async def facts(cluster):
    facts = SlurmFacts(cluster.ask, "/usr/bin", site_qos="normal", clock=cluster.clock)
    yield facts
    await facts.close()


async def test_everything_is_there_the_first_time(facts):
    rows = await facts.capacity()
    scheduler = rows["jupyter"].scheduler
    assert (scheduler.cluster, scheduler.site_qos, scheduler.enforces) == ("lab", "normal", {"associations", "limits", "qos"})
    assert {one.account for one in scheduler.associations["kim01"]} == {"free", "paid"}
    assert [one.name for one in scheduler.reservations] == ["seminar", "course"]
    assert [one.name for one in rows["cas_v100_2"].scheduler.reservations] == ["notkim"]
    assert rows["amd_a100nv_8"].scheduler.reservations == ()


async def test_each_part_is_asked_as_often_as_it_changes(facts, cluster):
    for cluster.now in range(0, 600, 10):
        await facts.capacity()
        await asyncio.sleep(0)
    assert cluster.asked["node"] == cluster.asked["squeue"] == 60
    assert cluster.asked["partition"] == cluster.asked["reservation"] == 600 / PARTITIONS_S
    assert cluster.asked["config"] == cluster.asked["qos"] == cluster.asked["assoc"] == cluster.asked["user"] == 600 / PEOPLE_S
    assert sum(cluster.asked.values()) / 10 <= 20  # commands a minute, however many look


async def test_accounting_that_hangs_holds_nobody_up_for_long(cluster):
    cluster.accounting.clear()
    facts = SlurmFacts(cluster.ask, "/usr/bin", clock=cluster.clock, first_wait_s=0.01)
    assert (await facts.capacity())["jupyter"].scheduler.associations is None
    cluster.now = 3 * PEOPLE_S
    await facts.capacity()
    assert cluster.asked["qos"] == 1  # never two at once
    cluster.accounting.set()
    async with asyncio.timeout(60):
        while (await facts.capacity())["jupyter"].scheduler.associations is None:
            await asyncio.sleep(0)
    await facts.close()


async def test_what_was_known_of_people_outlives_an_accounting_that_is_away(facts, cluster):
    before = (await facts.capacity())["jupyter"].scheduler.associations
    cluster.error, cluster.now = "assoc", PEOPLE_S
    for _ in range(3):
        await facts.capacity()
        await asyncio.sleep(0)
    cluster.now += RETRY_S
    await facts.capacity()
    assert cluster.asked["assoc"] == 3
    assert (await facts.capacity())["jupyter"].scheduler.associations == before


async def test_without_accounting_nothing_is_said_of_people(cluster):
    cluster.answers["config"] = "ClusterName = small\nAccountingStorageType = accounting_storage/none\n"
    facts = SlurmFacts(cluster.ask, "/usr/bin", clock=cluster.clock)
    scheduler = (await facts.capacity())["jupyter"].scheduler
    assert (scheduler.cluster, scheduler.associations, scheduler.qos, scheduler.enforces) == ("small", None, None, frozenset())
    assert not cluster.asked["qos"]
    await facts.close()


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        ("assoc", "lab|free|kim01|||normal|||||||\nlab|pa"),
        ("assoc", "lab|free|kim01|||normal|||||||"),
        ("assoc", "slurm_persist_conn_open: garbage\n"),
        ("assoc", ""),
        ("qos", "normal|\n"),
        ("user", "kim01\n"),
        ("config", "ClusterName = l"),
    ],
)
async def test_an_answer_that_lost_a_part_takes_nothing_from_anybody(facts, cluster, subject, answer):
    before = (await facts.capacity())["jupyter"].scheduler
    cluster.answers[subject], cluster.now = answer, PEOPLE_S
    for _ in range(10):
        await facts.capacity()
        await asyncio.sleep(0.001)
    assert (await facts.capacity())["jupyter"].scheduler == before
    assert cluster.asked[subject] == 2


async def test_an_empty_answer_is_no_answer(cluster):
    cluster.answers = {"assoc": "", "qos": ""}
    facts = SlurmFacts(cluster.ask, "/usr/bin", clock=cluster.clock)
    scheduler = (await facts.capacity())["jupyter"].scheduler
    assert (scheduler.associations, scheduler.qos) == (None, None)
    await facts.close()


async def test_a_controller_that_is_away(facts, cluster):
    cluster.error = "node"
    with pytest.raises(SchedulerUnavailable):
        await facts.capacity()


async def test_unix_groups_that_may_use_a_partition(cluster):
    groups = {"staff": UnixGroup("staff", 50, frozenset({"kim01"}))}
    facts = SlurmFacts(cluster.ask, "/usr/bin", clock=cluster.clock, find_group=groups.get)
    cluster.answers["partition"] = (
        "PartitionName=jupyter AllowGroups=staff State=UP\nPartitionName=bigmem AllowGroups=staff,secret State=UP\n"
    )
    rows = await facts.capacity()
    assert rows["jupyter"].rules.groups == (groups["staff"],)
    assert rows["bigmem"].rules.groups is None
    await facts.close()


def test_a_group_without_members_is_not_told():
    assert find_unix_group("no-such-group") is None
    assert all(found is None or found.members for found in map(find_unix_group, ("root", "shadow", "nogroup")))


def test_the_sites_own_quality_of_service():
    config = Config({"SlurmSpawner": {"req_qos": "jupyter"}})
    assert find_site_qos(SimpleNamespace(config=config)) == "jupyter"
    assert find_site_qos(SimpleNamespace(config=Config())) == ""
