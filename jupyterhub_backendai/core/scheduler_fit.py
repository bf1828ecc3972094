"""Whether some node of a queue can hold a request as a whole, and how shares of GPUs become parts of one. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

from ..errors import N_, Violation
from .partitions import NodeShape, ShareFigures
from .queues import Queue, QueueFigures
from .slots import CPU, CUDA_DEVICE, CUDA_SHARES, INFINITY, MEM, format_bytes

if TYPE_CHECKING:
    from .sessions import LaunchRequest

# As fine as the amount of a fraction can be.
_DIGITS = 3
_MAX_SHOWN = 6


def matches(expression: str, features: tuple[str, ...]) -> bool:
    """Whether a node with these features fits ``a&b|c``, read from left to right as the scheduler does."""
    names = re.split(r"([&|])", expression)
    result = names[0] in features
    for operator, name in zip(names[1::2], names[2::2], strict=True):
        has = name in features
        result = result and has if operator == "&" else result or has
    return result


def find_share(request: LaunchRequest, queue: Queue, figures: QueueFigures | None) -> ShareFigures | None:
    """The parts that a request for shares of GPUs means; None where the queue gives none (of that type)."""
    kind = request.gpu_type or queue.gpu_type
    shares = figures.shares if figures else ()
    return next((share for share in shares if kind in {"", share.type} or not share.type), None)


def count_parts(amount: Decimal, share: ShareFigures) -> int | None:
    """How many parts an amount of GPUs is; None when it is no whole number of them."""
    parts = int((amount * share.per_gpu).to_integral_value())
    return parts if round(Decimal(parts) / share.per_gpu, _DIGITS) == amount else None


def find_gres(request: LaunchRequest, queue: Queue, figures: QueueFigures | None) -> str:
    """What the scheduler is asked for besides GPUs, such as ``shard:v100:4``; "" for a request without shares, or that was refused."""
    amount, share = request.slots.amount(CUDA_SHARES), find_share(request, queue, figures)
    parts = count_parts(amount, share) if amount and share else None
    if share is None or not parts:
        return ""
    # without a wish any type will do, also where others of them are free
    kind = share.type if request.gpu_type or queue.gpu_type else ""
    return ":".join(word for word in (share.kind, kind, str(parts)) if word)


def check_shares(request: LaunchRequest, queue: Queue, figures: QueueFigures | None) -> list[Violation]:
    """Whether shares of GPUs can be had, as many and as fine as they were asked for."""
    amount, names = request.slots.amount(CUDA_SHARES), {"queue": queue.name}
    if not amount:
        return []
    if request.slots.amount(CUDA_DEVICE):
        message = N_("A session has whole GPUs or a share of one, not both.")
        return [Violation(message, {}, "shares", "queue-limit")]
    share = find_share(request, queue, figures)
    if share is None:
        if figures and figures.shares:
            params = {**names, "type": request.gpu_type or queue.gpu_type, "types": ", ".join(one.type for one in figures.shares)}
            message = N_("The queue %(queue)s has no shares of GPUs of type %(type)s; it has: %(types)s.")
            return [Violation(message, params, "gpu_type", "queue-limit")]
        return [Violation(N_("The queue %(queue)s gives no shares of GPUs, only whole ones."), names, "shares", "queue-limit")]
    most = min(Decimal(share.most) / share.per_gpu, queue.max_slots.get(CUDA_SHARES, INFINITY))
    if amount > most:
        parts = int(most * share.per_gpu)
        params = {**names, "most": format_share(parts, share) if parts else "0", "asked": f"{amount.normalize():f}"}
        message = N_("At most %(most)s of a GPU as a share in the queue %(queue)s; you asked for %(asked)s.")
        return [Violation(message, params, "shares", "queue-limit")]
    if count_parts(amount, share) is None:
        below = int(amount * share.per_gpu)
        near = [format_share(parts, share) for parts in (below, below + 1) if 0 < parts <= share.most]
        params = {**names, "per_gpu": str(share.per_gpu), "nearest": ", ".join(near)}
        message = N_("The queue %(queue)s gives GPUs in parts of 1/%(per_gpu)s. The nearest: %(nearest)s.")
        return [Violation(message, params, "shares", "queue-limit")]
    return []


def format_share(parts: int, share: ShareFigures) -> str:
    """A number of parts as the amount of GPUs that people type: ``0.375``."""
    return f"{round(Decimal(parts) / share.per_gpu, _DIGITS).normalize():f}"


def check_fit(request: LaunchRequest, queue: Queue, figures: QueueFigures) -> list[Violation]:
    """Whether one node has everything at once that some nodes have each; nodes that are down count, for they come back."""
    if not figures.shapes or _is_beyond_all(request, figures) or any(fits(request, queue, figures, shape) for shape in figures.shapes):
        return []
    shapes = [describe_shape(shape) for shape in figures.shapes[:_MAX_SHOWN]]
    params = {"queue": queue.name, "nodes": "; ".join([*shapes, *(["…"] if len(figures.shapes) > _MAX_SHOWN else [])])}
    field = "features" if request.choice.features else "gpu" if request.slots.amount(CUDA_DEVICE) else "cpu"
    message = N_("No node of the queue %(queue)s has all of this at once. Its nodes: %(nodes)s.")
    return [Violation(message, params, field, "queue-limit")]


def _is_beyond_all(request: LaunchRequest, figures: QueueFigures) -> bool:
    """Whether one amount alone is too much, which is said of that field."""
    gpu = next((gpu for gpu in figures.gpus if gpu.type == request.gpu_type), None)
    if request.gpu_type and request.slots.amount(CUDA_DEVICE) and (gpu is None or request.slots.amount(CUDA_DEVICE) > gpu.per_node):
        return True
    return any(request.slots.amount(slot) > figures.max_slots.amount(slot) for slot in (CPU, MEM, CUDA_DEVICE))


def fits(request: LaunchRequest, queue: Queue, figures: QueueFigures, shape: NodeShape) -> bool:
    """Whether an empty node of the kind can hold the request."""
    slots, kind = request.slots, request.gpu_type or queue.gpu_type
    if slots.amount(CPU) > shape.cpus or slots.amount(MEM) > shape.mem_bytes:
        return False
    if slots.amount(CUDA_DEVICE) > (shape.gpus.get(kind, 0) if kind else sum(shape.gpus.values())):
        return False
    if slots.amount(CUDA_SHARES):
        share = find_share(request, queue, figures)
        if share is None or not any(not kind or name in {"", kind} for name in shape.shards):
            return False
    return not request.choice.features or matches(request.choice.features, shape.features)


def describe_shape(shape: NodeShape) -> str:
    """A kind of nodes in signs that need no translation: ``40 CPU, 375 GiB, 2 × v100 (32g, v100)``."""
    gpus = [f"{count} × {kind or 'GPU'}" for kind, count in sorted(shape.gpus.items())]
    text = ", ".join([f"{shape.cpus} CPU", format_bytes(shape.mem_bytes), *gpus])
    return f"{text} ({', '.join(shape.features)})" if shape.features else text
