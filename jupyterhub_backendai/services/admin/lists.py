"""The table of a noun: search, filters, order and pages, all of it in the address; the same rows as a CSV file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from sqlalchemy.orm import Session

from ... import i18n
from ...core.identity import Actor
from ...core.nouns import NOUNS, Field, Kind, Noun, Page, Query, parse_query
from ...core.slots import SlotKind
from ...errors import N_, InvalidParameters
from ...store.records import RECORDS, Records, list_slot_kinds
from ..auth import administrative
from ..rest.admin import is_plain
from .base import NOUN_PATH, AdminHandler, can_import, title_of
from .drawing import draw_cell
from .show import Cell, show, word

# How many things a choice offers; of more than these the name is typed.
MAX_OPTIONS = 60
# Kinds that have no order.
_UNSORTED = frozenset(
    {Kind.SLOTS, Kind.HOSTS, Kind.OPTIONS, Kind.LABELS, Kind.CHOICES, Kind.REFERENCES, Kind.WORDS, Kind.PARAGRAPH, Kind.SECRET}
)
# Pages whose number is shown on both sides of the current one.
NEAR = 2


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column: where its link leads, and how the table is sorted by it (``ascending``, ``descending`` or "")."""

    item: Field
    url: str
    order: str


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter: with ``options`` a choice of (value, words), else a text."""

    item: Field
    value: str
    options: tuple[tuple[str, str], ...] | None


@dataclass(frozen=True, slots=True)
class Row:
    """One line, drawn: where it leads, its first cell, and of each other one its column's title and whether it is a number."""

    key: str
    title: str | Markup
    url: str
    cells: tuple[tuple[str, Markup, bool], ...]


Options = Mapping[str, tuple[tuple[str, str], ...] | None]


def list_options(
    db: Session, actor: Actor, items: Sequence[Field], *, within: str = "", most: int = MAX_OPTIONS
) -> dict[str, tuple[tuple[str, str], ...] | None]:
    """What each reference of the noun ``within`` may name, as (value, words) by noun.

    None where there are too many, or they are not for this person.
    """
    found: dict[str, tuple[tuple[str, str], ...] | None] = {}
    for noun in {item.of for item in items if item.of}:
        records = RECORDS.get(noun)
        if records is None or not records.noun.may(actor, "list"):
            found[noun] = None
            continue
        found[noun] = _list_names(db, actor, records, within, most)
    return found


def _list_names(db: Session, actor: Actor, records: Records, within: str, most: int) -> tuple[tuple[str, str], ...] | None:
    """How others name each of them, and in which words, without reading anything else; None for more than ``most``."""
    noun = records.noun
    names = ["name", "domain"] if noun.key == "id" else [noun.key]
    columns = [records.column(name) for name in names]
    query = records.select(actor).with_only_columns(*columns, maintain_column_froms=True).order_by(*columns)
    rows = [dict(zip(names, row, strict=True)) for row in db.execute(query.limit(most + 1))]
    options = {reference_of(noun, values, values[names[0]], within): name_of(noun, values, values[names[0]]) for values in rows}
    return tuple(options.items()) if len(rows) <= most else None


def load_names(db: Session, actor: Actor, noun: str) -> tuple[str, ...]:
    """The keys of a noun, as far as this person sees them and a form can show them."""
    records = RECORDS.get(noun)
    if records is None or not records.noun.may(actor, "list"):
        return ()
    return tuple(record.key for record in records.list_page(db, actor, Query(page_size=MAX_OPTIONS, sort=records.noun.sort)).records)


def reference_of(noun: Noun, values: Mapping[str, Any], key: str, within: str) -> str:
    """How a thing of the noun ``within`` names another: by its key, or by its name where the key says nothing.

    People and invitations are of one domain, so that the names of projects suffice; whatever else names projects says ``domain/name``.
    """
    if noun.key != "id":
        return key
    name = title_of(noun, values, key)
    return name if within in {"users", "sessions", "sign_up_invitations"} or "domain" not in values else f"{values['domain']}/{name}"


