"""Several Slurm clusters as one engine: each has its own reader, and what one of them does not say keeps nothing of the others'.

A job of another cluster than the first carries its name (:mod:`..core.clusters`), so one command is never about a job of the other.
A cluster that is away leaves its own sessions unknown, and its rows of the table as old as they are.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ..config import BackendAI
from ..core.clusters import join_job, join_node, split_job, split_node
from ..core.identity import PosixAccount
from ..core.ledger import Accounted
from ..core.nodes import Node
from ..core.queues import QueueFigures
from ..core.sessions import JobState, JobStatus
from ..core.slots import SlotKind
from ..errors import N_, BackendUnavailable, InvalidParameters, NotFound, SchedulerUnavailable
from .base import Backend, JobRequest
from .slurm import ENGINE, SlurmBackend

log = logging.getLogger(__name__)
T = TypeVar("T")


class SlurmClusters(Backend):
    """Every cluster of ``c.BackendAI.slurm_clusters``, by name, "" for the first; ``make`` makes the backend of one."""

    name = ENGINE

    def __init__(self, settings: BackendAI, make: Callable[[str], Backend] | None = None) -> None:
        self._first = settings.slurm_clusters[0]
        make = make or (lambda cluster: SlurmBackend(settings, cluster=cluster))
        self._clusters = {self._key(cluster): make(cluster) for cluster in settings.slurm_clusters}
        self._rows: dict[str, tuple[float, Mapping[str, QueueFigures]]] = {}
        self._jobs: dict[str, Mapping[str, JobStatus]] = {}
        self._nodes: dict[str, Sequence[Node]] = {}

    def _key(self, cluster: str) -> str:
        return "" if cluster == self._first else cluster

    def _find(self, key: str) -> Backend:
        try:
            return self._clusters[key]
        except KeyError:
            raise NotFound(N_("There is no cluster %(cluster)s."), cluster=key) from None

    # -- one job

    async def submit(self, job: JobRequest) -> str:
        key = self._key(job.admission.choice.cluster)
        if key not in self._clusters:
            raise InvalidParameters(N_("There is no cluster %(cluster)s."), cluster=key)
        return join_job(await self._clusters[key].submit(job), key)

    async def cancel(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> None:
        own, key = split_job(job_id)
        await self._find(key).cancel(own, posix, session_id)

    async def extend(self, job_id: str, posix: PosixAccount | None, time_s: int, session_id: str = "") -> None:
        own, key = split_job(job_id)
        await self._find(key).extend(own, posix, time_s, session_id)

    async def read_log(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> str:
        own, key = split_job(job_id)
        return await self._find(key).read_log(own, posix, session_id)

    async def read_server_log(self, session_id: str, job_id: str, posix: PosixAccount | None, user: str) -> str:
        own, key = split_job(job_id)
        return await self._find(key).read_server_log(session_id, own, posix, user)

    async def status(self, session_id: str, job_id: str, posix: PosixAccount | None) -> JobStatus:
        """As ever; a job whose id was never learnt is looked for everywhere, and gone only when it is gone everywhere."""
        if job_id:
            own, key = split_job(job_id)
            if key not in self._clusters:  # one that the site has no more
                return JobStatus(job_id, JobState.UNKNOWN, user=posix.name if posix else "")
            return _name(await self._clusters[key].status(session_id, own, posix), key)
        found = await asyncio.gather(*(self._status(key, session_id, posix) for key in self._clusters))
        return min(found, key=_rank)

    async def _status(self, key: str, session_id: str, posix: PosixAccount | None) -> JobStatus:
        return _name(await self._clusters[key].status(session_id, "", posix), key)

    def starting(self, session_id: str) -> None:
        for backend in self._clusters.values():
            backend.starting(session_id)

    def started(self, session_id: str) -> None:
        for backend in self._clusters.values():
            backend.started(session_id)

    async def refresh(self) -> None:
        await asyncio.gather(*(backend.refresh() for backend in self._clusters.values()))

    # -- everything

    async def statuses(self) -> Mapping[str, JobStatus]:
        """All jobs of ours. Those of a cluster that is away are UNKNOWN, as last seen; one that was never seen makes it fail."""
        answers = await self._ask(lambda backend: backend.statuses())
        found: dict[str, JobStatus] = {}
        for key in self._clusters:
            if key in answers:
                self._jobs[key] = answers[key]
            elif key not in self._jobs:
                raise SchedulerUnavailable
            for session_id, status in self._jobs[key].items():
                known = status if key in answers else replace(status, state=JobState.UNKNOWN)
                found.setdefault(session_id, _name(known, key))
        return found

    async def capacity(self) -> Mapping[str, QueueFigures]:
        """Each partition's row, of another cluster than the first as ``partition@cluster``; ``error`` marks those of one that is away."""
        answers = await self._ask(lambda backend: backend.capacity())
        rows: dict[str, QueueFigures] = {}
        for key in self._clusters:
            if key in answers:
                self._rows[key] = (time.time(), answers[key])
            read_at, known = self._rows.get(key, (0.0, {}))
            error = "" if key in answers else "away"
            rows |= {join_node(name, key): replace(row, read_at=read_at, error=error) for name, row in known.items()}
        return rows

    async def nodes(self) -> Sequence[Node]:
        """Every node of the clusters that answer, and those that the others had."""
        answers = await self._ask(lambda backend: backend.nodes())
        self._nodes |= answers
        return [_name_node(node, key) for key in self._clusters for node in self._nodes.get(key, ())]

    async def slot_kinds(self) -> Mapping[str, SlotKind]:
        answers = await self._ask(lambda backend: backend.slot_kinds())
        return {name: kind for key in self._clusters for name, kind in answers.get(key, {}).items()}

    async def read_usage(self, job_ids: Sequence[str], cluster: str = "") -> Mapping[str, Accounted] | None:  # noqa: ARG002 - the ids tell
        own: dict[str, list[str]] = {}
        for job_id in job_ids:
            number, key = split_job(job_id)
            own.setdefault(key, []).append(number)
        found: dict[str, Accounted] = {}
        for key, numbers in own.items():
            usage = await self._find(key).read_usage(numbers)
            if usage is None:  # the clusters have one accounting
                return None
            found |= {join_job(job_id, key): used for job_id, used in usage.items()}
        return found

    async def _ask(self, question: Callable[[Backend], Awaitable[T]]) -> dict[str, T]:
        """The answers by cluster, without those that are away. Raises what the first said when none answers."""
        keys = list(self._clusters)
        answers = await asyncio.gather(*(question(self._clusters[key]) for key in keys), return_exceptions=True)
        found: dict[str, T] = {}
        for key, answer in zip(keys, answers, strict=True):
            if isinstance(answer, BackendUnavailable):
                log.warning("The cluster %s does not answer: %s", key or self._first, answer.__cause__ or answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found[key] = answer
        if not found:
            raise next(answer for answer in answers if isinstance(answer, BaseException))
        return found

    # -- one node

    async def node_address(self, node: str) -> str:
        own, key = split_node(node)
        return await self._find(key).node_address(own)

    async def drain(self, node: str, reason: str) -> None:
        own, key = split_node(node)
        await self._find(key).drain(own, reason)

    async def resume(self, node: str) -> None:
        own, key = split_node(node)
        await self._find(key).resume(own)

    async def close(self) -> None:
        """Stop reading."""
        for backend in self._clusters.values():
            if isinstance(backend, SlurmBackend):
                await backend.close()


def _name(status: JobStatus, key: str) -> JobStatus:
    return replace(status, job_id=join_job(status.job_id, key), node=join_node(status.node, key)) if key else status


def _name_node(node: Node, key: str) -> Node:
    partitions = tuple(join_node(name, key) for name in node.partitions)
    return replace(node, name=join_node(node.name, key), partitions=partitions) if key else node


def _rank(status: JobStatus) -> int:
    """What tells most comes first: a job that was found, then a cluster that may have it, then none."""
    if status.state is JobState.GONE:
        return 2
    return 1 if status.state is JobState.UNKNOWN else 0
