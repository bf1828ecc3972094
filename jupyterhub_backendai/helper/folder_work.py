"""What kills left in folders' work directories, looked for as root: names and whose they are. Nothing there is opened or removed here."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from ..core.vfolders import WORK_DIRECTORY
from . import folders
from .openat2 import open_beneath

EVERY = 1 << 40
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


def list_work(host: int, older_s: int) -> list[tuple[str, int]]:
    """(folder, uid) where something of that account's is in ``work`` that nobody has touched for so many seconds."""
    found: set[tuple[str, int]] = set()
    for scope, folder in folders.list_folders(host, most=EVERY):
        with contextlib.suppress(OSError), _open_work(host, scope, folder) as work:
            found.update((folder, uid) for uid in _list_owners(work, older_s))
    return sorted(found)


@contextlib.contextmanager
def _open_work(host: int, scope: str, folder: str) -> Iterator[int]:
    descriptor = open_beneath(host, f"{scope}/{folder}/{WORK_DIRECTORY}".encode(), _DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _list_owners(work: int, older_s: int) -> Iterator[int]:
    """Whose inodes did not change for so long; nobody can set that time back."""
    before = time.time() - older_s
    for name in os.listdir(work):
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(name, dir_fd=work, follow_symlinks=False)
            if status.st_ctime < before:
                yield status.st_uid