def name_of(noun: Noun, values: Mapping[str, Any], key: str) -> str:
    """A thing's name among its like: of those whose key says nothing the name, with the domain where it has one."""
    name = title_of(noun, values, key)
    domain = values.get("domain")
    return f"{name} ({domain})" if noun.key == "id" and domain else name


def load(db: Session, records: Records, actor: Actor, query: Query) -> tuple[Page, Options, dict[str, SlotKind]]:
    """Everything that a table shows, in one transaction."""
    noun = records.noun
    filters = [noun.field(name) for name in noun.filters]
    columns = [noun.field(name) for name in noun.columns]
    return records.list_page(db, actor, query), list_options(db, actor, [*filters, *columns], within=noun.name), list_slot_kinds(db)


class Table:
    """A page of records as its template wants it."""

    def __init__(self, handler: AdminHandler, noun: Noun, page: Page, options: Options, slot_kinds: Mapping[str, SlotKind]) -> None:
        self._handler, self.noun, self.page, self._options, self._kinds = handler, noun, page, options, slot_kinds
        self.query = page.query
        self.is_filtered = bool(page.query.search or page.query.filters)
        self._known = {of: dict(found or ()) for of, found in options.items()}
        self._drawn: dict[tuple[Cell, bool], Markup] = {}

    def url(self, **changes: str) -> str:
        """This table's address with some parameters changed; a change of anything but the page leads to the first one."""
        return self._handler.url_of(self.noun.name, **self._parameters(**changes))

    @property
    def csv_url(self) -> str:
        found = {name: value for name, value in self._parameters().items() if value}
        text = f"{self._handler.base}{self.noun.name}.csv"
        return f"{text}?{urlencode(found)}" if found else text

    def _parameters(self, **changes: str) -> dict[str, str]:
        query = self.query
        size = str(query.page_size) if query.page_size != Query().page_size else ""
        sort = query.sort if query.sort != self.noun.sort else ""
        return {"q": query.search, **query.filters, "sort": sort, "page_size": size, **changes}

    @property
    def heads(self) -> list[Head]:
        found = []
        for name in self.noun.columns:
            item, order = self.noun.field(name), {name: "ascending", f"-{name}": "descending"}.get(self.query.sort, "")
            url = "" if item.kind in _UNSORTED else self.url(sort=f"-{name}" if order == "ascending" else name)
            found.append(Head(item, url, order))
        return found

    @property
    def filters(self) -> list[Filter]:
        return [self._filter(self.noun.field(name)) for name in self.noun.filters]

    @property
    def tabs(self) -> Filter | None:
        """The filter that is shown as tabs: the state of people and sessions."""
        return self._filter(self.noun.field("status")) if "status" in self.noun.filters else None

    def _filter(self, item: Field) -> Filter:
        language, options = self._handler.language, None
        if item.kind is Kind.BOOLEAN:
            options = tuple((text, show(language, item, text == "true").text) for text in ("true", "false"))
        elif item.choices:
            options = tuple((choice, word(language, choice)) for choice in item.choices)
        elif item.of:
            options = self._options.get(item.of)
        return Filter(item, self.query.filters.get(item.name, ""), options)

    @property
    def rows(self) -> list[Row]:
        language, noun = self._handler.language, self.noun
        columns = [(name, noun.field(name), i18n.translate(language, noun.field(name).label)) for name in noun.columns]
        found = []
        for record in self.page.records:
            cells = [(title, show(language, item, record.values.get(name), self._kinds)) for name, item, title in columns]
            first = cells[0][1]
            heading = title_of(noun, record.values, record.key) if first.text == "–" else self._draw(first, is_linked=False)
            drawn = tuple((title, self._draw(cell), cell.is_number) for title, cell in cells[1:])
            found.append(Row(record.key, heading, self._handler.url_of(noun.name, record.key), drawn))
        return found

    @property
    def first_title(self) -> str:
        return i18n.translate(self._handler.language, self.noun.field(self.noun.columns[0]).label)

    @property
    def pages(self) -> list[tuple[int, str]]:
        """The numbers of pages that are offered, 0 for a gap, each with its address."""
        last, here = self.page.page_count, self.query.page
        shown = sorted({1, last, *range(max(1, here - NEAR), min(last, here + NEAR) + 1)})
        found: list[tuple[int, str]] = []
        for number in shown:
            if found and number - found[-1][0] > 1:
                found.append((0, ""))
            found.append((number, self.page_url(number)))
        return found

    def page_url(self, number: int) -> str:
        return self.url(page=str(number) if number > 1 else "")

    def _draw(self, cell: Cell, *, is_linked: bool = True) -> Markup:
        """A cell as HTML; the same one, as the state of most is, once."""
        key = cell, is_linked
        if key not in self._drawn:
            self._drawn[key] = draw_cell(cell, self.names if is_linked else None)
        return self._drawn[key]

    def names(self, cell: Cell) -> list[tuple[str, str]]:
        """What a reference names, as (words, address)."""
        return name_references(self._handler, cell, self._known.get(cell.of, {}))


