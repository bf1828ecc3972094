"""How Slurm's commands write what they say: fields, lists, numbers, times. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

_FIELD = re.compile(r"(?:^|\s)([A-Za-z:/]+)=(\S*)")
_GRES = re.compile(r"(?:^|,)(\w+)(?::([\w.-]+))?:(\d+)", re.ASCII)
_TIME = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", re.ASCII)


def parse_duration(text: str) -> int | None:
    """Seconds of ``2-00:00:00``, ``12:00:00`` or ``30:00``; None for UNLIMITED and the like."""
    found = _TIME.fullmatch(text)
    if not found:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def parse_fields(line: str) -> dict[str, str]:
    """``Key=value`` pairs of a line of scontrol. The first of a key holds: free text (Reason, Comment) stands behind."""
    fields: dict[str, str] = {}
    for key, value in _FIELD.findall(line):
        fields.setdefault(key, value)
    return fields


def parse_number(text: str) -> int | None:
    """The number that a text begins with, None for UNLIMITED and the like."""
    digits = re.match(r"\d+", text)
    return int(digits[0]) if digits else None


def parse_list(text: str) -> list[str]:
    """The words between commas; nothing for ``(null)``."""
    return [word for word in text.split(",") if word not in {"", "(null)"}]


@functools.lru_cache(maxsize=4096)
def count_gpus(gres: str, name: str = "gpu") -> Mapping[str, int]:
    """How many of a generic resource there are, by type, in ``gpu:v100:2(S:0-1),shard:v100:16``. Many nodes say the same."""
    counts: dict[str, int] = {}
    for found, kind, count in _GRES.findall(gres):
        if found == name:
            counts[kind] = counts.get(kind, 0) + int(count)
    return counts
