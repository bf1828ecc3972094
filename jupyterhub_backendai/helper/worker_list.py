"""Listing a directory of any size: the names are read, a page of them is chosen, and only that page is looked at."""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import json
import os
import stat
import unicodedata
from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring
from typing import Any

from ..core.files import EntryKind, decode_ref, encode_ref, kind_of
from ..errors import N_, InvalidParameters
from .worker_base import Answer, Job, pack_entry
from .worker_errors import UNREADABLE, translate

MAX_PAGE, MAX_SORTED = 1000, 20_000
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ
_KINDS = {kind: kind_of(kind).value for kind in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK)}
Key = tuple[int, str]  # the value that is sorted by (0 for names alone), then the name


def list_page(job: Job) -> Answer:
    """A page, directories first. ``after`` is what the page before gave; it says where to go on, so nothing is kept here."""
    limit = max(1, min(job.number("limit", 100), MAX_PAGE))
    descriptor = job.tree.open_directory(job.path(), follow=True, flags=os.O_RDONLY)
    try:
        groups = _read(descriptor, job.text("sort") or "name", job.text("search"))
        page = _pick(groups, _parse_after(job.text("after")), limit + 1, is_descending=job.flag("is_descending"))
        is_more = len(page) > limit
        entries = _look(descriptor, [name for _, (_, name) in page[:limit]])
    finally:
        os.close(descriptor)
    values: dict[str, Any] = {"entries": entries, "total": sum(len(keys) for keys in groups)}
    if is_more:
        values["after"] = _format_after(*page[limit - 1])
    return Answer(values)


def list_all(job: Job) -> Answer:
    """Everything in a directory, in no order, through a pipe: a row (``ROW_FIELDS``) on a line of its own for each entry, every one
    after a comma, and at the end an object that says that it was all. The service passes them on as they are.
    """
    descriptor = job.tree.open_directory(job.path(), follow=True, flags=os.O_RDONLY)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # more than this account may have: the usual 64 KiB do
        fcntl.fcntl(writer, _SET_PIPE_SIZE, 1024 * 1024)
    return Answer({}, (reader,), lambda: _write_all(descriptor, writer, job.tree.host))


def _write_all(descriptor: int, writer: int, host: str) -> None:
    end: dict[str, Any] = {"end": True}
    with open(writer, "wb", buffering=256 * 1024) as file, contextlib.suppress(BrokenPipeError):
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    file.write(_format_row(entry.name, status))
        except BrokenPipeError:
            raise
        except OSError as exc:
            end = {"problem": translate(exc, host).to_problem()}
        file.write(b"\n" + json.dumps(end).encode())


def _format_row(name: str, status: os.stat_result) -> bytes:
    """By hand: an encoder that is asked ten thousand times takes longer than the disk."""
    text, ref = name, ""
    try:
        text.encode()
    except UnicodeEncodeError:
        raw = os.fsencode(name)
        text, ref = raw.decode(errors="replace"), encode_ref(raw)
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), EntryKind.OTHER.value)
    return f'\n,[{encode_basestring(text)},"{ref}","{kind}",{status.st_size},{status.st_mode},{status.st_mtime_ns}]'.encode()


def _read(descriptor: int, sort: str, search: str) -> tuple[list[Key], list[Key]]:
    """The keys of all directories, and of all else."""
    wanted = fold(search)
    directories: list[Key] = []
    others: list[Key] = []
    with os.scandir(descriptor) as entries:
        if sort == "name" and not wanted:  # the usual way, a hundred thousand times
            for entry in entries:
                (directories if entry.is_dir(follow_symlinks=False) else others).append((0, entry.name))
            return directories, others
        for entry in entries:
            if not wanted or wanted in fold(entry.name):
                (directories if entry.is_dir(follow_symlinks=False) else others).append((0, entry.name))
    if sort == "name":
        return directories, others
    if sort not in {"size", "mtime"}:
        raise InvalidParameters(UNREADABLE)
    if len(directories) + len(others) > MAX_SORTED:
        raise InvalidParameters(
            N_("More than %(limit)s files are sorted by name only. Search for a part of the name first."), limit=MAX_SORTED
        )
    return _value(descriptor, directories, sort), _value(descriptor, others, sort)


def fold(text: str) -> str:
    """A name as it is searched for: neither case nor the way that Hangul is written makes a difference."""
    return unicodedata.normalize("NFC", text).casefold()


def _value(descriptor: int, keys: Iterable[Key], sort: str) -> list[Key]:
    found = []
    for _, name in keys:
        try:
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            continue
        found.append((status.st_size if sort == "size" else status.st_mtime_ns, name))
    return found


def _pick(groups: Sequence[list[Key]], after: tuple[int, Key] | None, count: int, *, is_descending: bool) -> list[tuple[int, Key]]:
    """The next so many: (0 for a directory, 1 for all else; the key)."""
    page: list[tuple[int, Key]] = []
    choose = heapq.nlargest if is_descending else heapq.nsmallest
    for number, keys in enumerate(groups):
        rest = keys
        if after:
            if number < after[0]:
                continue
            if number == after[0]:
                rest = [key for key in keys if (key < after[1] if is_descending else key > after[1])]
        page += [(number, key) for key in choose(count - len(page), rest)]
    return page


def _look(descriptor: int, names: Iterable[str]) -> list[list[Any]]:
    found = []
    for name in names:
        try:
            found.append(pack_entry(os.fsencode(name), os.stat(name, dir_fd=descriptor, follow_symlinks=False)))
        except FileNotFoundError:  # gone since
            continue
    return found


def _format_after(number: int, key: Key) -> str:
    return encode_ref(f"{number}/{key[0]}/".encode() + os.fsencode(key[1]))


def _parse_after(text: str) -> tuple[int, Key] | None:
    if not text:
        return None
    try:
        number, value, name = decode_ref(text).split(b"/", 2)
        return int(number), (int(value), os.fsdecode(name))
    except ValueError as exc:
        raise InvalidParameters(UNREADABLE) from exc
