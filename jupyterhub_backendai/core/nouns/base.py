"""What an administered thing is made of: one declaration from which page, REST, command line, import and audit follow.

A :class:`Noun` names its fields; :meth:`Noun.parse` turns what a form, a program or a file says into values, or into every complaint
at once. Values are plain Python: text, bool, int, :class:`~..slots.ResourceSlots`, tuples of text, mappings. ``None`` in a limit is
unlimited; on the outside that is the word ``Infinity``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import N_, InvalidParameters, Violation
from ..identity import Actor
from ..slots import KNOWN_SLOTS, SlotKind
from .values import Field, Kind, default_of, format_value, parse_value

MAX_PAGE_SIZE = 500


@dataclass(frozen=True, slots=True)
class Noun:
    """A kind of thing that is administered. ``key`` is the field that addresses it, in URLs too.

    ``columns`` are what its table shows, ``search`` what its search looks into, ``filters`` the fields that may be given as an exact
    value; ``filter_fields`` describe those that are no fields of the thing itself, such as the two ends of a time.
    ``for_domain_admins`` is ``write``, ``read`` or ``""``; they always see their own domain only.
    """

    name: str
    singular: str
    title: str
    one: str
    key: str
    fields: tuple[Field, ...]
    columns: tuple[str, ...]
    search: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    filter_fields: tuple[Field, ...] = ()
    sort: str = ""
    verbs: frozenset[str] = frozenset({"create", "update", "delete"})
    for_domain_admins: str = ""
    is_exported: bool = True

    def field(self, name: str) -> Field:
        """The field of that name, also one to filter by. Raises KeyError."""
        return {item.name: item for item in (*self.filter_fields, *self.fields)}[name]

    @property
    def field_names(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.fields)

    def may(self, actor: Actor, verb: str) -> bool:
        """Whether this person may ``list``, ``create``, ``update`` or ``delete`` such things at all."""
        if verb != "list" and verb not in self.verbs:
            return False
        if actor.is_superadmin:
            return True
        return actor.is_admin and self.for_domain_admins in (("read", "write") if verb == "list" else ("write",))

    def parse(
        self, data: Mapping[str, Any], *, is_new: bool, slot_kinds: Mapping[str, SlotKind] = KNOWN_SLOTS, strict: bool = True
    ) -> dict[str, Any]:
        """Values from what was said, only of the fields that were named; a new thing gets the defaults of the others.

        Raises InvalidParameters with a violation for everything that cannot be: an unknown field (unless not ``strict``), a negative
        number, half a thing that is whole, a slot that nobody has.
        """
        found: list[Violation] = []
        values: dict[str, Any] = {}
        known = {item.name for item in self.fields if not item.is_computed}
        if strict:
            message = N_("There is no field %(field)s here.")
            found += [Violation(message, {"field": name}, name, "unknown-field") for name in data if name not in known]
        for item in self.fields:
            if item.is_computed:
                continue
            if item.name not in data:
                if is_new and item.is_required:
                    found.append(Violation(N_("This must be filled in."), {}, item.name, "required"))
                elif is_new:
                    values[item.name] = default_of(item)
                continue
            if item.is_fixed and not is_new and item.name != self.key:
                found.append(Violation(N_("This cannot be changed any more."), {}, item.name, "fixed"))
                continue
            try:
                values[item.name] = parse_value(item, data[item.name], slot_kinds)
            except InvalidParameters as exc:
                found += exc.violations
        if found:
            raise InvalidParameters(violations=found)
        return values

    def to_json(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values as REST, files and the audit log have them; :meth:`parse` takes them back. Secrets are left out."""
        return {
            item.name: format_value(item, values[item.name]) for item in self.fields if item.kind is not Kind.SECRET and item.name in values
        }


@dataclass(frozen=True, slots=True)
class Record:
    """One thing: its key and the values of all fields but secrets."""

    key: str
    values: Mapping[str, Any]

    def etag(self, noun: Noun) -> str:
        """Changes with every change of what can be set; a form carries it, so that nobody overwrites what they have not seen.

        What is only shown is left out: a login or a new member elsewhere makes no form stale.
        """
        shown = noun.to_json(self.values)
        settable = {item.name: shown[item.name] for item in noun.fields if not item.is_computed and item.name in shown}
        text = json.dumps([self.key, settable], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Query:
    """What a list is asked for. ``sort`` is a field, with ``-`` in front for the other way round; pages count from 1."""

    search: str = ""
    filters: Mapping[str, str] = field(default_factory=dict)
    sort: str = ""
    page: int = 1
    page_size: int = 50


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, and how many there are in all."""

    records: tuple[Record, ...]
    total: int
    query: Query

    @property
    def page_count(self) -> int:
        return max(1, -(-self.total // self.query.page_size))


@dataclass(frozen=True, slots=True)
class Change:
    """What an act did: the record before (None: it is new) and after (None: it is gone), and how many people it touches.

    ``extras`` are told to whoever acted, once, and kept nowhere: the secret key of a new keypair.
    """

    before: Record | None
    after: Record | None
    people: int = 0
    extras: Mapping[str, Any] = field(default_factory=dict)


def parse_query(noun: Noun, arguments: Mapping[str, str]) -> Query:
    """A query from the parameters of an address: ``q``, ``sort``, ``page``, ``page_size`` and the filters by name.

    Raises InvalidParameters; parameters that are none of these are ignored.
    """
    found = []
    sort = arguments.get("sort", "")
    if sort and sort.removeprefix("-") not in noun.columns:
        found.append(Violation(N_("Lists can be sorted by: %(choices)s."), {"choices": ", ".join(noun.columns)}, "sort"))
    numbers = {}
    for name, least, most, default in (("page", 1, 10**7, 1), ("page_size", 1, MAX_PAGE_SIZE, 50)):
        text = arguments.get(name, "") or str(default)
        if not (text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= most):
            found.append(Violation(N_("Give a whole number from %(least)s to %(most)s."), {"least": least, "most": most}, name))
            continue
        numbers[name] = int(text)
    if found:
        raise InvalidParameters(violations=found)
    filters = {name: arguments[name][:256] for name in noun.filters if arguments.get(name)}
    return Query(arguments.get("q", "").strip()[:256], filters, sort or noun.sort, numbers["page"], numbers["page_size"])
