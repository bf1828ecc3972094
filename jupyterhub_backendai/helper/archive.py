"""A zip file of a directory's files, stored, whose length is known before its first byte.

What is in it: regular files that can be read (the length that they had when they were counted; one that has become shorter ends the
archive, so that nobody takes it for whole), with mode and time, and empty directories. Symbolic links, devices, FIFOs and what cannot
be read are left out and named in a text at its end. Names are UTF-8; what is no UTF-8 is written as ``%FF``.
"""

from __future__ import annotations

import os
import stat
import struct
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ..errors import N_, InvalidParameters
from .openat2 import open_beneath

MAX_ENTRIES = 500_000
MAX_DEPTH = 128
LEFT_OUT = "NOT IN THIS ARCHIVE.txt"
_BUFFER = 1024 * 1024
_ZIP64_SIZE, _ZIP64_COUNT = 0xFFFFFFFF, 0xFFFF
_UTF8, _DESCRIPTOR = 0x800, 0x08
_STORED, _UNIX = 0, 3
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
_LIST = os.O_RDONLY | os.O_DIRECTORY


class Shortened(Exception):
    """A file has become shorter since it was counted, or is gone."""


@dataclass(slots=True)
class Item:
    """Something in the archive: a file of ``size`` bytes at ``path`` beneath the top, an empty directory, or ``content``."""

    path: bytes
    name: bytes
    size: int
    mode: int
    mtime: int
    content: bytes | None = None
    crc: int = 0
    offset: int = 0

    @property
    def is_large(self) -> bool:
        """Too large to be read before its header is written: its checksum then comes behind it."""
        return self.size > _BUFFER // 2

    @property
    def is_64(self) -> bool:
        return self.size >= _ZIP64_SIZE


@dataclass(slots=True)
class Plan:
    """What goes into the archive, in its order; ``size`` is the length of the whole."""

    items: list[Item] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    size: int = 0


def plan_archive(top: int, paths: Sequence[bytes]) -> Plan:
    """Count what the archive of some paths beneath a directory (none: of everything in it) will hold. Raises OSError.

    Each path becomes an entry of its own at the archive's top, under its last name.
    """
    plan, taken = Plan(), set[bytes]()
    for path in paths or [b""]:
        _add(plan, taken, top, path, path.rpartition(b"/")[2])
    if plan.left_out:
        text = "\r\n".join(["Left out, because it is a link or no file, or cannot be read:", "", *plan.left_out, ""])
        content = text.encode()
        _append(plan, taken, Item(b"", LEFT_OUT.encode(), len(content), stat.S_IFREG | 0o644, int(time.time()), content))
    offset = 0
    for item in plan.items:
        item.offset = offset
        offset += 30 + len(item.name) + len(_extra(item)) + item.size + _descriptor_size(item)
    plan.size = offset + sum(46 + len(item.name) + len(_extra_central(item)) for item in plan.items) + _end_size(plan, offset)
    return plan


def write_archive(plan: Plan, top: int, out: int) -> None:
    """Write it to a pipe. Raises Shortened, BrokenPipeError."""
    sink = _Sink(out)
    for item in plan.items:
        if item.is_large:
            _write_large(sink, item, top)
        else:
            _write_small(sink, item, top)
    begin = sink.written
    for item in plan.items:
        sink.put(_central(item))
    sink.put(_end(len(plan.items), begin, sink.written - begin))
    sink.flush()


# -- what is there
def _add(plan: Plan, taken: set[bytes], top: int, path: bytes, name: bytes) -> None:
    descriptor = open_beneath(top, path, os.O_PATH)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISDIR(status.st_mode):
            parent = open_beneath(top, path.rpartition(b"/")[0], os.O_PATH | os.O_DIRECTORY)
            try:
                _add_file(plan, taken, parent, path, name, status)
            finally:
                os.close(parent)
            return
    finally:
        os.close(descriptor)
    _add_directory(plan, taken, top, path, _free_name(taken, _clean(name)) if name else b"", status, 0)


