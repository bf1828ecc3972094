"""``quota …``: how much people and projects keep on each storage host, and how much they may."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from ..core.slots import format_bytes, parse_bytes
from ..errors import N_, InvalidParameters
from .connection import connect
from .nodes import show
from .nouns import add_style, add_verb
from .table import format_data, format_table, printable

COLUMNS = ("HOST", "OWNER", "USED", "RESERVED", "LIMIT", "SET", "DRIVER", "FOLDERS", "ID")
WORDS = ("Infinity", "unlimited", "none")


def add_quotas(parsers: Any) -> None:
    """The command ``quota``."""
    verbs = parsers.add_parser("quota", help="quotas of virtual folders").add_subparsers(required=True, metavar="VERB")
    own = add_verb(verbs, "usage", show_own, "what you and your projects use (needs BACKENDAI_URL and a token)")
    add_style(own)
    listing = add_verb(verbs, "list", list_scopes, "what everybody uses")
    listing.add_argument("--search", default="", help="a part of the owner's name")
    listing.add_argument("--host", default="", help="one storage host")
    listing.add_argument("--sort", default="owner", help="owner, host, used, limit or percent; -used for the other way round")
    add_style(listing)
    limit = add_verb(verbs, "set", set_limit, "set a limit")
    unset = add_verb(verbs, "unset", unset_limit, "make the limit the policy's again")
    for verb in (limit, unset):
        verb.add_argument("host", metavar="HOST")
        verb.add_argument("scope", metavar="SCOPE", help="user:NAME, project:DOMAIN/NAME, or with ids")
        add_style(verb)
    limit.add_argument("limit", metavar="SIZE", help="such as 50GiB; Infinity is no limit")


def show_own(options: argparse.Namespace) -> int:
    """``quota usage``."""
    return print_scopes(connect(options.config).call("GET", "quota-scopes").data["items"], options.style)


def list_scopes(options: argparse.Namespace) -> int:
    """``quota list``: all of them, page by page."""
    connection, items, page, pages = connect(options.config), [], 1, 1
    while page <= pages:
        asked = {"q": options.search, "host": options.host, "sort": options.sort, "page": page, "page_size": 500}
        found = connection.call("GET", "admin/quota-scopes?" + urlencode(asked)).data
        items += found["items"]
        page, pages = page + 1, found["page_count"]
    return print_scopes(items, options.style)


def set_limit(options: argparse.Namespace) -> int:
    """``quota set``."""
    limit = read_limit(options.limit)
    return show_scope(connect(options.config).call("PUT", address(options), {"limit_bytes": limit}).data, options.style)


def unset_limit(options: argparse.Namespace) -> int:
    """``quota unset``."""
    return show_scope(connect(options.config).call("DELETE", address(options)).data, options.style)


def read_limit(text: str) -> int | None:
    """Bytes, or None for no limit. Raises InvalidParameters."""
    if text in WORDS:
        return None
    try:
        return parse_bytes(text)
    except ValueError as exc:
        raise InvalidParameters(N_("%(text)s is not an amount, such as 50GiB."), text=text) from exc


def address(options: argparse.Namespace) -> str:
    return f"admin/quota-scopes/{quote(options.host, safe='')}/{quote(options.scope, safe='')}"


def show_scope(scope: Mapping[str, Any], style: str) -> int:
    names = ("host", "id", "owner", "limit_bytes", "is_limit_set", "policy_bytes", "used_bytes", "driver", "is_applied")
    return show({name: scope.get(name) for name in names}, style)


def print_scopes(items: list[Mapping[str, Any]], style: str) -> int:
    """A list for people or for programs."""
    if style != "table":
        print(format_data(items, style), end="")
        return 0
    rows = [
        [
            item["host"],
            printable(item["owner"]),
            say(item["used_bytes"], "?"),
            say(item["reserved_bytes"], "-"),
            say(item["limit_bytes"], "Infinity"),
            "yes" if item["is_limit_set"] else "policy",
            item["driver"] or "-",
            str(item["folders"]),
            item["id"],
        ]
        for item in items
    ]
    print(format_table(list(COLUMNS), rows), end="")
    return 0


def say(size: int | None, otherwise: str) -> str:
    return otherwise if size is None else format_bytes(size)
