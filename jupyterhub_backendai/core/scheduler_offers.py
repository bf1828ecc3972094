"""What a scheduler lets one person choose in one queue. Pure.

What is not known is not offered: then nothing can be chosen, and the scheduler's own defaults hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from .identity import PosixAccount
from .partitions import Reservation
from .queues import Queue, QueueFigures


@dataclass(frozen=True, slots=True)
class AccountOffer:
    """An account that somebody may charge here, and the qualities of service to go with it."""

    name: str
    qos: tuple[str, ...] = ()
    default_qos: str = ""
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """Everything that can be chosen. ``is_known`` False: the scheduler did not tell about this person, so neither do we."""

    accounts: tuple[AccountOffer, ...] = ()
    reservations: tuple[Reservation, ...] = ()
    features: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    is_known: bool = False

    @property
    def qos(self) -> tuple[str, ...]:
        """Of all the accounts, in their order."""
        return tuple(dict.fromkeys(name for account in self.accounts for name in account.qos))


def find_offer(queue: Queue, figures: QueueFigures | None, posix: PosixAccount | None, project: str = "") -> Offer:  # noqa: ARG001
    """What a person may choose in a queue for a project."""
    return Offer()
