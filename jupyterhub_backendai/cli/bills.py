"""``bill list``, ``statement``, ``credit`` and ``check``: who pays, what a month came to, and giving credit."""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from .connection import connect
from .nodes import show
from .nouns import add_style, add_verb
from .table import format_data, format_table, printable

ACCOUNT_COLUMNS = ("scope", "name", "available", "held", "balance", "currency")
LINE_COLUMNS = ("session", "name", "user", "project", "queue", "seconds", "source", "amount")
SCOPES = ("user", "project", "domain")


def add_bills(parsers: Any) -> None:
    """The command ``bill``."""
    verbs = parsers.add_parser("bill", help="credit and statements").add_subparsers(required=True, metavar="VERB")
    own = add_verb(verbs, "balance", show_balance, "the credit that pays for your own sessions (needs BACKENDAI_URL and a token)")
    add_style(own)
    accounts = add_verb(verbs, "list", list_accounts, "who pays, with their balances")
    accounts.add_argument("--search", default="", help="a part of the name")
    add_style(accounts)
    statement = add_verb(verbs, "statement", show_statement, "what a month came to")
    statement.add_argument("scope", choices=SCOPES)
    statement.add_argument("name", metavar="NAME", help="a project with its domain: default/alpha")
    statement.add_argument("--month", default="", help="such as 2026-03; default: this month")
    statement.add_argument("--csv", action="store_true", help="print the CSV file")
    add_style(statement)
    credit = add_verb(verbs, "credit", give_credit, "give credit; below zero, take it away")
    credit.add_argument("name", metavar="NAME", help="who pays here: a user, domain/project, or a domain")
    credit.add_argument("amount", metavar="AMOUNT")
    credit.add_argument("--note", default="", help="what for; stands in the statement")
    credit.add_argument("--reference", default="", help="a word of your own: the same word twice gives the credit once")
    add_style(credit)
    check = add_verb(verbs, "check", check_balances, "compare every balance with its entries")
    check.add_argument("--mend", action="store_true", help="put wrong balances right")
    check.add_argument("--again", action="store_true", help="ask accounting anew about sessions that were charged from our own records")
    add_style(check)


def show_balance(options: argparse.Namespace) -> int:
    """``bill balance``."""
    return print_rows(connect(options.config).call("GET", "bills").data["accounts"], ACCOUNT_COLUMNS, options.style)


def list_accounts(options: argparse.Namespace) -> int:
    """``bill list``."""
    path = "admin/bills?" + urlencode({"q": options.search})
    return print_rows(connect(options.config).call("GET", path).data["items"], ACCOUNT_COLUMNS, options.style)


def show_statement(options: argparse.Namespace) -> int:
    """``bill statement``: with an address and a token of one's own also of oneself."""
    asked = {"scope": options.scope, "name": options.name, "month": options.month}
    base = "bills/statement" if os.environ.get("BACKENDAI_URL") else "admin/bills/statement"
    connection = connect(options.config)
    if options.csv:
        print(connection.call("GET", f"{base}?{urlencode({**asked, 'format': 'csv'})}").data, end="")
        return 0
    found = connection.call("GET", f"{base}?{urlencode(asked)}").data
    if options.style != "table":
        print(format_data(found, options.style), end="")
        return 0
    print_rows(found["lines"], LINE_COLUMNS, "table")
    return show({name: found[name] for name in ("opening", "charged", "refunded", "total", "closing")}, "table")


def give_credit(options: argparse.Namespace) -> int:
    """``bill credit``."""
    reference = options.reference or secrets.token_hex(16)
    body = {"name": options.name, "amount": options.amount, "note": options.note, "reference": reference}
    return show(connect(options.config).call("POST", "admin/bills/credit", body).data, options.style)


def check_balances(options: argparse.Namespace) -> int:
    """``bill check``: 1 when a balance was wrong and is not mended."""
    found = connect(options.config).call("POST", "admin/bills/check", {"mend": options.mend, "again": options.again}).data
    print_rows(found["wrong"], ("account", "noted", "counted"), options.style)
    return 1 if found["wrong"] and not found["mended"] else 0


def print_rows(items: list[Mapping[str, Any]], columns: tuple[str, ...], style: str) -> int:
    """A list for people or for programs."""
    if style != "table":
        print(format_data(items, style), end="")
        return 0
    rows = [[printable(str(item[name])) or "-" for name in columns] for item in items]
    print(format_table([name.upper() for name in columns], rows), end="")
    return 0
