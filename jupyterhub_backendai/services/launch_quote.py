"""What a launch costs, in words, before anybody clicks: an hour of it, the most of it, and what is left then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from .. import i18n
from ..core.prices import NODE, Currency, billed_slots, hourly_rate, is_price_known, is_priced, list_costs, most_cost
from ..core.queues import Queue, QueueFigures
from ..core.sessions import LaunchRequest, time_limit_s
from ..core.slots import ResourceSlots
from ..errors import N_
from .admin.show import slot_label

FREE, PAID = N_("free"), N_("paid: your project is charged")
UNKNOWN = N_("known once the nodes have been read")
UNREADABLE = N_("The price is shown when the amounts can be read.")
AN_HOUR = N_("%(price)s an hour")
AT_MOST = N_("%(cost)s for %(time)s")


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


def build_quote(queue: Queue, row: QueueFigures | None, request: LaunchRequest | None, currency: Currency, language: str) -> Quote:
    """What the request costs in the queue; ``request`` None could not be read."""
    if queue.is_free or not is_priced(queue):
        return Quote(i18n.translate(language, FREE if queue.is_free else PAID))
    if request is None:
        return Quote("–", warning=i18n.translate(language, UNREADABLE))
    if not is_price_known(queue, row):
        return Quote(i18n.translate(language, UNKNOWN))
    billed = billed_slots(queue, row, request.slots, request.gpu_type)
    rate, time_s = hourly_rate(queue.prices, billed, request.gpu_type), time_limit_s(request, queue, row)
    params = {"cost": currency.format(most_cost(rate, time_s, currency)), "time": i18n.format_span(language, time_s)}
    return Quote(
        i18n.translate(language, AN_HOUR, {"price": currency.format(rate)}),
        i18n.translate(language, AT_MOST, params),
        parts=list_parts(queue.prices, billed, request.gpu_type, currency, language),
    )


def list_parts(
    prices: Mapping[str, Decimal], billed: ResourceSlots, gpu_type: str, currency: Currency, language: str
) -> list[tuple[str, str]]:
    """What each slot adds to an hour's price; nothing where one slot is all of it."""
    costs = list_costs(prices, billed, gpu_type)
    if len(costs) == 1:
        return []
    return [(name_slot(name, language), currency.format(cost)) for name, cost in costs.items()]


def name_slot(name: str, language: str) -> str:
    """What a price is for."""
    return i18n.translate(language, N_("Node")) if name == NODE else slot_label(language, name)
