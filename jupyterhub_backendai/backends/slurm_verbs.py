"""The way by verbs: our own program, which is root or the user by then, does what a request in JSON says.

Who carries the request there is a matter of its own: the helper's socket (:mod:`.helper`) or sudo (:mod:`.sudo`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Protocol

from ..core.identity import PosixAccount
from ..core.scheduler_choice import SchedulerChoice
from ..core.slots import CPU, CUDA_DEVICE, MEM
from ..errors import N_, BackendUnavailable, Forbidden, InvalidParameters, NoPosixAccount
from .base import JobRequest
from .slurm_ways import OperatorUnavailable, Way

_OPTION = re.compile(r"--(qos|reservation|constraint)=(.+)", re.ASCII)


class CallerUnavailable(BackendUnavailable):
    """Our program cannot be reached."""


class Caller(Protocol):
    """Carries a verb and its fields to our program, and its answer back; see :mod:`jupyterhub_backendai.helper.requests`."""

    async def call(self, verb: str, **fields: Any) -> dict[str, Any]:
        """Ask for one thing. Raises the error that it answered with, or CallerUnavailable."""

    async def check(self) -> Sequence[str]:
        """What is wrong with the way there, in English."""


class VerbWay(Way):
    """Everything as a verb; ``cluster`` is one of several, "" where there is one."""

    def __init__(self, name: str, caller: Caller, cluster: str = "") -> None:
        self.name, self._caller = name, caller
        self._at = {"cluster": cluster} if cluster else {}

    async def submit(self, job: JobRequest) -> str:
        return str((await self._caller.call("submit", **build_submit(job), **self._at))["job_id"])

    async def cancel(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> None:
        await self._caller.call("cancel", **_owner(posix), job_id=job_id, session_id=session_id, **self._at)

    async def make_directories(self, posix: PosixAccount | None) -> None:
        await self._caller.call("mkdir", **_owner(posix))

    async def read_log(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> str:  # noqa: ARG002 - logs have the job's id
        return str((await self._caller.call("read_log", **_owner(posix), job_id=job_id, **self._at))["log"])

    async def extend(self, job_id: str, posix: PosixAccount | None, time_s: int) -> None:
        await self._operate("extend", **_owner(posix), job_id=job_id, time_s=time_s)

    async def drain(self, node: str, reason: str) -> None:
        await self._operate("drain", node=node, reason=reason)

    async def resume(self, node: str) -> None:
        await self._operate("resume", node=node)

    async def _operate(self, verb: str, **fields: Any) -> None:
        try:
            await self._caller.call(verb, **fields, **self._at)
        except Forbidden as exc:
            raise OperatorUnavailable from exc

    async def check(self) -> Sequence[str]:
        return await self._caller.check()


def _owner(posix: PosixAccount | None) -> dict[str, Any]:
    if posix is None:
        raise NoPosixAccount
    return {"user": posix.name, "uid": posix.uid}


def build_submit(job: JobRequest) -> dict[str, Any]:
    """A job as the helper's fields. Raises NoPosixAccount, or InvalidParameters for an option that the helper has no field for."""
    admission = job.admission
    return {
        **_owner(admission.posix),
        "session_id": admission.session_id,
        "job_name": job.job_name,
        "partition": admission.partition,
        "account": admission.account,
        "cpus": int(admission.slots.amount(CPU)),
        "mem_bytes": int(admission.slots.amount(MEM)),
        "gpus": int(admission.slots.amount(CUDA_DEVICE)),
        "gpu_type": admission.gpu_type,
        **({"gres": admission.gres} if admission.gres else {}),
        "time_s": admission.time_s,
        "environment": dict(job.environment),
        "command": list(job.command),
        **({"lines": job.script} if job.script else {}),
        **({"links": links} if (links := admission.describe_links()) else {}),
        **build_options(job.options),
        **_chosen(admission.choice),
    }


def _chosen(choice: SchedulerChoice) -> dict[str, str]:
    """What the person chose, which goes before what the site set."""
    named = {"qos": choice.qos, "reservation": choice.reservation, "constraint": choice.features}
    return {name: value for name, value in named.items() if value}


def build_options(options: Sequence[str]) -> dict[str, str]:
    """The few options of sbatch that a site can set for a launcher: qos, reservation and constraint."""
    fields = {}
    for option in options:
        found = _OPTION.fullmatch(option)
        if not found:
            raise InvalidParameters(N_("%(option)s is not an option that sessions can be submitted with."), option=option)
        fields[found[1]] = found[2]
    return fields
