"""A user's directories and files. All of it runs as the user, but :func:`make_root`, which touches only what no user can change."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from ..errors import N_, Conflict, DirectoryRefused
from .accounts import Account

LOG_TAIL_BYTES = 64 * 1024
SESSION_DIR = ".backendai"


def make_root(path: Path, account: Account) -> None:
    """As root: make a user's directory where only root can make one, such as /scratch/<user>.

    Does nothing when it is there, or when its parent is not root's alone: then the user makes it, with the user's rights. The new
    directory is handed over by descriptor, so nothing can be put in its place on the way.
    """
    parent = open_trusted(Path(os.path.realpath(path.parent)))
    if parent < 0:
        return
    try:
        os.mkdir(path.name, 0o700, dir_fd=parent)
        made = os.open(path.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
        try:
            os.fchown(made, account.uid, account.gid)
        finally:
            os.close(made)
    except FileExistsError:
        return
    except OSError as exc:
        raise DirectoryRefused(path=str(path), reason=exc.strerror or str(exc)) from exc
    finally:
        os.close(parent)


def is_trusted(status: os.stat_result) -> bool:
    """Whether root alone decides what a directory holds."""
    return stat.S_ISDIR(status.st_mode) and status.st_uid == 0 and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _keeps_entries(status: os.stat_result) -> bool:
    """Whether what is root's in a directory stays what it is: nobody else changes it, or (/var/tmp) only entries of their own."""
    return is_trusted(status) or (stat.S_ISDIR(status.st_mode) and status.st_uid == 0 and bool(status.st_mode & stat.S_ISVTX))


def open_trusted(path: Path) -> int:
    """A descriptor of a directory that, with all above it, only root can change; -1 when it is not so."""
    current = os.open("/", os.O_PATH | os.O_DIRECTORY)
    for part in path.parts[1:]:
        if not _keeps_entries(os.fstat(current)):
            os.close(current)
            return -1
        try:
            below = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=current)
        except OSError:
            return -1
        finally:
            os.close(current)
        current = below
    if not is_trusted(os.fstat(current)):
        os.close(current)
        return -1
    return current


def make_directories(*paths: Path) -> None:
    """As the user: make the directories that are missing, readable by the user alone."""
    for path in paths:
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise DirectoryRefused(path=str(path), reason=exc.strerror or str(exc)) from exc


def write_session(path: Path, content: bytes) -> None:
    """As the user: write a session file that was not there before."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError as exc:
        raise Conflict(N_("This session was handed to the scheduler already.")) from exc
    except OSError as exc:
        raise DirectoryRefused(path=str(path), reason=exc.strerror or str(exc)) from exc
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as exc:  # a full quota, most often
        remove_session(path)
        raise DirectoryRefused(path=str(path), reason=exc.strerror or str(exc)) from exc


def remove_session(path: Path) -> None:
    """As the user: remove a session file that nobody will read any more."""
    with contextlib.suppress(OSError):
        path.unlink()


def read_tail(path: Path, uid: int) -> bytes:
    """As the user: the last 64 KiB of the user's own regular file, b"" when it is none.

    A link, a FIFO or a file of somebody else shows nothing; the size does not matter.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return b""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != uid:
            return b""
        return os.pread(descriptor, LOG_TAIL_BYTES, max(0, status.st_size - LOG_TAIL_BYTES))
    except OSError:
        return b""
    finally:
        os.close(descriptor)