def _add_directory(plan: Plan, taken: set[bytes], top: int, path: bytes, name: bytes, status: os.stat_result, depth: int) -> None:
    try:
        if depth > MAX_DEPTH:
            raise OSError
        descriptor = open_beneath(top, path, _LIST)
    except OSError:
        plan.left_out.append(_show(path) + "/")
        return
    found = False
    try:
        for entry, below in _list(descriptor):
            found = True
            inner, label = (path + b"/" + entry if path else entry), (name + b"/" + _clean(entry) if name else _clean(entry))
            if stat.S_ISDIR(below.st_mode):
                # names that are no text may become the same one; their directories then share it
                _add_directory(plan, taken, top, inner, label, below, depth + 1)
            else:
                _add_file(plan, taken, descriptor, inner, label, below)
    finally:
        os.close(descriptor)
    if not found and name:
        _append(plan, taken, Item(path, name + b"/", 0, status.st_mode, int(status.st_mtime)))


def _list(descriptor: int) -> Iterator[tuple[bytes, os.stat_result]]:
    """Names and what is there, in the order of the names."""
    for name in sorted(os.fsencode(name) for name in os.listdir(descriptor)):
        try:
            yield name, os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            continue


def _add_file(plan: Plan, taken: set[bytes], parent: int, path: bytes, name: bytes, status: os.stat_result) -> None:
    last = path.rpartition(b"/")[2]
    if not stat.S_ISREG(status.st_mode) or not os.access(last, os.R_OK, dir_fd=parent, follow_symlinks=False):
        plan.left_out.append(_show(path))
        return
    _append(plan, taken, Item(path, _clean(name), status.st_size, status.st_mode, int(status.st_mtime)))


def _append(plan: Plan, taken: set[bytes], item: Item) -> None:
    if len(plan.items) >= MAX_ENTRIES:
        raise InvalidParameters(N_("An archive has at most %(limit)s files. Choose less at once."), limit=MAX_ENTRIES)
    item.name = _free_name(taken, item.name)
    plan.items.append(item)


def _free_name(taken: set[bytes], name: bytes) -> bytes:
    """A name that nothing in the archive has yet."""
    free, number = name, 2
    while free in taken:
        base, slash, _ = name.partition(b"/") if name.endswith(b"/") else (name, b"", b"")
        free, number = base + f" ({number})".encode() + slash, number + 1
    taken.add(free)
    return free


def _clean(name: bytes) -> bytes:
    """A name that means the same everywhere: UTF-8, and without what some programs take for a separator or a command."""
    text = name.decode(errors="surrogateescape")
    if text.isprintable() and "\\" not in text:
        return name
    return "".join(_clean_letter(letter) for letter in text).encode()


def _clean_letter(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":
        return f"%{ord(letter) - 0xDC00:02X}"
    if letter == "\\" or ord(letter) < 0x20 or letter in "\x7f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069":
        return "_"
    return letter


def _show(path: bytes) -> str:
    return _clean(path).decode(errors="replace")


# -- the format: PKWARE's APPNOTE, with the extended timestamp of Info-ZIP
def _dos_time(mtime: int) -> tuple[int, int]:
    at = time.gmtime(min(max(mtime, 315532800), 4354819198))  # 1980 to 2107
    return at.tm_hour << 11 | at.tm_min << 5 | at.tm_sec // 2, (at.tm_year - 1980) << 9 | at.tm_mon << 5 | at.tm_mday


def _stamp(item: Item) -> bytes:
    return struct.pack("<HHBi", 0x5455, 5, 1, min(max(item.mtime, -(2**31)), 2**31 - 1))


def _extra(item: Item) -> bytes:
    """In the header before a file; the sizes of a large one come behind it."""
    return (struct.pack("<HHQQ", 1, 16, 0, 0) if item.is_64 else b"") + _stamp(item)


def _extra_central(item: Item) -> bytes:
    large = ([item.size, item.size] if item.is_64 else []) + ([item.offset] if item.offset >= _ZIP64_SIZE else [])
    return (struct.pack(f"<HH{len(large)}Q", 1, 8 * len(large), *large) if large else b"") + _stamp(item)


def _descriptor_size(item: Item) -> int:
    return 0 if not item.is_large else 24 if item.is_64 else 16


def _header(item: Item) -> bytes:
    extra, flags = _extra(item), _UTF8 | (_DESCRIPTOR if item.is_large else 0)
    size = _ZIP64_SIZE if item.is_64 else 0 if item.is_large else item.size
    at, day = _dos_time(item.mtime)
    version = 45 if item.is_64 else 20
    fixed = struct.pack(
        "<4s5H3I2H", b"PK\3\4", version, flags, _STORED, at, day, 0 if item.is_large else item.crc, size, size, len(item.name), len(extra)
    )
    return fixed + item.name + extra


def _descriptor(item: Item) -> bytes:
    return struct.pack("<4sIQQ" if item.is_64 else "<4s3I", b"PK\7\x08", item.crc, item.size, item.size)


def _central(item: Item) -> bytes:
    extra, flags = _extra_central(item), _UTF8 | (_DESCRIPTOR if item.is_large else 0)
    size, offset = min(item.size, _ZIP64_SIZE), min(item.offset, _ZIP64_SIZE)
    at, day = _dos_time(item.mtime)
    version = 45 if item.is_64 or item.offset >= _ZIP64_SIZE else 20
    kind = stat.S_IFDIR if item.name.endswith(b"/") else stat.S_IFREG
    attributes = (kind | item.mode & 0o777) << 16 | (0x10 if kind == stat.S_IFDIR else 0)
    numbers = (_UNIX << 8 | version, version, flags, _STORED, at, day, item.crc, size, size, len(item.name), len(extra))
    return struct.pack("<4s6H3I5H2I", b"PK\1\2", *numbers, 0, 0, 0, attributes, offset) + item.name + extra


def _end(count: int, begin: int, size: int) -> bytes:
    numbers = (min(count, _ZIP64_COUNT),) * 2 + (min(size, _ZIP64_SIZE), min(begin, _ZIP64_SIZE))
    plain = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, *numbers, 0)
    if not _needs_64(count, begin, size):
        return plain
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, _UNIX << 8 | 45, 45, 0, 0, count, count, size, begin)
    return record + struct.pack("<4sIQI", b"PK\6\7", 0, begin + size, 1) + plain


