"""How we ask those who know one-time passwords: one interface, whoever keeps the seeds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FactorQuestion:
    """What is asked of a second factor. ``state`` is what an earlier challenge wants back; ``source`` an address, "" when unknown."""

    name: str
    code: str
    password: str = field(default="", repr=False)
    source: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class FactorAnswer:
    """What it answers.

    ``outcome``: ``ok``, ``refused``, ``challenge`` (ask for more, show ``message``, send ``state`` back) or ``enrol`` (no token yet).
    ``reason`` is for the audit log; ``message`` only what the server itself wants shown.
    """

    outcome: str
    reason: str = ""
    message: str = ""
    state: str = ""


class SecondFactor(Protocol):
    """Somebody who knows one-time passwords. Never blocks the loop; raises FactorUnavailable when it cannot say.

    ``joins_password`` is true for one that checks password and code in one go: then the directory is not asked for the password.
    """

    joins_password: bool

    async def verify(self, question: FactorQuestion) -> FactorAnswer:
        """Whether this is the person's code. Who asks has checked the password already, unless the factor joins it."""

    async def close(self) -> None:
        """End the threads and the connections."""
