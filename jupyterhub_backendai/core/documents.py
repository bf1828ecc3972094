"""The whole configuration as one YAML document, as sites keep it in git: its text, and how its values are written.

The text is plain data only. Tags, anchors, references and keys that come twice are refused, so that what is read is what is seen, and
a small file never becomes a large document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

from ..errors import N_, InvalidParameters, Violation
from .nouns import Field, Kind
from .nouns.values import format_value
from .slots import ResourceSlots, SlotKind

try:
    from yaml import CSafeLoader as SafeLoader  # ten times as fast, where PyYAML was built with libyaml
except ImportError:  # pragma: no cover - depends on how PyYAML was built
    from yaml import SafeLoader  # type: ignore[assignment]

MAX_SIZE_BYTES = 1024 * 1024
MAX_DEPTH = 16
VERSION = 1
_UNITS = ((1024**5, "p"), (1024**4, "t"), (1024**3, "g"), (1024**2, "m"), (1024, "k"))
# Other ends of lines, and lines that begin or end with what is hard to see.
_UNUSUAL = re.compile(r"[\r\x85\u2028\u2029]|\A\s|[^\S\n]\n|[^\S\n]\Z|\n\Z")
_SPANS = ((86_400, "d"), (3600, "h"), (60, "m"))


@dataclass(frozen=True, slots=True)
class Difference:
    """One act that makes the platform as a document says. ``verb`` is create, update or delete; of an update only what differs.

    ``place`` is where the document says it, "" for what it does not name. ``people`` is how many people an update touches.
    """

    noun: str
    key: str
    verb: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""
    people: int = 0

    def to_json(self) -> dict[str, Any]:
        """For programs, and for pages that show it."""
        return {
            "noun": self.noun,
            "key": self.key,
            "verb": self.verb,
            "before": dict(self.before),
            "after": dict(self.after),
            "place": self.place,
            "people": self.people,
        }


# -- text


def parse_document(text: str | bytes) -> dict[str, Any]:
    """The document that a YAML text (or JSON, which is YAML) is. Raises InvalidParameters that says what is wrong, and in which line.

    Half a second for the largest one, so call it in a thread.
    """
    try:
        data = text.encode() if isinstance(text, str) else text
        if len(data) > MAX_SIZE_BYTES:
            message = N_("The document has %(size)s bytes; at most %(most)s are taken.")
            raise _refuse(message, "too-large", size=len(data), most=MAX_SIZE_BYTES)
        words = data.decode("utf-8-sig")
    except UnicodeError as exc:
        raise _refuse(N_("The document is not text in UTF-8."), "encoding") from exc
    try:
        _check_events(words)
        found = yaml.load(words, Loader=_Loader)  # noqa: S506 - a safe loader, restricted further
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = {"line": mark.line + 1 if mark else 1, "column": mark.column + 1 if mark else 1, "problem": exc.problem or "?"}
        raise _refuse(N_("Line %(line)s, column %(column)s: this is no YAML (%(problem)s)."), "malformed", **place) from exc
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise _refuse(N_("The document cannot be read: it has characters or numbers that YAML does not take."), "malformed") from exc
    if not isinstance(found, dict):
        raise _refuse(N_("A document has a section for each kind of thing, such as domains: or resource_presets:."), "not-a-document")
    return found


def format_document(document: Mapping[str, Any]) -> str:
    """The text of a document; the same document always has the same text."""
    return str(yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=10_000))


def _refuse(message: str, rule: str, **params: Any) -> InvalidParameters:
    return InvalidParameters(violations=[Violation(message, params, "", rule)])


def _check_events(text: str) -> None:
    """Refuse everything but plain data, before anything is built of it."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                raise _refuse(N_("Line %(line)s: a second document begins here; one is taken."), "documents", line=line)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _refuse(N_("Line %(line)s: anchors and references (& and *) are not taken."), "anchor", line=line)
        if getattr(event, "tag", None):
            raise _refuse(N_("Line %(line)s: tags (!) are not taken."), "tag", line=line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _refuse(N_("Line %(line)s: more than %(most)s levels deep."), "depth", line=line, most=MAX_DEPTH)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Loader(SafeLoader):
    """Text, whole and decimal numbers, true, false and null; nothing that looks like a date or like ``no`` becomes something else."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012 - PyYAML's own way

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: ARG002 - PyYAML's signature
        """Keys are text, and come once."""
        found: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise _refuse(N_("Line %(line)s: what stands before a colon is a name."), "key", line=line)
            if key_node.value in found:
                raise _refuse(N_("Line %(line)s: %(name)s comes twice."), "duplicate", line=line, name=key_node.value[:64])
            found[key_node.value] = self.construct_object(value_node, deep=True)
        return found


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("int", r"[-+]?(?:0|[1-9][0-9]{0,30})", "-+0123456789"),
    ("float", r"[-+]?[0-9]{1,30}\.[0-9]{1,30}", "-+0123456789"),
    ("null", r"~|null|", ["~", "n", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"(?:{_pattern})\Z"), list(_first))


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as such, so that a change shows as the lines that differ."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Between quotes everything has its escape; elsewhere a line's end that is not the usual one would become another.
    style = '"' if _UNUSUAL.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


# -- values


def write_field(item: Field, value: Any, kinds: Mapping[str, SlotKind]) -> Any:
    """A field's value as people write it in a file (``16g``, ``7d``); ``core.nouns.parse_value`` takes it back exactly."""
    if isinstance(value, ResourceSlots):
        return {name: _write_amount(amount, kinds.get(name)) for name, amount in value.items()}
    if isinstance(value, int) and item.kind is Kind.BYTES:
        return _with_unit(value, _UNITS)
    if isinstance(value, int) and item.kind is Kind.DURATION:
        return _with_unit(value, _SPANS)
    if item.kind is Kind.REFERENCES:
        return sorted(value)
    return format_value(item, value)


def is_same(item: Field, one: Any, other: Any) -> bool:
    """Whether two values of a field say the same: amounts count as numbers, references in any order."""
    if isinstance(one, ResourceSlots) and isinstance(other, ResourceSlots):
        return one == other
    if item.kind is Kind.REFERENCES:
        return set(one) == set(other)
    return bool(format_value(item, one) == format_value(item, other))


def _write_amount(amount: Decimal, kind: SlotKind | None) -> Any:
    if not amount.is_finite() or amount != int(amount):
        return format(amount, "f")
    return _with_unit(int(amount), _UNITS) if kind is SlotKind.BYTES else int(amount)


def _with_unit(number: int, units: Sequence[tuple[int, str]]) -> int | str:
    """A number with the largest unit that says it exactly."""
    return next((f"{number // size}{unit}" for size, unit in units if number and number % size == 0), number)
