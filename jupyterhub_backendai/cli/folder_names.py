"""How the command line names a folder and shows several: shared by the commands about folders."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import urlencode

from ..errors import BackendAIError, InvalidParameters, NotFound
from .connection import Connection
from .table import format_table, printable

PERMISSIONS = ("ro", "rw", "wd")


def add_key(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """An argument that names a folder."""
    parser.add_argument("key", metavar="FOLDER", help="its id or its name")
    return parser


def find_folder(connection: Connection, key: str, *, trash: bool = False) -> str:
    """The address of a folder. Raises NotFound, and InvalidParameters for a name that several have."""
    if len(key) == 32 and all(letter in "0123456789abcdef" for letter in key):
        return f"folders/{key}"
    found = _list_named(connection, "folders", key, trash)
    if not found:
        try:
            found = _list_named(connection, "folders/all", key, trash)
        except BackendAIError:  # who administers nothing has no such list
            found = []
    if not found:
        raise NotFound("There is no folder %(name)s%(where)s.", name=repr(key), where=" in the trash" if trash else "")
    if len(found) > 1:
        raise InvalidParameters("There are several folders %(name)s: give the id.", name=repr(key))
    return f"folders/{found[0]['id']}"


def _list_named(connection: Connection, path: str, name: str, trash: bool) -> list[dict[str, Any]]:
    query = urlencode({"search": name, "size": "500", **({"trash": "1"} if trash else {})})
    return [folder for folder in connection.call("GET", f"{path}?{query}").data["folders"] if folder["name"] == name]


def print_table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    """Rows as a table; what is not there is a dash."""
    shown = [["-" if row.get(name) in (None, "") else printable(str(row.get(name))) for name in columns] for row in rows]
    print(format_table([name.upper() for name in columns], shown), end="")
