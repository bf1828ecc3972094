"""What a quota driver does, and what all of them need."""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from ...errors import N_, Conflict

SCOPE_MODE = 0o711
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file system says of a scope; None is what it does not say. ``limit`` 0 is no limit."""

    used: int | None = None
    files: int | None = None
    limit: int | None = None


class Driver:
    """One way to limit a directory. ``host`` is an open descriptor of the storage host's directory, ``scope`` a name in it.

    Every method may be called again and raises Conflict with the system's words.
    """

    name: ClassVar[str] = ""

    def probe(self, host: int) -> str:
        """Why this driver does not serve here, "" when it does."""
        raise NotImplementedError

    def prepare(self, host: int, scope: str) -> None:
        """Make the scope's directory, with whatever counts what will be in it. One that is there is left as it is."""
        raise NotImplementedError

    def set_limit(self, host: int, scope: str, limit: int) -> None:
        """At most so many bytes, in whole blocks of 4 KiB; 0 is no limit. Less than is used already only stops more."""
        raise NotImplementedError

    def read(self, host: int, scope: str, *, sync: bool = False) -> Reading:
        """What is used. ``sync``: first have the file system count what it has only written down so far, where that is late."""
        raise NotImplementedError


@contextlib.contextmanager
def open_scope(host: int, scope: str) -> Iterator[int]:
    """A descriptor of the scope's directory; nothing on the way is followed. Raises Conflict where root does not own it alone."""
    try:
        directory = os.open(scope, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=host)
    except OSError as exc:
        raise refuse(scope, exc) from exc
    try:
        status = os.fstat(directory)
        if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Conflict(N_("%(path)s cannot be used: somebody else can change it."), path=scope)
        yield directory
    finally:
        os.close(directory)


def make_directory(host: int, scope: str) -> bool:
    """Make a plain directory of root's; whether it was missing."""
    try:
        os.mkdir(scope, SCOPE_MODE, dir_fd=host)
    except FileExistsError:
        return False
    except OSError as exc:
        raise refuse(scope, exc) from exc
    os.chmod(scope, SCOPE_MODE, dir_fd=host)  # whatever the umask
    return True


def refuse(scope: str, exc: OSError) -> Conflict:
    """The error for a system call that failed."""
    return Conflict(N_("The quota of %(scope)s cannot be set or read: %(reason)s."), scope=scope, reason=exc.strerror or str(exc))


def file_system_type(descriptor: int) -> int:
    """The magic number of the file system; Python's own statvfs does not tell it."""
    buffer = (ctypes.c_long * 32)()
    call("fstatfs", descriptor, buffer)
    return int(buffer[0]) & 0xFFFFFFFF


def call(function: str, *arguments: Any) -> int:
    """A function of the C library. Raises OSError."""
    result = int(getattr(_LIBC, function)(*arguments))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
