"""Walking a tree whose owner may change it meanwhile: each step goes through the descriptor of the one above; no link is followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from ..core.files import join_path
from ..errors import N_, Conflict
from .openat2 import open_beneath
from .worker_base import Answer, Job, to_text

# one descriptor for each
MAX_WALK_DEPTH = 2000
_TOLD_EVERY = 2000
_BIGGEST = 20


@dataclass(slots=True)
class Found:
    """Something in a tree: ``path`` from the tree's top, ``name`` in the open directory ``parent``."""

    path: bytes
    name: bytes
    parent: int
    status: os.stat_result

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.status.st_mode)

    def open_handle(self) -> int:
        """A descriptor that can be looked at and given another owner or list, though not read. Raises OSError."""
        return open_beneath(self.parent, self.name, os.O_PATH)


class Walk:
    """Everything beneath a directory, a directory before what is in it. ``skipped`` counts directories that may not be read."""

    def __init__(self, top: int) -> None:
        self._top = top
        self.skipped = 0

    def __iter__(self) -> Iterator[Found]:
        stack: list[tuple[bytes, int, list[bytes]]] = []
        try:
            self._enter(stack, b"", self._top, b"")
            while stack:
                path, directory, names = stack[-1]
                if not names:
                    os.close(directory)
                    stack.pop()
                    continue
                name = names.pop()
                try:
                    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
                except FileNotFoundError:
                    continue
                below = join_path(path, name)
                yield Found(below, name, directory, status)
                if stat.S_ISDIR(status.st_mode):
                    self._enter(stack, below, directory, name)
        finally:
            for _, directory, _ in stack:
                os.close(directory)

    def _enter(self, stack: list[tuple[bytes, int, list[bytes]]], path: bytes, parent: int, name: bytes) -> None:
        if len(stack) >= MAX_WALK_DEPTH:
            raise Conflict(N_("There are more than %(limit)s directories in one another."), limit=MAX_WALK_DEPTH)
        try:
            directory = open_beneath(parent, name, os.O_RDONLY | os.O_DIRECTORY)
        except PermissionError:
            self.skipped += 1
            return
        except (FileNotFoundError, NotADirectoryError):  # changed since
            return
        except OSError:
            if stack:  # a link by now
                return
            raise
        names = [os.fsencode(entry) for entry in os.listdir(directory)]  # noqa: PTH208 - a descriptor
        names.sort(reverse=True)
        stack.append((path, directory, names))


def measure(job: Job) -> Answer:
    """Bytes and entries beneath a directory, and its biggest. Bytes are the files' lengths; one with two names counts once."""
    size = files = 0
    biggest: dict[bytes, int] = {}
    twice: set[tuple[int, int]] = set()
    top = job.tree.open_directory(job.path())
    for found in Walk(top):
        files += 1
        if files % _TOLD_EVERY == 0:
            job.tell({"bytes": size, "files": files})
        status = found.status
        if not stat.S_ISREG(status.st_mode):
            continue
        if status.st_nlink > 1:
            if (status.st_dev, status.st_ino) in twice:
                continue
            twice.add((status.st_dev, status.st_ino))
        size += status.st_size
        first = found.path.partition(b"/")[0]
        biggest[first] = biggest.get(first, 0) + status.st_size
    os.close(top)
    ranked = sorted(biggest.items(), key=lambda item: (-item[1], item[0]))[:_BIGGEST]
    return Answer({"size": size, "files": files, "biggest": [[to_text(name), bytes_] for name, bytes_ in ranked]})
