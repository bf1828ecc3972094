"""``session mine``, ``log``, ``extend`` and ``keep``: sessions of one's own, notebooks and batch, with a token of one's own."""

from __future__ import annotations

import argparse
import sys
from typing import Any
from urllib.parse import urlencode

from .batch import find_path, open_own, print_session
from .nodes import show
from .nouns import add_style, add_verb
from .table import format_data, format_table, printable

COLUMNS = ("id", "name", "queue", "status", "created_at", "elapsed_s", "cpu_hours", "cost", "reason")
_FILTERS = (
    ("state", "live, ended or failed"),
    ("queue", "of this queue only"),
    ("q", "with this in its name"),
    ("from", "asked for on this day (UTC, 2026-11-21) or later"),
    ("to", "asked for on this day or before"),
)


def add_own_sessions(verbs: Any) -> None:
    """The verbs of one's own sessions, beside those of administrators."""
    mine = add_verb(verbs, "mine", list_own, "list your own sessions, the newest first")
    for name, text in _FILTERS:
        mine.add_argument(f"--{name}", default="", help=text)
    mine.add_argument("--page", default="1", help="which page; default: the first")
    mine.add_argument("--size", default="50", help="how many on a page; default: 50")
    add_style(mine)
    log = add_verb(verbs, "log", print_log, "print the end of what one of yours has printed")
    log.add_argument("key", metavar="ID")
    extend = add_verb(verbs, "extend", extend_session, "give a running session more time, where its queue permits it")
    extend.add_argument("key", metavar="ID")
    extend.add_argument("--time", required=True, help="how much more, such as 90m or 2h")
    add_style(extend)
    keep = add_verb(verbs, "keep", keep_session, "keep one of yours that nobody seems to use")
    keep.add_argument("key", metavar="ID")
    add_style(keep)


def list_own(options: argparse.Namespace) -> int:
    """``session mine``."""
    wanted = {name: getattr(options, name) for name in (*(name for name, _ in _FILTERS), "page", "size")}
    found = open_own(options).call("GET", f"sessions?{urlencode({name: text for name, text in wanted.items() if text})}").data
    if options.style != "table":
        print(format_data(found["sessions"], options.style), end="")
        return 0
    rows = [[_show(session[name]) for name in COLUMNS] for session in found["sessions"]]
    print(format_table([name.upper() for name in COLUMNS], rows), end="")
    if found["pages"] > 1:
        print(f"Page {found['page']} of {found['pages']}, {found['total']} sessions in all.", file=sys.stderr)
    return 0


def print_log(options: argparse.Namespace) -> int:
    """``session log``: control characters that a terminal would obey are left out when it is one."""
    text = str(open_own(options).call("GET", f"{find_path(options.key)}/log").data)
    print("\n".join(map(printable, text.split("\n"))) if sys.stdout.isatty() else text, end="")
    return 0


def extend_session(options: argparse.Namespace) -> int:
    """``session extend``: for one's own, and for administrators for those of their domain."""
    return show(open_own(options).call("POST", f"{find_path(options.key)}/extend", {"time": options.time}).data, options.style)


def keep_session(options: argparse.Namespace) -> int:
    """``session keep``."""
    connection = open_own(options)
    connection.call("POST", f"{find_path(options.key)}/keep", {})
    return print_session(connection.call("GET", find_path(options.key)).data, options.style)


def _show(value: Any) -> str:
    if isinstance(value, dict):  # what it cost
        value = f"{value['charged'] or '<= ' + value['at_most']} {value['currency']}"
    return "-" if value in (None, "") else printable(str(value))
