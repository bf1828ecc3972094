"""Several servers that say the same, asked in order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Generic, TypeVar

COOL_DOWN_S = 30.0
T = TypeVar("T")


class Servers(Generic[T]):
    """A list of servers; one that failed is left alone for a while, so that it costs its time-out once and not at each login."""

    def __init__(self, servers: Sequence[T], cool_down_s: float = COOL_DOWN_S) -> None:
        self._servers = list(servers)
        self._cool_down_s = cool_down_s
        self._bad_until = [0.0] * len(self._servers)

    def usable(self) -> list[T]:
        """The servers to ask, in order: all rather than none, for one that was silent for a moment must not close the door to all."""
        at = time.monotonic()
        return [server for server, until in zip(self._servers, self._bad_until, strict=True) if until <= at] or self._servers

    def mark(self, server: T, *, is_good: bool) -> None:
        """Remember how a server did."""
        self._bad_until[self._servers.index(server)] = 0.0 if is_good else time.monotonic() + self._cool_down_s

    def get(self, name: str) -> T | None:
        """The server that is written so."""
        return next((server for server in self._servers if str(server) == name), None)
