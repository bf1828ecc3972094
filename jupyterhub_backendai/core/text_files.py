"""Small text files as an editor shows them: in which encoding they are, and how their lines end."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

MAX_TEXT_BYTES = 1024 * 1024
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CHANGEABLE = {"utf-8", "utf-8-sig"}


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file's text with the line ends as they are; ``encoding`` and ``newline`` (``lf`` or ``crlf``) are what it is written back in."""

    text: str
    encoding: str
    newline: str
    is_mixed: bool

    @property
    def can_change(self) -> bool:
        """Whether it can be written back with nothing lost: what is no UTF-8 is shown only."""
        return self.encoding in _CHANGEABLE


def read_text(content: bytes) -> TextFile | None:
    """The text of a file, None for what is no text. CP949, which older Korean files are in, is recognised where UTF-8 does not fit."""
    encoding = next((name for bom, name in _BOMS if content.startswith(bom)), "")
    if not encoding and b"\x00" in content:
        return None
    for name in [encoding] if encoding else ["utf-8", "cp949"]:
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        return _describe(text, name)
    return None


def _describe(text: str, encoding: str) -> TextFile:
    crlf = text.count("\r\n")
    lf, cr = text.count("\n") - crlf, text.count("\r") - crlf
    return TextFile(text, encoding, "crlf" if crlf > lf else "lf", bool(cr or (crlf and lf)))


def write_text(text: str, encoding: str = "utf-8", newline: str = "lf") -> bytes:
    """The bytes of what a form sent (whose lines end as browsers like) in a file's own encoding and line ends. Raises ValueError."""
    if encoding not in _CHANGEABLE:
        raise ValueError(encoding)
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return (lines.replace("\n", "\r\n") if newline == "crlf" else lines).encode(encoding)
