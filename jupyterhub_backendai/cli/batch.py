"""``batch run``, ``list``, ``show``, ``log`` and ``end``: batch sessions of one's own, with a token of one's own.

The commands come from a file or from standard input, never as an argument: other people of the machine can read arguments.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import BackendAIError, InvalidParameters, Unauthenticated
from .connection import Connection, connect
from .nodes import show
from .nouns import add_style, add_verb
from .table import format_data, format_table, printable

COLUMNS = ("id", "name", "queue", "status", "exit_code", "created_at", "reason")
OVER = frozenset({"TERMINATED", "CANCELLED", "ERROR"})
WAIT_S = 2.0
_OPTIONS = (
    ("queue", "the queue (resource group)"),
    ("environment", "the environment; default: default"),
    ("project", "the project; default: your first one"),
    ("cpu", "CPUs; default: 1"),
    ("mem", "memory, such as 4g; default: 1g"),
    ("gpu", "GPUs; default: 0"),
    ("gpu-type", "the type of GPU"),
    ("shares", "a share of a GPU, such as 0.25"),
    ("account", "the scheduler's account; default: the site's, else your own"),
    ("qos", "the quality of service"),
    ("reservation", "a reservation of yours"),
    ("features", "features of the node, such as a100&80g"),
    ("cluster", "the cluster, where the queue is on several"),
    ("time", "time limit, such as 90m or 2h; default: the queue's"),
    ("name", "a name of your own"),
    ("starts-at", "not before: +2h, or 2026-11-21T18:00+09:00"),
    ("depends-on", "only after these sessions of yours have ended well: ids or names, with commas"),
)


def add_batch(parsers: Any) -> None:
    """The command ``batch``."""
    verbs = parsers.add_parser("batch", help="batch sessions of your own").add_subparsers(required=True, metavar="VERB")
    run = add_verb(verbs, "run", run_session, "run commands from a file, or from standard input, as a batch session")
    run.add_argument("file", nargs="?", type=Path, help="the file with the lines for the shell; default: standard input")
    for name, text in _OPTIONS:
        run.add_argument(f"--{name}", required=name == "queue", default="", help=text)
    run.add_argument(
        "--mount",
        action="append",
        default=[],
        metavar="FOLDER[/PATH][:NAME][:ro]",
        help="a folder of yours, or a directory in it, under a name, for reading only; as often as you like",
    )
    run.add_argument("--wait", action="store_true", help="wait for the end, print the log and exit as the commands did")
    add_style(run)
    add_style(add_verb(verbs, "list", list_sessions, "list your batch sessions, the newest first"))
    for name, function, text in (
        ("show", show_session, "show one"),
        ("log", print_log, "print the end of what one has printed"),
        ("end", end_session, "end one"),
    ):
        parser = add_verb(verbs, name, function, text)
        parser.add_argument("key", metavar="ID")
        if name != "log":
            add_style(parser)


def run_session(options: argparse.Namespace) -> int:
    """``batch run``."""
    fields = {name.replace("-", "_"): getattr(options, name.replace("-", "_")) for name, _ in _OPTIONS}
    connection = open_own(options)
    wanted: dict[str, Any] = {name: text for name, text in fields.items() if text} | ({"mounts": options.mount} if options.mount else {})
    session = connection.call("POST", "sessions", {"command": _read(options.file), **wanted}).data
    if not options.wait:
        return print_session(session, options.style)
    print(f"{session['id']} in {session['queue']}", file=sys.stderr)
    session = _wait(connection, str(session["id"]))
    print(connection.call("GET", f"sessions/{session['id']}/log").data, end="")
    print(f"{session['status']} {session['reason']}".rstrip(), file=sys.stderr)
    return int(session["exit_code"] or 0) if session["status"] == "TERMINATED" else int(session["exit_code"] or 1)


def list_sessions(options: argparse.Namespace) -> int:
    """``batch list``."""
    found = open_own(options).call("GET", "sessions").data["sessions"]
    found = [session for session in found if session["session_type"] == "batch"]
    if options.style == "table":
        rows = [["-" if session[name] in (None, "") else printable(str(session[name])) for name in COLUMNS] for session in found]
        print(format_table([name.upper() for name in COLUMNS], rows), end="")
    else:
        print(format_data(found, options.style), end="")
    return 0


def show_session(options: argparse.Namespace) -> int:
    """``batch show``."""
    return print_session(open_own(options).call("GET", find_path(options.key)).data, options.style)


def print_log(options: argparse.Namespace) -> int:
    """``batch log``: control characters that a terminal would obey are left out when it is one."""
    text = str(open_own(options).call("GET", f"{find_path(options.key)}/log").data)
    print("\n".join(map(printable, text.split("\n"))) if sys.stdout.isatty() else text, end="")
    return 0


def end_session(options: argparse.Namespace) -> int:
    """``batch end``."""
    return print_session(open_own(options).call("DELETE", find_path(options.key)).data, options.style)


def print_session(session: Mapping[str, Any], style: str) -> int:
    """One session; why it waits as people read it."""
    waiting = session.get("waiting")
    return show({**session, "waiting": waiting["reason"] if waiting and style == "table" else waiting}, style)


def open_own(options: argparse.Namespace) -> Connection:
    """The connection of a person. Raises Unauthenticated on the private socket: whoever has its secret is nobody in particular."""
    if not os.environ.get("BACKENDAI_URL"):
        raise Unauthenticated("Batch sessions are somebody's own: set BACKENDAI_URL, and a token of yours in BACKENDAI_TOKEN_FILE.")
    return connect(options.config)


def find_path(key: str) -> str:
    """The address of a session. Raises InvalidParameters for what is no id."""
    if len(key) != 32 or not key.isalnum() or not key.isascii():
        raise InvalidParameters("%(key)s is no id of a session.", key=repr(key))
    return f"sessions/{key}"


def _read(file: Path | None) -> str:
    try:
        return file.read_text() if file else sys.stdin.read()
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidParameters("The commands cannot be read: %(reason)s", reason=exc) from exc


def _wait(connection: Connection, session_id: str) -> Mapping[str, Any]:
    """The session once it is over; a service that restarts meanwhile is waited for."""
    while True:
        try:
            session: Mapping[str, Any] = connection.call("GET", f"sessions/{session_id}").data
        except BackendAIError as exc:
            if not exc.transient:
                raise
            session = {"status": "UNKNOWN"}
        if session["status"] in OVER:
            return session
        time.sleep(WAIT_S)
