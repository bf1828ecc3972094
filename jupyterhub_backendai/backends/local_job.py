"""Keeps one batch job of the local engine: ``python local_job.py DIRECTORY``. Standard library only, and nothing of ours.

It outlives the service: it runs the commands, sees that the time limit holds, ends what they left behind, and writes how it all
ended into the file ``end`` of its directory. SIGTERM cancels the job.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE_S = 10.0
_PR_SET_CHILD_SUBREAPER = 36


class Keeper:
    """One job from its start to its end. ``why`` is the word of an end that the commands did not choose."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.job = json.loads((directory / "job.json").read_text())
        self.why = ""
        self._began_at = 0.0

    def run(self) -> None:
        """Run the commands and write down their end."""
        signal.signal(signal.SIGTERM, self._cancel)
        # What loses its parent becomes ours, so that nothing that the commands started can hide.
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        child = subprocess.Popen(self.job["command"], env=self.job["environment"], process_group=0)
        self._began_at = time.time()
        code = self._wait(child.pid, self._deadline())
        end_all()
        self._write({"why": self.why or "done", "exit_code": max(code, 0) if code >= 0 else None, "signal": max(-code, 0)})

    def _wait(self, child: int, deadline: float | None) -> int:
        """The exit code (less than zero: the signal), however the job ends. Reaps what others left to us on the way."""
        kill_at: float | None = None
        while True:
            if self.why == "" and deadline is not None and time.time() >= deadline:
                deadline = self._deadline()
                self.why = "" if deadline is None or time.time() < deadline else "time"
            if self.why and kill_at is None:
                kill_at = time.time() + GRACE_S
                _signal(-child, signal.SIGTERM)
            elif kill_at is not None and time.time() >= kill_at:
                _signal(-child, signal.SIGKILL)
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == child:
                return os.waitstatus_to_exitcode(status)
            if not pid:
                time.sleep(0.1)

    def _deadline(self) -> float | None:
        """When its time is over, as it is now: the file ``limit`` has what it was given later. None: never."""
        limit_s = self.job["time_s"]
        with contextlib.suppress(OSError, ValueError):
            limit_s = int((self.directory / "limit").read_text())
        return self._began_at + limit_s if limit_s else None

    def _cancel(self, *_: object) -> None:
        self.why = self.why or "cancelled"

    def _write(self, end: dict[str, object]) -> None:
        new = self.directory / "end.new"
        new.write_text(json.dumps({**end, "ended_at": time.time()}))
        new.rename(self.directory / "end")


def end_all() -> None:
    """Kill everything that descends from this process, until nothing does."""
    while children := _descendants():
        for pid in children:
            _signal(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)


def _descendants() -> set[int]:
    parents = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                fields = (path / "stat").read_text(errors="replace").rpartition(")")[2].split()
                parents[int(path.name)] = int(fields[1])
    found = {pid for pid, parent in parents.items() if parent == os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(-pid, number) if pid < 0 else os.kill(pid, number)


if __name__ == "__main__":
    Keeper(Path(sys.argv[1])).run()
