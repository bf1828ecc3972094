"""A month's bill of a person, a project or a domain: its lines, and sums that are exactly those of the lines. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from ..errors import N_, InvalidParameters, Violation
from .slots import ResourceSlots

SCOPES = ("user", "project", "domain")
_ZERO = Decimal(0)
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose statement it is. ``account`` is the one that such a person, project or domain pays from, if the site bills it so."""

    scope: str
    name: str
    domain: str
    owner: str
    account: str

    @property
    def key(self) -> str:
        """How an address names it: a project with its domain."""
        return f"{self.domain}/{self.name}" if self.scope == "project" else self.name


@dataclass(frozen=True, slots=True)
class Line:
    """What one session was charged and given back in the month; ``at`` is when it was charged."""

    session_id: str
    at: datetime
    user: str
    domain: str
    project: str
    queue: str
    name: str
    seconds: int
    slots: ResourceSlots
    source: str
    charged: Decimal = _ZERO
    refunded: Decimal = _ZERO

    @property
    def amount(self) -> Decimal:
        return self.charged - self.refunded


@dataclass(frozen=True, slots=True)
class Movement:
    """Credit that was given, or taken (below zero)."""

    at: datetime
    amount: Decimal
    actor: str
    note: str


@dataclass(frozen=True, slots=True)
class Total:
    """What sessions of one queue (or person) came to."""

    name: str
    sessions: int
    seconds: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Statement:
    """A month, from ``first`` until before ``until``. ``opening`` and ``closing`` are None for one who does not pay here.

    ``closing`` is the balance at the end of the month, or now if it is not over.
    """

    subject: Subject
    first: datetime
    until: datetime
    lines: tuple[Line, ...] = ()
    movements: tuple[Movement, ...] = ()
    opening: Decimal | None = None
    closing: Decimal | None = None

    @property
    def charged(self) -> Decimal:
        return sum((line.charged for line in self.lines), _ZERO)

    @property
    def refunded(self) -> Decimal:
        return sum((line.refunded for line in self.lines), _ZERO)

    @property
    def total(self) -> Decimal:
        """What the month came to: exactly the sum of the lines."""
        return self.charged - self.refunded

    @property
    def credit(self) -> Decimal:
        return sum((movement.amount for movement in self.movements), _ZERO)

    def sum_by(self, name: str) -> list[Total]:
        """The lines by ``queue``, ``user`` or ``project``, the dearest first."""
        found: dict[str, Total] = {}
        for line in self.lines:
            key = getattr(line, name)
            before = found.get(key, Total(key, 0, 0, _ZERO))
            found[key] = Total(key, before.sessions + 1, before.seconds + line.seconds, before.amount + line.amount)
        return sorted(found.values(), key=lambda total: (-total.amount, total.name))


def join_lines(entries: Iterable[Line]) -> tuple[Line, ...]:
    """One line for each session, in the order of their first entries: charge and refund of the same session are one line."""
    found: dict[str, Line] = {}
    for entry in entries:
        line = found.get(entry.session_id)
        sums = (line.charged + entry.charged, line.refunded + entry.refunded) if line else (entry.charged, entry.refunded)
        found[entry.session_id] = replace(line or entry, charged=sums[0], refunded=sums[1])
    return tuple(found.values())


def parse_month(text: str, today: datetime) -> tuple[int, int]:
    """A month as (year, month), the present one when nothing is said. Raises InvalidParameters."""
    if not text:
        return today.year, today.month
    match = _MONTH.fullmatch(text)
    if not match or not 1 <= int(match[2]) <= 12 or not 1970 < int(match[1]) < 9000:
        raise InvalidParameters(violations=[Violation(N_("Give a month as year-month, such as 2026-03."), {}, "month", "invalid")])
    return int(match[1]), int(match[2])


def step_month(year: int, month: int, by: int) -> tuple[int, int]:
    """The month so many months later."""
    number = year * 12 + month - 1 + by
    return number // 12, number % 12 + 1


def list_cells(statement: Statement) -> list[list[object]]:
    """The statement as the rows of a file: its head, then a line for each session, then the total."""
    head = [
        "session",
        "name",
        "charged_at",
        "user",
        "domain",
        "project",
        "queue",
        "seconds",
        "slots",
        "source",
        "charged",
        "refunded",
        "amount",
    ]
    rows: list[list[object]] = [list(head)]
    for line in statement.lines:
        slots = " ".join(f"{name}={amount}" for name, amount in line.slots.to_json().items())
        facts = [line.session_id, line.name, line.at.isoformat(timespec="seconds"), line.user, line.domain, line.project, line.queue]
        rows.append([*facts, line.seconds, slots, line.source, line.charged, line.refunded, line.amount])
    rows.append(["total", *[""] * 9, statement.charged, statement.refunded, statement.total])
    return rows
