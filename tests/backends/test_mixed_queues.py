"""A small Slurm without accounting, whose one partition has nodes of several kinds: nobody is known, and no node runs anything."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from time import time

import pytest

from jupyterhub_backendai.backends.slurm_facts import SlurmFacts
from jupyterhub_backendai.core.partitions import UnixGroup
from jupyterhub_backendai.core.queues import Queue
from jupyterhub_backendai.core.scheduler_offers import find_offer
from jupyterhub_backendai.core.sessions import check_request, parse_request
from jupyterhub_backendai.core.slots import CPU, CUDA_DEVICE
from jupyterhub_backendai.services.discovery import choose
from tests.backends.jobs import account
from tests.small_slurm import NodeLine, SmallSlurm, running

pytestmark = pytest.mark.slurm

NODES = [
    NodeLine("a1", 64, 64000, "a100,80g", "gpu:a100:4", runs=False),
    NodeLine("v[1-2]", 16, 16000, "v100", "gpu:v100:2,shard:16", runs=False),
    NodeLine("c1", 128, 128000, "bigmem", "", runs=False),
]
PARTITIONS = [
    "mixed Nodes=a1,v[1-2],c1 Default=YES MaxTime=60 DefaultTime=10",
    "staff Nodes=c1 AllowGroups=root Hidden=YES",
    "pairs Nodes=v[1-2] MinNodes=2 MaxCPUsPerNode=8",
]


@pytest.fixture(scope="module")
def cluster():
    with running(SmallSlurm("mixed", NODES, PARTITIONS, "EnforcePartLimits=ALL")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def rows(cluster):
    async def ask(arguments):
        return cluster.run(*arguments)

    async def read():
        facts = SlurmFacts(ask, "/usr/bin", find_group=lambda name: UnixGroup(name, 0, frozenset({"root"})))
        try:
            return {name: replace(row, read_at=time()) for name, row in (await facts.capacity()).items()}
        finally:
            await facts.close()

    return asyncio.run(read())


def test_what_is_known_without_accounting(rows):
    row = rows["mixed"]
    assert [(shape.cpus, dict(shape.gpus), shape.features, shape.count) for shape in row.shapes] == [
        (64, {"a100": 4}, ("80g", "a100"), 1),
        (16, {"v100": 2}, ("v100",), 2),
        (128, {}, ("bigmem",), 1),
    ]
    assert [(share.kind, share.per_gpu) for share in row.shares] == [("shard", 8)]
    assert (row.max_time_s, row.default_time_s) == (3600, 600)
    offer = find_offer(Queue("mixed", "slurm"), row, account("kim01"))
    assert (offer.accounts, offer.is_known, offer.features) == ((), False, ("80g", "a100", "bigmem", "v100"))
    assert [queue.name for queue in choose(rows, "all")] == ["mixed", "pairs"]


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({}, []),
        ({"cpu": 128}, []),
        ({"cpu": 64, "gpu": 4}, []),
        ({"cpu": 128, "gpu": 1}, ["gpu"]),
        ({"cpu": 64, "gpu": 1, "gpu_type": "v100"}, ["gpu"]),
        ({"gpu": 3, "gpu_type": "v100"}, ["gpu"]),
        ({"gpu": 1, "features": "bigmem"}, ["features"]),
        ({"features": "a100&80g", "gpu": 4}, []),
        ({"features": "v100&80g"}, ["features"]),
        ({"time": "2:00:00"}, ["time"]),
        ({"queue": "staff"}, ["queue"]),
        ({"queue": "pairs"}, ["queue"]),
    ],
)
def test_ours_and_sbatchs_word(cluster, rows, fields, refused):
    name = fields.get("queue", "mixed")
    request = parse_request({"queue": name, "project": "p", "mem": "100m", **fields})
    found = check_request(request, Queue(name, "slurm"), rows[name], ("p",), account("kim01"))
    assert [violation.field for violation in found] == refused
    gpus, kind = int(request.slots.amount(CUDA_DEVICE)), request.gpu_type
    options = [f"--constraint={request.choice.features}"] * bool(request.choice.features)
    options += ["--gres=" + ":".join(filter(None, ("gpu", kind, str(gpus))))] * bool(gpus)
    command = ["sbatch", "--test-only", f"-p{name}", "-N1", "-n1", "--mem=100", f"-c{request.slots.amount(CPU)}", "--wrap=true", *options]
    command += [f"--time={request.time_s // 60}"] * bool(request.time_s)
    try:
        cluster.run(*command, user="kim01")
    except RuntimeError:
        assert refused
    else:
        assert not refused


@pytest.mark.parametrize("name", ["account", "qos", "reservation"])
def test_nothing_can_be_chosen_that_nobody_tells(rows, name):
    request = parse_request({"queue": "mixed", "project": "p", name: "normal"})
    found = check_request(request, Queue("mixed", "slurm"), rows["mixed"], ("p",), account("kim01"))
    assert [violation.field for violation in found] == [name]
