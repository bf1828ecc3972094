"""The Docker engine: containers that the hub's launcher makes, asked about and ended here. One reading serves everybody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import docker
from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from ..config import BackendAI
from ..core.identity import PosixAccount
from ..core.nodes import Node, NodeState
from ..core.queues import QueueFigures
from ..core.sessions import JobState, JobStatus
from ..core.slots import CPU, MEM, ResourceSlots
from ..errors import N_, BackendUnavailable, Conflict
from .base import Backend, JobRequest

log = logging.getLogger("backendai")
Usage = Callable[[], Awaitable[Mapping[str, QueueFigures]]]
T = TypeVar("T")

HUB_LABEL, SESSION_LABEL = "backendai.hub", "backendai.session"
READ_EVERY_S, CALL_LIMIT_S, STOP_AFTER_S = 1.0, 30, 10
LOG_BYTES = 64 * 1024
MOST_ENDS = 2000
OUT_OF_MEMORY = "OutOfMemory"


class EngineUnavailable(BackendUnavailable):
    """The engine says nothing, or nothing that can be understood."""

    code = "backendai_docker_unavailable"
    default_message = N_("The Docker engine does not answer right now. Running sessions go on; try to start again in a minute.")


class DockerBackend(Backend):
    """One engine. A thread pool of its own: a stop that takes ten seconds keeps nobody else waiting."""

    name = "docker"

    def __init__(self, settings: BackendAI, usage: Usage | None = None) -> None:
        self._settings, self._usage = settings, usage
        self._pool = ThreadPoolExecutor(16, thread_name_prefix="docker")
        self._made: docker.APIClient | None = None
        self._containers: dict[str, dict[str, Any]] = {}
        self._ends: dict[str, JobStatus] = {}
        self._read_at: float | None = None
        self._reading: asyncio.Task[None] | None = None

    async def submit(self, job: JobRequest) -> str:  # noqa: ARG002
        raise Conflict(N_("Batch sessions do not run in containers here; choose another queue."))

    async def cancel(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> None:  # noqa: ARG002
        """End a container and remove it, with whatever it wrote outside of its folders."""
        if job_id or session_id:
            await self._run(self._remove, job_id or container_name(session_id))
            self._containers.pop(session_id, None)

    async def status(self, session_id: str, job_id: str, posix: PosixAccount | None) -> JobStatus:  # noqa: ARG002
        """A container that the engine, asked for this very one, does not have is gone; an engine that does not answer knows nothing."""
        try:
            await self._read_if_old()
            # The list may have been read before the container was made: what is not in it proves nothing.
            found = self._containers.get(session_id) or (None if session_id in self._ends else await self._run(self._find, session_id))
        except (BackendUnavailable, Conflict):
            return JobStatus(job_id, JobState.UNKNOWN)
        if found is None:
            return self._ends.get(session_id) or JobStatus(job_id, JobState.GONE if job_id else JobState.UNKNOWN)
        if found["State"] in {"exited", "dead"} and session_id not in self._ends:
            try:
                self._remember(session_id, await self._run(self._inspect_end, found["Id"]))
            except BackendUnavailable:
                return JobStatus(found["Id"], JobState.UNKNOWN)
        return self._ends.get(session_id) or parse_status(found)

    async def find_container(self, session_id: str) -> JobStatus | None:
        """A session's container as the engine has it at this moment, None when it has none. Raises BackendUnavailable."""
        found = await self._run(self._find, session_id)
        return parse_status(found) if found else None

    async def statuses(self) -> Mapping[str, JobStatus]:
        await self._read()
        return {session_id: parse_status(found) for session_id, found in self._containers.items()}

    async def refresh(self) -> None:
        if self._reading and not self._reading.done():  # it began before this call
            await asyncio.wait({self._reading})
        with contextlib.suppress(BackendUnavailable, Conflict):
            await self._read()

    async def capacity(self) -> Mapping[str, QueueFigures]:
        return await self._usage() if self._usage else {}

    async def nodes(self) -> Sequence[Node]:
        """The engine's machine, in its own words."""
        info = await self._run(self._read_info)
        slots = ResourceSlots({CPU: int(info["NCPU"]), MEM: int(info["MemTotal"])})
        return [Node(str(info["Name"]), self.name, NodeState.IDLE, slots=slots)]

    async def read_log(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> str:  # noqa: ARG002
        """The end of what the container printed; "" once it is removed."""
        output = await self._run(self._read_output, job_id or container_name(session_id))
        return output[-LOG_BYTES:].decode(errors="replace")

    async def find_address(self, job_id: str) -> str:
        """Where the hub and the proxy reach a container. Raises BackendUnavailable while it has no address."""
        state = await self._run(lambda: self._client.inspect_container(job_id))
        networks = state["NetworkSettings"]["Networks"].values()
        address = next((network["IPAddress"] for network in networks if network.get("IPAddress")), "")
        if not address:
            raise EngineUnavailable
        return str(address)

    # -- in threads

    @property
    def _client(self) -> docker.APIClient:
        if self._made is None:
            self._made = docker.APIClient(base_url=self._settings.docker_url, timeout=CALL_LIMIT_S, version="auto")
        return self._made

    async def _run(self, call: Callable[..., T], *arguments: Any) -> T:
        """A call of the engine. Raises EngineUnavailable when it does not answer; what it refuses is Conflict, with its words."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, partial(call, *arguments))
        except APIError as exc:
            if exc.is_server_error() and exc.status_code != 500:
                raise EngineUnavailable from exc
            raise Conflict(N_("The Docker engine refused: %(reason)s"), reason=explain_refusal(exc)) from exc
        except (DockerException, RequestException, OSError) as exc:
            self._made = None
            raise EngineUnavailable from exc

    async def _read_if_old(self) -> None:
        if self._read_at is None or time.monotonic() - self._read_at > READ_EVERY_S:
            await self._read()

    async def _read(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_now())
        await asyncio.shield(self._reading)

    async def _read_now(self) -> None:
        filters = {"label": [f"{HUB_LABEL}={self._settings.job_name}"]}
        found = await self._run(lambda: self._client.containers(all=True, filters=filters))
        self._containers = {item["Labels"][SESSION_LABEL]: item for item in found if SESSION_LABEL in item.get("Labels", {})}
        self._read_at = time.monotonic()

    def _read_info(self) -> dict[str, Any]:
        found: dict[str, Any] = self._client.info()
        return found

    def _remember(self, session_id: str, end: JobStatus) -> None:
        """How a container ended is asked for after it was removed, too; the oldest are forgotten."""
        while len(self._ends) >= MOST_ENDS:
            del self._ends[next(iter(self._ends))]
        self._ends[session_id] = end

    def _find(self, session_id: str) -> dict[str, Any] | None:
        """One session's container as it stands in the list, None when there is none of that name and ours."""
        try:
            found = self._client.inspect_container(container_name(session_id))
        except NotFound:
            return None
        labels = found["Config"].get("Labels") or {}
        if labels.get(HUB_LABEL) != self._settings.job_name or labels.get(SESSION_LABEL) != session_id:
            return None
        return {"Id": found["Id"], "State": found["State"]["Status"], "Labels": labels}

    def _inspect_end(self, job_id: str) -> JobStatus:
        state = self._client.inspect_container(job_id)["State"]
        code = int(state.get("ExitCode", 0))
        # the engine sets the mark also when only a child was killed; then the server's own code says that it went on
        detail = OUT_OF_MEMORY if state.get("OOMKilled") and code else str(state.get("Error") or "")
        return JobStatus(job_id, JobState.DONE if code == 0 else JobState.FAILED, detail=detail, exit_code=code)

    def _remove(self, name: str) -> None:
        try:
            self._client.stop(name, timeout=STOP_AFTER_S)
            self._client.remove_container(name, v=True, force=True)
        except NotFound:
            return
        except APIError as exc:
            if exc.status_code != 409:  # being removed by somebody else
                raise

    def _read_output(self, name: str) -> bytes:
        try:
            return bytes(self._client.logs(name, stdout=True, stderr=True, tail=2000))
        except NotFound:
            return b""


def container_name(session_id: str) -> str:
    """What a session's container is called, so that one whose id was never learnt can be found."""
    return f"backendai-{session_id}"


def parse_status(item: Mapping[str, Any]) -> JobStatus:
    """A container of the engine's list; how one that is over ended is in none of them."""
    states = {
        "created": JobState.PENDING,
        "running": JobState.RUNNING,
        "paused": JobState.RUNNING,
        "restarting": JobState.RUNNING,
        "removing": JobState.DONE,
        "exited": JobState.DONE,
        "dead": JobState.FAILED,
    }
    return JobStatus(str(item["Id"]), states.get(str(item["State"]), JobState.UNKNOWN), detail=str(item["State"]))


def explain_refusal(exc: APIError) -> str:
    """The engine's own words, in one line of a sane length."""
    return " ".join(str(exc.explanation or exc).split())[:500]
