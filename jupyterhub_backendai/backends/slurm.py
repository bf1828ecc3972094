"""The Slurm engine: jobs are submitted and ended in the way that the site chose, everything is asked with Slurm's own commands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..config import BackendAI
from ..core import reasons
from ..core.identity import PosixAccount
from ..core.ledger import Accounted
from ..core.nodes import Node
from ..core.queues import QueueFigures
from ..core.sessions import JobStatus
from ..core.slots import SlotKind
from ..errors import (
    N_,
    BackendUnavailable,
    Conflict,
    NotFound,
    SchedulerUnavailable,
    SubmitRefused,
)
from . import slurm_accounting, slurm_nodes, slurm_slots
from . import slurm_figures as figures
from . import slurm_parse as parse
from .base import Backend, JobRequest
from .commands import CommandResult, run
from .slurm_facts import SlurmFacts, find_site_qos
from .slurm_reader import SlurmReader
from .slurm_verbs import CallerUnavailable
from .slurm_ways import OperatorUnavailable, Way, make_way

ENGINE = "slurm"
ADDRESS_AGE_S = 300.0


class SlurmBackend(Backend):
    """One per process; :func:`jupyterhub_backendai.backends.connect` makes it.

    Where there are several clusters it is the one called ``cluster``, one of several behind :class:`.slurm_clusters.SlurmClusters`.
    """

    name = ENGINE

    def __init__(self, settings: BackendAI, way: Way | None = None, *, cluster: str = "") -> None:
        self._settings, self._cluster = settings, cluster
        self._way = way or make_way(settings, cluster)
        self._addresses: dict[str, tuple[str, float]] = {}
        self._facts = SlurmFacts(self._ask, settings.slurm_bin, site_qos=find_site_qos(settings))
        self.reader = SlurmReader(
            self._run,
            settings.slurm_bin,
            settings.job_name,
            starting_s=settings.starting_interval_s,
            steady_s=settings.steady_interval_s,
        )

    async def submit(self, job: JobRequest) -> str:
        """Hand a job to Slurm as its user.

        A caller that is cancelled meanwhile gets its CancelledError only after Slurm's answer, so that nothing is submitted behind
        its back: afterwards ``status(session_id, "", posix)`` finds the job, and it can be cancelled.
        """
        task = asyncio.ensure_future(self._submit(job))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()  # seen: nobody is left to tell
            raise

    async def _submit(self, job: JobRequest) -> str:
        try:
            job_id = await self._way.submit(job)
        except SubmitRefused as exc:
            raise explain_refusal(exc) from exc
        self.reader.wake()
        return job_id

    async def cancel(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> None:
        """End a job as its user; ``session_id`` also removes the file of a job that never ran."""
        await self._way.cancel(job_id, posix, session_id)

    async def make_directories(self, posix: PosixAccount | None) -> None:
        """Make the user's directory of logs and the working directory."""
        await self._way.make_directories(posix)

    async def read_log(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> str:
        return await self._way.read_log(job_id, posix, session_id) if job_id else ""

    async def extend(self, job_id: str, posix: PosixAccount | None, time_s: int, session_id: str = "") -> None:  # noqa: ARG002
        """Make ``time_s`` seconds from its start the time limit of a job. Raises Conflict where that cannot be done here."""
        try:
            await self._way.extend(job_id, posix, time_s)
        except OperatorUnavailable as exc:
            raise Conflict(N_("This platform may not give jobs of Slurm more time. Ask your centre's help desk.")) from exc

    async def status(self, session_id: str, job_id: str, posix: PosixAccount | None) -> JobStatus:
        return await self.reader.status(session_id, job_id, posix.name if posix else "")

    async def statuses(self) -> Mapping[str, JobStatus]:
        found: dict[str, JobStatus] = {}
        for job in sorted(await self.reader.jobs(), key=lambda job: int(job.status.job_id)):
            if job.session_id:
                found.setdefault(job.session_id, job.status)
        return found

    def starting(self, session_id: str) -> None:
        self.reader.starting(session_id)

    def started(self, session_id: str) -> None:
        self.reader.started(session_id)

    async def refresh(self) -> None:
        await self.reader.refresh()

    async def close(self) -> None:
        """Stop reading."""
        await self.reader.close()
        await self._facts.close()

    async def node_address(self, node: str) -> str:
        """The site's own address of a node, else Slurm's NodeAddr (remembered for five minutes). Raises SchedulerUnavailable."""
        if own := self._settings.node_addresses.get(node):
            return str(own)
        address, read_at = self._addresses.get(node, ("", 0.0))
        if not address or time.monotonic() - read_at > ADDRESS_AGE_S:
            try:
                address = await self._ask_address(node)
            except SchedulerUnavailable:
                if not address:
                    raise
                return address  # nodes do not move while the controller is away
            self._addresses[node] = (address, time.monotonic())
        return address

    async def _ask_address(self, node: str) -> str:
        try:
            answer = await self._ask(parse.build_node(self._settings.slurm_bin, node))
        except ValueError as exc:
            raise SchedulerUnavailable from exc
        if f"NodeName={node} " not in answer or not answer.endswith("\n"):
            raise SchedulerUnavailable from RuntimeError(f"scontrol: no answer about {node}: {answer[:200]!r}")
        return parse.parse_address(answer) or node

    async def capacity(self) -> Mapping[str, QueueFigures]:
        """Every partition's row, from a few commands however large the cluster is. Raises SchedulerUnavailable."""
        return await self._facts.capacity()

    async def nodes(self) -> Sequence[Node]:
        """Every node, from one command however many there are. Raises SchedulerUnavailable."""
        _, command, _ = figures.build_commands(self._settings.slurm_bin)
        # thousands of nodes take a good part of a second
        return await asyncio.to_thread(slurm_nodes.parse_nodes, await self._ask(command))

    async def slot_kinds(self) -> Mapping[str, SlotKind]:
        """Generic resources (``gres.<name>``) and licences (``license.<name>``). Raises SchedulerUnavailable."""
        _, command, _ = figures.build_commands(self._settings.slurm_bin)
        gres = await asyncio.to_thread(slurm_slots.parse_gres_names, await self._ask(command))
        licenses = slurm_slots.parse_license_names(await self._ask(slurm_slots.build_licenses(self._settings.slurm_bin)))
        return slurm_slots.list_slots(gres, licenses)

    async def read_usage(self, job_ids: Sequence[str], cluster: str = "") -> Mapping[str, Accounted] | None:  # noqa: ARG002
        found: dict[str, Accounted] = {}
        for ids in parse.chunks(job_ids):
            try:
                answer = await self._run(slurm_accounting.build_usage(self._settings.slurm_bin, ids))
            except BackendUnavailable as exc:
                raise SchedulerUnavailable from exc
            if parse.is_without_accounting(answer.errors):
                return None
            if answer.returncode or "error" in answer.errors.lower():
                raise SchedulerUnavailable from RuntimeError(answer.errors.strip()[:500])
            found |= slurm_accounting.parse_usage(answer.output)
        return found

    async def drain(self, node: str, reason: str) -> None:
        """Through the helper, where it was started with ``--allow-drain``; else Conflict with the command to type."""
        await self._update_node(node, reason)

    async def resume(self, node: str) -> None:
        await self._update_node(node, None)

    async def _update_node(self, node: str, reason: str | None) -> None:
        try:
            command = slurm_nodes.show_update(node, reason)
        except ValueError as exc:
            raise NotFound(N_("There is no node %(node)s."), node=node) from exc
        try:
            await (self._way.resume(node) if reason is None else self._way.drain(node, reason))
        except (OperatorUnavailable, CallerUnavailable) as exc:
            message = N_("This platform may not drain nodes here. As Slurm's operator, type on the cluster: %(command)s")
            raise Conflict(message, command=command) from exc

    async def _run(self, arguments: Sequence[str]) -> CommandResult:
        is_first = self._cluster == next(iter(self._settings.slurm_clusters), "")
        command = parse.name_cluster(arguments, self._cluster, is_first=is_first) if self._cluster else arguments
        return await run(ENGINE, command, timeout_s=self._settings.command_timeout_s)

    async def _ask(self, arguments: Sequence[str]) -> str:
        try:
            answer = await self._run(arguments)
        except BackendUnavailable as exc:
            raise SchedulerUnavailable from exc
        if answer.returncode:
            raise SchedulerUnavailable from RuntimeError(answer.errors.strip()[:500])
        if Path(arguments[0]).name == "scontrol" and not answer.output.endswith("\n"):  # it always says something, to the end of a line
            raise SchedulerUnavailable from RuntimeError(f"scontrol: an answer without its end: {answer.output[:200]!r}")
        return answer.output


def explain_refusal(error: SubmitRefused) -> SubmitRefused:
    """Slurm's complaint in plain words, its own kept as the parameter ``reason``."""
    explanation = reasons.explain_refusal(str(error.params.get("reason", "")))
    plain = SubmitRefused(explanation.message, **explanation.params)
    plain.advice = explanation.advice
    return plain
