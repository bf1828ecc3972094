"""Between a form's inputs and a thing's values. An input has the field's name, or ``<field>.<part>`` for a slot, a host or a language.

A form is ``{input: [texts]}``, as a browser sends it; what the record holds is written in the same way, so that a page shows either,
and only what differs is sent on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC
from decimal import Decimal
from enum import Enum
from typing import Any

from ...core.nouns import Field, Kind, Noun
from ...core.nouns.values import INFINITY_WORD, default_of
from ...core.slots import KNOWN_SLOTS, MEM, SlotKind

Form = Mapping[str, Sequence[str]]
MAX_INPUT = 100_000
ABSENT = object()
_SEPARATORS = re.compile(r"[,\n]")
_SIZES = (("t", 1024**4), ("g", 1024**3), ("m", 1024**2), ("k", 1024))
_SPANS = (("d", 86400), ("h", 3600), ("m", 60))


def read_arguments(arguments: Mapping[str, Sequence[bytes]]) -> dict[str, list[str]]:
    """A form as it was sent. What is no text is shown as it can be, and refused later."""
    return {
        name: [value.decode("utf-8", "replace")[:MAX_INPUT].replace("\r\n", "\n").replace("\0", "�") for value in values]
        for name, values in arguments.items()
    }


def write_form(items: Sequence[Field], values: Mapping[str, Any], slot_kinds: Mapping[str, SlotKind] = KNOWN_SLOTS) -> dict[str, list[str]]:
    """The inputs that show these values."""
    form: dict[str, list[str]] = {}
    for item in items:
        form.update(_write(item, values.get(item.name), slot_kinds))
    return form


def write_defaults(items: Sequence[Field]) -> dict[str, list[str]]:
    """The inputs of something new."""
    return write_form(items, {item.name: default_of(item) for item in items})


def read_form(items: Sequence[Field], form: Form) -> dict[str, Any]:
    """What was said, as JSON-like data for the store; a field without an input is left out."""
    data = {item.name: read_value(item, form) for item in items}
    return {name: value for name, value in data.items() if value is not ABSENT}


def find_changes(items: Sequence[Field], form: Form, old: Form) -> dict[str, Any]:
    """The data of those fields that somebody changed: what nobody touched is not sent, whatever it holds."""
    data = read_form(items, form)
    return {item.name: data[item.name] for item in items if item.name in data and data[item.name] != read_value(item, old)}


def read_value(item: Field, form: Form) -> Any:
    """One field's data, or ABSENT."""
    values = form.get(item.name)
    if item.kind is Kind.SECRET and form.get(f"{item.name}.clear"):
        return ""
    if item.kind in (Kind.SLOTS, Kind.HOSTS, Kind.LABELS):
        return _read_parts(item, form)
    if values is None:
        return ABSENT
    if item.kind in (Kind.CHOICES, Kind.REFERENCES, Kind.WORDS):
        return sorted({part.strip() for value in values for part in _SEPARATORS.split(value)} - {""})
    text = values[-1] if values else ""
    if item.kind is Kind.SECRET:
        return text or ABSENT
    return text.strip()


def _read_parts(item: Field, form: Form) -> Any:
    prefix = f"{item.name}."
    parts = {name.removeprefix(prefix): values for name, values in form.items() if name.startswith(prefix)}
    if not parts and item.name not in form:
        return ABSENT
    if item.kind is Kind.HOSTS:
        return {host: sorted({value for value in values if value}) for host, values in parts.items() if any(values)}
    texts = {name: values[-1].strip() for name, values in parts.items() if values and values[-1].strip()}
    return None if not texts and item.is_limit else texts


def _write(item: Field, value: Any, slot_kinds: Mapping[str, SlotKind]) -> dict[str, list[str]]:
    if isinstance(value, Enum):
        value = value.value
    name = item.name
    if item.kind is Kind.SLOTS:
        kinds = {**slot_kinds, **{slot: SlotKind.COUNT for slot in value or {} if slot not in slot_kinds}}
        return {f"{name}.{slot}": [_write_amount((value or {}).get(slot), kind)] for slot, kind in kinds.items()}
    if item.kind is Kind.HOSTS:
        return {name: [""], **{f"{name}.{host}": list(words) for host, words in (value or {}).items()}}
    if item.kind is Kind.LABELS:
        return {name: [""], **{f"{name}.{language}": [text] for language, text in (value or {}).items()}}
    if item.kind in (Kind.CHOICES, Kind.REFERENCES, Kind.WORDS):
        return {name: list(value or ())}
    if item.kind is Kind.SECRET:
        return {}
    return {name: [_write_text(item, value)]}


def _write_text(item: Field, value: Any) -> str:
    if item.kind is Kind.BOOLEAN:
        return "true" if value else "false"
    if value is None:
        return ""
    if item.kind is Kind.BYTES:
        return write_whole(int(value), _SIZES)
    if item.kind is Kind.DURATION:
        return write_whole(int(value), _SPANS)
    if item.kind is Kind.MOMENT:
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return str(moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M"))
    if item.kind is Kind.OPTIONS:
        return json.dumps(value, ensure_ascii=False, indent=2, default=str) if value else ""
    return str(value)


def _write_amount(amount: Decimal | None, kind: SlotKind) -> str:
    if amount is None:
        return ""
    if amount.is_infinite():
        return INFINITY_WORD
    return write_whole(int(amount), _SIZES) if kind is SlotKind.BYTES else f"{amount:f}"


def write_whole(number: int, units: Sequence[tuple[str, int]]) -> str:
    """A number in the largest unit that it is a whole number of: ``16g``, ``12h``."""
    for unit, size in units:
        if number and number % size == 0:
            return f"{number // size}{unit}"
    return str(number)


def slot_example(name: str, kind: SlotKind) -> str:
    return "16g" if kind is SlotKind.BYTES or name == MEM else "1.5" if kind is SlotKind.FRACTION else "4"


def editable(noun: Noun, *, is_new: bool, without: Collection[str] = ()) -> list[Field]:
    """The fields that a form has."""
    return [item for item in noun.fields if not item.is_computed and (is_new or not item.is_fixed) and item.name not in without]
