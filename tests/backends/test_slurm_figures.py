from __future__ import annotations

from pathlib import Path

import pytest

from jupyterhub_backendai.backends import slurm_figures as figures
from jupyterhub_backendai.core.queues import GPUFigures
from jupyterhub_backendai.core.slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM

ASSETS = Path(__file__).parent.parent / "assets" / "slurm" / "22.05"


def recorded(name: str) -> str:
    return (ASSETS / f"{name}.txt").read_text()


def rows():
    return figures.measure(figures.parse_partitions(recorded("partition")), figures.parse_nodes(recorded("node")), recorded("counts"))


def test_a_shared_queue_counts_nodes_gpus_and_jobs():
    row = rows()["jupyter"]
    assert (row.nodes_alloc, row.nodes_idle, row.nodes_down, row.nodes_total) == (1, 3, 1, 5)
    assert row.gpus == (GPUFigures("v100", total=8, free=7, per_node=2),)  # the drained node gives none
    assert (row.waiting, row.running) == (3, 1)
    assert (row.is_open, row.is_exclusive, row.max_time_s) == (True, False, 12 * 3600)
    assert {name: int(row.max_slots[name]) for name in row.max_slots} == {CPU: 40, MEM: 384000 * 2**20, CUDA_DEVICE: 2, CUDA_SHARES: 1}


def test_an_exclusive_queue_has_no_free_gpu_on_a_node_with_a_job():
    row = rows()["amd_a100nv_8"]
    assert row.is_exclusive
    assert row.gpus == (GPUFigures("a100", total=8, free=0, per_node=8),)
    assert (row.nodes_alloc, row.nodes_idle, row.waiting, row.running) == (1, 0, 2, 1)
    assert rows()["bigmem"].gpus == ()
    assert rows()["cas_v100_4"].gpus == (GPUFigures("v100", total=4, free=4, per_node=4),)


def test_an_administrators_free_text_changes_nothing():
    (node,) = [node for node in figures.parse_nodes(recorded("node")) if node.name == "jnode05"]
    assert (node.is_away, node.is_busy, node.gpus, node.gpus_free) == (True, False, {"v100": 2}, {})


def test_a_gpu_with_shards_in_use_is_not_free():
    """GresUsed of Slurm 22.05 is wrong about shards; AllocTRES is right."""
    (node,) = figures.parse_nodes(recorded("node-shard"))
    assert node.gpus_free == {"v100": 1}


@pytest.mark.parametrize(
    ("state", "is_busy", "is_away"),
    [
        ("IDLE", False, False),
        ("IDLE+PLANNED", False, False),
        ("MIXED", True, False),
        ("ALLOCATED", True, False),
        ("ALLOCATED+DRAIN", True, True),
        ("IDLE+DRAIN", False, True),
        ("MIXED*", False, True),
        ("DOWN*+DRAIN", False, True),
        ("IDLE+COMPLETING", True, False),
        ("IDLE+MAINTENANCE", False, True),
        ("UNKNOWN", False, True),
        ("IDLE+CLOUD+POWERED_DOWN", False, False),
    ],
)
def test_node_states(state, is_busy, is_away):
    (node,) = figures.parse_nodes(
        f"NodeName=n1 Gres=gpu:4 GresUsed=gpu:1 State={state} Partitions=p CPUTot=8 RealMemory=1000 MemSpecLimit=100"
    )
    assert (node.is_busy, node.is_away, node.cpus, node.mem_bytes) == (is_busy, is_away, 8, 900 * 2**20)
    assert node.gpus == {"": 4}
    assert node.gpus_free == ({} if is_away else {"": 3})


def test_limits_of_a_partition_and_types_of_gpus():
    partitions = figures.parse_partitions(
        "PartitionName=p MaxTime=UNLIMITED MaxCPUsPerNode=4 OverSubscribe=NO State=UP MaxMemPerNode=500\n"
        "PartitionName=q MaxTime=30:00 MaxCPUsPerNode=UNLIMITED OverSubscribe=EXCLUSIVE State=DRAIN MaxMemPerNode=UNLIMITED\n"
    )
    nodes = figures.parse_nodes(
        "NodeName=n1 Gres=gpu:a100:2(S:0-1),gpu:3090:2(S:0) GresUsed=gpu:a100:1(IDX:0,2),gpu:3090:2(IDX:0-1) State=MIXED Partitions=p,q CPUTot=8 RealMemory=1000"
    )
    rows = figures.measure(partitions, nodes, "PENDING|p,q\n")
    assert (rows["p"].max_time_s, rows["p"].is_open, rows["q"].max_time_s, rows["q"].is_open) == (None, True, 1800, False)
    assert {name: int(rows["p"].max_slots[name]) for name in (CPU, MEM, CUDA_DEVICE)} == {CPU: 4, MEM: 500 * 2**20, CUDA_DEVICE: 4}
    assert rows["p"].gpus == (GPUFigures("3090", 2, 0, 2), GPUFigures("a100", 2, 1, 2))
    assert [gpu.free for gpu in rows["q"].gpus] == [0, 0]
    assert (rows["p"].waiting, rows["q"].waiting) == (1, 1)
    assert figures.measure(partitions, [], "")["p"].max_slots[CPU] == 0
