"""Writing a small file at once: readers see the old one or the new one, and somebody who edited it meanwhile loses nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat

from ..errors import N_, Conflict
from .openat2 import exchange, open_beneath
from .worker_access import inherit
from .worker_base import Answer, Job, Tree, pack_entry
from .worker_files import FILE_MODE

CHANGED = N_("The file was changed or deleted by somebody else meanwhile.")


def write(job: Job) -> Answer:
    """Replace a file's content, or make it. ``etag``: only if it is still that one."""
    content, etag = job.read_content(), job.text("etag")
    parent, name = job.target()
    directory = job.tree.open_directory(parent)
    try:
        old = _look(directory, name)
        if etag and (old is None or format_etag(old) != etag):
            raise Conflict(CHANGED)
        hidden = b"write-" + secrets.token_hex(16).encode()
        descriptor = open_beneath(job.tree.work, hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _fill(descriptor, content, directory, old)
            _publish(job.tree, hidden, directory, name, etag)
        finally:
            os.close(descriptor)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(hidden, dir_fd=job.tree.work)
        return Answer({"entry": pack_entry(name, os.stat(name, dir_fd=directory, follow_symlinks=False))})
    finally:
        os.close(directory)


def format_etag(status: os.stat_result) -> str:
    """As ``OpenFile.etag`` says it."""
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'


def _look(directory: int, name: bytes) -> os.stat_result | None:
    """What is there. Raises Conflict where it is no regular file."""
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise Conflict(N_("Something else is there, or it is in use right now."))
    return status


def _fill(descriptor: int, content: bytes, directory: int, old: os.stat_result | None) -> None:
    """The new content, with the permissions of the old one or of the directory; on the disk before anybody sees it."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    mode = stat.S_IMODE(old.st_mode) if old else FILE_MODE & 0o600
    os.fchmod(descriptor, mode & 0o700 | 0o600)
    inherit(descriptor, directory, mode)
    os.fsync(descriptor)


def _publish(tree: Tree, hidden: bytes, directory: int, name: bytes, etag: str) -> None:
    if not etag:
        os.rename(hidden, name, src_dir_fd=tree.work, dst_dir_fd=directory)
        return
    try:
        exchange(hidden, name, tree.work, directory)
    except OSError as exc:
        if exc.errno not in {errno.EINVAL, errno.ENOSYS}:
            raise
        os.rename(hidden, name, src_dir_fd=tree.work, dst_dir_fd=directory)
        return
    # What was there is ours to look at now; where it is not what was meant, somebody wrote in between, and it goes back.
    if format_etag(os.stat(hidden, dir_fd=tree.work, follow_symlinks=False)) != etag:
        with contextlib.suppress(FileNotFoundError):
            exchange(hidden, name, tree.work, directory)
        raise Conflict(CHANGED)
