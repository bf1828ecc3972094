"""Presets as cards: named amounts that fill the launch form, each with the reason when it cannot be had now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from .. import i18n
from ..core.images import check_image
from ..core.nouns import Record
from ..core.policies import CAPACITY_RULES, Holding, check_capacity, has_line
from ..core.queues import Queue
from ..core.quota import Standing
from ..core.sessions import LaunchRequest, check_request
from ..core.slots import CPU, CUDA_DEVICE, CUDA_SHARES, KNOWN_SLOTS, MEM, ResourceSlots, SlotKind, format_bytes, parse_amount, parse_bytes
from ..errors import N_, Violation
from ..store.sessions import Usage, list_usage
from ..store.standing import load_standing
from .admin.show import show_slots
from .base import PageHandler
from .launch_form import Form
from .limits import check_limits
from .rest.resource_presets import list_presets

# Slots that the launch form has a field for.
FORM_SLOTS = frozenset({CPU, MEM, CUDA_DEVICE, CUDA_SHARES})
_AMOUNT_FIELDS = frozenset({"", "cpu", "mem", "gpu", "shares"})


@dataclass(frozen=True, slots=True)
class Preset:
    """One card. ``fields`` is what it puts into the form, ``reason`` why it cannot be had now ("" when it can)."""

    name: str
    label: str
    words: str
    shared_memory: str
    fields: Mapping[str, str]
    queue: str
    reason: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Start:
    """A preset as a way to start: what it is called, how much it is, and where it leads."""

    label: str
    words: str
    url: str


async def list_starts(handler: PageHandler, queues: Mapping[str, Queue]) -> list[Start]:
    """The presets of everybody and of these queues, each as a link to the form that it fills in."""
    records = await handler.db.run(list_presets)
    offered = [record for record in records if record.values["resource_group"] in (None, "", *queues) and not list_strange(record)]
    base = handler.hub_auth.base_url
    return [
        Start(label_of(record, handler.language), words_of(record, handler.language), f"{base}launch?{urlencode({'preset': record.key})}")
        for record in offered
    ]


async def find_fields(handler: PageHandler, name: str) -> dict[str, str] | None:
    """What the preset of that name puts into the form, None when there is none."""
    records = await handler.db.run(list_presets)
    record = next((record for record in records if record.key == name), None)
    return fields_of(record) if record else None


def fill(form: Form, fields: Mapping[str, str]) -> Form:
    """The form with a preset's amounts; a preset of one queue chooses that queue too."""
    return replace(form, values={**form.values, **{name: value for name, value in fields.items() if value}})


def fields_of(record: Record) -> dict[str, str]:
    """A preset's amounts in the words of the form."""
    slots = record.values["resource_slots"]
    return {
        "cpu": f"{slots.amount(CPU):f}",
        "mem": format_exactly(int(slots.amount(MEM))),
        "gpu": f"{slots.amount(CUDA_DEVICE):f}",
        "shares": f"{slots.amount(CUDA_SHARES).normalize():f}",
        "queue": record.values["resource_group"] or "",
    }


def format_exactly(size_bytes: int) -> str:
    """Memory in words that mean the same bytes, else plain bytes."""
    words = format_bytes(size_bytes)
    return words if parse_bytes(words) == size_bytes else str(size_bytes)


async def load_cards(handler: PageHandler, queue: Queue | None, values: Mapping[str, str]) -> list[Preset]:
    """The presets that a queue offers, for the form as it stands; without a queue there is nothing to choose for."""
    if queue is None:
        return []
    project = values.get("project", "")
    own = project if project in handler.identity.projects else ""  # what is refused for the project is said beside that field
    records, usage, standing = await handler.db.run(_read, queue.name, handler.identity.name, own)
    offered = [record for record in records if record.values["resource_group"] in (None, "", queue.name)]
    return [build_card(handler, record, queue, values, usage, standing) for record in offered]


def _read(db: Session, queue: str, user: str, project: str) -> tuple[Sequence[Record], Usage, Standing]:
    return list_presets(db), list_usage(db).get(queue, Usage()), load_standing(db, user, project)


def build_card(handler: PageHandler, record: Record, queue: Queue, values: Mapping[str, str], usage: Usage, standing: Standing) -> Preset:
    """One preset for one queue."""
    slots: ResourceSlots = record.values["resource_slots"]
    language = handler.language
    shared = record.values["shared_memory_bytes"]
    fields = fields_of(record)
    violations = check_preset(handler, record, queue, values, usage) + check_limits(standing, queue, slots)
    return Preset(
        name=record.key,
        label=label_of(record, language),
        words=words_of(record, language),
        shared_memory=format_bytes(shared) if shared else "",
        fields=fields,
        queue=fields["queue"],
        reason=" ".join(dict.fromkeys(i18n.explain(language, violation) for violation in violations)),
        is_chosen=not violations and is_same(fields, values),
    )


def label_of(record: Record, language: str) -> str:
    labels = dict(record.values["labels"] or {})
    return labels.get(language) or labels.get(i18n.DEFAULT_LANGUAGE) or record.key


def words_of(record: Record, language: str) -> str:
    """The amounts in a line, without those that are none."""
    slots = {name: amount for name, amount in record.values["resource_slots"].items() if amount}
    # A line is broken between slots, never between a slot and its amount.
    return show_slots(language, slots, KNOWN_SLOTS).replace(" ", "\u00a0").replace("\u00a0·\u00a0", " · ")


def list_strange(record: Record) -> list[str]:
    """The slots of a preset that the launch form has no field for."""
    return [name for name, amount in record.values["resource_slots"].items() if amount and name not in FORM_SLOTS]


def check_preset(handler: PageHandler, record: Record, queue: Queue, values: Mapping[str, str], usage: Usage) -> list[Violation]:
    """Everything about its amounts that keeps a preset from being started in the queue now."""
    slots: ResourceSlots = record.values["resource_slots"]
    found = [Violation(N_("This page cannot ask for %(slot)s."), {"slot": name}, name, "no-field") for name in list_strange(record)]
    request = LaunchRequest(queue=queue.name, project=values.get("project", ""), slots=slots)
    row = handler.figures.figures().queues.get(queue.name)
    found += [
        item
        for item in check_request(request, queue, row, handler.identity.projects, handler.identity.posix)
        if item.field in _AMOUNT_FIELDS
    ]
    if image := handler.groups.images().get(values.get("environment", "")):
        found += check_image(image, slots)
    if not has_line(queue):
        # Whose they are is nothing to the count: the first stands for all that is held.
        held = [Holding(usage.slots, usage.devices), *[Holding()] * (usage.sessions - 1)] if usage.sessions else []
        found += check_capacity(queue, slots, held)
    fields = {item.field for item in found if item.rule not in CAPACITY_RULES}
    return [item for item in found if item.rule not in CAPACITY_RULES or item.field not in fields]


def is_same(fields: Mapping[str, str], values: Mapping[str, str]) -> bool:
    """Whether the form asks for exactly these amounts."""
    try:
        is_same_memory = parse_bytes(values.get("mem", "")) == parse_bytes(fields["mem"])
        shares = parse_amount(values.get("shares", "") or "0", SlotKind.FRACTION)
    except ValueError:
        return False
    return (
        is_same_memory
        and shares == Decimal(fields["shares"])
        and all(values.get(name, "").strip() == fields[name] for name in ("cpu", "gpu"))
    )
