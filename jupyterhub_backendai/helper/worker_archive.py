"""A worker's archives: counted by one child, written into a pipe by another one, which ends when nobody reads any more."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal

from .archive import Shortened, plan_archive, write_archive
from .worker_base import Answer, Job

_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ
_PIPE_BYTES = 1024 * 1024


def archive(job: Job) -> Answer:
    """``size`` and the pipe's reading end. An archive that cannot be finished ends early, and its reader sees that it is too short."""
    top = job.tree.open_directory(b"", flags=os.O_RDONLY)
    plan = plan_archive(top, job.paths())
    reader, writer = os.pipe2(os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # more than this account may have: the usual 64 KiB do
        fcntl.fcntl(writer, _SET_PIPE_SIZE, _PIPE_BYTES)
    if not os.fork():
        try:
            _close_all_but(top, writer)
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            with contextlib.suppress(Shortened, OSError):
                write_archive(plan, top, writer)
        finally:
            os._exit(0)
    os.close(writer)
    os.close(top)
    return Answer({"size": plan.size, "name": job.text("name"), "left_out": len(plan.left_out)}, (reader,))


def _close_all_but(*wanted: int) -> None:
    """Above all the worker's socket: its other end is to see when the worker is gone."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in wanted:
            with contextlib.suppress(OSError):
                os.close(int(name))
