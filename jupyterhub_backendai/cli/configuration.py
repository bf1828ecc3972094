"""``config export`` and ``config import``: the whole configuration as one file, with its differences shown before they are made."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import InvalidParameters
from .connection import connect
from .nouns import add_verb, confirm
from .table import format_data, printable

YAML = "application/yaml"
_SIGNS = {"create": "+", "update": "~", "delete": "-"}
_WORDS = {"create": "new", "update": "changed", "delete": "removed"}


def add_configuration(verbs: Any) -> None:
    """The two verbs of ``config``."""
    export = add_verb(verbs, "export", export_configuration, "print everything that is administered as one YAML document")
    export.add_argument("--output", type=Path, metavar="FILE", help="write it into a file")
    export.add_argument("--people", action="store_true", help="the users too, with their roles and projects")
    load = add_verb(verbs, "import", import_configuration, "make everything as a file says, or nothing at all")
    load.add_argument("file", metavar="FILE", help="YAML or JSON; - is standard input")
    load.add_argument("--dry-run", action="store_true", help="only show what would change")
    load.add_argument("--prune", action="store_true", help="also remove what the file does not have")
    load.add_argument("--yes", action="store_true", help="do not ask")


def export_configuration(options: argparse.Namespace) -> int:
    """``config export``."""
    text = str(
        connect(options.config).call("GET", "admin/configuration", query={"people": "1"} if options.people else {}, Accept=YAML).data
    )
    if options.output is None:
        print(text, end="")
        return 0
    # A file half written is never found under its name.
    part = options.output.with_name(f".{options.output.name}.{os.getpid()}")
    try:
        part.write_text(text)
        part.replace(options.output)
    except OSError as exc:
        part.unlink(missing_ok=True)
        raise InvalidParameters("%(path)s cannot be written: %(reason)s", path=options.output, reason=exc.strerror or exc) from exc
    return 0


def import_configuration(options: argparse.Namespace) -> int:
    """``config import``."""
    text = _read(options.file)
    connection = connect(options.config)
    query = {"prune": "1"} if options.prune else {}
    plan = connection.call("POST", "admin/configuration", text, {**query, "dry_run": "1"}, Content_Type=YAML).data
    print(format_changes(plan["changes"]), end="")
    if options.dry_run or not plan["changes"]:
        return 0
    if not options.yes and not confirm("Apply this?"):
        return 1
    done = connection.call("POST", "admin/configuration", text, query, Content_Type=YAML).data
    print(f"Applied: {_count(done['changes'])}.")
    return 0


def _read(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text()
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidParameters("%(path)s cannot be read: %(reason)s", path=name, reason=exc) from exc


def format_changes(changes: Sequence[Mapping[str, Any]]) -> str:
    """Changes as a diff shows them: what goes with ``-``, what comes with ``+``."""
    if not changes:
        return "Nothing changes.\n"
    lines = []
    for change in changes:
        lines.append(f"{_SIGNS[change['verb']]} {change['noun']} {printable(change['key'])}")
        before, after = change.get("before") or {}, change.get("after") or {}
        for name in dict.fromkeys((*before, *after)):
            if change["verb"] != "delete" and before.get(name) != after.get(name):
                lines += _format_field(name, before, after)
    return "\n".join([*lines, _count(changes)]) + "\n"


def _format_field(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    pairs = (("-", before), ("+", after))
    return [f"    {sign} {name}: {printable(json.dumps(side[name], ensure_ascii=False))}" for sign, side in pairs if name in side]


def _count(changes: Sequence[Mapping[str, Any]]) -> str:
    counts = {verb: sum(change["verb"] == verb for change in changes) for verb in _WORDS}
    return ", ".join(f"{count} {_WORDS[verb]}" for verb, count in counts.items() if count)


def add_settings(parsers: Any) -> None:
    """``setting list`` and ``setting set``."""
    verbs = parsers.add_parser("setting", help="what is changed while the platform runs").add_subparsers(required=True, metavar="VERB")
    add_verb(verbs, "list", list_settings, "list the settings with their values")
    change = add_verb(verbs, "set", set_setting, "change a setting")
    change.add_argument("name", metavar="NAME")
    change.add_argument("parts", nargs="+", metavar="PART=VALUE", help="such as value=frozen")


def list_settings(options: argparse.Namespace) -> int:
    """``setting list``."""
    print(format_data(connect(options.config).call("GET", "admin/settings").data, "yaml"), end="")
    return 0


def set_setting(options: argparse.Namespace) -> int:
    """``setting set``."""
    parts = {name: value for name, _, value in (part.partition("=") for part in options.parts)}
    value = connect(options.config).call("PUT", f"admin/settings/{quote(options.name, safe='')}", parts).data
    print(format_data({options.name: value}, "yaml"), end="")
    return 0


def add_recalculation(parsers: Any) -> None:
    """``recalculate``."""
    add_verb(parsers, "recalculate", recalculate, "compare what is reserved with the engines now, and repair")


def recalculate(options: argparse.Namespace) -> int:
    """``recalculate``."""
    print(format_data(connect(options.config).call("POST", "admin/recalculate", {}).data, "yaml"), end="")
    return 0
