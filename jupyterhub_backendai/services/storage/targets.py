"""Where a file that comes goes, when something may be there already."""

from __future__ import annotations

from ...core.files import EntryKind, join_path, split_path
from ...errors import N_, AlreadyExists, NotFound
from .files import FolderFiles

CONFLICTS = ("fail", "replace", "rename")
MAX_NAMES = 1000


def explain_taken(path: bytes) -> AlreadyExists:
    """That something of this name is there."""
    return AlreadyExists(N_("“%(name)s” is there already."), name=split_path(path)[1].decode(errors="replace"))


async def find_size(files: FolderFiles, path: bytes) -> int | None:
    """The size of a file, None where there is nothing."""
    try:
        return (await files.stat(path)).size
    except NotFound:
        return None


async def choose_target(files: FolderFiles, path: bytes, on_conflict: str) -> bytes:
    """Where a file goes.

    ``fail``: AlreadyExists where something is. ``replace``: only files give way. ``rename``: the next free name of ``name (2).txt`` …
    """
    try:
        entry = await files.stat(path)
    except NotFound:
        await _check_parent(files, path)
        return path
    if on_conflict == "replace" and entry.kind is EntryKind.FILE:
        return path
    if on_conflict != "rename":
        raise explain_taken(path)
    for number in range(2, MAX_NAMES):
        other = number_name(path, number)
        try:
            await files.stat(other)
        except NotFound:
            return other
    raise explain_taken(path)


async def _check_parent(files: FolderFiles, path: bytes) -> None:
    """Raises AlreadyExists where a file, or a link, is in the place of the directory: said before the bytes come, not after."""
    parent = split_path(path)[0]
    if not parent:
        return
    try:
        entry = await files.stat(parent)
    except NotFound:
        return
    if entry.kind is not EntryKind.DIRECTORY:
        raise explain_taken(parent)


def number_name(path: bytes, number: int) -> bytes:
    """``a/name (2).tar.gz`` for ``a/name.tar.gz``, within the 255 bytes of a name; cut between letters."""
    parent, name = split_path(path)
    stem, dot, suffix = name.partition(b".") if name[:1] != b"." else (name, b"", b"")
    tail = f" ({number})".encode() + dot + suffix
    if len(tail) > 200:  # a suffix like that is none
        stem, tail = name, f" ({number})".encode()
    stem = stem[: 255 - len(tail)]
    while stem:
        try:
            stem.decode()
            break
        except UnicodeDecodeError as exc:
            if exc.end < len(stem):
                break  # never was text
            stem = stem[:-1]
    return join_path(parent, stem + tail)
