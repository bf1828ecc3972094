"""A site with what a busy centre's queues have: shares of GPUs, whole nodes, mixed nodes, prices, and choices of the scheduler."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.partitions import Association, NodeShape, PartitionRules, Qos, Reservation, SchedulerFacts, ShareFigures
from jupyterhub_backendai.core.queues import GPUFigures, QueueFigures
from tests.factories import GIB, make_slots
from tests.services.public import settings as plain_settings

__all__ = ["plain_settings"]
HOUR_S = 3600
QUEUES = [
    {
        "name": "jupyter",
        "engine": "slurm",
        "labels": {"en": "Jupyter", "ko": "주피터"},
        "descriptions": {"en": "Notebooks, shared GPUs", "ko": "노트북과 나눠 쓰는 GPU"},
        "is_free": False,
        "prices": {"cpu": "10", "mem": "1.5", "cuda.device": "2000", "cuda.shares": "1600"},
        "default_time_s": HOUR_S,
    },
    {
        "name": "amd_a100nv_8",
        "engine": "slurm",
        "labels": {"en": "A100, whole nodes", "ko": "A100, 노드 전체"},
        "is_free": False,
        "prices": {"cpu": "10", "cuda.device:a100": "3000"},
        "default_time_s": 2 * HOUR_S,
    },
    {"name": "mixed", "engine": "slurm", "labels": {"en": "Mixed nodes", "ko": "섞인 노드"}},
]
FACTS = SchedulerFacts(
    cluster="neuron",
    associations={
        "kim01": (
            Association("free", qos=("normal",), default_qos="normal", is_default=True),
            Association("paid", qos=("normal", "high"), default_qos="normal"),
        ),
        "lee01": (Association("free", qos=("normal",), default_qos="normal", is_default=True),),
    },
    qos={"normal": Qos("normal"), "high": Qos("high")},
    reservations=(
        Reservation(
            "course", None, 4_000_000_000.0, partition="mixed", users=frozenset({"kim01"}), nodes=frozenset({"m1"}), is_active=True
        ),
    ),
    enforces=frozenset({"associations", "limits", "qos"}),
)
V100 = NodeShape(40, 375 * GIB, {"v100": 2}, {"v100": 16}, ("v100", "32g"), count=5, up=5, idle=3)
A100 = NodeShape(64, 1000 * GIB, {"a100": 8}, {}, ("a100", "80g"), count=1, up=1, idle=1)
CPU_ONLY = NodeShape(56, 2930 * GIB, {}, {}, ("bigmem",), count=2, up=2, idle=0)
ROWS = {
    "jupyter": QueueFigures(
        "jupyter", 1, 3, 1, 5, (GPUFigures("v100", 10, 7, 2),), waiting=2, running=4, max_time_s=12 * HOUR_S,
        max_slots=make_slots(40, 375 * GIB, 2), shares=(ShareFigures("v100", "shard", 8, 80, 50, 8),), shapes=(V100,),
        default_time_s=HOUR_S, rules=PartitionRules(), scheduler=FACTS,
    ),
    "amd_a100nv_8": QueueFigures(
        "amd_a100nv_8", 0, 1, 0, 1, (GPUFigures("a100", 8, 8, 8),), is_exclusive=True, max_time_s=48 * HOUR_S,
        max_slots=make_slots(64, 1000 * GIB, 8), shapes=(A100,), rules=PartitionRules(), scheduler=FACTS,
    ),
    "mixed": QueueFigures(
        "mixed", 4, 4, 0, 8, (GPUFigures("a100", 8, 8, 8), GPUFigures("v100", 10, 7, 2)), max_time_s=48 * HOUR_S,
        max_slots=make_slots(64, 2930 * GIB, 8), shapes=(A100, CPU_ONLY, V100), rules=PartitionRules(), scheduler=FACTS,
    ),
}  # fmt: skip


@pytest.fixture
def settings(plain_settings: BackendAI, tmp_path: Path) -> BackendAI:
    plain_settings.queues = QUEUES
    return plain_settings


def show_rows(site) -> None:
    """Let the engine answer with these queues."""
    site.engine.rows = dict(ROWS)
