"""What a download says about itself: which part was asked for, and under which name it is kept."""

from __future__ import annotations

import re
from urllib.parse import quote

_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*", re.ASCII)
_UNQUOTED = "!#$&+.^_`|~"  # what RFC 8187 lets stand as it is, besides letters and digits


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """(first byte, behind the last one) of a ``Range``; None for the whole: none asked for, several, or not understood.

    Raises ValueError for a range that the file does not have.
    """
    match = _RANGE.fullmatch(header.strip())
    if not match or not (match[1] or match[2]):
        return None
    if not match[1]:
        length = min(int(match[2]), size)
        if not length:
            raise ValueError
        return size - length, size
    begin = int(match[1])
    end = min(int(match[2]) + 1, size) if match[2] else size
    if match[2] and int(match[2]) < begin:
        return None  # no range at all, says RFC 9110
    if begin >= size:
        raise ValueError
    return begin, end


def format_disposition(name: str) -> str:
    """``Content-Disposition`` of a file to be kept under a name in any language (RFC 6266 and 8187), with an ASCII one for old programs."""
    plain = "".join(letter if " " <= letter < "\x7f" and letter not in '"\\%/;' else "_" for letter in name) or "_"
    header = f'attachment; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe=_UNQUOTED, errors='replace')}"


def matches_etag(header: str, etag: str) -> bool:
    """Whether one of the tags of an ``If-None-Match`` is this one."""
    return header.strip() == "*" or any(tag.strip().removeprefix("W/") == etag for tag in header.split(","))
