"""What Slurm's accounting says that jobs have used: the exact seconds and amounts that a bill is made of. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from ..core.ledger import Accounted
from ..core.reasons import NODE_FAILURES
from ..core.sessions import JOB_OVER
from ..core.slots import CPU, CUDA_DEVICE, MEM, ResourceSlots, parse_bytes
from .slurm_parse import parse_state

_FIELDS = "JobIDRaw,User,State,ElapsedRaw,AllocTRES,Submit,End"
_TYPED = "gres/gpu:"
_SAME_S = 60.0  # a run of a job that was put back ends when the next one is submitted


@dataclass(frozen=True, slots=True)
class _Run:
    """One run of a job."""

    job: Accounted
    submitted: str
    ended: str


def build_usage(slurm_bin: str, job_ids: Sequence[str]) -> list[str]:
    """What jobs have used, by id: without steps, and of a job that was put back every run."""
    return [str(Path(slurm_bin, "sacct")), "-n", "-X", "-P", "-D", "-j", ",".join(job_ids), "-o", _FIELDS]


def parse_usage(text: str) -> dict[str, Accounted]:
    """The jobs in the answer of :func:`build_usage`, by id; a line that was cut off is no line.

    People can put their own jobs back, so what was used before that counts; runs that ended with their node do not. An id that
    Slurm gives anew is another job's: only runs that follow upon each other are one job.
    """
    runs: dict[str, list[_Run]] = {}
    for line in text.splitlines():
        if run := _parse_run(line):
            runs.setdefault(run.job.job_id, []).append(run)
    return {job_id: _join(sorted(found, key=lambda run: run.submitted)) for job_id, found in runs.items()}


def _parse_run(line: str) -> _Run | None:
    fields = line.split("|")
    if len(fields) != 7 or not fields[0].isdigit() or not fields[3].isdigit():
        return None
    job_id, user, state, seconds, tres, submitted, ended = fields
    slots, gpu_type = parse_tres(tres)
    is_failure = state.split(" ", 1)[0] in NODE_FAILURES
    return _Run(Accounted(job_id, parse_state(state) in JOB_OVER, int(seconds), slots, gpu_type, is_failure, user), submitted, ended)


def _join(runs: Sequence[_Run]) -> Accounted:
    """The last run, with the time of those that it is the continuation of, and with the amounts of the longest."""
    last = runs[-1].job
    seconds, longest, submitted = last.seconds, last, runs[-1].submitted
    for run in reversed(runs[:-1]):
        if run.job.user != last.user or not _follows(run.ended, submitted):
            break
        submitted = run.submitted
        if not run.job.is_node_failure:
            seconds += run.job.seconds
            longest = max(longest, run.job, key=lambda job: job.seconds)
    return replace(last, seconds=seconds, slots=longest.slots, gpu_type=longest.gpu_type)


def _follows(ended: str, submitted: str) -> bool:
    try:
        return abs((datetime.fromisoformat(submitted) - datetime.fromisoformat(ended)).total_seconds()) <= _SAME_S
    except ValueError:
        return False


def parse_tres(text: str) -> tuple[ResourceSlots, str]:
    """What was given to a job, and the type of its GPUs where Slurm counts them by type.

    ``cpu=4,gres/gpu:a100=1,gres/gpu=1,mem=16G,node=1``. What a site does not track is not there; shards are counted in parts that
    mean nothing without their node, so they are left out.
    """
    amounts: dict[str, Decimal] = {}
    gpu_type = ""
    for part in text.split(","):
        name, _, amount = part.partition("=")
        try:
            if name == "cpu":
                amounts[CPU] = Decimal(int(amount))
            elif name == "mem":
                amounts[MEM] = Decimal(parse_bytes(amount))
            elif name == "gres/gpu":
                amounts[CUDA_DEVICE] = Decimal(int(amount))
            elif name.startswith(_TYPED):
                gpu_type = name.removeprefix(_TYPED)
                amounts.setdefault(CUDA_DEVICE, Decimal(int(amount)))
        except ValueError:
            continue  # not a number: as if it were not counted
    return ResourceSlots(amounts), gpu_type
