"""What a field of an administered thing may hold, and how it is read and written.

``None`` in a limit is unlimited; on the outside that is the word ``Infinity``.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ...errors import N_, InvalidParameters, Violation
from ..names import is_email
from ..slots import INFINITE_WORDS, KNOWN_SLOTS, ResourceSlots, SlotKind, parse_amount, parse_bytes

INFINITY_WORD = "Infinity"
LANGUAGES = ("en", "ko")
_NAME = re.compile(r"[\w.-](?:[\w .@+-]{0,62}[\w.@+-])?")
_SPAN = re.compile(r"([0-9]{1,9})\s*([smhd]?)", re.ASCII)
_SPAN_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
# The eight things that somebody may do on a storage host (contract §7.6).
HOST_PERMISSIONS = (
    "create-vfolder",
    "modify-vfolder",
    "delete-vfolder",
    "mount-in-session",
    "upload-file",
    "download-file",
    "invite-others",
    "set-user-specific-permission",
)


class Kind(enum.Enum):
    """What a field holds; a comment says its type in Python."""

    NAME = "name"  # str: up to 64 letters, digits, "-_.@+ "
    TEXT = "text"  # str, one line
    PARAGRAPH = "paragraph"  # str, lines
    EMAIL = "email"  # str
    BOOLEAN = "boolean"  # bool
    INTEGER = "integer"  # int, or None where it is a limit
    BYTES = "bytes"  # int of bytes, or None where it is a limit
    DURATION = "duration"  # int of seconds, or None where it is a limit
    SLOTS = "slots"  # ResourceSlots
    CHOICE = "choice"  # str of `choices`
    CHOICES = "choices"  # tuple of str of `choices`
    REFERENCE = "reference"  # str: the key of a record of `of`, "" for none
    REFERENCES = "references"  # tuple of such
    WORDS = "words"  # tuple of str, any
    HOSTS = "hosts"  # dict: storage host -> tuple of permissions
    LABELS = "labels"  # dict: language -> str
    OPTIONS = "options"  # dict, JSON
    MOMENT = "moment"  # aware datetime, or None
    SECRET = "secret"  # noqa: S105 - str, written only: never shown, exported or audited


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``is_fixed`` may be given when the thing is made and never changed, ``is_computed`` is only shown.

    ``default`` is a value (not its text). ``is_limit``: None is unlimited. ``least`` and ``most`` bound numbers, and the length of text.
    """

    name: str
    kind: Kind
    label: str
    help: str = ""
    default: Any = None
    is_required: bool = False
    is_fixed: bool = False
    is_computed: bool = False
    is_limit: bool = False
    choices: tuple[str, ...] = ()
    of: str = ""
    least: int = 0
    most: int = 2**53
    group: str = ""


def parse_value(item: Field, value: Any, slot_kinds: Mapping[str, SlotKind] = KNOWN_SLOTS) -> Any:
    """One value. Raises InvalidParameters with the violations, each under the field's name (``slots.cpu`` for one slot)."""
    try:
        return _PARSERS[item.kind](item, value, slot_kinds)
    except _BadError as exc:
        raise InvalidParameters(violations=[Violation(exc.message, exc.params, item.name, "invalid")]) from exc


def format_value(item: Field, value: Any) -> Any:
    """A value as JSON; :func:`parse_value` is the inverse."""
    if value is None:
        return INFINITY_WORD if item.is_limit else None
    if isinstance(value, ResourceSlots):
        return value.to_json()
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple | frozenset | list):
        return list(value)
    if isinstance(value, Mapping):
        return {name: list(part) if isinstance(part, tuple | frozenset) else part for name, part in value.items()}
    return value


class _BadError(Exception):
    """A value that its field does not take."""

    def __init__(self, message: str, **params: Any) -> None:
        super().__init__(message)
        self.message, self.params = message, params


def default_of(item: Field) -> Any:
    if item.default is not None:
        return item.default
    empty: dict[Kind, Any] = {
        Kind.BOOLEAN: False,
        Kind.INTEGER: None if item.is_limit else 0,
        Kind.SLOTS: ResourceSlots(),
        Kind.CHOICES: (),
        Kind.REFERENCES: (),
        Kind.WORDS: (),
        Kind.HOSTS: {},
        Kind.LABELS: {},
        Kind.OPTIONS: {},
        Kind.MOMENT: None,
        Kind.BYTES: None if item.is_limit else 0,
        Kind.DURATION: None if item.is_limit else 0,
    }
    return empty.get(item.kind, "")


