"""Limits of associations and qualities of service that one session alone would exceed: it would wait for ever. Pure.

A scheduler asks the partition's quality of service first, then the job's (the other way round with OverPartQOS), then the
association: the first that names a limit settles it. Where it is not known which quality of service a session gets, nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import N_, Violation
from .fields import format_duration
from .identity import PosixAccount
from .partitions import Association, Limits, SchedulerFacts
from .queues import Queue, QueueFigures
from .scheduler_fit import count_parts, find_share
from .scheduler_offers import default_qos, list_associations
from .slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM, format_bytes

if TYPE_CHECKING:
    from .sessions import LaunchRequest

_MESSAGES = {
    "cpu": ("cpu", N_("%(name)s allows one session at most %(most)s CPUs; you asked for %(asked)s.")),
    "mem": ("mem", N_("%(name)s allows one session at most %(most)s of memory; you asked for %(asked)s.")),
    "gres/gpu": ("gpu", N_("%(name)s allows one session at most %(most)s GPUs; you asked for %(asked)s.")),
    "gres/shard": ("shares", N_("%(name)s allows one session at most %(most)s parts of GPUs; you asked for %(asked)s.")),
}
_TOO_LITTLE = N_("%(name)s is only for sessions with at least %(least)s (%(what)s); you asked for %(asked)s.")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a limit comes from: ``name`` is what people know it by."""

    name: str
    limits: Limits
    is_qos: bool


def check_limits(request: LaunchRequest, queue: Queue, figures: QueueFigures, project: str, posix: PosixAccount | None) -> list[Violation]:
    """Every limit that the request alone exceeds, the first of each field."""
    facts = figures.scheduler
    found: dict[str, Violation] = {}
    asked = count_tres(request, queue, figures)
    sources = list_sources(request, queue, figures, project, posix)
    for violation in [*_check_amounts(sources, asked, facts), *_check_jobs(sources)]:
        found.setdefault(violation.field, violation)
    longest = longest_s(request, queue, figures, project, posix)
    if longest is not None and request.time_s > longest[1]:
        params = {"name": longest[0], "most": format_duration(longest[1]), "asked": format_duration(request.time_s)}
        found.setdefault("time", Violation(N_("%(name)s allows at most %(most)s; you asked for %(asked)s."), params, "time", "queue-limit"))
    return list(found.values())


def longest_s(
    request: LaunchRequest, queue: Queue, figures: QueueFigures | None, project: str, posix: PosixAccount | None
) -> tuple[str, int] | None:
    """The longest time that the scheduler lets a session of this person's have, in seconds, and whose limit that is; None without one.

    The partition's own limit is not among them. A reservation lets nothing run beyond its end.
    """
    if figures is None or figures.scheduler is None:
        return None
    walls = [(one.name, one.limits.max_wall_s) for one in list_sources(request, queue, figures, project, posix)]
    found = [(name, wall) for name, wall in walls if wall is not None][:1]
    kept = next((one for one in figures.scheduler.reservations if one.name == request.choice.reservation), None)
    if kept is not None and kept.ends_at is not None and "FLEX" not in kept.flags and figures.read_at is not None:
        left_s = int(kept.ends_at - max(figures.read_at, kept.starts_at or 0))
        found.append((kept.name, max(0, left_s)))
    return min(found, key=lambda one: one[1], default=None)


def list_sources(request: LaunchRequest, queue: Queue, figures: QueueFigures, project: str, posix: PosixAccount | None) -> list[Source]:
    """What limits a session of this person's, in the order in which the scheduler asks; nothing when that is not known or not enforced."""
    facts, held = figures.scheduler, _find_association(request, queue, figures, project, posix)
    if facts is None or facts.qos is None or held is None or "limits" not in facts.enforces:
        return []
    job = facts.qos.get(request.choice.qos or facts.site_qos or default_qos(held, facts))
    if job is None:
        return []
    partition = facts.qos.get(figures.rules.qos) if figures.rules and figures.rules.qos else None
    order = [partition, job] if "OverPartQOS" not in job.flags else [job, partition]
    sources = [Source(f"{one.name} (QOS)", one.limits, is_qos=True) for one in order if one is not None]
    return [*sources, Source(held.account, held.limits, is_qos=False)]


