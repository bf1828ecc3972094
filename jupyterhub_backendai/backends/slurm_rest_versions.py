"""What versions of slurmrestd's interface differ in; the rest of the program knows one form of everything. Pure.

v0.0.36 to v0.0.38 (Slurm 20.11 to 22.05, up to 23.11) are read by one hand-written parser, v0.0.39 and later by generated ones.
Differences seen and left alone: errors are ``error_code`` in some answers and ``error_number`` in others of the same version; the old
ones answer 500 to a request that was refused, the new ones 200 with a list of errors.
Tried for real: v0.0.36, v0.0.37 and v0.0.38 on Slurm 22.05. The newer ones are by their published descriptions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

KNOWN = (42, 41, 40, 39, 38, 37, 36)
GENERATED = 39
GRES_SLASH = 40
_OVER_WORDS = ("invalid job id", "already completing", "already finished", "already completed")
_UNREACHABLE = frozenset({1800, 1801, 1802, 5001, 5003, 5004, 5005})
_UNREACHABLE_WORDS = ("unable to contact", "zero bytes were transmitted", "timed out", "connection refused", "munge", "authentication")


@dataclass(frozen=True, slots=True)
class Problem:
    """What slurmrestd complained of: Slurm's number (0 where it gave none) and its words."""

    number: int
    words: str

    @property
    def is_unreachable(self) -> bool:
        """The scheduler could not be asked, rather than that it said no."""
        lower = self.words.lower()
        return self.number in _UNREACHABLE or any(sign in lower for sign in _UNREACHABLE_WORDS)

    @property
    def is_certain(self) -> bool:
        """Slurm did not even hear of the request."""
        return "connect failure" in self.words.lower()

    @property
    def is_over(self) -> bool:
        """The job is over, or was never there."""
        lower = self.words.lower()
        return any(sign in lower for sign in _OVER_WORDS)


@dataclass(frozen=True, slots=True)
class RestJob:
    """One job as its owner is told apart from others': v0.0.36 leaves names of users out now and then."""

    uid: int
    name: str
    comment: str
    is_running: bool


def parse_version(text: str) -> int:
    """``v0.0.38`` as 38. Raises ValueError for one that is not known."""
    number = int(text.removeprefix("v0.0."))
    if number not in KNOWN or not text.startswith("v0.0."):
        raise ValueError(text)
    return number


def build_submit(version: int, fields: Mapping[str, Any], script: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """A job for ``POST job/submit`` from the fields of :func:`.slurm_verbs.build_submit`."""
    memory_mb, minutes = math.ceil(fields["mem_bytes"] / 2**20), math.ceil(fields["time_s"] / 60)
    job: dict[str, Any] = {
        "name": fields["job_name"],
        "comment": fields["session_id"],
        "partition": fields["partition"],
        "tasks": 1,
        "cpus_per_task": fields["cpus"],
        "current_working_directory": "/",
        "standard_output": "/dev/null",
    }
    chosen = {"account": "account", "qos": "qos", "reservation": "reservation", "constraint": "constraints"}
    job |= {theirs: fields[ours] for ours, theirs in chosen.items() if fields.get(ours)}
    gres = _list_gres(fields)
    if version < GENERATED:
        job |= {"nodes": [1, 1], "memory_per_node": memory_mb, "time_limit": minutes, "environment": dict(environment)}
        # `requeue` means yes whatever its value; this key is in no description, and works
        job |= {"no_requeue": True, **({"gres": ",".join(gres)} if gres else {})}
        return {"script": script, "job": job}
    job |= {"minimum_nodes": 1, "maximum_nodes": 1, "requeue": False, "script": script}
    job |= {"memory_per_node": _number(memory_mb), "time_limit": _number(minutes)}
    job["environment"] = [f"{name}={value}" for name, value in environment.items()]
    if gres:
        job["tres_per_node"] = ",".join(("gres/" if version >= GRES_SLASH else "gres:") + part for part in gres)
    return {"job": job}


def _list_gres(fields: Mapping[str, Any]) -> list[str]:
    gpus = []
    if fields.get("gpus"):
        kind = f"gpu:{fields['gpu_type']}" if fields.get("gpu_type") else "gpu"
        gpus.append(f"{kind}:{fields['gpus']}")
    return [*gpus, *filter(None, str(fields.get("gres", "")).split(","))]


def _number(value: int) -> dict[str, Any]:
    return {"set": True, "infinite": False, "number": value}


def build_update(version: int, time_s: int, name: str) -> dict[str, Any]:
    """A new time limit for ``POST job/<id>``. Old versions give a job that is updated without its name another one."""
    minutes = math.ceil(time_s / 60)
    return {"name": name, "time_limit": minutes if version < GENERATED else _number(minutes)}


def build_node(reason: str | None) -> dict[str, Any]:
    """The state of a node for ``POST node/<name>`` (since v0.0.39): drained for a reason, or used again."""
    return {"state": ["RESUME"]} if reason is None else {"state": ["DRAIN"], "reason": reason}


def parse_submit(answer: Mapping[str, Any]) -> str:
    """The new job's id, "" when there is none."""
    inner = answer.get("result")
    found = answer.get("job_id") or (inner.get("job_id") if isinstance(inner, Mapping) else None)
    return str(found) if type(found) is int and found > 0 else ""


def parse_job(answer: Mapping[str, Any]) -> RestJob | None:
    """The one job of ``GET job/<id>``."""
    jobs = answer.get("jobs")
    if not isinstance(jobs, Sequence) or not jobs or not isinstance(jobs[0], Mapping):
        return None
    job = jobs[0]
    state = job.get("job_state", "")
    states = state if isinstance(state, list) else [state]
    uid = job.get("user_id")
    return RestJob(uid if type(uid) is int else -1, str(job.get("name", "")), str(job.get("comment") or ""), "RUNNING" in states)


def parse_problem(answer: Mapping[str, Any]) -> Problem | None:
    """The complaint in an answer, None where there is none."""
    errors = answer.get("errors")
    found = [error for error in errors if isinstance(error, Mapping)] if isinstance(errors, Sequence) else []
    if not found:
        return None
    numbers = [error.get("error_number", error.get("error_code", 0)) for error in found]
    number = next((number for number in numbers if type(number) is int and number > 0), 0)
    words = [str(error.get("error") or error.get("description") or "") for error in found]
    if not number:  # v0.0.36 has it in words alone
        words = [word.rpartition(": ")[2] for word in words]
    return Problem(number, "\n".join(dict.fromkeys(filter(None, words)))[:1000])
