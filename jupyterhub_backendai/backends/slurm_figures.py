"""How busy a Slurm cluster is: partitions, nodes and jobs made into the rows of the table. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from ..core.partitions import NodeShape, PartitionRules, ShareFigures
from ..core.queues import GPUFigures, QueueFigures
from ..core.slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM, ResourceSlots
from . import slurm_shapes
from .slurm_answers import count_gpus, parse_duration, parse_fields, parse_list, parse_number
from .slurm_rules import parse_rules

_AWAY = frozenset({"DOWN", "DRAIN", "FAIL", "ERROR", "UNKNOWN", "FUTURE", "NOT_RESPONDING", "NO_RESPOND", "MAINTENANCE", "MAINT", "REBOOT"})
_BUSY = frozenset({"ALLOCATED", "MIXED", "COMPLETING"})
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Node:
    """A node: ``gpus`` and ``gpus_free`` by type; one that drains or does not answer has nothing free.

    ``parts`` are shards or mps by type of GPU, ``kind`` which of them; ``parts_free`` as many as can be had at once.
    """

    name: str
    partitions: tuple[str, ...]
    is_busy: bool
    is_away: bool
    cpus: int
    mem_bytes: int
    gpus: Mapping[str, int] = field(default_factory=dict)
    gpus_free: Mapping[str, int] = field(default_factory=dict)
    address: str = ""
    features: tuple[str, ...] = ()
    kind: str = ""
    parts: Mapping[str, int] = field(default_factory=dict)
    parts_free: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition; ``max_time_s`` None is no limit."""

    name: str
    is_open: bool
    is_exclusive: bool
    max_time_s: int | None
    rules: PartitionRules = field(default_factory=PartitionRules)


def build_commands(slurm_bin: str) -> tuple[list[str], list[str], list[str]]:
    """Partitions, nodes, and the jobs that wait or run (nothing in their lines is written by users)."""
    scontrol, squeue = str(Path(slurm_bin, "scontrol")), str(Path(slurm_bin, "squeue"))
    return (
        [scontrol, "-a", "-o", "show", "partition"],
        [scontrol, "-a", "-d", "-o", "show", "node"],
        [squeue, "-h", "-a", "-r", "-t", "PD,R", "-o", "%T|%P"],
    )


def parse_partitions(text: str) -> list[Partition]:
    """The answer of the first command."""
    partitions = []
    for fields in map(parse_fields, text.splitlines()):
        if "PartitionName" not in fields:
            continue
        partitions.append(
            Partition(
                fields["PartitionName"],
                is_open=fields.get("State") == "UP",
                is_exclusive=fields.get("OverSubscribe", "").startswith("EXCLUSIVE"),
                max_time_s=parse_duration(fields.get("MaxTime", "")),
                rules=parse_rules(fields),
            )
        )
    return partitions


def parse_nodes(text: str) -> list[Node]:
    """The answer of the second command."""
    return [_parse_node(fields) for fields in map(parse_fields, text.splitlines()) if "NodeName" in fields]


def _parse_node(fields: Mapping[str, str]) -> Node:
    state = fields.get("State", "UNKNOWN").replace("*", "+NOT_RESPONDING")
    words = {word for word in re.split(r"[^A-Z_]+", state) if word}
    is_busy = bool(words & _BUSY)
    is_away = bool(words & _AWAY)
    total, used = count_gpus(fields.get("Gres", "")), count_used_gpus(fields)
    kind, parts, parts_free = slurm_shapes.count_parts(fields, total)
    memory = (parse_number(fields.get("RealMemory", "")) or 0) - (parse_number(fields.get("MemSpecLimit", "")) or 0)
    return Node(
        fields["NodeName"],
        tuple(name for name in fields.get("Partitions", "").split(",") if name),
        # a draining node still works for its jobs, but gives nothing to new ones
        is_busy=is_busy and not words & {"DOWN", "NOT_RESPONDING"},
        is_away=is_away,
        cpus=parse_number(fields.get("CPUEfctv", "")) or parse_number(fields.get("CPUTot", "")) or 0,
        mem_bytes=max(0, memory) * _MIB,
        gpus=total,
        gpus_free={} if is_away else {kind: max(0, count - used[kind]) for kind, count in total.items()},
        address=fields.get("NodeAddr", ""),
        features=tuple(sorted(parse_list(fields.get("AvailableFeatures", "")))),
        kind=kind,
        parts=parts,
        parts_free={} if is_away else parts_free,
    )


