"""The folders of a session as a caller may describe them: its own program makes links to them, as the user. Pure."""

from __future__ import annotations

from typing import Any

MAX_LINKS, MAX_NEIGHBOURS, MAX_PATH = 128, 1000, 4096
_HEX = frozenset("0123456789abcdef")


def check_links(value: Any) -> dict[str, Any]:
    """``session_id``, ``admitted_at`` (Unix seconds), ``live`` (ids of sessions) and ``items``; ValueError for anything else."""
    if not isinstance(value, dict) or value.keys() != {"session_id", "admitted_at", "live", "items"}:
        raise ValueError
    if type(value["admitted_at"]) not in {int, float} or not 0 <= value["admitted_at"] < 1 << 40:
        raise ValueError
    for name, most in (("live", MAX_NEIGHBOURS), ("items", MAX_LINKS)):
        if not isinstance(value[name], list) or len(value[name]) > most:
            raise ValueError
    if not all(isinstance(text, str) and len(text) == 32 and _HEX.issuperset(text) for text in (value["session_id"], *value["live"])):
        raise ValueError
    for item in value["items"]:
        _check_item(item)
    return value


def _check_item(item: Any) -> None:
    if not isinstance(item, dict) or item.keys() != {"source", "target", "is_own_part"} or not isinstance(item["is_own_part"], bool):
        raise ValueError
    source, target = item["source"], item["target"]
    for path in (source, target):
        if not isinstance(path, str) or not 0 < len(path.encode()) <= MAX_PATH or "\0" in path or ".." in path.split("/"):
            raise ValueError
    if not source.startswith("/") or target.startswith("/"):
        raise ValueError
