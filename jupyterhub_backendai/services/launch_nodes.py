"""What the nodes of a queue are, in the words of the launch page: kinds of nodes, shares of their GPUs, nodes that are given as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any

from .. import i18n
from ..core.partitions import NodeShape, ShareFigures
from ..core.prices import billed_slots, is_exclusive
from ..core.queues import Queue, QueueFigures
from ..core.slots import CPU, CUDA_DEVICE, MEM, ResourceSlots, format_bytes
from ..errors import N_

WHOLE_AND_PAID = N_("This queue gives whole nodes. You get, and pay for, the whole node: %(node)s.")
WHOLE = N_("This queue gives whole nodes. You get the whole node: %(node)s.")
LARGEST_AND_PAID = N_("This queue gives whole nodes. You get, and pay for, the whole node; the largest has %(node)s.")
LARGEST = N_("This queue gives whole nodes. You get the whole node; the largest has %(node)s.")
SHARES = N_("A part of one GPU, in steps of %(step)s; at most %(most)s. Not together with whole GPUs.")
SHARES_OF = N_("%(type)s: a part of one GPU, in steps of %(step)s; at most %(most)s. Not together with whole GPUs.")
_FINEST = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of GPUs that a queue gives, in GPUs: in steps of one ``step``, at most ``most`` for one session; and that in words."""

    step: str
    most: str
    words: str


@dataclass(frozen=True, slots=True)
class Kind:
    """Nodes that are alike, in words."""

    count: int
    idle: int
    cpus: int
    mem: str
    gpus: str
    features: str


def describe_shares(row: QueueFigures | None, gpu_type: str, language: str) -> Shares | None:
    """What shares there are of GPUs (of a type, when one is chosen that is shared here), None for whole GPUs only."""
    shares = row.shares if row else ()
    chosen = [share for share in shares if share.type == gpu_type] or [share for share in shares if share.total]
    if not chosen:
        return None
    lines = [_describe_share(share, language, is_named=len(chosen) > 1) for share in chosen]
    finest = max(chosen, key=lambda share: share.per_gpu)
    most = max(Decimal(share.most) / share.per_gpu for share in chosen)
    return Shares(show_part(Decimal(1) / finest.per_gpu), show_part(most), " ".join(lines))


def _describe_share(share: ShareFigures, language: str, *, is_named: bool) -> str:
    params = {"step": show_part(Decimal(1) / share.per_gpu), "most": show_part(Decimal(share.most) / share.per_gpu), "type": share.type}
    return i18n.translate(language, SHARES_OF if is_named and share.type else SHARES, params)


def show_part(amount: Decimal) -> str:
    """A part of a GPU to three digits, as a field takes it: ``0.125``."""
    return f"{amount.quantize(_FINEST, ROUND_DOWN).normalize():f}"


def count_shares(shares: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """How much of GPUs that are shared is free, in GPUs: for the table of queues."""
    return [
        {"type": share["type"], **{name: show_part(Decimal(share[name]) / share["per_gpu"]) for name in ("free", "total")}}
        for share in shares
        if share["total"]
    ]


def describe_whole_node(queue: Queue, row: QueueFigures | None, slots: ResourceSlots, gpu_type: str, language: str) -> str:
    """What an exclusive queue gives, and bills, whatever was asked for; "" for a queue whose nodes are shared."""
    if not is_exclusive(queue, row) or not ((row and row.max_slots) or queue.capacity):
        return ""
    billed = billed_slots(queue, row, slots, gpu_type)
    types = sorted({gpu.type for gpu in row.gpus if gpu_type in ("", gpu.type)}) if row else []
    # memory that has no price is what was asked for, so that it is no news
    shown = ResourceSlots({name: amount for name, amount in billed.items() if name != MEM or queue.prices.amount(MEM)})
    params = {"node": describe_node(shown, " / ".join(types) or queue.gpu_type, language)}
    is_mixed = len({(shape.cpus, *sorted(shape.gpus.items())) for shape in row.shapes}) > 1 if row else False
    if is_mixed:
        return i18n.translate(language, LARGEST if queue.is_free else LARGEST_AND_PAID, params)
    return i18n.translate(language, WHOLE if queue.is_free else WHOLE_AND_PAID, params)


def describe_node(slots: ResourceSlots, gpu_type: str, language: str) -> str:
    """The size of a node as people say it: ``64 CPUs, 8 GPUs (a100), 1000 GiB of memory``."""
    parts = []
    if cpu := slots.amount(CPU):
        parts.append(i18n.translate(language, N_("%(n)s CPUs"), {"n": int(cpu)}))
    if gpu := slots.amount(CUDA_DEVICE):
        text = i18n.translate(language, N_("%(n)s GPUs"), {"n": int(gpu)})
        parts.append(f"{text} ({gpu_type})" if gpu_type else text)
    if mem := slots.amount(MEM):
        parts.append(i18n.translate(language, N_("%(size)s of memory"), {"size": format_bytes(int(mem))}))
    return ", ".join(parts)


def list_kinds(row: QueueFigures | None) -> Sequence[Kind]:
    """The kinds of nodes of a queue, largest first."""
    return [_describe_kind(shape) for shape in row.shapes] if row else []


def _describe_kind(shape: NodeShape) -> Kind:
    return Kind(shape.count, shape.idle, shape.cpus, format_bytes(shape.mem_bytes), _join(shape.gpus), ", ".join(shape.features))


def _join(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} × {name}" for name, count in counts.items() if count)
