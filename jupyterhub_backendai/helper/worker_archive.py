"""A worker's archives: counted by a child, which answers how long one is and then writes it into a pipe."""

from __future__ import annotations

import contextlib
import fcntl
import os

from .archive import Plan, Shortened, plan_archive, write_archive
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
    values = {"size": plan.size, "name": job.text("name"), "left_out": len(plan.left_out)}
    return Answer(values, (reader,), lambda: _write(plan, top, writer))


def _write(plan: Plan, top: int, writer: int) -> None:
    # whoever read may be gone: nobody is told
    with contextlib.suppress(Shortened, OSError):
        write_archive(plan, top, writer)
    os.close(writer)