def _find_association(
    request: LaunchRequest, queue: Queue, figures: QueueFigures, project: str, posix: PosixAccount | None
) -> Association | None:
    """That of the partition's own before that of the account as a whole."""
    held = sorted(list_associations(queue, figures, posix) or (), key=lambda one: not one.partition)
    name = request.choice.account or queue.account(project)
    return next((one for one in held if (one.account == name if name else one.is_default)), None)


def count_tres(request: LaunchRequest, queue: Queue, figures: QueueFigures) -> dict[str, int]:
    """What a request counts as, by the scheduler's names; memory in bytes."""
    slots, kind = request.slots, request.gpu_type or queue.gpu_type
    asked = {
        "cpu": int(slots.amount(CPU)),
        "mem": int(slots.amount(MEM)),
    }
    if gpus := int(slots.amount(CUDA_DEVICE)):
        asked |= {"gres/gpu": gpus, **({f"gres/gpu:{kind}": gpus} if kind else {})}
    share = find_share(request, queue, figures) if slots.amount(CUDA_SHARES) else None
    if share is not None:
        asked[f"gres/{share.kind}"] = count_parts(slots.amount(CUDA_SHARES), share) or 0
    return asked


def _check_amounts(sources: list[Source], asked: Mapping[str, int], facts: SchedulerFacts | None) -> Iterator[Violation]:
    for name in ("per_job", "per_node", "per_user", "per_account", "together"):
        settled: set[str] = set()
        for source in sources:
            limits: Mapping[str, int] = getattr(source.limits, name)
            yield from _compare(source, {key: most for key, most in limits.items() if key not in settled}, asked)
            settled |= limits.keys()
        if name == "together" and sources:
            account = sources[-1].name
            # each account above counts for itself
            for above in facts.accounts.get(account, ()) if facts else ():
                yield from _compare(Source(account, above, is_qos=False), _without(above.together, settled), asked)
    settled = set()
    for source in sources:
        for key, least in _without(source.limits.at_least, settled).items():
            if _is_countable(key, asked) and asked.get(key, 0) < least:
                show = _show(key)
                params = {"name": source.name, "least": show(least), "what": key, "asked": show(asked.get(key, 0))}
                yield Violation(_TOO_LITTLE, params, _field(key)[0], "queue-limit")
        settled |= source.limits.at_least.keys()


def _is_countable(key: str, asked: Mapping[str, int]) -> bool:
    """Whether we know how much a session asks for of it: not of billing, nor of a type of GPU when any will do."""
    return key in asked or key in {"gres/gpu", "gres/shard", "gres/mps"} or (key.startswith("gres/gpu:") and "gres/gpu" not in asked)


def _without(limits: Mapping[str, int], settled: set[str]) -> dict[str, int]:
    return {key: amount for key, amount in limits.items() if key not in settled}


def _compare(source: Source, limits: Mapping[str, int], asked: Mapping[str, int]) -> Iterator[Violation]:
    for key, most in limits.items():
        if asked.get(key, 0) > most:
            field, message = _field(key)
            show = _show(key)
            yield Violation(message, {"name": source.name, "most": show(most), "asked": show(asked[key])}, field, "queue-limit")


def _field(key: str) -> tuple[str, str]:
    if key.startswith("gres/gpu"):
        return _MESSAGES["gres/gpu"]
    if key.startswith(("gres/shard", "gres/mps")):
        return _MESSAGES["gres/shard"]
    return _MESSAGES.get(key, _MESSAGES["cpu"])


def _show(key: str) -> Callable[[int], str]:
    return format_bytes if key == "mem" else str


def _check_jobs(sources: list[Source]) -> Iterator[Violation]:
    """A limit of no jobs at all."""
    for name in ("max_jobs", "max_submitted"):
        first = next((one for one in sources if getattr(one.limits, name) is not None), None)
        if first is not None and getattr(first.limits, name) == 0:
            yield Violation(N_("%(name)s allows no sessions at the moment."), {"name": first.name}, "queue", "queue-limit")