def count_used_gpus(fields: Mapping[str, str]) -> dict[str, int]:
    """GPUs that cannot be had whole: given to jobs, or with parts of them in use.

    GresUsed counts whole GPUs right, and of shards (Slurm 22.05) the GPUs that they are of; AllocTRES counts shards right, but has GPUs
    only where accounting tracks them.
    """
    total, used = count_gpus(fields.get("Gres", "")), dict(count_gpus(fields.get("GresUsed", "")))
    allocated = dict(part.split("=", 1) for part in fields.get("AllocTRES", "").split(",") if "=" in part)
    for kind in total:
        used[kind] = max(used.get(kind, 0), parse_number(allocated.get(f"gres/gpu:{kind}", "")) or 0)
    for name in slurm_shapes.KINDS:
        in_use = parse_number(allocated.get(f"gres/{name}", "")) or 0
        shared = slurm_shapes.count_shared(fields.get("GresUsed", ""), name) if in_use else {}
        for kind, count in count_gpus(fields.get("Gres", ""), name).items() if in_use else ():
            of_kind = kind if kind in total else next(iter(total), kind)
            if total.get(of_kind):
                used[of_kind] += max(math.ceil(in_use / max(1, count // total[of_kind])), shared.get(kind, 0))
    return used


def count_jobs(text: str) -> tuple[Counter[str], Counter[str]]:
    """Waiting and running jobs by partition, from the answer of the third command."""
    waiting: Counter[str] = Counter()
    running: Counter[str] = Counter()
    for line in text.splitlines():
        word, _, partitions = line.partition("|")
        for partition in partitions.split(","):
            (waiting if word == "PENDING" else running)[partition] += 1
    return waiting, running


def measure(partitions: Iterable[Partition], nodes: Iterable[Node], jobs: str) -> dict[str, QueueFigures]:
    """One row for each partition."""
    waiting, running = count_jobs(jobs)
    all_nodes = list(nodes)
    rows = {}
    for partition in partitions:
        own = [node for node in all_nodes if partition.name in node.partitions]
        idle = sum(not node.is_busy and not node.is_away for node in own)
        busy = sum(node.is_busy for node in own)
        shapes = slurm_shapes.group(own, partition.rules)
        shares = slurm_shapes.measure_shares(own, is_exclusive=partition.is_exclusive)
        rows[partition.name] = QueueFigures(
            partition.name,
            nodes_alloc=busy,
            nodes_idle=idle,
            nodes_down=len(own) - idle - busy,
            nodes_total=len(own),
            gpus=_measure_gpus(own, is_exclusive=partition.is_exclusive),
            waiting=waiting[partition.name],
            running=running[partition.name],
            is_exclusive=partition.is_exclusive,
            is_open=partition.is_open,
            max_time_s=partition.max_time_s,
            max_slots=_largest(shapes, shares),
            shares=shares,
            shapes=shapes,
            default_time_s=partition.rules.default_time_s,
            rules=partition.rules,
        )
    return rows


def _measure_gpus(nodes: list[Node], *, is_exclusive: bool) -> tuple[GPUFigures, ...]:
    """On an exclusive partition a node with any job on it has no free GPU, whatever the job asked for."""
    kinds = sorted({kind for node in nodes for kind in node.gpus})
    up = [node for node in nodes if not node.is_away]
    return tuple(
        GPUFigures(
            kind,
            total=sum(node.gpus.get(kind, 0) for node in up),
            free=sum(node.gpus_free.get(kind, 0) for node in up if not (is_exclusive and node.is_busy)),
            per_node=max(node.gpus.get(kind, 0) for node in nodes),
        )
        for kind in kinds
    )


def _largest(shapes: Sequence[NodeShape], shares: Sequence[ShareFigures]) -> ResourceSlots:
    """The most that one job can have of one node, nodes that are down included: they come back."""
    return ResourceSlots(
        {
            CPU: max((shape.cpus for shape in shapes), default=0),
            MEM: max((shape.mem_bytes for shape in shapes), default=0),
            CUDA_DEVICE: max((sum(shape.gpus.values()) for shape in shapes), default=0),
            **({CUDA_SHARES: max(Decimal(share.most) / share.per_gpu for share in shares)} if shares else {}),
        }
    )
