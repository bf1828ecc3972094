"""Files and directories: looking, opening, making, moving. In a worker, so with the rights of one person."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from ..core.files import join_path, split_path
from ..errors import N_, Conflict, InvalidParameters
from .openat2 import open_beneath, rename_new
from .worker_base import Answer, Job, Tree, open_regular, pack_entry
from .worker_errors import UNREADABLE

# The umask takes away what others would get; where a directory has a list of its own for what is made in it, that rules instead.
FILE_MODE, DIRECTORY_MODE = 0o666, 0o777


def stat_path(job: Job) -> Answer:
    """The entry of anything, a link itself."""
    path = job.path()
    parent, name = split_path(path)
    directory = job.tree.open_directory(parent, follow=True)
    try:
        status = os.stat(name or b".", dir_fd=directory, follow_symlinks=False)
    finally:
        os.close(directory)
    return Answer({"entry": pack_entry(name, status)})


def open_file(job: Job) -> Answer:
    """A regular file for reading, by way of links that stay inside."""
    path = job.path()
    descriptor, status = open_regular(job.tree.data, path, follow=True)
    return Answer({"entry": pack_entry(split_path(path)[1], status)}, (descriptor,))


def make_directory(job: Job) -> Answer:
    """See :func:`make_directories`."""
    make_directories(job.tree, job.path(), parents=job.flag("parents", default=True), exist_ok=job.flag("exist_ok"))
    return Answer()


def make_own_directory(job: Job) -> Answer:
    """Have a directory at the top that is this person's alone. Raises Conflict where somebody else has put one there."""
    parent, name = job.target()
    if parent:
        raise InvalidParameters(UNREADABLE)
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=job.tree.data)  # closed from the first moment, whatever the list of what is made there says
    directory = open_beneath(job.tree.data, name, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if os.fstat(directory).st_uid != os.geteuid():
            raise Conflict(N_("Something of that name is there already."))
        os.fchmod(directory, 0o700)
    finally:
        os.close(directory)
    return Answer()


def make_directories(tree: Tree, path: bytes, *, parents: bool = True, exist_ok: bool = False) -> None:
    """Make a directory, and those above it. Raises Conflict where it is there already and must not be, OSError."""
    parts = path.split(b"/") if path else []
    current = os.dup(tree.data)
    made = False
    try:
        for count, part in enumerate(parts, 1):
            if parents or count == len(parts):
                made = _make_one(current, part)
            below = _enter(current, part)
            os.close(current)
            current = below
    finally:
        os.close(current)
    if not made and not exist_ok:
        raise Conflict(N_("Something of that name is there already."))


def _enter(directory: int, name: bytes) -> int:
    """A directory that is there or was just made. Raises Conflict where something else is."""
    try:
        return open_beneath(directory, name, os.O_PATH | os.O_DIRECTORY)
    except OSError as exc:
        if exc.errno in {errno.ENOTDIR, errno.ELOOP}:
            raise Conflict(N_("Something of that name is there already.")) from exc
        raise


def _make_one(directory: int, name: bytes) -> bool:
    try:
        os.mkdir(name, DIRECTORY_MODE, dir_fd=directory)
    except FileExistsError:
        return False
    return True


def move(job: Job) -> Answer:
    """Another place or name, within the folder. Raises Conflict where something is in the way, unless it is to be replaced."""
    source_parent, source = job.target("source")
    target_parent, target = job.target("target")
    if join_path(target_parent, target).startswith(join_path(source_parent, source) + b"/"):
        raise Conflict(N_("A directory cannot be moved into itself."))
    source_dir = job.tree.open_directory(source_parent)
    try:
        target_dir = job.tree.open_directory(target_parent)
        try:
            place(source, target, source_dir, target_dir, is_replacing=job.flag("is_replacing"))
        finally:
            os.close(target_dir)
    finally:
        os.close(source_dir)
    return Answer()


def place(source: bytes, target: bytes, source_dir: int, target_dir: int, *, is_replacing: bool) -> None:
    """Rename; over a file only where that is asked for, over a directory never. Raises Conflict, OSError."""
    try:
        if is_replacing and _is_replaceable(source, target, source_dir, target_dir):
            os.rename(source, target, src_dir_fd=source_dir, dst_dir_fd=target_dir)
        else:
            rename_new(source, target, source_dir, target_dir)
    except OSError as exc:
        if exc.errno == errno.EXDEV:  # a subvolume, or a directory that another quota counts
            raise Conflict(N_("It cannot be moved there, because the storage counts that directory apart. Copy it instead.")) from exc
        raise


def _is_replaceable(source: bytes, target: bytes, source_dir: int, target_dir: int) -> bool:
    """Whether a file is there to be replaced. Raises Conflict for directories, FileNotFoundError without a source."""
    _check_replaceable(source, source_dir)
    try:
        _check_replaceable(target, target_dir)
    except FileNotFoundError:
        return False
    return True


def _check_replaceable(name: bytes, directory: int) -> None:
    if stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
        raise Conflict(N_("A directory is not replaced, and replaces nothing."))
