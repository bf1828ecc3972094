"""Records on a terminal: a table whose columns stay aligned under Korean, JSON, or YAML."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ..core.nouns import Kind, Noun
from ..core.nouns.values import INFINITY_WORD, Field
from ..core.slots import KNOWN_SLOTS, SlotKind, format_bytes

_SPANS = ((86_400, "d"), (3600, "h"), (60, "m"))


def format_records(noun: Noun, items: Sequence[Mapping[str, Any]], columns: Sequence[str], style: str) -> str:
    """Many records; ``style`` is ``table``, ``json`` or ``yaml``."""
    if style != "table":
        return format_data(list(items), style)
    rows = [[format_cell(noun.field(name), item.get(name)) for name in columns] for item in items]
    return format_table([name.upper() for name in columns], rows)


def format_record(noun: Noun, item: Mapping[str, Any], style: str) -> str:
    """One record, a field on each line."""
    if style != "table":
        return format_data(item, style)
    width = max(map(text_width, item), default=0)
    known = {field.name: field for field in noun.fields}
    cells = ((name, format_cell(known[name], value) if name in known else str(value)) for name, value in item.items())
    return "".join(f"{pad(name, width)}  {text}".rstrip() + "\n" for name, text in cells)


def format_data(data: Any, style: str) -> str:
    """JSON or YAML."""
    if style == "json":
        return json.dumps(data, ensure_ascii=False, indent=2) + "\n"
    return str(yaml.safe_dump(data, allow_unicode=True, sort_keys=False, width=1000))


def format_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as what is in them."""
    widths = [max(map(text_width, column)) for column in zip(head, *rows, strict=True)]
    return "".join("  ".join(map(pad, row, widths)).rstrip() + "\n" for row in (head, *rows))


def format_cell(field: Field, value: Any) -> str:
    """A value of REST's as people read it, and may give it back in an option."""
    if value is None or value in ("", {}, []):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field.kind is Kind.BYTES and isinstance(value, int):
        return format_bytes(value).replace(" ", "")
    if field.kind is Kind.DURATION and isinstance(value, int):
        return _format_span(value)
    if field.kind is Kind.SLOTS and isinstance(value, Mapping):
        return format_slots(value)
    if field.kind is Kind.MOMENT:
        return str(value)[:19].replace("T", " ")
    if field.kind is Kind.HOSTS and isinstance(value, Mapping):
        return printable(",".join(f"{host}={'+'.join(permissions)}" for host, permissions in value.items()))
    if field.kind is Kind.LABELS and isinstance(value, Mapping):
        return printable("; ".join(f"{language}={text}" for language, text in value.items()))
    if isinstance(value, Mapping):
        return printable(json.dumps(value, ensure_ascii=False))
    if isinstance(value, list):
        return printable(",".join(map(str, value)))
    return printable(str(value))


def _format_span(seconds: int) -> str:
    """With the largest unit that says it exactly."""
    return next((f"{seconds // size}{unit}" for size, unit in _SPANS if seconds and seconds % size == 0), f"{seconds}s")


def format_slots(slots: Mapping[str, Any]) -> str:
    """Slots as options of a command are written."""
    return printable(",".join(f"{name}={_format_amount(name, str(amount))}" for name, amount in slots.items()))


def _format_amount(name: str, text: str) -> str:
    if text == INFINITY_WORD or KNOWN_SLOTS.get(name) is not SlotKind.BYTES or not text.isdigit():
        return text
    return format_bytes(int(text)).replace(" ", "")


def printable(text: str) -> str:
    """Text without what a terminal would take for an order: names come from directories and forms."""
    return "".join(char if char.isprintable() else "�" for char in text.replace("\n", " "))


def text_width(text: str) -> int:
    """How many columns of a terminal a text takes: two for a Korean syllable, none for a mark on another letter."""
    return sum(0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def pad(text: str, width: int) -> str:
    """The text with spaces up to that many columns."""
    return text + " " * (width - text_width(text))
