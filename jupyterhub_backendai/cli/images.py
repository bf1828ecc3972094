"""``image rescan``: look through the container registries, and wait for what it comes to."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping
from typing import Any

from .connection import Connection, connect
from .nouns import add_style, add_verb
from .table import format_data, format_table, printable

POLL_S = 0.5
PATH = "admin/rescan"
COUNTS = ("added", "updated", "unchanged", "gone", "failed", "skipped")


def add_images(verbs: Any) -> None:
    """The verb of ``image`` besides those of every noun."""
    rescan = add_verb(verbs, "rescan", rescan_images, "look through one container registry, or all and the configuration file")
    rescan.add_argument("registry", nargs="?", default="", metavar="REGISTRY")
    rescan.add_argument("--no-wait", action="store_true", help="do not wait for the end; without REGISTRY and again, see how far it is")
    add_style(rescan)


def rescan_images(options: argparse.Namespace) -> int:
    """``image rescan``: 1 when a registry could not be looked through."""
    connection = connect(options.config)
    answer = connection.call("POST", PATH, {"registry": options.registry} if options.registry else {}).data
    if not options.no_wait:
        answer = _wait(connection, answer, options.registry)
    items = _pick(answer, options.registry)
    if options.style == "table":
        rows = [
            [item["registry"], item["state"] or "-", *(_show(item[name]) for name in COUNTS), printable(item["error"])] for item in items
        ]
        print(format_table(["REGISTRY", "STATE", *(name.upper() for name in COUNTS), "ERROR"], rows), end="")
    else:
        print(format_data(items, options.style), end="")
    return int(any(item["state"] == "failed" for item in items))


def _wait(connection: Connection, answer: Mapping[str, Any], registry: str) -> Mapping[str, Any]:
    """The answer when nothing that we asked for goes on; how far it is goes to a terminal."""
    is_shown = sys.stderr.isatty()
    while any(item["state"] == "running" for item in _pick(answer, registry)):
        if is_shown:
            print(f"\r{_progress(answer, registry)}\x1b[K", end="", file=sys.stderr, flush=True)
        time.sleep(POLL_S)
        answer = connection.call("GET", PATH).data
    if is_shown:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return answer


def _pick(answer: Mapping[str, Any], registry: str) -> list[dict[str, Any]]:
    return [item for item in answer["items"] if not registry or item["registry"] == registry]


def _progress(answer: Mapping[str, Any], registry: str) -> str:
    items = [item for item in _pick(answer, registry) if item["state"] == "running"]
    done, total = (sum(item[kind][key] for item in items for kind in ("repositories", "images")) for key in ("done", "total"))
    return f"{', '.join(printable(item['registry']) for item in items)}: {done} of {total}"


def _show(value: Any) -> str:
    return "-" if value is None else str(value)
