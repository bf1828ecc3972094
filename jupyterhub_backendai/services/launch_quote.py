"""What a launch costs, in words, before anybody clicks: an hour of it, the most of it, and what is left then."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy.orm import Session

from .. import i18n
from ..core.ledger import Terms, check_credit, make_terms
from ..core.prices import NODE, Billing, Currency, is_price_known, is_priced, list_costs
from ..core.queues import Queue, QueueFigures
from ..core.sessions import LaunchRequest, time_limit_s
from ..core.slots import CUDA_DEVICE, CUDA_SHARES, KNOWN_SLOTS, MEM, ResourceSlots
from ..errors import N_, Violation
from ..store.ledger import find_account, get_balance
from .admin.show import slot_label
from .base import PageHandler

FREE, PAID = N_("free"), N_("paid: your project is charged")
UNKNOWN = N_("known once the nodes have been read")
UNREADABLE = N_("The price is shown when the amounts can be read.")
AN_HOUR = N_("%(price)s an hour")
AT_MOST = N_("%(cost)s for %(time)s")
HOURLY = N_("An hour: %(prices)s")
LEFT = {
    "user": N_("%(available)s; then at least %(after)s"),
    "project": N_("%(available)s of the project; then at least %(after)s"),
    "domain": N_("%(available)s of the domain; then at least %(after)s"),
}


@dataclass(frozen=True, slots=True)
class Credit:
    """What whoever pays has left for new sessions, and how the site bills."""

    billing: Billing
    available: Decimal

    def describe(self, most: Decimal, language: str) -> str:
        """Before and after, "" where sessions are paid for afterwards and nobody has any credit."""
        if self.billing.limit == "none" and self.available <= 0:
            return ""
        show = self.billing.currency.format
        return i18n.translate(language, LEFT[self.billing.payer], {"available": show(self.available), "after": show(self.available - most)})

    def check(self, most: Decimal) -> list[Violation]:
        """Why a session that can cost so much would not start; admission asks the same again."""
        return check_credit(self.available, most, self.billing)


@dataclass(frozen=True, slots=True)
class Quote:
    """``price`` an hour, the ``most`` that this launch can cost, the ``balance`` before and after. What is "" has nothing to say.

    ``parts`` are what makes the price of an hour; ``warning`` is why the launch would be refused, or soon end.
    """

    price: str
    most: str = ""
    balance: str = ""
    warning: str = ""
    parts: Sequence[tuple[str, str]] = ()


def build_quote(
    queue: Queue, row: QueueFigures | None, request: LaunchRequest | None, credit: Credit | None, currency: Currency, language: str
) -> Quote:
    """What the request costs in the queue; ``request`` None could not be read."""
    if queue.is_free or not is_priced(queue):
        return Quote(i18n.translate(language, FREE if queue.is_free else PAID))
    if request is None:
        return Quote("–", warning=i18n.translate(language, UNREADABLE))
    if not is_price_known(queue, row):
        return Quote(i18n.translate(language, UNKNOWN))
    terms = estimate(queue, row, request, currency)
    params = {"cost": currency.format(terms.most), "time": i18n.format_span(language, terms.time_limit_s)}
    refusals = credit.check(terms.most) if credit else []
    return Quote(
        i18n.translate(language, AN_HOUR, {"price": currency.format(terms.rate)}),
        i18n.translate(language, AT_MOST, params),
        balance=credit.describe(terms.most, language) if credit else "",
        warning=" ".join(i18n.explain(language, item) for item in refusals),
        parts=list_parts(queue.prices, terms.slots, request.gpu_type, currency, language),
    )


def estimate(queue: Queue, row: QueueFigures | None, request: LaunchRequest, currency: Currency) -> Terms:
    """What the request costs in a queue that has prices, as admission will hold it."""
    terms = make_terms(queue, row, request.slots, request.gpu_type, time_limit_s(request, queue, row), currency)
    return terms or Terms(Decimal(0), Decimal(0), 0, request.slots, queue.prices)


def list_parts(
    prices: Mapping[str, Decimal], billed: ResourceSlots, gpu_type: str, currency: Currency, language: str
) -> list[tuple[str, str]]:
    """What each slot adds to an hour's price; nothing where one slot is all of it."""
    costs = list_costs(prices, billed, gpu_type)
    if len(costs) == 1:
        return []
    return [(label_slot(name, language), currency.format(costs[name])) for name in _in_order(costs)]


def describe_prices(queue: Queue, currency: Currency, language: str, gpu_types: Collection[str] | None = None) -> str:
    """A queue's prices in a line, "" when it has none: ``An hour: CPUs 10 KRW, Memory (GiB) 1.5 KRW``.

    ``gpu_types`` are those that it has, None when nobody knows: what it has not, has no price.
    """
    if not is_priced(queue):
        return ""
    names = [name for name in _in_order(queue.prices) if queue.prices[name] and _is_there(name, gpu_types)]
    # A line is broken between prices, never within one.
    prices = [f"{name_price(name, language)} {currency.format(queue.prices[name])}".replace(" ", "\u00a0") for name in names]
    return i18n.translate(language, HOURLY, {"prices": ", ".join(prices)})


def _is_there(name: str, gpu_types: Collection[str] | None) -> bool:
    slot, _, kind = name.partition(":")
    if gpu_types is None or slot not in (CUDA_DEVICE, CUDA_SHARES):
        return True
    return kind in gpu_types if kind else bool(gpu_types)


def name_price(name: str, language: str) -> str:
    """What a price is for: ``GPUs``, ``GPUs (a100)``, ``Memory (GiB)``."""
    slot, _, kind = name.partition(":")
    kind = "GiB" if slot == MEM else kind
    return f"{label_slot(slot, language)} ({kind})" if kind else label_slot(slot, language)


def label_slot(name: str, language: str) -> str:
    """What is billed."""
    return i18n.translate(language, N_("Node")) if name == NODE else slot_label(language, name)


def _in_order(names: Iterable[str]) -> list[str]:
    """Slots as everywhere else: known ones first."""
    order = [*KNOWN_SLOTS]
    return sorted(names, key=lambda name: (order.index(slot) if (slot := name.partition(":")[0]) in order else len(order), name))


async def find_credit(handler: PageHandler, queue: Queue, project: str) -> Credit | None:
    """What is left to pay sessions of the queue with; None where nobody counts it."""
    if not is_priced(queue):
        return None
    billing = handler.config.make_billing()
    if billing.payer == "project" and project not in handler.identity.projects:
        return None  # its credit is its members' to know; the launch is refused anyway
    available = await handler.db.run(_read_available, handler.identity.name, project, billing)
    return None if available is None else Credit(billing, available)


async def check_credit_for(handler: PageHandler, queue: Queue, row: QueueFigures | None, request: LaunchRequest) -> list[Violation]:
    """Why the request would not start for money."""
    credit = await find_credit(handler, queue, request.project or next(iter(handler.identity.projects), ""))
    if credit is None or not is_price_known(queue, row):
        return []
    return credit.check(estimate(queue, row, request, credit.billing.currency).most)


def _read_available(db: Session, user: str, project: str, billing: Billing) -> Decimal | None:
    account = find_account(db, user, project, billing)
    return get_balance(db, account).available if account else None
