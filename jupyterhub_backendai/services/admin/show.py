"""Values for people's eyes: what a cell of a table and a line of a detail page say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from ... import i18n
from ...core.nouns import Field, Kind
from ...core.slots import KNOWN_SLOTS, ResourceSlots, SlotKind, format_amount, format_bytes
from ...errors import N_
from .acts import RESULTS, show_act

NUMBERS = frozenset({Kind.INTEGER, Kind.BYTES, Kind.DURATION})
UNLIMITED = N_("unlimited")
SLOT_LABELS = {"cpu": N_("CPUs"), "mem": N_("Memory"), "cuda.device": N_("GPUs"), "cuda.shares": N_("GPU shares")}
# Words of choices, as people say them; what is not here is shown as it is.
WORDS = {
    "active": N_("active"),
    "inactive": N_("inactive"),
    "before-verification": N_("before verification"),
    "user": N_("user"),
    "admin": N_("domain administrator"),
    "superadmin": N_("superadministrator"),
    "limited": N_("limited"),
    "unlimited": N_("unlimited"),
    "info": N_("information"),
    "warning": N_("warning"),
    "danger": N_("danger"),
    "count": N_("whole things"),
    "bytes": N_("bytes"),
    "fraction": N_("fractions"),
    "none": N_("none"),
    "engine": N_("engine"),
    "yes": N_("yes"),
    "no": N_("no"),
    "general": N_("general"),
    "model-store": N_("model store"),
    "directory": N_("directory"),
    "site": N_("site"),
    "dispersed": N_("dispersed"),
    "concentrated": N_("concentrated"),
    "interactive": N_("interactive"),
    "batch": N_("batch"),
    "PENDING": N_("waiting"),
    "SCHEDULED": N_("scheduled"),
    "PREPARING": N_("starting"),
    "RUNNING": N_("running"),
    "TERMINATING": N_("stopping"),
    "TERMINATED": N_("ended"),
    "CANCELLED": N_("cancelled"),
    "ERROR": N_("failed"),
}
PERMISSIONS = {
    "create-vfolder": N_("make folders"),
    "modify-vfolder": N_("change folders"),
    "delete-vfolder": N_("delete folders"),
    "mount-in-session": N_("mount in sessions"),
    "upload-file": N_("upload files"),
    "download-file": N_("download files"),
    "invite-others": N_("invite others"),
    "set-user-specific-permission": N_("set permissions of people"),
}
# A state is a word, a colour and a shape (backendai.css).
MARKS = {
    "active": "idle",
    "RUNNING": "idle",
    "inactive": "down",
    "ERROR": "down",
    "danger": "down",
    "before-verification": "wait",
    "PENDING": "wait",
    "SCHEDULED": "wait",
    "PREPARING": "wait",
    "TERMINATING": "wait",
    "warning": "wait",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One value: its text, the mark of a state, a moment for ``<time>``, and keys that may be linked."""

    text: str
    mark: str = ""
    moment: str = ""
    is_number: bool = False
    of: str = ""
    keys: tuple[str, ...] = ()
    is_long: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the text is all there is to it."""
        return not (self.mark or self.moment or self.keys or self.is_long)


def show(language: str, item: Field, value: Any, slot_kinds: Mapping[str, SlotKind] = KNOWN_SLOTS) -> Cell:
    """A field's value as its reader sees it."""
    if isinstance(value, Enum):
        value = value.value
    if value is None or value in ("", (), [], {}):
        return Cell(i18n.translate(language, UNLIMITED) if value is None and item.is_limit else "–", is_number=item.kind in NUMBERS)
    if item.kind is Kind.BOOLEAN:
        return _show_boolean(language, item, bool(value))
    if item.kind is Kind.MOMENT and isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        return Cell(f"{moment:%Y-%m-%d %H:%M} UTC", moment=moment.isoformat(timespec="seconds"))
    if item.kind is Kind.CHOICE:
        return Cell(word(language, str(value)), mark=MARKS.get(str(value), ""))
    if item.kind in (Kind.REFERENCE, Kind.REFERENCES):
        keys = (value,) if isinstance(value, str) else tuple(value)
        return Cell(", ".join(keys), of=item.of, keys=keys)
    if item.name == "status_reason":  # kept as a sentence of ours, or as what an engine said
        return Cell(i18n.translate(language, str(value)))
    if item.name == "action":
        return Cell(show_act(language, str(value)))
    if item.name == "result":
        return Cell(word(language, str(value)))
    text = _TEXTS.get(item.kind, lambda _language, found, _kinds: str(found))(language, value, slot_kinds)
    return Cell(text, is_number=item.kind in NUMBERS, is_long=item.kind in (Kind.OPTIONS, Kind.PARAGRAPH))


def word(language: str, text: str) -> str:
    """A word of a choice in the reader's language."""
    known = WORDS.get(text) or PERMISSIONS.get(text) or RESULTS.get(text)
    return i18n.translate(language, known) if known else text


def slot_label(language: str, name: str) -> str:
    return i18n.translate(language, SLOT_LABELS.get(name, "")) or name


def show_slots(language: str, slots: Mapping[str, Decimal], slot_kinds: Mapping[str, SlotKind]) -> str:
    """Amounts in a line: ``CPUs 8 · Memory 16 GiB``."""
    parts = []
    for name in [*(known for known in slot_kinds if known in slots), *(other for other in slots if other not in slot_kinds)]:
        amount = slots[name]
        text = i18n.translate(language, UNLIMITED) if amount.is_infinite() else format_amount(amount, slot_kinds.get(name, SlotKind.COUNT))
        parts.append(f"{slot_label(language, name)} {text}")
    return " · ".join(parts) or "–"


def plain_text(value: Any) -> str:
    """A value of JSON, as the audit log and documents have it."""
    if value is None or value == "":
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _show_boolean(language: str, item: Field, value: bool) -> Cell:
    if item.name == "is_active":
        return Cell(word(language, "active" if value else "inactive"), mark="idle" if value else "down")
    return Cell(i18n.translate(language, N_("yes") if value else N_("no")))


def _show_slots(language: str, value: Any, kinds: Mapping[str, SlotKind]) -> str:
    return show_slots(language, value if isinstance(value, ResourceSlots) else ResourceSlots.from_json(value), kinds)


def _show_words(language: str, value: Any, _kinds: Any) -> str:
    return ", ".join(word(language, str(part)) for part in value)


def _show_hosts(language: str, value: Any, _kinds: Any) -> str:
    return "; ".join(
        f"{host}: {', '.join(word(language, permission) for permission in permissions)}" for host, permissions in value.items()
    )


def _show_labels(language: str, value: Any, _kinds: Any) -> str:
    return str(value.get(language) or value.get("en") or next(iter(value.values())))


_TEXTS: dict[Kind, Any] = {
    Kind.BYTES: lambda _language, value, _kinds: format_bytes(int(value)),
    Kind.DURATION: lambda language, value, _kinds: i18n.format_span(language, int(value)),
    Kind.INTEGER: lambda _language, value, _kinds: f"{int(value):,}",
    Kind.SLOTS: _show_slots,
    Kind.CHOICES: _show_words,
    Kind.WORDS: lambda _language, value, _kinds: ", ".join(str(part) for part in value),
    Kind.HOSTS: _show_hosts,
    Kind.LABELS: _show_labels,
    Kind.OPTIONS: lambda _language, value, _kinds: json.dumps(value, ensure_ascii=False, indent=1, default=str),
}
