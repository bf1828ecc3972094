"""Several clusters behind one engine: names that no two of them share, and what a queue on several has in all. Pure.

Job ids and names of nodes repeat from cluster to cluster. What is not of the first cluster carries its name: the job ``17;west`` and
the node ``n01@west``, so that neither is ever taken for the first cluster's ``17`` and ``n01``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from .queues import GPUFigures, Queue, QueueFigures
from .scheduler_choice import SchedulerChoice
from .slots import ResourceSlots

_JOB, _NODE = ";", "@"


def join_job(job_id: str, cluster: str) -> str:
    """The id of a cluster's job for the rest of the platform; "" stays "". ``cluster`` "" is the first."""
    return f"{job_id}{_JOB}{cluster}" if job_id and cluster else job_id


def split_job(job_id: str) -> tuple[str, str]:
    """The cluster's own id, and the cluster; the inverse of :func:`join_job`."""
    own, _, cluster = job_id.partition(_JOB)
    return own, cluster


def join_node(node: str, cluster: str) -> str:
    """The name of a cluster's node for the rest of the platform; also that of a partition."""
    return f"{node}{_NODE}{cluster}" if node and cluster else node


def split_node(node: str) -> tuple[str, str]:
    """The cluster's own name of a node, and the cluster; the inverse of :func:`join_node`."""
    own, _, cluster = node.partition(_NODE)
    return own, cluster


def complete_choice(choice: SchedulerChoice, queue: Queue) -> SchedulerChoice:
    """The choice with the cluster that the session goes to: of a queue on one or more, the first unless another was chosen."""
    return replace(choice, cluster=choice.cluster or queue.clusters[0]) if queue.clusters else choice


def find_figures(queue: Queue, partition: str, rows: Mapping[str, QueueFigures], first: str = "") -> QueueFigures | None:
    """The row of a queue: its partition's; of one on several clusters that of all together, with each cluster's in ``clusters``.

    ``first`` is the cluster whose partitions carry no name.
    """
    if not queue.clusters:
        return rows.get(partition)
    found = {name: rows.get(join_node(partition, "" if name == first else name)) for name in queue.clusters}
    known = {name: row for name, row in found.items() if row}
    return merge(known) if known else None


def merge(rows: Mapping[str, QueueFigures]) -> QueueFigures:
    """One row for a queue on several clusters. What the first says of rules and people stands for all; each row keeps its own."""
    all_rows = list(rows.values())
    first = all_rows[0]
    if len(all_rows) == 1:
        return replace(first, clusters=dict(rows))
    times = [row.max_time_s for row in all_rows]
    return replace(
        first,
        nodes_alloc=sum(row.nodes_alloc for row in all_rows),
        nodes_idle=sum(row.nodes_idle for row in all_rows),
        nodes_down=sum(row.nodes_down for row in all_rows),
        nodes_total=sum(row.nodes_total for row in all_rows),
        gpus=_merge_gpus(all_rows),
        waiting=sum(row.waiting for row in all_rows),
        running=sum(row.running for row in all_rows),
        is_exclusive=any(row.is_exclusive for row in all_rows),
        is_open=any(row.is_open for row in all_rows),
        max_time_s=None if None in times else max(time_s for time_s in times if time_s is not None),
        max_slots=_most(row.max_slots for row in all_rows),
        shares=tuple({(share.type, share.kind): share for row in reversed(all_rows) for share in row.shares}.values()),
        shapes=tuple(shape for row in all_rows for shape in row.shapes),
        error=next((row.error for row in all_rows if row.error), ""),
        read_at=min((row.read_at for row in all_rows if row.read_at), default=None),
        clusters=dict(rows),
    )


def _merge_gpus(rows: Sequence[QueueFigures]) -> tuple[GPUFigures, ...]:
    found: dict[str, GPUFigures] = {}
    for gpu in (gpu for row in rows for gpu in row.gpus):
        known = found.get(gpu.type, GPUFigures(gpu.type, 0, 0, 0))
        found[gpu.type] = GPUFigures(gpu.type, known.total + gpu.total, known.free + gpu.free, max(known.per_node, gpu.per_node))
    return tuple(found[kind] for kind in sorted(found))


def _most(amounts: Iterable[ResourceSlots]) -> ResourceSlots:
    found: dict[str, Decimal] = {}
    for slots in amounts:
        for name, amount in slots.items():
            found[name] = max(amount, found.get(name, amount))
    return ResourceSlots(found)


def pick_figures(queue: Queue, figures: QueueFigures | None, cluster: str) -> QueueFigures | None:
    """The row that a request is measured against: that of the cluster it goes to, as far as it is known."""
    if figures is None or not figures.clusters:
        return figures
    return figures.clusters.get(cluster or next(iter(queue.clusters), ""), figures)
