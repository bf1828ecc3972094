"""Kinds of nodes in a partition, and the parts of GPUs (shards, mps) that they give. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from ..core.partitions import NodeShape, PartitionRules, ShareFigures
from .slurm_answers import count_gpus, parse_number

KINDS = ("shard", "mps")
_IN_USE = re.compile(r"(?:^|,)(\w+)(?::([\w.-]+))?:\d+\(([^()]*)\)", re.ASCII)
_INDEX = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?", re.ASCII)


class Measured(Protocol):
    """What is read here of :class:`.slurm_figures.Node`."""

    @property
    def is_busy(self) -> bool: ...
    @property
    def is_away(self) -> bool: ...
    @property
    def cpus(self) -> int: ...
    @property
    def mem_bytes(self) -> int: ...
    @property
    def gpus(self) -> Mapping[str, int]: ...
    @property
    def features(self) -> tuple[str, ...]: ...
    @property
    def kind(self) -> str: ...
    @property
    def parts(self) -> Mapping[str, int]: ...
    @property
    def parts_free(self) -> Mapping[str, int]: ...


def count_parts(fields: Mapping[str, str], gpus: Mapping[str, int]) -> tuple[str, dict[str, int], dict[str, int]]:
    """Which kind of parts a node gives, how many by type of GPU, and how many of them are free.

    GresUsed is wrong about shards (Slurm 22.05), AllocTRES is right where accounting tracks them; a GPU that is taken whole has no
    part to give.
    """
    gres = fields.get("Gres", "")
    kind = next((kind for kind in KINDS if f"{kind}:" in gres), "")
    if not kind:
        return "", {}, {}
    parts = dict(count_gpus(gres, kind))
    whole = count_gpus(fields.get("GresUsed", ""))
    allocated = dict(part.split("=", 1) for part in fields.get("AllocTRES", "").split(",") if "=" in part)
    # a figure without a type counts against every type: less may be free than is said, never more
    of_all = parse_number(allocated.get(f"gres/{kind}", "")) or 0
    if f"gres/{kind}" not in allocated and "AllocTRES" not in fields:
        of_all = sum(count_gpus(fields.get("GresUsed", ""), kind).values())
    free = {}
    for name, count in parts.items():
        per_gpu = _per_gpu(name, count, gpus)
        taken = whole.get(name, 0) if name else sum(whole.values())
        free[name] = max(0, count - (parse_number(allocated.get(f"gres/{kind}:{name}", "")) or of_all) - taken * per_gpu)
    return kind, parts, free


def count_shared(gres_used: str, kind: str) -> dict[str, int]:
    """How many GPUs of each type give parts to jobs.

    Slurm 22.05 lists them (``shard:v100:2(IDX:0-1)``), later ones count the parts in use of each (``shard:v100:6(4/8,2/8)``).
    """
    found: dict[str, int] = {}
    for name, word, where in _IN_USE.findall(gres_used):
        if name != kind:
            continue
        if where.startswith("IDX:"):
            count = len(_list_indices(where.removeprefix("IDX:")))
        else:
            count = sum("/" in part and not part.startswith("0/") for part in where.split(","))
        found[word] = found.get(word, 0) + count
    return found


def _list_indices(text: str) -> set[int]:
    """The numbers in ``0,2-3``; none in ``N/A``."""
    ends = [_INDEX.fullmatch(part) for part in text.split(",")]
    return {number for end in ends if end for number in range(int(end[1]), min(int(end[2] or end[1]), int(end[1]) + 4096) + 1)}


def _per_gpu(name: str, count: int, gpus: Mapping[str, int]) -> int:
    total = gpus.get(name, 0) if name else sum(gpus.values())
    return count // total if total else count


def measure_shares(nodes: Iterable[Measured], *, is_exclusive: bool) -> tuple[ShareFigures, ...]:
    """The parts by type of GPU; none where nodes are given whole. Nodes that are down count for what there is, not for what is free.

    One job gets parts of one GPU (Slurm 22.05 lets more wait for ever). Where nodes cut their GPUs differently, the finest cut holds.
    """
    if is_exclusive:
        return ()
    having = [node for node in nodes if node.parts]
    found = []
    for kind, name in sorted({(node.kind, name) for node in having for name in node.parts}):
        own = [node for node in having if node.kind == kind and name in node.parts]
        up = [node for node in own if not node.is_away]
        per_gpu = max(_per_gpu(name, node.parts[name], node.gpus) for node in own)
        if per_gpu < 1:
            continue
        total, free = sum(node.parts[name] for node in up), sum(node.parts_free.get(name, 0) for node in up)
        found.append(ShareFigures(name, kind, per_gpu, total, free, per_gpu))
    return tuple(found)


def group(nodes: Sequence[Measured], rules: PartitionRules) -> tuple[NodeShape, ...]:
    """The nodes by kind, those that can do most first, cut to what the partition lets one job have of a node."""
    kinds: dict[tuple[object, ...], list[Measured]] = {}
    for node in nodes:
        key = (node.cpus, node.mem_bytes, tuple(sorted(node.gpus.items())), tuple(sorted(node.parts.items())), node.features)
        kinds.setdefault(key, []).append(node)
    shapes = [_shape(alike, rules) for alike in kinds.values()]
    return tuple(sorted(shapes, key=lambda one: (-sum(one.gpus.values()), -one.cpus, -one.mem_bytes, one.features)))


def _shape(alike: Sequence[Measured], rules: PartitionRules) -> NodeShape:
    node = alike[0]
    up = [one for one in alike if not one.is_away]
    return NodeShape(
        cpus=min(node.cpus, rules.max_cpus_per_node or node.cpus),
        mem_bytes=int(min(node.mem_bytes, rules.max_mem_bytes or node.mem_bytes, _most_memory(node, rules))),
        gpus=dict(node.gpus),
        shards=dict(node.parts),
        features=node.features,
        count=len(alike),
        up=len(up),
        idle=sum(not one.is_busy for one in up),
    )


def _most_memory(node: Measured, rules: PartitionRules) -> float:
    """With a limit per CPU Slurm adds CPUs to a job until its memory fits them."""
    if not rules.max_mem_per_cpu_bytes:
        return math.inf
    return rules.max_mem_per_cpu_bytes * min(node.cpus, rules.max_cpus_per_node or node.cpus)
