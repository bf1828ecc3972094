"""Processes of this machine: is it still the same one, what did it start, end them all. Linux, by /proc."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LOG_BYTES = 64 * 1024


def _read_stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name, which may hold anything; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


@dataclass(frozen=True, slots=True)
class Process:
    """A process by number and start time (clock ticks since boot), so that a reused number is not believed."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this number now."""
        fields = _read_stat(pid)
        return cls(pid, int(fields[19]) if fields else 0)

    def is_alive(self) -> bool:
        """It runs, is the same one, and is not just waiting to be reaped."""
        fields = _read_stat(self.pid)
        return bool(fields) and int(fields[19]) == self.started and fields[0] not in "ZX"

    def signal(self, number: int) -> None:
        """Send a signal to this very process; nothing when it is gone."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)


def _pids() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def find_process(argument: str) -> Process | None:
    """The oldest process of this account that has this very argument."""
    wanted, found = os.fsencode(argument), []
    for pid in _pids():
        with contextlib.suppress(OSError):
            path = Path(f"/proc/{pid}")
            if path.stat().st_uid == os.geteuid() and wanted in (path / "cmdline").read_bytes().split(b"\0"):
                found.append(Process.of(pid))
    return min(found, key=lambda process: process.started, default=None)


def list_family(root: Process) -> list[Process]:
    """A process, its group and session, and everything that they started; its kernels have groups of their own."""
    stats = {pid: fields for pid in _pids() if (fields := _read_stat(pid))}
    if root.pid in stats and int(stats[root.pid][19]) != root.started:
        return []  # the number is somebody else's now, which the kernel allows only when the whole group is gone
    family = {pid for pid, fields in stats.items() if pid == root.pid or str(root.pid) in fields[2:4]}
    grew = True
    while grew:
        children = {pid for pid, fields in stats.items() if int(fields[1]) in family} - family
        family |= children
        grew = bool(children)
    return [Process(pid, int(stats[pid][19])) for pid in sorted(family)]


async def end_processes(root: Process, grace_s: float, kill_s: float) -> None:
    """Ask the first to end, then kill what is left of its family. Returns when all are gone, or nothing more can be done."""
    if not root.is_alive() and not any(process.is_alive() for process in list_family(root)):
        return
    family = list_family(root)
    if grace_s:
        root.signal(signal.SIGTERM)
        await _until_gone([root], grace_s)
    family = list({*family, *list_family(root)})
    for process in family:
        process.signal(signal.SIGKILL)
    await _until_gone(family, kill_s)


async def _until_gone(processes: list[Process], timeout_s: float) -> None:
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up and any(process.is_alive() for process in processes):
        await asyncio.sleep(0.05)


def read_tail(path: Path) -> str:
    """The last 64 KiB of a regular file; "" for anything else, a link and a FIFO among it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as source:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        source.seek(max(0, os.fstat(descriptor).st_size - LOG_BYTES))
        return source.read(LOG_BYTES).decode(errors="replace")