def _text(item: Field, value: Any, most: int, *, lines: bool = False) -> str:
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise _BadError(N_("This must be text."))
    text = value.replace("\r\n", "\n").strip()
    if any(ord(char) < 32 and not (lines and char in "\n\t") for char in text) or "\x7f" in text:
        raise _BadError(N_("This has characters that are not allowed."))
    most = min(most, item.most)
    if len(text) > most:
        raise _BadError(N_("At most %(most)s characters."), most=most)
    if item.is_required and not text:
        raise _BadError(N_("This must be filled in."))
    return text


def _parse_name(item: Field, value: Any, _kinds: Any) -> str:
    text = _text(item, value, 64)
    if text and not _NAME.fullmatch(text):
        raise _BadError(N_("A name has letters, digits and the characters . _ - @ +"))
    return text


def _parse_text(item: Field, value: Any, _kinds: Any) -> str:
    return _text(item, value, 512)


def _parse_paragraph(item: Field, value: Any, _kinds: Any) -> str:
    return _text(item, value, 20_000, lines=True)


def _parse_email(item: Field, value: Any, _kinds: Any) -> str:
    text = _text(item, value, 255)
    if text and not is_email(text):
        raise _BadError(N_("This is not a mail address."))
    return text


def _parse_boolean(_item: Field, value: Any, _kinds: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in {"true", "1", "yes", "on"}:
        return True
    if word in {"false", "0", "no", "off", ""}:
        return False
    raise _BadError(N_("Choose yes or no."))


def _parse_integer(item: Field, value: Any, _kinds: Any) -> int | None:
    text = _number_text(item, value)
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text, re.ASCII):
        raise _BadError(N_("Give a whole number from %(least)s to %(most)s."), least=item.least, most=item.most)
    return _bound(item, int(text))


def _parse_size(item: Field, value: Any, _kinds: Any) -> int | None:
    text = _number_text(item, value)
    if text is None:
        return None
    try:
        return _bound(item, parse_bytes(text))
    except ValueError as exc:
        raise _BadError(N_("Give a size with a unit, such as 10g.")) from exc


def _parse_duration(item: Field, value: Any, _kinds: Any) -> int | None:
    text = _number_text(item, value)
    if text is None:
        return None
    match = _SPAN.fullmatch(text)
    if not match:
        raise _BadError(N_("Give a time with a unit, such as 30m, 12h or 7d."))
    return _bound(item, int(match[1]) * _SPAN_S[match[2]])


def _number_text(item: Field, value: Any) -> str | None:
    """The text of a number, None for unlimited."""
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal | None):
        raise _BadError(N_("This must be a number."))
    text = "" if value is None else str(value).strip()
    if item.is_limit and (not text or text.lower() in INFINITE_WORDS):
        return None
    return text


def _bound(item: Field, number: int) -> int:
    if not item.least <= number <= item.most:
        raise _BadError(N_("Give a whole number from %(least)s to %(most)s."), least=item.least, most=item.most)
    return number


def _parse_slots(item: Field, value: Any, kinds: Mapping[str, SlotKind]) -> ResourceSlots | None:
    if value is None and item.is_limit:
        return None
    if not isinstance(value, Mapping):
        raise _BadError(N_("Give an amount for each slot."))
    amounts, found = {}, []
    for name, amount in value.items():
        if amount is None or str(amount).strip() == "":
            continue
        where = f"{item.name}.{name}"
        if name not in kinds:
            params = {"slot": name, "slots": ", ".join(kinds)}
            found.append(Violation(N_("Nobody has the slot %(slot)s here. Known are: %(slots)s."), params, where, "unknown-slot"))
            continue
        try:
            amounts[name] = parse_amount("" if isinstance(amount, bool) else str(amount), kinds[name], allow_infinity=True)
        except (ValueError, ArithmeticError):
            found.append(Violation(_SLOT_MESSAGES[kinds[name]], {"slot": name}, where, "invalid"))
    if found:
        raise InvalidParameters(violations=found)
    return ResourceSlots(amounts)