def name_references(handler: AdminHandler, cell: Cell, known: Mapping[str, str]) -> list[tuple[str, str]]:
    """What a reference names, as (words, address); the address is "" where the reader may not look there."""
    noun = NOUNS.get(cell.of)
    may = noun is not None and cell.of in RECORDS and noun.may(handler.actor, "list")
    if noun is None or not may:
        return [(known.get(name, name), "") for name in cell.keys]
    # What has no name for an address is searched for.
    is_hidden = noun.key == "id"
    return [
        (known.get(name, name), handler.url_of(noun.name, q=name.rpartition("/")[2]) if is_hidden else handler.url_of(noun.name, name))
        for name in cell.keys
    ]


class ListHandler(AdminHandler):
    """The table of one noun."""

    @administrative
    async def get(self, name: str) -> None:
        records = self.find_records(name)
        query = parse_query(records.noun, self.read_arguments())
        page, options, kinds = await self.db.run(load, records, self.actor, query)
        if page.query.page > page.page_count:
            self.redirect(Table(self, records.noun, page, options, kinds).page_url(page.page_count))
            return
        table = Table(self, records.noun, page, options, kinds)
        may_create = records.noun.may(self.actor, "create")
        bulk_url = f"{self.base}{name}/import" if can_import(records.noun, self.actor) else ""
        self.render_admin("admin/list.html", name, noun=records.noun, table=table, may_create=may_create, bulk_url=bulk_url)

    def read_arguments(self) -> dict[str, str]:
        """The parameters of the address, the last of each."""
        found = {name: self.get_query_argument(name) for name in self.request.query_arguments}
        if not all(is_plain(text) for text in found.values()):
            raise InvalidParameters(N_("This has characters that are not allowed."))
        return found


class IndexHandler(AdminHandler):
    """Where administration begins: how many there are of everything."""

    @administrative
    async def get(self) -> None:
        counts = await self.db.run(count_all, self.actor)
        self.render_admin("admin/index.html", "", counts=counts)


class AddSlash(AdminHandler):
    """The address without its last slash, as people type it."""

    @administrative
    async def get(self) -> None:
        self.redirect(self.base)


def count_all(db: Session, actor: Actor) -> dict[str, int]:
    """How many things of each noun this person may see."""
    found = {}
    for name, records in RECORDS.items():
        if records.noun.may(actor, "list"):
            found[name] = records.list_page(db, actor, Query(page_size=1)).total
    return found


default_handlers = [
    (r"admin", AddSlash),
    (r"admin/", IndexHandler),
    (rf"admin/{NOUN_PATH}", ListHandler),
]
