"""The local engine: processes on the hub's own machine. The hub starts servers there, we start batch jobs."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from ..config import BackendAI
from ..core.identity import PosixAccount
from ..core.nodes import Node, NodeState
from ..core.queues import QueueFigures
from ..core.sessions import JobStatus
from ..core.slots import CPU, MEM, ResourceSlots
from ..errors import N_, BackendUnavailable
from .base import Backend, JobRequest
from .local_jobs import LocalJobs
from .processes import read_tail

Usage = Callable[[], Awaitable[Mapping[str, QueueFigures]]]


class LocalBackend(Backend):
    """How full the pretend queues are is known by admission, which hands in ``usage``. Servers are the hub's own processes."""

    name = "local"

    def __init__(self, settings: BackendAI, usage: Usage | None = None) -> None:
        self._settings, self._usage = settings, usage
        self._jobs = LocalJobs(Path(settings.state_dir, "batch"))

    async def submit(self, job: JobRequest) -> str:
        """Start a batch job; twice for the same session starts it once."""
        if not job.script:
            raise BackendUnavailable(N_("Local sessions are started by the hub itself."))
        home = find_home(self._settings, job.user)
        return await asyncio.to_thread(self._jobs.submit, job, home, self._settings.workspace_dir)

    async def cancel(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> None:
        """Only batch jobs: the hub stops its own processes."""
        if session_id:
            await asyncio.to_thread(self._jobs.cancel, session_id, job_id)

    async def extend(self, job_id: str, posix: PosixAccount | None, time_s: int, session_id: str = "") -> None:
        """Tell the keeper of a batch job. Of a server, the hub asks the service for the limit before it ends it."""
        await asyncio.to_thread(self._jobs.extend, session_id, time_s)

    async def status(self, session_id: str, job_id: str, posix: PosixAccount | None) -> JobStatus:
        """Of a batch job; where a server is knows the hub."""
        return await asyncio.to_thread(self._jobs.status, session_id, job_id)

    async def statuses(self) -> Mapping[str, JobStatus]:
        return {}

    async def capacity(self) -> Mapping[str, QueueFigures]:
        return await self._usage() if self._usage else {}

    async def nodes(self) -> Sequence[Node]:
        """This machine. How much of it our sessions hold is what the database says; the load and the memory are the system's."""
        return [await asyncio.to_thread(_measure)]

    async def read_log(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> str:
        return await asyncio.to_thread(self._jobs.read_log, session_id) if session_id else ""

    async def read_server_log(self, session_id: str, job_id: str, posix: PosixAccount | None, user: str) -> str:
        path = find_home(self._settings, user) / self._settings.log_dir / f"{session_id}.log"
        return await asyncio.to_thread(read_tail, path)


def find_home(settings: BackendAI, user: str, template: str = "") -> Path:
    """Somebody's directory on this machine. The hub's name is quoted, so that it is one step of a path and never ``..``.

    ``template`` is the site's own; without one ``user_root`` where the site set it, else ``home/{user}`` in the state directory.
    """
    if not template and settings.user_root == BackendAI.user_root.default_value:
        template = str(Path(settings.state_dir, "home", "{user}"))
    name = quote(user, safe="@+ ")
    return Path((template or settings.user_root).replace("{user}", name.replace(".", "%2E") if user.startswith(".") else name))


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
