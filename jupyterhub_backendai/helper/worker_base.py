"""What every operation of a worker begins with: the folder that it is about, opened, and the fields of the request, checked."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from ..core.files import check_path, split_path
from ..core.vfolders import DATA_DIRECTORY, WORK_DIRECTORY
from ..errors import InvalidParameters, NotFound
from .openat2 import open_beneath
from .worker_errors import NOT_THERE, UNREADABLE

_FOLDER = re.compile(r"(?:user|project)-[0-9a-f]{32}/[0-9a-f]{32}", re.ASCII)
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_DIRECTORY = os.O_PATH | os.O_DIRECTORY
MAX_READ_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class Answer:
    """What goes back; the descriptors are closed here once they are sent."""

    values: dict[str, Any] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()
    # what a child goes on with after it has answered
    then: Callable[[], None] | None = None


class Tree:
    """A folder, by descriptors. Everything in it is reached from ``data`` (the files) or ``work`` (what is under way)."""

    def __init__(self, directory: int, folder: str, host: str) -> None:
        if not isinstance(folder, str) or not _FOLDER.fullmatch(folder):
            raise InvalidParameters(UNREADABLE)
        self.host, self.directory, self.folder = host, directory, folder
        self._open: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)

    @property
    def data(self) -> int:
        return self._get(DATA_DIRECTORY)

    @property
    def work(self) -> int:
        return self._get(WORK_DIRECTORY)

    def _get(self, name: str) -> int:
        # through the gate each time: who lost the right to pass it does not pass it once more
        if name not in self._open:
            self._open[name] = open_beneath(self.directory, f"{self.folder}/{name}".encode(), _DIRECTORY)
        return self._open[name]

    def open_directory(self, path: bytes, *, follow: bool = False, flags: int = _DIRECTORY) -> int:
        """A descriptor of a directory; b"" is the top. ``follow``: by way of links that stay inside."""
        return open_beneath(self.data, path, flags | os.O_DIRECTORY, follow=follow)


def pack_entry(name: bytes, status: os.stat_result) -> list[Any]:
    """An entry as it travels; the service makes a ``core.files.Entry`` of it."""
    return [to_text(name), status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def to_text(name: bytes) -> str:
    """A name as it travels: bytes that are no UTF-8 stay what they are."""
    return name.decode(errors="surrogateescape")


def to_bytes(text: str) -> bytes:
    """The inverse of :func:`to_text`."""
    return text.encode(errors="surrogateescape")


@dataclass(slots=True)
class Job:
    """One request: its folder, its fields, the descriptors that came with it, and how to say how far it is."""

    tree: Tree
    fields: dict[str, Any]
    descriptors: Sequence[int]
    tell: Callable[[dict[str, Any]], None]

    def path(self, name: str = "path") -> bytes:
        """A path beneath the folder, checked once more. Raises InvalidParameters."""
        return check_path(to_bytes(self.text(name)))

    def target(self, name: str = "path") -> tuple[bytes, bytes]:
        """The same of something in a directory, so never the top: the directory and the name in it."""
        parent, last = split_path(self.path(name))
        if not last:
            raise InvalidParameters(UNREADABLE)
        return parent, last

    def paths(self) -> list[bytes]:
        """Several; none of them the top."""
        values = self.fields.get("paths", ())
        found = [check_path(to_bytes(value)) for value in values if isinstance(value, str) and value]
        if len(found) != len(values):
            raise InvalidParameters(UNREADABLE)
        return found

    def text(self, name: str) -> str:
        value = self.fields.get(name, "")
        if not isinstance(value, str):
            raise InvalidParameters(UNREADABLE)
        return value

    def id(self, name: str = "upload") -> str:
        value = self.text(name)
        if not _ID.fullmatch(value):
            raise InvalidParameters(UNREADABLE)
        return value

    def number(self, name: str, default: int = 0) -> int:
        value = self.fields.get(name, default)
        if type(value) is not int:
            raise InvalidParameters(UNREADABLE)
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        return self.fields.get(name, default) is True

    def read_content(self) -> bytes:
        """What the first descriptor holds from its beginning. Raises InvalidParameters."""
        if not self.descriptors:
            raise InvalidParameters(UNREADABLE)
        size = os.fstat(self.descriptors[0]).st_size
        if size > MAX_READ_BYTES:
            raise InvalidParameters(UNREADABLE)
        return os.pread(self.descriptors[0], size, 0)


def open_regular(directory: int, path: bytes, flags: int = os.O_RDONLY, *, follow: bool = False) -> tuple[int, os.stat_result]:
    """A regular file, opened without waiting for anybody (a FIFO's writer, a lease's holder). Raises NotFound for anything else.

    As root (a service that was started so, without a helper) one with several names is refused: one of them may be somebody else's.
    """
    descriptor = open_beneath(directory, path, flags | os.O_NONBLOCK | os.O_NOCTTY, follow=follow)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or (status.st_nlink > 1 and os.geteuid() == 0):
        os.close(descriptor)
        raise NotFound(NOT_THERE)
    return descriptor, status
