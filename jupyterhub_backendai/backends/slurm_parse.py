"""Slurm's commands and what their answers mean. Pure: no clock, no process, tested on recorded answers.

Other people write into what Slurm shows: a job's comment may hold ``|`` and whole lines. So the comment stands last in a record,
is cut to one character more than ours has, and a record begins with a random word that changes with each reading: nobody can
write a record into the answer. Reasons hold blanks, commas and parentheses; nothing is split on those.

An answer about jobs is believed only with its headline and to the end of a line: a command that was killed, cut off or replaced by
something else may exit with 0 and say nothing, and nothing would look like "no job is left".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ..core.sessions import JobState, JobStatus

MAX_IDS = 500
_SESSION = re.compile(r"[0-9a-f]{32}", re.ASCII)
_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", re.ASCII)
_EXIT = re.compile(r"(\d{1,5}):(\d{1,5})", re.ASCII)
_ADDRESS = re.compile(r"(?:^|\s)NodeAddr=(\S+)")

# Every state word of squeue and sacct that we know. A word that is missing here is UNKNOWN, which is never dead.
STATES: Mapping[str, JobState] = {
    "PENDING": JobState.PENDING,
    "CONFIGURING": JobState.PENDING,
    "REQUEUED": JobState.PENDING,
    "REQUEUE_FED": JobState.PENDING,
    "REQUEUE_HOLD": JobState.PENDING,
    "RESV_DEL_HOLD": JobState.PENDING,
    "SPECIAL_EXIT": JobState.PENDING,
    "RUNNING": JobState.RUNNING,
    "SUSPENDED": JobState.RUNNING,
    "STOPPED": JobState.RUNNING,
    "SIGNALING": JobState.RUNNING,
    "RESIZING": JobState.RUNNING,
    "STAGE_OUT": JobState.RUNNING,
    "COMPLETING": JobState.RUNNING,  # the reader says DONE when it lasts, see slurm_reader
    "COMPLETED": JobState.DONE,
    "CANCELLED": JobState.FAILED,
    "FAILED": JobState.FAILED,
    "TIMEOUT": JobState.FAILED,
    "DEADLINE": JobState.FAILED,
    "OUT_OF_MEMORY": JobState.FAILED,
    "NODE_FAIL": JobState.FAILED,
    "BOOT_FAIL": JobState.FAILED,
    "LAUNCH_FAILED": JobState.FAILED,
    "RECONFIG_FAIL": JobState.FAILED,
    "PREEMPTED": JobState.FAILED,
    "REVOKED": JobState.FAILED,
}


@dataclass(frozen=True, slots=True)
class Job:
    """One line of the queue: the status, the partition, and the session that its comment names ("" when it is none)."""

    status: JobStatus
    session_id: str
    partition: str


def build_list(slurm_bin: str, job_name: str, mark: str) -> list[str]:
    """All jobs of ours, in one flat command however many there are; :func:`parse_jobs` reads the answer."""
    return [_program(slurm_bin, "squeue"), "-a", "-t", "all", "-n", job_name, "-o", _format(mark)]


def build_find(slurm_bin: str, job_ids: Sequence[str], mark: str) -> list[str]:
    """Jobs by id, whatever they are called; ids that the controller does not know are left out of the answer."""
    return [_program(slurm_bin, "squeue"), "-a", "-t", "all", "-j", ",".join(job_ids), "-o", _format(mark)]


def name_cluster(arguments: Sequence[str], cluster: str, *, is_first: bool) -> list[str]:
    """A command about one of several clusters. The first, which slurm.conf names, is asked without the accounting's help."""
    program = Path(arguments[0]).name
    if program == "sacctmgr":
        return list(arguments)  # says everything of all clusters; the command names the one
    if not is_first:
        return [arguments[0], f"--clusters={cluster}", *arguments[1:]]
    # else a federation shows the other clusters' jobs too
    return [arguments[0], *(["--local"] if program in {"squeue", "sacct"} else []), *arguments[1:]]


def _program(slurm_bin: str, name: str) -> str:
    return str(Path(slurm_bin, name))


def _format(mark: str) -> str:
    return f"{mark}|%i|%u|%T|%B|%S|%P|%r|{mark}|%33k"


def is_whole_list(text: str, mark: str) -> bool:
    """Whether this is all of an answer to :func:`build_list` or :func:`build_find`, however few jobs are in it."""
    return f"{mark}|JOBID|" in text and text.endswith("\n")


