"""Whether a session fits what is left, and which devices it gets. Every answer lists all the limits that are hit, with numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from ..errors import N_, BackendAIError, Forbidden, InvalidParameters, QuotaExceeded, Violation
from .queues import Queue
from .slots import CPU, CUDA_DEVICE, MEM, ResourceSlots, format_bytes

# Engines that have no scheduler of their own: what their sessions hold is counted by us, and we give the devices.
COUNTED_ENGINES = frozenset({"local", "docker"})
# What the table calls the GPUs of a queue whose type the site did not name.
DEFAULT_GPU_TYPE = "gpu"
# Rules about who somebody is, against those about how much is asked for.
RIGHTS = frozenset({"project", "queue", "scheduler-choice"})
CAPACITY_RULES = frozenset({"capacity", "sessions", "quota", "credit"})


@dataclass(frozen=True, slots=True)
class Holding:
    """What one live session holds in a queue."""

    slots: ResourceSlots = field(default_factory=ResourceSlots)
    devices: tuple[int, ...] = ()


def is_counted(queue: Queue) -> bool:
    """Whether admission to the queue depends on what other sessions hold in it."""
    return queue.engine in COUNTED_ENGINES or queue.max_sessions is not None


def has_line(queue: Queue) -> bool:
    """Whether sessions wait in a line of ours; else a full queue refuses, or the engine's own scheduler lets them wait."""
    return queue.scheduler != "none" and queue.engine in COUNTED_ENGINES


def check_capacity(queue: Queue, asked: ResourceSlots, held: Sequence[Holding]) -> list[Violation]:
    """Every reason why a session does not fit beside those that hold something in the queue now."""
    found = []
    if queue.max_sessions is not None and len(held) >= queue.max_sessions:
        params = {"queue": queue.name, "most": queue.max_sessions, "used": len(held)}
        message = N_("The queue %(queue)s runs at most %(most)s sessions and has %(used)s now. Try again later or choose another queue.")
        found.append(Violation(message, params, "queue", "sessions"))
    if queue.engine in COUNTED_ENGINES:
        used = _add_up(held)
        found += [violation for slot in _SLOTS if (violation := _check_slot(slot, queue, asked, used))]
    return found


def check_gpu_type(queue: Queue, gpu_type: str) -> list[Violation]:
    """Whether a queue that we count has GPUs of the type; an engine with a scheduler says so itself."""
    own = queue.gpu_type or DEFAULT_GPU_TYPE
    if queue.engine not in COUNTED_ENGINES or gpu_type in {"", own}:
        return []
    params = {"queue": queue.name, "type": gpu_type, "types": own if queue.capacity.amount(CUDA_DEVICE) else "-"}
    return [Violation(N_("The queue %(queue)s has no GPU of type %(type)s; it has: %(types)s."), params, "gpu_type", "queue-limit")]


def choose_devices(queue: Queue, count: int, held: Sequence[Holding]) -> tuple[int, ...]:
    """The lowest device numbers that nobody holds; call it only when :func:`check_capacity` found nothing."""
    if queue.engine not in COUNTED_ENGINES:
        return ()
    taken = {device for holding in held for device in holding.devices}
    free = [device for device in range(int(queue.capacity.amount(CUDA_DEVICE))) if device not in taken]
    return tuple(free[:count])


def build_refusal(violations: Sequence[Violation]) -> BackendAIError:
    """The error for a refused start: rights first, then what can never fit, then what only does not fit now."""
    rules = {violation.rule for violation in violations}
    if rules & RIGHTS:
        return Forbidden(violations=violations)
    return QuotaExceeded(violations=violations) if rules <= CAPACITY_RULES else InvalidParameters(violations=violations)


def join_violations(first: Sequence[Violation], second: Sequence[Violation]) -> list[Violation]:
    """Both lists, without a second complaint about a field that has one already."""
    fields = {violation.field for violation in first}
    return [*first, *(violation for violation in second if violation.field not in fields)]


_SLOTS: dict[str, tuple[str, str, Callable[[int], object]]] = {
    CPU: (
        "cpu",
        N_("The queue %(queue)s has %(total)s CPUs and %(used)s are in use; you asked for %(asked)s, at most %(free)s would fit now."),
        int,
    ),
    MEM: (
        "mem",
        N_("The queue %(queue)s has %(total)s of memory and %(used)s are in use; you asked for %(asked)s, at most %(free)s would fit now."),
        format_bytes,
    ),
    CUDA_DEVICE: (
        "gpu",
        N_("The queue %(queue)s has %(total)s GPUs and %(used)s are in use; you asked for %(asked)s, at most %(free)s would fit now."),
        int,
    ),
}


def _add_up(held: Sequence[Holding]) -> ResourceSlots:
    """What they hold together; many sessions hold one of a few amounts, so each of those is added once."""
    counts = Counter(holding.slots for holding in held)
    parts = (ResourceSlots({name: amount * count for name, amount in slots.items()}) for slots, count in counts.items())
    return sum(parts, ResourceSlots())


def _check_slot(slot: str, queue: Queue, asked: ResourceSlots, used: ResourceSlots) -> Violation | None:
    wanted = asked.amount(slot)
    # A queue that does not say how many CPUs or how much memory it has does not count them; GPUs that it does not name do not exist.
    if not wanted or (slot not in queue.capacity and slot != CUDA_DEVICE):
        return None
    total = queue.capacity.amount(slot)
    free = max(total - used.amount(slot), Decimal(0))
    if wanted <= free:
        return None
    name, message, show = _SLOTS[slot]
    numbers = {"total": total, "used": used.amount(slot), "asked": wanted, "free": free}
    return Violation(message, {"queue": queue.name, **{key: show(int(value)) for key, value in numbers.items()}}, name, "capacity")
