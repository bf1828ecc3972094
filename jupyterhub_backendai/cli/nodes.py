"""``node list``, ``show``, ``drain`` and ``resume``: the machines behind the queues, as their engines tell of them now."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from typing import Any

from .connection import connect, record_path
from .nouns import add_style, add_verb
from .table import format_data, format_slots, format_table, pad, printable, text_width

COLUMNS = ("name", "engine", "state", "slots", "used", "gpus", "load", "sessions", "partitions", "reason")


def add_nodes(parsers: Any) -> None:
    """The command ``node``."""
    verbs = parsers.add_parser("node", help="nodes, as the engines see them now").add_subparsers(required=True, metavar="VERB")
    add_style(add_verb(verbs, "list", list_nodes, "list the nodes"))
    for name, function, text in (
        ("show", show_node, "show one node"),
        ("drain", drain_node, "give a node nothing new; what runs there goes on"),
        ("resume", resume_node, "use a node again"),
    ):
        parser = add_verb(verbs, name, function, text)
        parser.add_argument("key", metavar="NAME")
        add_style(parser)
        if name == "drain":
            parser.add_argument("--reason", required=True, help="what the others are told")


def list_nodes(options: argparse.Namespace) -> int:
    """``node list``."""
    answer = connect(options.config).call("GET", "admin/nodes").data
    if options.style == "table":
        rows = [[format_part(name, item.get(name)) for name in COLUMNS] for item in answer["items"]]
        print(format_table([name.upper() for name in COLUMNS], rows), end="")
    else:
        print(format_data(answer["items"], options.style), end="")
    for engine in answer["failed"]:
        print(f"The engine {engine} does not answer: its nodes are as they were.", file=sys.stderr)
    return 0


def show_node(options: argparse.Namespace) -> int:
    """``node show``."""
    return show(connect(options.config).call("GET", record_path("nodes", options.key)).data, options.style)


def drain_node(options: argparse.Namespace) -> int:
    """``node drain``."""
    body = {"reason": options.reason}
    return show(connect(options.config).call("POST", f"{record_path('nodes', options.key)}/drain", body).data, options.style)


def resume_node(options: argparse.Namespace) -> int:
    """``node resume``."""
    return show(connect(options.config).call("POST", f"{record_path('nodes', options.key)}/resume", {}).data, options.style)


def show(item: Mapping[str, Any], style: str) -> int:
    """Print one node."""
    if style != "table":
        print(format_data(item, style), end="")
        return 0
    width = max(map(text_width, item))
    for name, value in item.items():
        print(f"{pad(name, width)}  {format_part(name, value)}")
    return 0


def format_part(name: str, value: Any) -> str:
    """One part of a node for people."""
    if name == "gpus":
        value = [f"{part['type']} {part['used']}/{part['total']}" for part in value]
    if isinstance(value, Mapping):
        return format_slots(value) or "-"
    if isinstance(value, list):
        value = ",".join(map(str, value))
    return "-" if value is None or value == "" else printable(str(value))
