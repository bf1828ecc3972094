"""Removing trees of any size and depth, each step through the descriptor of the directory above it."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable

from ..errors import N_, Conflict
from .openat2 import open_beneath
from .worker_base import Answer, Job

# Deeper than this, what is there is moved up to the top of what goes: neither descriptors nor the stack end it.
_DEEP = 64
_TOLD_EVERY = 200


def remove(job: Job) -> Answer:
    """Remove several things; how many entries are gone. What is gone already is no error where there are several."""
    paths, is_recursive = job.paths(), job.flag("recursive")
    counter = Counter(lambda count: job.tell({"files": count}))
    for path in paths:
        parent, _, name = path.rpartition(b"/")
        try:
            directory = job.tree.open_directory(parent)
        except FileNotFoundError:
            if len(paths) == 1:
                raise
            continue
        try:
            _remove_one(directory, name, counter, is_recursive=is_recursive)
        except FileNotFoundError:
            if len(paths) == 1:
                raise
        finally:
            os.close(directory)
    return Answer({"count": counter.count})


class Counter:
    """Counts, and says so now and then."""

    def __init__(self, tell: Callable[[int], None] | None = None) -> None:
        self.count, self._tell = 0, tell

    def add(self) -> None:
        self.count += 1
        if self._tell and self.count % _TOLD_EVERY == 0:
            self._tell(self.count)


def _remove_one(directory: int, name: bytes, counter: Counter, *, is_recursive: bool) -> None:
    if not stat.S_ISDIR(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=directory)
        counter.add()
    elif is_recursive:
        remove_tree(directory, name, counter)
    else:
        os.rmdir(name, dir_fd=directory)
        counter.add()


def remove_tree(directory: int, name: bytes, counter: Counter | None = None) -> None:
    """Remove something with all that is in it, a link itself. Raises FileNotFoundError, Conflict where others keep putting things in."""
    counter = counter or Counter()
    for _ in range(100):
        try:
            top = _open(directory, name)
        except NotADirectoryError:
            os.unlink(name, dir_fd=directory)
            counter.add()
            return
        try:
            _empty(top, top, counter, 0)
        finally:
            os.close(top)
        try:
            os.rmdir(name, dir_fd=directory)
        except OSError as exc:
            if exc.errno == errno.ENOTEMPTY:  # what was too deep is at its top now; or somebody is writing
                continue
            raise
        counter.add()
        return
    raise Conflict(N_("Somebody is writing to the directory while it is being deleted."))


def _open(directory: int, name: bytes) -> int:
    """A directory for reading; one that its owner closed to themselves is opened up first."""
    try:
        return open_beneath(directory, name, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        _open_up(directory, name)
        return open_beneath(directory, name, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as exc:
        if exc.errno == errno.ELOOP:  # a link, which is removed as one
            raise NotADirectoryError from exc
        raise


def _open_up(directory: int, name: bytes) -> None:
    handle = open_beneath(directory, name, os.O_PATH | os.O_DIRECTORY)
    try:
        os.chmod(f"/proc/self/fd/{handle}", 0o700)  # noqa: PTH101 - a descriptor, which fchmod refuses
    finally:
        os.close(handle)


def _empty(descriptor: int, top: int, counter: Counter, depth: int) -> None:
    """Remove everything in a directory. What cannot be removed raises after the rest is gone."""
    trouble: OSError | None = None
    for is_directory, name in _read(descriptor):
        try:
            if not is_directory:
                os.unlink(name, dir_fd=descriptor)
            elif depth >= _DEEP:
                os.rename(name, b".removing-" + secrets.token_hex(8).encode(), src_dir_fd=descriptor, dst_dir_fd=top)
                continue
            else:
                _remove_below(descriptor, name, top, counter, depth)
            counter.add()
        except FileNotFoundError:
            continue
        except OSError as exc:
            if exc.errno != errno.ENOTEMPTY:  # something new in it: the next round sees it
                trouble = trouble or exc
    if trouble:
        raise trouble


def _remove_below(descriptor: int, name: bytes, top: int, counter: Counter, depth: int) -> None:
    try:
        below = _open(descriptor, name)
    except NotADirectoryError:
        os.unlink(name, dir_fd=descriptor)
        return
    try:
        _empty(below, top, counter, depth + 1)
    finally:
        os.close(below)
    os.rmdir(name, dir_fd=descriptor)


def _read(descriptor: int) -> list[tuple[bool, bytes]]:
    """Whether each is a directory, and its name; read whole, because removing while reading may skip some."""
    try:
        entries = os.scandir(descriptor)
    except PermissionError:
        os.fchmod(descriptor, 0o700)
        entries = os.scandir(descriptor)
    with entries:
        return [(entry.is_dir(follow_symlinks=False), os.fsencode(entry.name)) for entry in entries]
