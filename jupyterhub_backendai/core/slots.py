"""Amounts of resource slots: ``cpu`` (cores), ``mem`` (bytes), ``cuda.device`` (whole GPUs), ``cuda.shares`` (fractions).

Exact decimals throughout; on the wire and in the database an amount is the text of a plain number, infinite is ``Infinity``
(Backend.AI 24.03, contract §7.4).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

CPU, MEM, CUDA_DEVICE, CUDA_SHARES = "cpu", "mem", "cuda.device", "cuda.shares"
INFINITY = Decimal("Infinity")
_ZERO = Decimal(0)
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_BYTES = re.compile(r"([0-9]{1,19}(?:\.[0-9]{1,6})?)\s*(?:([kmgtp])(?:i?b)?|b)?", re.IGNORECASE | re.ASCII)


class SlotKind(enum.Enum):
    """What an amount of a slot is: whole things, bytes, or fractions of a thing to three digits."""

    COUNT = "count"
    BYTES = "bytes"
    FRACTION = "fraction"


# Every site has these; what else its engines report is in the database.
KNOWN_SLOTS: Mapping[str, SlotKind] = {
    CPU: SlotKind.COUNT,
    MEM: SlotKind.BYTES,
    CUDA_DEVICE: SlotKind.COUNT,
    CUDA_SHARES: SlotKind.FRACTION,
}
INFINITE_WORDS = frozenset({"infinity", "inf", "∞", "unlimited", "무제한"})
_MAX_AMOUNT = Decimal(2) ** 62


class ResourceSlots(Mapping[str, Decimal]):
    """An immutable amount per slot. A slot that is not named counts as zero in sums and comparisons."""

    __slots__ = ("_amounts",)

    def __init__(self, amounts: Mapping[str, Decimal | int | str] | None = None) -> None:
        self._amounts = {name: Decimal(value) for name, value in sorted((amounts or {}).items())}

    def __getitem__(self, name: str) -> Decimal:
        return self._amounts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._amounts)

    def __len__(self) -> int:
        return len(self._amounts)

    def __hash__(self) -> int:
        return hash(tuple(self._amounts.items()))

    def __repr__(self) -> str:
        return f"ResourceSlots({self.to_json()})"

    def __add__(self, other: Mapping[str, Decimal]) -> ResourceSlots:
        return ResourceSlots({name: self.amount(name) + other.get(name, _ZERO) for name in {*self, *other}})

    def __sub__(self, other: Mapping[str, Decimal]) -> ResourceSlots:
        return ResourceSlots({name: self.amount(name) - other.get(name, _ZERO) for name in {*self, *other}})

    def amount(self, name: str) -> Decimal:
        """The amount of one slot, zero when it is not named."""
        return self._amounts.get(name, _ZERO)

    def to_json(self) -> dict[str, str]:
        """The amounts as texts of plain numbers, by slot name."""
        return {name: format(value, "f") for name, value in self._amounts.items()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ResourceSlots:
        """The inverse of :meth:`to_json`. Raises ValueError for what is no amount."""
        try:
            return cls({str(name): Decimal(str(value)) for name, value in data.items()})
        except InvalidOperation as exc:
            raise ValueError("not an amount") from exc


def parse_amount(text: str, kind: SlotKind, *, allow_infinity: bool = False) -> Decimal:
    """An amount as people and programs write it: ``4``, ``1.5``, ``16g``, ``Infinity``. Raises ValueError, also for negative ones."""
    text = text.strip()
    if allow_infinity and text.lower() in INFINITE_WORDS:
        return INFINITY
    if kind is SlotKind.BYTES:
        return Decimal(parse_bytes(text))
    if not re.fullmatch(r"[0-9]{1,18}(?:\.[0-9]{1,9})?", text, re.ASCII):
        raise ValueError("not an amount")
    amount = Decimal(text)
    digits = 0 if kind is SlotKind.COUNT else 3
    if amount != round(amount, digits) or amount > _MAX_AMOUNT:
        raise ValueError("too fine or too large")
    return amount


def format_amount(amount: Decimal, kind: SlotKind) -> str:
    """An amount for people: ``16 GiB``, ``1.5``, ``∞``."""
    if amount.is_infinite():
        return "∞"
    return format_bytes(int(amount)) if kind is SlotKind.BYTES else f"{amount.normalize():f}"


def parse_bytes(text: str) -> int:
    """Bytes from ``"512m"``, ``"4 GiB"`` or ``"1073741824"``; units are binary. Raises ValueError."""
    match = _BYTES.fullmatch(text.strip())
    if not match:
        raise ValueError("not an amount of memory")
    return int(Decimal(match[1]) * 1024 ** _UNITS[(match[2] or "").lower()])


def format_bytes(size_bytes: int) -> str:
    """Binary units with at most one digit after the point: ``4 GiB``, ``1.5 GiB``."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.1f}".removesuffix(".0") + " " + unit
