"""The local engine: processes on the hub's own machine. It has no scheduler, so there is little to ask."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from ..core.identity import PosixAccount
from ..core.nodes import Node, NodeState
from ..core.queues import QueueFigures
from ..core.sessions import JobState, JobStatus
from ..core.slots import CPU, MEM, ResourceSlots
from ..errors import N_, BackendUnavailable
from .base import Backend, JobRequest

Usage = Callable[[], Awaitable[Mapping[str, QueueFigures]]]


class LocalBackend(Backend):
    """How full the pretend queues are is known by admission, which hands in ``usage``; the hub starts and stops the processes."""

    name = "local"

    def __init__(self, usage: Usage | None = None) -> None:
        self._usage = usage

    async def submit(self, job: JobRequest) -> str:
        raise BackendUnavailable(N_("Local sessions are started by the hub itself."))

    async def cancel(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> None:
        """Nothing: the hub stops its own processes."""

    async def status(self, session_id: str, job_id: str, posix: PosixAccount | None) -> JobStatus:
        return JobStatus(job_id, JobState.UNKNOWN)

    async def statuses(self) -> Mapping[str, JobStatus]:
        return {}

    async def capacity(self) -> Mapping[str, QueueFigures]:
        return await self._usage() if self._usage else {}

    async def nodes(self) -> Sequence[Node]:
        """This machine. How much of it our sessions hold is what the database says; the load and the memory are the system's."""
        return [await asyncio.to_thread(_measure)]

    async def read_log(self, job_id: str, posix: PosixAccount | None) -> str:
        return ""


def _measure() -> Node:
    total, available = parse_memory(Path("/proc/meminfo").read_text())
    load = os.getloadavg()[0]
    cpus = os.cpu_count() or 1
    slots = ResourceSlots({CPU: cpus, MEM: total})
    # There is nobody who hands out the CPUs: those that work are as many as the load says.
    used = ResourceSlots({CPU: min(cpus, round(load)), MEM: max(0, total - available)})
    return Node(socket.gethostname(), LocalBackend.name, NodeState.IDLE, slots=slots, used=used, load=round(load, 2))


def parse_memory(text: str) -> tuple[int, int]:
    """Bytes of memory in all and of those that could be had, from ``/proc/meminfo``."""
    found = {name: int(kib) * 1024 for name, kib in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}
    return found.get("MemTotal", 0), found.get("MemAvailable", 0)
