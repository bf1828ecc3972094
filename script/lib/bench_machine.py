"""What the benchmarks need of the machine: free ports, CPU times, counting wrappers around commands, quiet."""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import time
from pathlib import Path

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    """A port of loopback that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def cpu_s(pid: int) -> float:
    """CPU seconds of a process and of every child of it that has ended (and theirs)."""
    # the name in brackets may hold blanks
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) * TICK_S


def wait_until_quiet(busy: float = 0.15, limit_s: float = 30) -> None:
    """Until the machine is nearly idle for a second, or the time is over: what one side left behind must not cost the next one."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        before = _cpu_line()
        time.sleep(1)
        after = _cpu_line()
        spent = [b - a for a, b in zip(before, after, strict=True)]
        if 1 - (spent[3] + spent[4]) / max(1, sum(spent)) <= busy:
            return


def _cpu_line() -> list[int]:
    with open("/proc/stat") as file:
        return [int(field) for field in file.readline().split()[1:9]]


class Wrappers:
    """A directory with a shell wrapper for each command; each writes its name and the time into a log.

    ``before`` notes the start and then becomes the command (counting); otherwise the wrapper notes when the command has returned.
    """

    def __init__(self, directory: Path, names: tuple[str, ...], *, before: bool) -> None:
        self.directory, self.log = directory, directory.with_suffix(".log")
        directory.mkdir(parents=True)
        self.log.touch()
        self.log.chmod(0o666)
        for name in names:
            real = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
            if not real:
                raise SystemExit(f"bench: no {name} on this machine")
            note = f"echo {name} >>{self.log}" if before else f'echo "{name} $(/bin/date +%s.%N)" >>{self.log}'
            body = f'{note}\nexec {real} "$@"\n' if before else f'{real} "$@"\nrc=$?\n{note}\nexit $rc\n'
            path = directory / name
            path.write_text("#!/bin/sh\n" + body)
            path.chmod(0o755)

    def count(self) -> int:
        return self.log.read_bytes().count(b"\n")

    def counts(self) -> dict[str, int]:
        """How often each command was called."""
        names = self.log.read_text().split()
        return {name: names.count(name) for name in sorted(set(names))}

    def first_since(self, name: str, since: float) -> float | None:
        """When the first ``name`` after ``since`` returned (Unix seconds)."""
        for line in self.log.read_text().splitlines():
            word, _, stamp = line.partition(" ")
            if word == name and float(stamp) >= since:
                return float(stamp)
        return None


def wrapper_cost_s(directory: Path, runs: int = 300) -> float:
    """CPU seconds that a counting wrapper adds to a command, to be taken off what was measured with it."""
    wrappers = Wrappers(directory, ("true",), before=True)
    costs = []
    for command in (str(wrappers.directory / "true"), "/bin/true"):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        for _ in range(runs):
            subprocess.run([command], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / runs)
    return max(0.0, costs[0] - costs[1])
