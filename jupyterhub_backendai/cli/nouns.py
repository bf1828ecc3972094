"""``list``, ``show``, ``create``, ``set`` and ``remove`` for everything that is administered, made from its declaration."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

from ..config import BackendAI, load_settings
from ..core.nouns import NOUNS, Kind, Noun
from ..errors import InvalidParameters
from ..store.records import RECORDS
from .connection import Connection, connect, record_path
from .fields import add_options, list_options, option_of, read_secret, read_values
from .table import format_record, format_records

Subparsers = Any  # argparse has no public name for what add_subparsers() returns
MAX_PAGE_SIZE = 500
DEFAULT_LIMIT = 500


def add_nouns(parsers: Subparsers, existing: Mapping[str, Subparsers]) -> None:
    """A command for every noun; ``existing`` are those that have verbs of their own already."""
    for noun in NOUNS.values():
        if noun.name not in RECORDS:
            continue
        name = noun.singular.replace("_", "-")
        verbs = existing.get(name) or parsers.add_parser(name, help=noun.title.lower()).add_subparsers(required=True, metavar="VERB")
        add_verbs(verbs, noun)


def add_verbs(verbs: Subparsers, noun: Noun) -> None:
    """What can be done with one noun."""
    one = noun.singular.replace("_", " ")
    add_list(verbs, noun)
    show = add_verb(verbs, "show", lambda options: show_record(options, noun), f"show one {one}")
    show.add_argument("key", metavar=noun.key.upper())
    add_style(show)
    if "create" in noun.verbs and "create" not in verbs.choices:
        create = add_verb(verbs, "create", lambda options: create_record(options, noun), f"make a {one}")
        if not noun.field(noun.key).is_computed:
            create.add_argument("key", metavar=noun.key.upper())
        add_options(create, noun, is_new=True)
        add_style(create)
    if "update" in noun.verbs:
        change = add_verb(verbs, "set", lambda options: set_record(options, noun), f"change the given fields of one {one}")
        change.add_argument("key", metavar=noun.key.upper())
        add_options(change, noun, is_new=False)
        add_style(change)
    if noun.verbs & {"delete", "terminate"} and "remove" not in verbs.choices:
        word = "end" if "terminate" in noun.verbs else "remove"
        remove = add_verb(verbs, "remove", lambda options: remove_record(options, noun), f"{word} one {one}")
        remove.add_argument("key", metavar=noun.key.upper())
        remove.add_argument("--yes", action="store_true", help="do not ask")


def add_verb(verbs: Subparsers, name: str, function: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
    """One verb. Abbreviations are off: with them a new option changes what an old script says."""
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
    parser.set_defaults(run=function)
    return parser


def add_local_verb(
    verbs: Subparsers, name: str, function: Callable[[argparse.Namespace, BackendAI], int], text: str
) -> argparse.ArgumentParser:
    """One verb that works with the settings of this machine. Abbreviated, --password would be taken for --password-file."""
    return add_verb(verbs, name, lambda options: function(options, load_settings(options.config)), text)


def add_style(parser: argparse.ArgumentParser) -> None:
    styles = parser.add_mutually_exclusive_group()
    styles.add_argument("--json", dest="style", action="store_const", const="json", default="table", help="print JSON")
    styles.add_argument("--yaml", dest="style", action="store_const", const="yaml", help="print YAML")


def add_list(verbs: Subparsers, noun: Noun) -> None:
    many = noun.name.replace("_", " ")
    parser = add_verb(verbs, "list", lambda options: list_records(options, noun), f"list {many}")
    if noun.search:
        parser.add_argument("--search", default="", metavar="TEXT", help=f"look into {', '.join(noun.search)}")
    choices = ", ".join(noun.columns)
    parser.add_argument("--sort", default="", metavar="FIELD", help=f"by {choices}; - in front for the other way round (--sort=-FIELD)")
    if noun.filters:
        names = ", ".join(noun.filters)
        parser.add_argument("--filter", action="append", default=[], metavar="NAME=VALUE", help=f"only these; names: {names}")
    parser.add_argument("--columns", default="", metavar="A,B", help=f"what to show (default: {','.join(list_columns(noun))})")
    text = "how many at most, 0 for all (default: %(default)s)"
    parser.add_argument("--limit", type=_parse_count, default=DEFAULT_LIMIT, metavar="N", help=text)
    add_style(parser)


def _parse_count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        raise argparse.ArgumentTypeError("give a whole number")
    return int(text)


def list_records(options: argparse.Namespace, noun: Noun) -> int:
    """``<noun> list``."""
    columns = tuple(name.strip() for name in options.columns.split(",") if name.strip()) or list_columns(noun)
    if unknown := set(columns) - set(noun.field_names):
        raise InvalidParameters("There is no column %(names)s.", names=", ".join(sorted(unknown)))
    items, total = read_all(connect(options.config), noun, read_query(options), options.limit)
    print(format_records(noun, items, columns, options.style), end="")
    if len(items) < total:
        print(f"{len(items)} of {total} are shown; --limit 0 shows all.", file=sys.stderr)
    return 0


def list_columns(noun: Noun) -> tuple[str, ...]:
    """What a table shows: what pages show, and the key, which the other commands want."""
    return noun.columns if noun.key in noun.columns else (noun.key, *noun.columns)


def read_query(options: argparse.Namespace) -> dict[str, str]:
    """The parameters of the address."""
    query = {"q": getattr(options, "search", ""), "sort": options.sort}
    for part in getattr(options, "filter", ()):
        name, sign, value = part.partition("=")
        if not sign:
            raise InvalidParameters("--filter: give NAME=VALUE, not %(part)s", part=part)
        query[name.strip()] = value
    return {name: value for name, value in query.items() if value}


def read_all(connection: Connection, noun: Noun, query: Mapping[str, str], limit: int) -> tuple[list[dict[str, Any]], int]:
    """Records page by page, at most ``limit`` (0: all), and how many there are."""
    size = min(limit or MAX_PAGE_SIZE, MAX_PAGE_SIZE)
    items: list[dict[str, Any]] = []
    page = 1
    while True:
        answer = connection.call("GET", record_path(noun.name), query={**query, "page": str(page), "page_size": str(size)}).data
        items += answer["items"]
        if page >= answer["page_count"] or (limit and len(items) >= limit):
            return items[: limit or None], answer["total"]
        page += 1


def show_record(options: argparse.Namespace, noun: Noun) -> int:
    """``<noun> show``."""
    item = connect(options.config).call("GET", record_path(noun.name, options.key)).data
    print(format_record(noun, item, options.style), end="")
    return 0


def create_record(options: argparse.Namespace, noun: Noun) -> int:
    """``<noun> create``."""
    values = read_values(noun, options)
    if not noun.field(noun.key).is_computed:
        values[noun.key] = options.key
    for item in list_options(noun, is_new=True):
        if item.kind is Kind.SECRET and item.is_required and item.name not in values:
            values[item.name] = read_secret(item, "-")
    item = connect(options.config).call("POST", record_path(noun.name), values).data
    print(format_record(noun, item, options.style), end="")
    return 0


def set_record(options: argparse.Namespace, noun: Noun) -> int:
    """``<noun> set``."""
    values = read_values(noun, options)
    if not values:
        names = ", ".join(option_of(item) for item in list_options(noun, is_new=False))
        raise InvalidParameters("Say what to change: %(names)s", names=names)
    answer = connect(options.config).call("PATCH", record_path(noun.name, options.key), values)
    print(format_record(noun, answer.data, options.style), end="")
    if people := int(answer.headers.get("X-BackendAI-People", "0") or 0):
        print(f"This touches {people} {'person' if people == 1 else 'people'}.", file=sys.stderr)
    return 0


def remove_record(options: argparse.Namespace, noun: Noun) -> int:
    """``<noun> remove``."""
    connection = connect(options.config)
    word = "End" if "terminate" in noun.verbs else "Remove"
    if not options.yes and not confirm(f"{word} the {noun.singular.replace('_', ' ')} {json.dumps(options.key, ensure_ascii=False)}?"):
        return 1
    connection.call("DELETE", record_path(noun.name, options.key))
    print(f"{options.key} is {'being ended' if word == 'End' else 'removed'}.")
    return 0


def confirm(question: str) -> bool:
    """Ask whoever sits at the terminal; where nobody does, nothing is done without ``--yes``."""
    if not sys.stdin.isatty():
        raise InvalidParameters("Nobody can be asked here: say --yes.")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
