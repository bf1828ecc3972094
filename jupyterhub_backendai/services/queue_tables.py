"""The drawn table of the queues, once for all who see the same one: a hundred people look, and figures change every few seconds."""

from __future__ import annotations

import time
from collections.abc import Mapping

from ..core.queues import Figures, Queue

MAX_AGE_S = 10.0
MAX_KEPT = 1000

# The reader's language, the queue that is chosen, and the names of those that are shown.
Key = tuple[str, str, tuple[str, ...]]


class DrawnTables:
    """Holds for one reading of the figures and one snapshot of the groups, and never for long: what it says of waits changes too."""

    def __init__(self) -> None:
        self._of: tuple[Figures, Mapping[str, Queue]] | None = None
        self._drawn_at = 0.0
        self._tables: dict[Key, str] = {}

    def find(self, figures: Figures, groups: Mapping[str, Queue], key: Key) -> str | None:
        """The table as somebody else got it, None when it must be drawn."""
        is_same = self._of is not None and self._of[0] is figures and self._of[1] is groups
        if not is_same or time.monotonic() - self._drawn_at > MAX_AGE_S or len(self._tables) > MAX_KEPT:
            self._of, self._drawn_at, self._tables = (figures, groups), time.monotonic(), {}
        return self._tables.get(key)

    def keep(self, figures: Figures, groups: Mapping[str, Queue], key: Key, table: str) -> None:
        """For the next one; nothing when there are newer figures by now."""
        if self._of is not None and self._of[0] is figures and self._of[1] is groups:
            self._tables[key] = table
