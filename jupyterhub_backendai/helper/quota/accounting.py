"""No quota of the file system: the platform counts."""

from __future__ import annotations

from .base import Driver, Reading, make_directory


class Accounting(Driver):
    """Serves everywhere, and enforces nothing here."""

    name = "accounting"

    def probe(self, host: int) -> str:  # noqa: ARG002 - the interface
        return ""

    def prepare(self, host: int, scope: str) -> None:
        make_directory(host, scope)

    def set_limit(self, host: int, scope: str, limit: int) -> None:
        """Nobody is there to be told."""

    def read(self, host: int, scope: str, *, sync: bool = False) -> Reading:  # noqa: ARG002 - the interface
        return Reading()
