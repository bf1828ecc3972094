"""Files in virtual folders: how a path and a name are written, and what a directory's entry is. Bytes inside, text at the edges."""

from __future__ import annotations

import base64
import enum
import stat
import unicodedata
from dataclasses import dataclass

from ..errors import N_, InvalidParameters

MAX_NAME_BYTES, MAX_PATH_BYTES, MAX_DEPTH = 255, 4096, 128

# What changes the direction of text, or breaks its line: a name with one of these reads as another name.
_MISLEADING = frozenset("\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")


class EntryKind(enum.Enum):
    """What something in a directory is. Only files and directories can be opened here; everything can be listed and removed."""

    FILE = "FILE"
    DIRECTORY = "DIRECTORY"
    SYMLINK = "SYMLINK"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a directory. ``name`` is its bytes; ``mode`` is ``st_mode``; times are nanoseconds since 1970."""

    name: bytes
    kind: EntryKind
    size: int
    mode: int
    mtime_ns: int
    ctime_ns: int

    @property
    def text(self) -> str:
        """The name for people; what is no UTF-8 shows as replacement characters, and then :attr:`ref` is needed to name it."""
        return self.name.decode(errors="replace")

    @property
    def ref(self) -> str:
        """The name as base64url where its text does not name it, else ""."""
        return "" if self.text.encode() == self.name else encode_ref(self.name)


# of a row where a whole directory is read at once
ROW_FIELDS = ("name", "ref", "kind", "size", "mode", "mtime_ns")


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a directory. ``after`` names the last entry (as ref) where there are more; ``total`` counts the whole directory."""

    entries: tuple[Entry, ...]
    total: int
    after: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tree holds. ``biggest`` are its direct sub-directories and files with their bytes, the largest first."""

    size: int
    files: int
    biggest: tuple[tuple[bytes, int], ...] = ()


def encode_ref(path: bytes) -> str:
    """Any bytes as text that is safe in addresses."""
    return base64.urlsafe_b64encode(path).decode().rstrip("=")


def decode_ref(ref: str) -> bytes:
    """The inverse of :func:`encode_ref`. Raises ValueError."""
    return base64.b64decode(ref + "=" * (-len(ref) % 4), altchars=b"-_", validate=True)


def kind_of(mode: int) -> EntryKind:
    """The kind that an ``st_mode`` says."""
    if stat.S_ISREG(mode):
        return EntryKind.FILE
    if stat.S_ISDIR(mode):
        return EntryKind.DIRECTORY
    return EntryKind.SYMLINK if stat.S_ISLNK(mode) else EntryKind.OTHER


def parse_path(text: str) -> bytes:
    """The bytes of a path to something that may be there, relative to its folder; "" is the folder's top. Raises InvalidParameters.

    Names are taken as they are: whatever is on the disk can be named, be it NFD or full of control characters.
    """
    try:
        path = text.encode()
    except UnicodeEncodeError as exc:
        raise InvalidParameters(N_("A path is text in UTF-8; what is none is named by its reference.")) from exc
    return check_path(path)


def parse_ref(ref: str) -> bytes:
    """The same for :func:`encode_ref`'s form, which names what no text can. Raises InvalidParameters."""
    try:
        path = decode_ref(ref)
    except ValueError as exc:
        raise InvalidParameters(N_("This is no reference of a path.")) from exc
    return check_path(path)


def check_path(path: bytes) -> bytes:
    """The path itself, where it is relative and stays beneath its top by its words. Raises InvalidParameters."""
    if not path:
        return path
    if len(path) > MAX_PATH_BYTES:
        raise InvalidParameters(N_("A path has at most %(limit)s bytes."), limit=MAX_PATH_BYTES)
    if b"\0" in path:
        raise InvalidParameters(N_("A path has no zero byte in it."))
    parts = path.split(b"/")
    if any(part in {b"", b".", b".."} for part in parts):
        raise InvalidParameters(N_("A path is relative to its folder, without empty parts and without “.” or “..”."))
    if len(parts) > MAX_DEPTH:
        raise InvalidParameters(N_("A path goes at most %(limit)s directories deep."), limit=MAX_DEPTH)
    if any(len(part) > MAX_NAME_BYTES for part in parts):
        raise InvalidParameters(N_("A name has at most %(limit)s bytes; a Korean syllable is three."), limit=MAX_NAME_BYTES)
    return path


def parse_new_path(text: str, parent: bytes = b"") -> bytes:
    """The path of something to be made: ``text``, all of whose names are new, beneath a parent as it is. Raises InvalidParameters.

    New names are NFC, so that what a Mac sends and what a keyboard types are one name.
    """
    name = unicodedata.normalize("NFC", text)
    if not name:
        raise InvalidParameters(N_("Give it a name."))
    for part in name.split("/"):
        _check_new_name(part)
    return check_path(join_path(parent, parse_path(name)))


def _check_new_name(name: str) -> None:
    if any(unicodedata.category(letter) in {"Cc", "Cs"} or letter in _MISLEADING for letter in name):
        raise InvalidParameters(N_("A name has no control characters and none that turn the direction of text."))
    if name != name.strip():
        raise InvalidParameters(N_("A name does not begin or end with a space."))


def join_path(parent: bytes, name: bytes) -> bytes:
    """``name`` in ``parent``, whose top is b""."""
    return parent + b"/" + name if parent else name


def split_path(path: bytes) -> tuple[bytes, bytes]:
    """The directory of something and its name in it."""
    parent, _, name = path.rpartition(b"/")
    return parent, name
