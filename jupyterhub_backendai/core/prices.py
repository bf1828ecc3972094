"""What a session costs: prices of a queue, what is billed of it, and money that is rounded once.

A queue's ``prices`` are amounts of money per hour by slot, exact decimals: ``cpu`` (one), ``mem`` (a GiB, as every slot that is
counted in bytes), ``cuda.device`` (a whole GPU), ``cuda.device:<type>`` (one of that type, instead), ``cuda.shares`` (one whole GPU's
worth; with ``:<type>`` likewise) and ``node`` (a node of one's own, on exclusive queues). A slot without a price costs nothing.

Nothing is rounded on the way: a rate is exact, and the cost of a session is rounded once, half up, to the digits of the currency.
Sums of such amounts are exact, so a statement's total is the sum of its lines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal
from fractions import Fraction

from ..errors import N_, Violation
from .queues import Queue, QueueFigures
from .slots import CUDA_DEVICE, KNOWN_SLOTS, MEM, ResourceSlots, SlotKind

NODE = "node"
HOUR_S = 3600
GIB = 2**30
MAX_DIGITS = 6
# More than a rate can have: 18 digits of an amount, 18 of a price, 30 of a byte's part of a GiB.
_EXACT = Context(prec=200)
_PRICE = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?", re.ASCII)
_MOST = Decimal(10) ** 12


@dataclass(frozen=True, slots=True)
class Currency:
    """What money is counted in; ``digits`` after the point are the smallest amount that anybody is charged."""

    name: str = "KRW"
    digits: int = 0

    def round(self, amount: Decimal | Fraction) -> Decimal:
        """An amount to the currency's digits, half up (away from zero). The only place where money is rounded."""
        scaled = Fraction(amount) * 10**self.digits
        whole = (2 * abs(scaled.numerator) + scaled.denominator) // (2 * scaled.denominator)
        return Decimal(whole if scaled >= 0 else -whole).scaleb(-self.digits, _EXACT)

    def format(self, amount: Decimal) -> str:
        """For people: ``1,234.50 EUR``. A rate may have more digits than the currency: these are shown, up to six."""
        exact = (digits for digits in range(self.digits, MAX_DIGITS) if amount == Currency(self.name, digits).round(amount))
        digits = next(exact, MAX_DIGITS)
        text = f"{Currency(self.name, digits).round(amount):,.{digits}f}"
        return f"{text} {self.name}".strip()


PAYERS = ("user", "project", "domain")
LIMITS = ("none", "hold", "zero")


@dataclass(frozen=True, slots=True)
class Billing:
    """How a site bills. ``payer`` is one of PAYERS: whose account a session is charged to.

    ``limit``: with ``hold`` a start is refused whose most exceeds what is available, with ``zero`` one when nothing is available;
    with both, what runs ends when the credit is used up, ``warnings_s`` seconds before which people are warned. Raises ValueError.
    """

    currency: Currency = field(default_factory=Currency)
    payer: str = "user"
    limit: str = "none"
    warnings_s: tuple[int, ...] = (3600, 600)

    def __post_init__(self) -> None:
        if self.payer not in PAYERS:
            raise ValueError(f"who pays is one of {', '.join(PAYERS)}")
        if self.limit not in LIMITS:
            raise ValueError(f"the limit is one of {', '.join(LIMITS)}")
        if not 0 <= self.currency.digits <= MAX_DIGITS:
            raise ValueError(f"a currency has 0 to {MAX_DIGITS} digits")


def is_priced(queue: Queue) -> bool:
    """Whether sessions of the queue are billed. Free queues stay free, whatever prices are noted."""
    return not queue.is_free and any(queue.prices.values())


def is_exclusive(queue: Queue, figures: QueueFigures | None) -> bool:
    """Whether a session gets whole nodes, as the site says, else as the engine says."""
    return queue.is_exclusive if queue.is_exclusive is not None else bool(figures and figures.is_exclusive)


