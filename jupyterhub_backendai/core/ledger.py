"""The ledger: double entries in exact decimals, what a session is charged, and how long credit lasts. Pure.

An :class:`Entry` moves money from one account to another, so that all accounts together are always zero, and no entry is ever
changed or taken away. Whoever pays has an account (``user:<id>``, ``project:<id>`` or ``domain:<name>``) and beside it one for what
is held for sessions (``held:user:<id>``); the site has one that credit comes from and one that charges go to.

A session is *held* for with its admission (the most that it can cost), and *settled* once it is over: the hold is released, what
it used is charged, and all of that refunded where a node failed. What it used is what the engine's accounting says, where there is
one, else what our own records say; it is never charged more than was held, unless its owner or an operator gave it more at the engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from ..errors import N_, Violation
from .prices import HOUR_S, NODE, Billing, Currency, billed_slots, cost, hourly_rate, is_priced, list_nodes, most_cost
from .queues import Queue, QueueFigures
from .slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM, ResourceSlots

INCOME, FUNDING = "site:income", "site:funding"
HOLD, RELEASE, CHARGE, REFUND, CREDIT, DEBIT = KINDS = ("hold", "release", "charge", "refund", "credit", "debit")
# What a session's usage is known from.
ACCOUNTING, RECORDS = "accounting", "records"
RULE = "credit"
# How long an accounting that answers may know nothing of a job.
LATE_S = 600.0
# How long after its time limit an engine may let a session run that nobody has changed (Slurm's OverTimeLimit).
GRACE_S = 3600
CREDIT_USED_UP = N_("The credit that pays for it was used up, so it was ended.")
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Entry:
    """An amount, more than zero, that goes from one account to another."""

    kind: str
    source: str
    target: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Terms:
    """What a session was promised to cost, kept as it was when it was admitted. ``slots`` are those that are billed at most.

    ``rate`` is money per hour for them, ``most`` what they cost for the whole time. ``nodes`` are the kinds of whole nodes of an
    exclusive queue: the one that the session got is billed.
    """

    rate: Decimal
    most: Decimal
    time_limit_s: int
    slots: ResourceSlots
    prices: ResourceSlots
    gpu_type: str = ""
    nodes: tuple[ResourceSlots, ...] = ()


@dataclass(frozen=True, slots=True)
class Used:
    """What a session that is over has used: whole seconds, and the amounts that accounting names (the others are the terms')."""

    seconds: int
    source: str = RECORDS
    slots: ResourceSlots = field(default_factory=ResourceSlots)
    gpu_type: str = ""
    is_node_failure: bool = False


@dataclass(frozen=True, slots=True)
class Accounted:
    """What an engine's accounting says of one job. ``slots`` name only what it counts."""

    job_id: str
    is_over: bool
    seconds: int
    slots: ResourceSlots = field(default_factory=ResourceSlots)
    gpu_type: str = ""
    is_node_failure: bool = False
    user: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What settling a session comes to: the entries, what it is charged in all, and how much of that is given back."""

    entries: tuple[Entry, ...]
    charge: Decimal
    refund: Decimal
    slots: ResourceSlots


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account has: ``available`` for new sessions, and ``held`` for those that are not settled."""

    available: Decimal = _ZERO
    held: Decimal = _ZERO

    @property
    def total(self) -> Decimal:
        return self.available + self.held


def account_id(payer: str, owner: str) -> str:
    """The account of a user or project (by id) or of a domain (by name)."""
    return f"{payer}:{owner}"


def held_id(account: str) -> str:
    """The account of what is held beside somebody's own."""
    return f"held:{account}"


def make_terms(
    queue: Queue, figures: QueueFigures | None, slots: ResourceSlots, gpu_type: str, time_s: int, currency: Currency
) -> Terms | None:
    """What a session will cost at most; None where the queue is free. ``gpu_type`` "" is the one that the site says the queue has."""
    if not is_priced(queue):
        return None
    gpu_type = gpu_type or queue.gpu_type
    billed = billed_slots(queue, figures, slots, gpu_type)
    rate = hourly_rate(queue.prices, billed, gpu_type)
    return Terms(rate, most_cost(rate, time_s, currency), time_s, billed, queue.prices, gpu_type, list_nodes(queue, figures, gpu_type))


def check_credit(available: Decimal, most: Decimal, billing: Billing) -> list[Violation]:
    """Whether somebody's credit lets a session start (or go on for longer) that can cost so much."""
    shown = {"available": billing.currency.format(available), "most": billing.currency.format(most)}
    if billing.limit == "hold" and most and most > available:
        message = N_("This can cost up to %(most)s, and %(available)s of the credit is available. Ask for less, or ask for more credit.")
        return [Violation(message, shown, "queue", RULE)]
    if billing.limit == "zero" and available <= 0 and most:
        message = N_("The credit is used up (%(available)s is available). Choose a free queue, or ask for more credit.")
        return [Violation(message, shown, "queue", RULE)]
    return []


def settle(account: str, terms: Terms, held: Decimal, charged: Decimal, refunded: Decimal, used: Used, currency: Currency) -> Settlement:
    """End a session's account of itself: ``held`` for it now, ``charged`` and ``refunded`` before (a session that came back to life).

    Settled again with the same usage there are no entries: settling is idempotent.
    """
    slots = measure(terms, used)
    charge = cost(hourly_rate(terms.prices, slots, used.gpu_type or terms.gpu_type), used.seconds, currency)
    charge = charge if is_changed(terms, used) else min(charge, terms.most)
    due = _ZERO if used.is_node_failure else charge
    entries = [Entry(RELEASE, held_id(account), account, held)] if held else []
    # what was given back before is charged again where it turns out to be due
    if (more := charge - charged if used.is_node_failure else due - (charged - refunded)) > 0:
        entries.append(Entry(CHARGE, account, INCOME, more))
        charged += more
    if (back := charged - refunded - due) > 0:
        entries.append(Entry(REFUND, INCOME, account, back))
        refunded += back
    return Settlement(tuple(entries), charged, refunded, slots)


def is_changed(terms: Terms, used: Used) -> bool:
    """Whether a job got more at its engine than it was admitted with, far beyond what an engine takes to end it.

    Slurm lets owners of jobs that wait change their time limit and their GPUs: what was held is no bound for that. More CPUs and memory
    can be the engine's own rounding, and are not charged.
    """
    gpus = used.slots.amount(CUDA_DEVICE) > terms.slots.amount(CUDA_DEVICE) and not terms.slots.amount(CUDA_SHARES)
    return used.source == ACCOUNTING and (gpus or used.seconds > terms.time_limit_s + GRACE_S)


def measure(terms: Terms, used: Used) -> ResourceSlots:
    """The slots that are billed: accounting's where it names them, else those of the terms; of a whole node, the one that it was."""
    if terms.nodes:
        fitting = [node for node in terms.nodes if used.slots.amount(CPU) in (_ZERO, node.amount(CPU))] or list(terms.nodes)
        return (
            min(fitting, key=lambda node: hourly_rate(terms.prices, node, used.gpu_type or terms.gpu_type)) if used.slots else terms.slots
        )
    counted = {name: used.slots[name] for name in (CPU, MEM, CUDA_DEVICE) if name in used.slots}
    return ResourceSlots({name: amount for name, amount in {**terms.slots, **counted}.items() if name != NODE})


def apply(balances: dict[str, Decimal], entries: Iterable[Entry]) -> dict[str, Decimal]:
    """Add entries to balances by account, in place; the sum over all accounts stays what it was."""
    for entry in entries:
        balances[entry.source] = balances.get(entry.source, _ZERO) - entry.amount
        balances[entry.target] = balances.get(entry.target, _ZERO) + entry.amount
    return balances


def balance_of(account: str, balances: Mapping[str, Decimal]) -> Balance:
    """Somebody's balance among balances by account."""
    return Balance(balances.get(account, _ZERO), balances.get(held_id(account), _ZERO))


# -- where the usage is known from


def decide_usage(
    own: Used, age_s: float, accounted: Accounted | None, *, is_asked: bool, is_answered: bool, user: str, wait_s: float
) -> Used | None:
    """What a session that is over used, None when that must be looked at again later.

    ``own`` is what our own records say, ``age_s`` how long it has been over. ``is_asked``: its engine keeps an accounting that
    should know the job; ``is_answered``: it answered. An accounting that is away is waited for, as one that does not know the job yet.
    """
    if not is_asked:
        return own
    if accounted is not None and (not user or accounted.user in {"", user}):
        if accounted.is_over:
            return Used(accounted.seconds, ACCOUNTING, accounted.slots, accounted.gpu_type, accounted.is_node_failure)
        return own if age_s > wait_s else None
    return own if age_s > (min(LATE_S, wait_s) if is_answered else wait_s) else None


# -- how long credit lasts


@dataclass(frozen=True, slots=True)
class Running:
    """A session on somebody's credit that is not settled, with the seconds that it ran by now; ``is_live``: it goes on.

    ``paid`` is what the balance lacks for it already: one that is settled anew.
    """

    session_id: str
    rate: Decimal
    most: Decimal
    seconds: int
    is_live: bool = True
    paid: Decimal = _ZERO


def spend(sessions: Sequence[Running], currency: Currency) -> Decimal:
    """What sessions that are not settled have used by now, and not paid."""
    return sum((min(cost(session.rate, session.seconds, currency), session.most) - session.paid for session in sessions), _ZERO)


def seconds_left(balance: Balance, sessions: Sequence[Running], currency: Currency) -> int | None:
    """When what runs now will have used up all credit, in whole seconds from now: 0 when it has, None when nothing is spent."""
    rate = sum((Fraction(session.rate) for session in sessions if session.is_live), Fraction(0))
    if not rate:
        return None
    left = Fraction(balance.total - spend(sessions, currency))
    return max(0, int(left * HOUR_S / rate))


def find_mark(left_s: int | None, marks: Sequence[int]) -> int | None:
    """The smallest of the marks that was passed, None before the first one."""
    return min((mark for mark in marks if left_s is not None and left_s <= mark), default=None)
