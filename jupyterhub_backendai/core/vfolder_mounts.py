"""What a session gets of somebody's folders, and where it appears there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Mount:
    """One folder (or a directory in it) as a session sees it.

    ``source`` is the absolute directory on the nodes; ``target`` is where it appears: relative to the session's home (``data``,
    ``.local``), or absolute. ``is_automatic``: nobody asked for it, its name begins with a dot.
    """

    folder_id: str
    name: str
    source: str
    target: str
    is_read_only: bool
    subpath: str = ""
    is_automatic: bool = False

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Mount:
        return cls(**data)