def list_nodes(queue: Queue, figures: QueueFigures | None, gpu_type: str = "") -> tuple[ResourceSlots, ...]:
    """The kinds of whole nodes that a session of an exclusive queue may get, each with ``node`` 1; none elsewhere.

    Without figures nobody knows how large a node is, and :func:`is_price_known` is False.
    """
    if not is_exclusive(queue, figures):
        return ()
    if figures is None or not figures.shapes:
        whole = dict(figures.max_slots) if figures else dict(queue.capacity)
        of_type = [gpu.per_node for gpu in figures.gpus if not gpu_type or gpu.type == gpu_type] if figures else []
        return (ResourceSlots({**whole, **({CUDA_DEVICE: max(of_type)} if of_type else {}), NODE: 1}),) if whole else ()
    shapes = [shape for shape in figures.shapes if not gpu_type or gpu_type in shape.gpus] or list(figures.shapes)
    return tuple(dict.fromkeys(ResourceSlots({**shape.slots(), NODE: 1}) for shape in shapes))


def billed_slots(queue: Queue, figures: QueueFigures | None, slots: ResourceSlots, gpu_type: str = "") -> ResourceSlots:
    """What is billed of a request at most: what was asked for, and on an exclusive queue a whole node, the largest in each slot."""
    most = dict(slots)
    for node in list_nodes(queue, figures, gpu_type):
        for name, amount in node.items():
            most[name] = max(amount, most.get(name, amount))
    return ResourceSlots(most)


def is_price_known(queue: Queue, figures: QueueFigures | None) -> bool:
    """Whether it can be said what a session costs: not on an exclusive queue whose nodes nobody has read yet."""
    return not is_exclusive(queue, figures) or bool(list_nodes(queue, figures))


def hourly_rate(
    prices: Mapping[str, Decimal], slots: Mapping[str, Decimal], gpu_type: str = "", kinds: Mapping[str, SlotKind] = KNOWN_SLOTS
) -> Decimal:
    """Money per hour for amounts of slots (:func:`billed_slots`), exact: not rounded to the currency.

    A slot with prices by type, of which no type was chosen, costs what the dearest does.
    """
    total = Decimal(0)
    for name, amount in slots.items():
        price = _find_price(prices, name, gpu_type)
        if price and amount:
            cost = _EXACT.multiply(price, amount)
            is_bytes = name == MEM or kinds.get(name) is SlotKind.BYTES
            total = _EXACT.add(total, _EXACT.divide(cost, Decimal(GIB)) if is_bytes else cost)
    return total


def list_costs(
    prices: Mapping[str, Decimal], slots: Mapping[str, Decimal], gpu_type: str = "", kinds: Mapping[str, SlotKind] = KNOWN_SLOTS
) -> dict[str, Decimal]:
    """What each slot adds to :func:`hourly_rate`, of those that cost something."""
    costs = {name: hourly_rate(prices, {name: amount}, gpu_type, kinds) for name, amount in slots.items()}
    return {name: cost for name, cost in costs.items() if cost}


def cost(rate: Decimal, seconds: int, currency: Currency) -> Decimal:
    """What a time costs at a rate per hour, rounded once."""
    return currency.round(Fraction(rate) * seconds / HOUR_S)


def most_cost(rate: Decimal, time_s: int, currency: Currency) -> Decimal:
    """The most that a session with this time limit can cost: what is held, and never exceeded by what is charged."""
    return cost(rate, time_s, currency)


def check_prices(queue: Queue) -> list[Violation]:
    """Everything that is wrong with a queue's prices."""
    message = N_("A price is a number per hour, 0 or more, of at most 9 digits after the point.")
    found = [Violation(message, {}, f"prices.{name}", "invalid") for name, price in queue.prices.items() if not _is_price(price)]
    if queue.is_free and any(queue.prices.values()):
        found.append(Violation(N_("A free queue has no prices: say that it is not free, or take them away."), {}, "prices", "free"))
    return found


def read_prices(data: Mapping[str, object]) -> ResourceSlots:
    """Prices as a person wrote them; what is no number becomes NaN, which :func:`check_prices` complains about."""
    texts = {str(name): str(price).strip() for name, price in data.items()}
    return ResourceSlots({name: text if _PRICE.fullmatch(text) else "NaN" for name, text in texts.items()})


def _is_price(price: Decimal) -> bool:
    return price.is_finite() and 0 <= price < _MOST and -int(price.as_tuple().exponent) <= 9


def _find_price(prices: Mapping[str, Decimal], name: str, gpu_type: str) -> Decimal:
    own = prices.get(name, Decimal(0))
    if gpu_type:
        return prices.get(f"{name}:{gpu_type}", own)
    return max([own, *(price for key, price in prices.items() if key.startswith(f"{name}:"))])