_SLOT_MESSAGES = {
    SlotKind.COUNT: N_("%(slot)s is counted in whole numbers, 0 or more."),
    SlotKind.BYTES: N_("%(slot)s is given as a size with a unit, such as 16g."),
    SlotKind.FRACTION: N_("%(slot)s is a number of at most three digits after the point, 0 or more."),
}


def _parse_choice(item: Field, value: Any, _kinds: Any) -> str:
    text = _text(item, value, 64)
    if text not in item.choices:
        raise _BadError(N_("Choose one of: %(choices)s."), choices=", ".join(item.choices))
    return text


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if value is None:
        return ()
    if not isinstance(value, Iterable) or isinstance(value, Mapping) or not all(isinstance(part, str) for part in value):
        raise _BadError(N_("Give a list of names."))
    found = tuple(dict.fromkeys(part.strip() for part in value if part.strip()))
    if any(len(part) > 255 or any(ord(char) < 32 for char in part) for part in found):
        raise _BadError(N_("This has characters that are not allowed."))
    return found


def _parse_choices(item: Field, value: Any, _kinds: Any) -> tuple[str, ...]:
    words = _words(value)
    if set(words) - set(item.choices):
        raise _BadError(N_("Choose from: %(choices)s."), choices=", ".join(item.choices))
    return words


def _parse_words(_item: Field, value: Any, _kinds: Any) -> tuple[str, ...]:
    return _words(value)


def _parse_reference(item: Field, value: Any, _kinds: Any) -> str:
    return _text(item, value, 255)


def _parse_hosts(_item: Field, value: Any, _kinds: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, Mapping):
        raise _BadError(N_("Give the permissions for each storage host."))
    hosts = {str(host)[:64]: _words(permissions) for host, permissions in value.items()}
    unknown = {word for words in hosts.values() for word in words} - set(HOST_PERMISSIONS)
    if unknown:
        raise _BadError(N_("Choose from: %(choices)s."), choices=", ".join(HOST_PERMISSIONS))
    return {host: tuple(word for word in HOST_PERMISSIONS if word in words) for host, words in hosts.items() if words}


def _parse_labels(item: Field, value: Any, _kinds: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or set(value) - set(LANGUAGES):
        raise _BadError(N_("Give the text for each language: %(languages)s."), languages=", ".join(LANGUAGES))
    most = min(item.most, 20_000)
    texts = {language: _text(item, value.get(language), most, lines=True) for language in LANGUAGES if value.get(language)}
    if item.is_required and not any(texts.values()):
        raise _BadError(N_("This must be filled in."))
    return {language: text for language, text in texts.items() if text}


def _parse_options(_item: Field, value: Any, _kinds: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value or "{}")
        except (ValueError, RecursionError) as exc:
            raise _BadError(N_("This is no JSON object.")) from exc
    if not isinstance(value, Mapping):
        raise _BadError(N_("This is no JSON object."))
    return dict(value)


def _parse_moment(_item: Field, value: Any, _kinds: Any) -> datetime | None:
    if value is None or value == "":
        return None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    try:
        moment = datetime.fromisoformat(str(value).strip())
    except ValueError as exc:
        raise _BadError(N_("Give a date such as 2026-03-01 or 2026-03-01T09:00.")) from exc
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _parse_secret(item: Field, value: Any, _kinds: Any) -> str:
    if not isinstance(value, str) or len(value) > 1024 or "\0" in value:
        raise _BadError(N_("This must be text."))
    if item.is_required and not value:
        raise _BadError(N_("This must be filled in."))
    return value


_PARSERS = {
    Kind.NAME: _parse_name,
    Kind.TEXT: _parse_text,
    Kind.PARAGRAPH: _parse_paragraph,
    Kind.EMAIL: _parse_email,
    Kind.BOOLEAN: _parse_boolean,
    Kind.INTEGER: _parse_integer,
    Kind.BYTES: _parse_size,
    Kind.DURATION: _parse_duration,
    Kind.SLOTS: _parse_slots,
    Kind.CHOICE: _parse_choice,
    Kind.CHOICES: _parse_choices,
    Kind.REFERENCE: _parse_reference,
    Kind.REFERENCES: _parse_words,
    Kind.WORDS: _parse_words,
    Kind.HOSTS: _parse_hosts,
    Kind.LABELS: _parse_labels,
    Kind.OPTIONS: _parse_options,
    Kind.MOMENT: _parse_moment,
    Kind.SECRET: _parse_secret,
}
