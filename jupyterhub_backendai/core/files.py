"""Files in virtual folders: how a path and a name are written, and what a directory's entry is. Bytes inside, text at the edges."""

from __future__ import annotations

import base64
import enum
from dataclasses import dataclass

MAX_NAME_BYTES, MAX_PATH_BYTES, MAX_DEPTH = 255, 4096, 128


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
