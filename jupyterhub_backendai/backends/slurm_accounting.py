"""What Slurm's accounting says that jobs have used: the exact seconds and amounts that a bill is made of. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from ..core.ledger import Accounted
from ..core.reasons import NODE_FAILURES
from ..core.sessions import JOB_OVER
from ..core.slots import CPU, CUDA_DEVICE, MEM, ResourceSlots, parse_bytes
from .slurm_parse import parse_state

_FIELDS = "JobIDRaw,User,State,ElapsedRaw,AllocTRES"
_TYPED = "gres/gpu:"


def build_usage(slurm_bin: str, job_ids: Sequence[str]) -> list[str]:
    """What jobs have used, by id: without steps, and of a job that was put back its last run."""
    return [str(Path(slurm_bin, "sacct")), "-n", "-X", "-P", "-j", ",".join(job_ids), "-o", _FIELDS]


def parse_usage(text: str) -> dict[str, Accounted]:
    """The jobs in the answer of :func:`build_usage`, by id; a line that was cut off is no line."""
    found = {}
    for line in text.splitlines():
        fields = line.split("|")
        if len(fields) != 5 or not fields[0].isdigit() or not fields[3].isdigit():
            continue
        job_id, user, state, seconds, tres = fields
        slots, gpu_type = parse_tres(tres)
        is_failure = state.split(" ", 1)[0] in NODE_FAILURES
        found[job_id] = Accounted(job_id, parse_state(state) in JOB_OVER, int(seconds), slots, gpu_type, is_failure, user)
    return found


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
