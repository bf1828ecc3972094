"""Batch jobs of this machine: each has a directory of its own in the state directory, and a keeper that outlives the service.

In the directory: ``job.json`` (what the keeper runs), ``session.json`` (what the single-user program reads and removes), ``log``,
and ``end`` once the job is over. It stays, because the log is the result.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.sessions import JobState, JobStatus
from ..errors import N_, Forbidden, SubmitRefused
from . import local_job
from .base import JobRequest
from .processes import Process, find_process, read_tail

WRAPPER = Path(__file__).parent.parent / "spawner" / "singleuser.py"
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "SHELL")
_SESSION = re.compile(r"[0-9a-f]{32}", re.ASCII)
_DETAILS = {"time": "TIMEOUT", "cancelled": "CANCELLED"}


@dataclass(frozen=True, slots=True)
class LocalJobs:
    """The jobs beneath one directory. Every method waits for the disk: call them in a thread."""

    base: Path

    def submit(self, job: JobRequest, home: Path, workspace: str) -> str:
        """Start a job, once: a second call for the same session finds the first one's. Returns pid and start time, with a dash."""
        if os.geteuid() == 0:
            raise Forbidden(N_("Local sessions do not run as root. Start the hub as an ordinary account, or use another queue."))
        directory = self._directory(job.admission.session_id)
        if found := self._find(directory):
            return found
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            place = home / workspace
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(directory, job, home)
            return _name(Process.of(_launch(directory, place)))
        except OSError as exc:
            reason = exc.strerror or str(exc)
            raise SubmitRefused(N_("The session's program cannot be started: %(reason)s"), reason=reason) from exc

    def status(self, session_id: str, job_id: str) -> JobStatus:
        """Where a job is. FAILED without an exit code is one whose keeper was killed; GONE one that never began."""
        directory = self._directory(session_id)
        process = _parse(job_id) or find_process(str(directory))
        is_alive = process is not None and process.is_alive()
        if (end := _read(directory / "end")) is not None:  # asked after the process: it writes, then it goes
            return _describe(job_id, end)
        if is_alive and process:
            return JobStatus(job_id or _name(process), JobState.RUNNING, node="127.0.0.1")
        return JobStatus(job_id, JobState.FAILED if job_id or (directory / "log").exists() else JobState.GONE)

    def cancel(self, session_id: str, job_id: str) -> None:
        """Tell the keeper to end its job; it kills after a while what does not go."""
        process = _parse(job_id) or find_process(str(self._directory(session_id)))
        if process:
            process.signal(15)

    def extend(self, session_id: str, time_s: int) -> None:
        """Keep another time limit, counted from the start; the keeper reads it before it ends a job for its time."""
        directory = self._directory(session_id)
        if (directory / "job.json").exists():
            _write_private(directory / "limit.new", time_s)
            (directory / "limit.new").rename(directory / "limit")

    def read_log(self, session_id: str) -> str:
        return read_tail(self._directory(session_id) / "log")

    def _directory(self, session_id: str) -> Path:
        if not _SESSION.fullmatch(session_id):
            raise ValueError("no session's id")
        return self.base / session_id

    def _find(self, directory: Path) -> str:
        """The job that an earlier call has started; "" also for one that never came as far as reading its commands."""
        if process := find_process(str(directory)):
            return _name(process)
        has_begun = (directory / "log").exists() and not (directory / "session.json").exists()
        return "0-0" if has_begun else ""

    def _write(self, directory: Path, job: JobRequest, home: Path) -> None:
        variables = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        devices = ",".join(str(number) for number in job.admission.devices)
        variables |= {"HOME": str(home), "CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": devices}
        session = directory / "session.json"
        links = {**job.admission.describe_links(), "records": str(home / ".backendai" / "links")}
        content = {"environment": dict(job.environment), "command": list(job.command), "lines": job.script, "links": links}
        _write_private(session, content)
        command = [*job.command, str(WRAPPER), "--session", str(session), "--entered"]
        _write_private(directory / "job.json", {"command": command, "environment": variables, "time_s": job.admission.time_s})


def _launch(directory: Path, place: Path) -> int:
    """Start the keeper, in a session of its own: it goes on when the service ends."""
    log = os.open(directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", local_job.__file__, str(directory)],
            env={"PATH": "/usr/bin:/bin"},
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        ).pid
    finally:
        os.close(log)


def _describe(job_id: str, end: Mapping[str, Any]) -> JobStatus:
    code, number, why = end.get("exit_code"), int(end.get("signal") or 0), str(end.get("why"))
    is_good = why == "done" and code == 0
    return JobStatus(
        job_id,
        JobState.DONE if is_good else JobState.FAILED,
        detail=_DETAILS.get(why, ""),
        node="127.0.0.1",
        exit_code=code if isinstance(code, int) else None,
        signal=number,
    )


def _write_private(path: Path, content: object) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as target:
        json.dump(content, target)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _name(process: Process) -> str:
    return f"{process.pid}-{process.started}"


def _parse(job_id: str) -> Process | None:
    pid, dash, started = job_id.partition("-")
    return Process(int(pid), int(started)) if dash and pid.isdigit() and started.isdigit() and int(pid) else None