def parse_jobs(text: str, mark: str) -> list[Job]:
    """The jobs in the answer of :func:`build_list` or :func:`build_find`."""
    parts = text.split(f"{mark}|")[1:]
    jobs = []
    for record, comment in zip(parts[::2], parts[1::2], strict=False):
        fields = record.rstrip("|").split("|", 6)
        if len(fields) == 7 and fields[0].isdigit():
            jobs.append(_parse_job(fields, comment.strip()))
    return jobs


def _parse_job(fields: list[str], comment: str) -> Job:
    job_id, user, word, node, start, partition, reason = fields
    status = JobStatus(
        job_id,
        parse_state(word),
        detail=word,
        reason=reason,
        node=node if _NODE.fullmatch(node) else "",
        start_at=parse_start(start),
        user=user,
    )
    return Job(status, comment if _SESSION.fullmatch(comment) else "", partition)


def parse_state(word: str) -> JobState:
    """The state that a word of squeue or sacct (``CANCELLED by 1001``, ``CANCELLED+``) stands for."""
    return STATES.get(word.split(" ", 1)[0].rstrip("+"), JobState.UNKNOWN)


def parse_start(text: str) -> float | None:
    """Unix seconds of Slurm's local time, None for N/A."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None


def build_waiting(slurm_bin: str) -> list[str]:
    """Everybody's waiting jobs, for the positions in the queues."""
    return [_program(slurm_bin, "squeue"), "-h", "-a", "-r", "-t", "PD", "-o", "%i|%Q|%P"]


def parse_positions(text: str) -> dict[tuple[str, str], int]:
    """The position, from 1, of each waiting job in each partition: by priority, then by age."""
    waiting = []
    for line in text.splitlines():
        fields = line.split("|")
        if len(fields) == 3 and fields[1].isdigit():
            number, _, task = fields[0].partition("_")
            if number.isdigit():
                waiting.append((-int(fields[1]), int(number), int(task) if task.isdigit() else 0, fields[2]))
    counts: Counter[str] = Counter()
    positions: dict[tuple[str, str], int] = {}
    for _, job, _, partitions in sorted(waiting):
        for partition in partitions.split(","):
            counts[partition] += 1
            positions.setdefault((str(job), partition), counts[partition])
    return positions


def build_accounting(slurm_bin: str, job_ids: Sequence[str]) -> list[str]:
    """What accounting knows of jobs by id."""
    return [_program(slurm_bin, "sacct"), "-P", "-X", "-j", ",".join(job_ids), "-o", "JobIDRaw,User,State,ExitCode,NodeList"]


def is_whole_accounting(text: str) -> bool:
    """Whether this is all of an answer to :func:`build_accounting`."""
    return "JobIDRaw|User|" in text and text.endswith("\n")


def parse_accounting(text: str) -> dict[str, JobStatus]:
    """The statuses in the answer of :func:`build_accounting`, by job id."""
    found = {}
    for line in text.splitlines():
        fields = line.split("|")
        if len(fields) != 5 or not fields[0].isdigit():
            continue
        job_id, user, state, exit_text, node = fields
        word, _, by = state.partition(" by ")
        code = _EXIT.fullmatch(exit_text)
        found[job_id] = JobStatus(
            job_id,
            parse_state(word),
            detail=word.rstrip("+"),
            node=node if _NODE.fullmatch(node) else "",
            exit_code=int(code[1]) if code else None,
            signal=int(code[2]) if code else 0,
            ended_by=int(by) if by.isdigit() else None,
            user=user,
        )
    return found


def is_invalid_id(errors: str) -> bool:
    """Whether an answering controller says that it knows none of the ids."""
    return "invalid job id" in errors.lower()


def is_without_accounting(errors: str) -> bool:
    """Whether the cluster keeps no accounting at all, which is an answer and not a failure."""
    return "accounting storage is disabled" in errors.lower()


def build_node(slurm_bin: str, node: str) -> list[str]:
    """One node. Raises ValueError for what is no node's name."""
    if not _NODE.fullmatch(node):
        raise ValueError("not the name of a node")
    return [_program(slurm_bin, "scontrol"), "-o", "show", "node", node]


def parse_address(text: str) -> str:
    """The address in the answer of :func:`build_node`, "" when there is none."""
    found = _ADDRESS.search(text)
    return found[1] if found else ""


def chunks(job_ids: Iterable[str]) -> list[list[str]]:
    """Ids in lists short enough for one command line."""
    ids = list(job_ids)
    return [ids[start : start + MAX_IDS] for start in range(0, len(ids), MAX_IDS)]
