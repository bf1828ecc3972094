"""What the chosen queue gives one person for the form as it stands: the parts of the launch page that follow what is chosen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from .. import i18n
from ..core.clusters import pick_figures
from ..core.identity import Identity
from ..core.queues import Queue, QueueFigures
from ..core.scheduler_offers import Offer as SchedulerOffer
from ..core.scheduler_offers import find_offer
from ..core.sessions import LaunchRequest, check_request, parse_request
from ..core.slots import ResourceSlots
from ..errors import InvalidParameters
from .base import PageHandler
from .launch_choices import FIELDS as CHOICES
from .launch_choices import Choice, keep_offered, list_choices
from .launch_nodes import Kind, Shares, describe_shares, describe_whole_node, list_kinds
from .launch_quote import Quote, build_quote, find_credit
from .waits import describe_usual

_AMOUNTS = ("cpu", "mem", "gpu", "gpu_type", "shares", "time")
# What is refused beside these fields is said before the click; all else when it is asked for.
_FORETOLD = frozenset({*_AMOUNTS, *CHOICES, "queue"})


@dataclass(frozen=True, slots=True)
class Offer:
    """The parts of the page. ``problems`` is why the amounts would be refused, whatever is free at the moment; ``wait`` is how long
    sessions like this one usually wait.
    """

    quote: Quote
    whole_node: str = ""
    shares: Shares | None = None
    choices: Sequence[Choice] = field(default_factory=tuple)
    kinds: Sequence[Kind] = field(default_factory=tuple)
    problems: Sequence[str] = field(default_factory=tuple)
    wait: str = ""


async def offer_for(handler: PageHandler, queue: Queue | None, values: Mapping[str, str], *, is_switched: bool = False) -> Offer:
    """What the queue offers to who asks. With ``is_switched``, choices that another queue gave are forgotten."""
    if queue is None:
        return Offer(Quote("–"))
    row, language = pick_figures(queue, handler.figures.figures().queues.get(queue.name), values.get("cluster", "")), handler.language
    posix, project = handler.identity.posix, values.get("project", "")
    scheduler: SchedulerOffer = find_offer(queue, row, posix, project)
    values = keep_offered(scheduler, queue, values) if is_switched else values
    request = read_amounts(queue, values)
    credit = await find_credit(handler, queue, project or next(iter(handler.identity.projects), ""))
    slots, gpu_type = (request.slots, request.gpu_type) if request else (ResourceSlots(), "")
    return Offer(
        build_quote(queue, row, request, credit, handler.config.make_billing().currency, language),
        describe_whole_node(queue, row, slots, gpu_type, language),
        describe_shares(row, values.get("gpu_type", ""), language),
        list_choices(scheduler, queue, row, values, language, time.time()),
        list_kinds(row),
        foretell(replace(request, project=project), queue, row, handler.identity, language) if request else (),
        describe_usual(language, await handler.waits.expect(queue.name, slots)),
    )


def read_amounts(queue: Queue, values: Mapping[str, str]) -> LaunchRequest | None:
    """The amounts and choices of the form, None when one of them cannot be read."""
    try:
        return parse_request({"queue": queue.name, **{name: values.get(name, "") for name in (*_AMOUNTS, *CHOICES)}})
    except InvalidParameters:
        return None


def foretell(request: LaunchRequest, queue: Queue, row: QueueFigures | None, identity: Identity, language: str) -> list[str]:
    """Why amounts would be refused: read from the figures alone, so that it may be asked at every key."""
    found = check_request(request, queue, row, identity.projects, identity.posix)
    return list(dict.fromkeys(i18n.explain(language, item) for item in found if item.field in _FORETOLD))
