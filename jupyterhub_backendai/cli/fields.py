"""Options of the command line from the fields of a noun, and what was given as JSON for the service.

Whether a value is good is the service's to say: here a text is only taken apart. A secret is never a value of an option: it is
read from a file, or from standard input.
"""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core.nouns import Kind, Noun
from ..core.nouns.values import INFINITY_WORD, Field
from ..core.slots import INFINITE_WORDS
from ..errors import InvalidParameters

_PREFIX = "field_"
_METAVARS = {
    Kind.SLOTS: "cpu=4,mem=16g",
    Kind.HOSTS: "HOST=PERMISSION+PERMISSION,…",
    Kind.LABELS: "LANGUAGE=TEXT",
    Kind.OPTIONS: "JSON",
    Kind.CHOICES: "A,B",
    Kind.REFERENCES: "A,B",
    Kind.WORDS: "A,B",
    Kind.INTEGER: "N",
    Kind.BYTES: "10g",
    Kind.DURATION: "12h",
    Kind.MOMENT: "2026-03-01T09:00",
}


def option_of(field: Field) -> str:
    """``--total-resource-slots``."""
    return "--" + field.name.replace("_", "-")


def list_options(noun: Noun, *, is_new: bool) -> list[Field]:
    """The fields that may be given when a record is made, or changed; the key is an argument of its own."""
    return [item for item in noun.fields if not item.is_computed and item.name != noun.key and (is_new or not item.is_fixed)]


def add_options(parser: argparse.ArgumentParser, noun: Noun, *, is_new: bool) -> None:
    """An option for each field."""
    for item in list_options(noun, is_new=is_new):
        words = " – ".join(text for text in (item.label, item.help) if text) + _hint(item)
        settings: dict[str, Any] = {
            "dest": _PREFIX + item.name,
            "default": argparse.SUPPRESS,
            "help": words.replace("%", "%%"),
            "required": is_new and item.is_required and item.kind is not Kind.SECRET,
        }
        if item.kind is Kind.BOOLEAN:
            parser.add_argument(option_of(item), action=argparse.BooleanOptionalAction, **settings)
        elif item.kind is Kind.SECRET:
            parser.add_argument(f"{option_of(item)}-file", metavar="FILE", **settings)
        elif item.kind is Kind.LABELS:
            parser.add_argument(option_of(item), action="append", metavar=_METAVARS[item.kind], **settings)
        else:
            choices = item.choices if item.kind is Kind.CHOICE else None
            metavar = None if choices else _METAVARS.get(item.kind, item.name.upper())
            parser.add_argument(option_of(item), choices=choices, metavar=metavar, **settings)


def _hint(item: Field) -> str:
    if item.kind is Kind.SECRET:
        return " (read from a file; - is standard input)"
    if item.is_limit:
        return f" (or {INFINITY_WORD.lower()})"
    return f" ({', '.join(item.choices)})" if item.kind is Kind.CHOICES else ""


def read_values(noun: Noun, options: argparse.Namespace) -> dict[str, Any]:
    """What was given, as the body of a request. Raises InvalidParameters for a text that cannot be taken apart."""
    given = {name.removeprefix(_PREFIX): value for name, value in vars(options).items() if name.startswith(_PREFIX)}
    return {name: _READERS.get(noun.field(name).kind, _as_it_is)(noun.field(name), value) for name, value in given.items()}


def _as_it_is(_item: Field, value: Any) -> Any:
    return value


def _read_limit(item: Field, text: str) -> str:
    return INFINITY_WORD if item.is_limit and text.lower() in INFINITE_WORDS else text


def _read_pairs(item: Field, text: str) -> dict[str, str]:
    pairs = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, sign, value = part.partition("=")
        if not sign or not name.strip():
            raise InvalidParameters(
                "%(option)s: give name=value pairs with commas between, not %(part)s", option=option_of(item), part=part
            )
        pairs[name.strip()] = value.strip()
    return pairs


def _read_slots(item: Field, text: str) -> Any:
    if item.is_limit and text.lower() in INFINITE_WORDS:
        return None
    return _read_pairs(item, text)


def _read_hosts(item: Field, text: str) -> dict[str, list[str]]:
    return {host: [word.strip() for word in words.split("+") if word.strip()] for host, words in _read_pairs(item, text).items()}


def _read_labels(item: Field, texts: list[str]) -> dict[str, str]:
    labels = {}
    for text in texts:
        language, sign, words = text.partition("=")
        if not sign:
            raise InvalidParameters("%(option)s: give en=… or ko=…, once for each language", option=option_of(item))
        labels[language.strip()] = words
    return labels


def _read_words(_item: Field, text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _read_json(item: Field, text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError) as exc:
        raise InvalidParameters("%(option)s: %(reason)s", option=option_of(item), reason=exc) from exc


def read_secret(item: Field, source: str) -> str:
    """A secret from a file, from standard input (``-``), or typed twice where that is a terminal."""
    name = item.name.replace("_", " ")
    try:
        if source != "-":
            return Path(source).read_text().rstrip("\r\n")
        if not sys.stdin.isatty():
            return sys.stdin.readline().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidParameters("The %(name)s cannot be read: %(reason)s", name=name, reason=exc) from exc
    typed = getpass.getpass(f"{name.capitalize()}: ")
    if getpass.getpass("Again: ") != typed:
        raise InvalidParameters("The two differ.")
    return typed


_READERS: dict[Kind, Callable[[Field, Any], Any]] = {
    Kind.INTEGER: _read_limit,
    Kind.BYTES: _read_limit,
    Kind.DURATION: _read_limit,
    Kind.SLOTS: _read_slots,
    Kind.HOSTS: _read_hosts,
    Kind.LABELS: _read_labels,
    Kind.CHOICES: _read_words,
    Kind.REFERENCES: _read_words,
    Kind.WORDS: _read_words,
    Kind.OPTIONS: _read_json,
    Kind.SECRET: read_secret,
}
