"""What the chosen queue gives one person beyond plain amounts: choices of its scheduler, shares of GPUs, whole nodes, a price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .. import i18n
from ..core.queues import Queue, QueueFigures
from ..core.slots import CPU, CUDA_DEVICE, MEM, ResourceSlots, format_bytes
from ..errors import N_
from .base import PageHandler

CHOICES = {
    "cluster": (N_("Cluster"), N_("Where the session runs.")),
    "account": (N_("Account"), N_("What the session is counted and charged for in Slurm.")),
    "qos": (N_("Quality of service"), N_("Decides priority and limits.")),
    "reservation": (N_("Reservation"), N_("Nodes that were set aside for you.")),
    "features": (N_("Features of the node"), N_("Only nodes with this feature are taken.")),
}
AUTOMATIC = N_("automatic")
FREE, PAID = N_("free"), N_("paid: your project is charged")
WHOLE_AND_PAID = N_("This queue gives whole nodes. You get, and pay for, the whole node: %(node)s.")
WHOLE = N_("This queue gives whole nodes. You get the whole node: %(node)s.")


@dataclass(frozen=True, slots=True)
class Option:
    """One way to choose: what is sent, and what is read."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A field of the scheduler's, with what this person may choose in this queue."""

    name: str
    label: str
    help: str
    options: Sequence[Option]
    value: str

    @property
    def key(self) -> str:
        """What the field offers: as long as it is the same, nothing is drawn anew in a reader's hands."""
        return f"{self.name}={','.join(option.value for option in self.options)}"


@dataclass(frozen=True, slots=True)
class Quote:
    """What it costs, in words: ``price`` an hour, the ``most`` that this launch can cost, the ``balance`` then. "" says nothing."""

    price: str
    most: str = ""
    balance: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of GPUs that a queue gives, in GPUs: in steps of one ``step``, at most ``most`` for one session; and that in words."""

    step: str
    most: str
    words: str


@dataclass(frozen=True, slots=True)
class Offer:
    """The parts of the launch page that follow the queue and the amounts."""

    quote: Quote
    whole_node: str = ""
    shares: Shares | None = None
    choices: Sequence[Choice] = field(default_factory=tuple)


async def offer_for(handler: PageHandler, queue: Queue | None, values: Mapping[str, str]) -> Offer:
    """What the queue offers to who asks, for the form as it stands."""
    row = handler.figures.figures().queues.get(queue.name) if queue else None
    return build_offer(queue, row, values, handler.language)


def build_offer(queue: Queue | None, row: QueueFigures | None, values: Mapping[str, str], language: str) -> Offer:
    """What the queue offers for the form as it stands; nothing of it is refused here."""
    if queue is None:
        return Offer(Quote("–"), choices=list_choices({}, values, language))
    quote = Quote(i18n.translate(language, FREE if queue.is_free else PAID))
    return Offer(quote, describe_whole_node(queue, row, language), choices=list_choices({}, values, language))


def list_choices(offered: Mapping[str, Sequence[Option]], values: Mapping[str, str], language: str) -> list[Choice]:
    """The fields where there is more than one way, and those that a link filled in: the server will say whether that can be."""
    found = []
    for name, (label, words) in CHOICES.items():
        value, options = values.get(name, ""), list(offered.get(name, ()))
        if value and value not in {option.value for option in options}:
            options.append(Option(value, value))
        elif len(options) < 2:
            continue
        automatic = Option("", i18n.translate(language, AUTOMATIC))
        found.append(Choice(name, i18n.translate(language, label), i18n.translate(language, words), [automatic, *options], value))
    return found


def describe_whole_node(queue: Queue, row: QueueFigures | None, language: str) -> str:
    """What an exclusive queue gives whatever was asked for, "" for a queue whose nodes are shared."""
    is_exclusive = queue.is_exclusive if queue.is_exclusive is not None else bool(row and row.is_exclusive)
    if not is_exclusive or row is None or not row.max_slots:
        return ""
    node = describe_node(row.max_slots, " / ".join(gpu.type for gpu in row.gpus), language)
    return i18n.translate(language, WHOLE if queue.is_free else WHOLE_AND_PAID, {"node": node})


def describe_node(slots: ResourceSlots, gpu_type: str, language: str) -> str:
    """The size of a node as people say it: ``64 CPUs, 8 GPUs (a100), 1000 GiB of memory``."""
    texts: list[tuple[str, dict[str, Any]]] = []
    if cpu := slots.amount(CPU):
        texts.append((N_("%(n)s CPUs"), {"n": _whole(cpu)}))
    if gpu := slots.amount(CUDA_DEVICE):
        texts.append((N_("%(n)s GPUs (%(type)s)"), {"n": _whole(gpu), "type": gpu_type}))
    if mem := slots.amount(MEM):
        texts.append((N_("%(size)s of memory"), {"size": format_bytes(int(mem))}))
    return ", ".join(i18n.translate(language, message, params) for message, params in texts)


def _whole(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