def _needs_64(count: int, begin: int, size: int) -> bool:
    return count >= _ZIP64_COUNT or begin >= _ZIP64_SIZE or size >= _ZIP64_SIZE


def _end_size(plan: Plan, begin: int) -> int:
    size = sum(46 + len(item.name) + len(_extra_central(item)) for item in plan.items)
    return len(_end(len(plan.items), begin, size))


# -- the bytes
class _Sink:
    """Gathers in one buffer that is used again and again, and writes it out when it is full."""

    def __init__(self, out: int) -> None:
        self._out, self._view, self._filled, self._flushed = out, memoryview(bytearray(_BUFFER)), 0, 0

    @property
    def written(self) -> int:
        return self._flushed + self._filled

    def put(self, data: bytes) -> None:
        self.reserve(len(data))[:] = data

    def reserve(self, size: int) -> memoryview:
        """The next so many bytes, for the caller to fill before anything else happens."""
        if size > _BUFFER - self._filled:
            self.flush()
        self._filled += size
        return self._view[self._filled - size : self._filled]

    def flush(self) -> None:
        rest = self._view[: self._filled]
        while rest:
            rest = rest[os.write(self._out, rest) :]
        self._flushed, self._filled = self._flushed + self._filled, 0


def _write_small(sink: _Sink, item: Item, top: int) -> None:
    """Header and content at once, the checksum in the header."""
    length = 30 + len(item.name) + len(_extra(item))
    both = sink.reserve(length + item.size)
    content = both[length:]
    if item.content is not None:
        content[:] = item.content
    elif item.size:
        descriptor = _open(item, top)
        try:
            _fill(descriptor, content)
        finally:
            os.close(descriptor)
    item.crc = zlib.crc32(content)
    both[:length] = _header(item)


def _write_large(sink: _Sink, item: Item, top: int) -> None:
    sink.put(_header(item))
    sink.flush()
    descriptor, rest, crc = _open(item, top), item.size, 0
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        while rest:
            piece = sink.reserve(min(rest, _BUFFER))
            _fill(descriptor, piece)
            crc, rest = zlib.crc32(piece, crc), rest - len(piece)
            sink.flush()
    finally:
        os.close(descriptor)
    item.crc = crc
    sink.put(_descriptor(item))


def _open(item: Item, top: int) -> int:
    """The file, if it is still one. Raises Shortened."""
    try:
        descriptor = open_beneath(top, item.path, _READ)
    except OSError as exc:
        raise Shortened from exc
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or (os.geteuid() == 0 and status.st_nlink > 1):
        os.close(descriptor)
        raise Shortened
    return descriptor


def _fill(descriptor: int, view: memoryview) -> None:
    while view:
        count = os.readv(descriptor, [view])
        if not count:
            raise Shortened
        view = view[count:]
