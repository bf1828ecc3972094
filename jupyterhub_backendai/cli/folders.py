"""``folder …``: virtual folders of one's own and those that others share, with a token of one's own. Administrators: ``list --all``.

A folder is named by its id, or by its name where that says which one is meant.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any
from urllib.parse import urlencode

from ..core.slots import format_bytes
from ..errors import Unauthenticated
from .batch import open_own
from .folder_names import PERMISSIONS, add_key, find_folder, print_table
from .folder_sharing import add_sharing
from .nodes import show
from .nouns import add_style, add_verb
from .table import format_data

COLUMNS = ("id", "name", "host", "status", "permission", "owner", "used", "created_at")
MODES = ("general", "model", "data")
WAIT_S = 1.0
_FILTERS = (
    ("search", "with this in the name"),
    ("host", "on this storage host"),
    ("owner", "of this person or project"),
    ("sort", "by this, such as name or -used_bytes"),
)


def add_folders(parsers: Any) -> None:
    """The command ``folder``."""
    verbs = parsers.add_parser("folder", help="virtual folders: files that outlive sessions").add_subparsers(required=True, metavar="VERB")
    _add_list(verbs)
    create = add_verb(verbs, "create", create_folder, "make a folder")
    create.add_argument("name", metavar="NAME")
    create.add_argument("--host", default="", help="storage host; default: the first where you may")
    create.add_argument("--project", default="", help="make it a project's; for administrators")
    _add_options(create)
    for name, function, text in (
        ("info", print_folder, "show one folder"),
        ("trash", trash_folder, "move a folder to the trash: nobody can use it, its files stay"),
        ("restore", restore_folder, "take a folder out of the trash"),
    ):
        add_style(add_key(add_verb(verbs, name, function, text)))
    rename = add_key(add_verb(verbs, "rename", rename_folder, "give a folder another name"))
    rename.add_argument("name", metavar="NAME")
    add_style(rename)
    options = add_key(add_verb(verbs, "options", change_options, "change what members may do, and whether it may be copied"))
    options.add_argument("--permission", choices=PERMISSIONS, help="what members of its project may do")
    options.add_argument("--cloneable", action=argparse.BooleanOptionalAction, default=None, help="others who may read it may copy it")
    add_style(options)
    clone = add_key(add_verb(verbs, "clone", clone_folder, "copy a folder into a new one of your own"))
    clone.add_argument("name", metavar="NAME")
    clone.add_argument("--wait", action="store_true", help="wait for the end; 1 when it failed")
    _add_options(clone)
    purge = add_key(add_verb(verbs, "purge", purge_folder, "delete a folder of the trash for good; asks you to type its name"))
    purge.add_argument("--name", default="", help="the folder's name, where nobody can be asked")
    hosts = add_verb(verbs, "hosts", list_hosts, "list the storage hosts where you may do something")
    add_style(hosts)
    add_sharing(verbs)


def _add_list(verbs: Any) -> None:
    listing = add_verb(verbs, "list", list_folders, "list the folders that you may use")
    for name, text in _FILTERS:
        listing.add_argument(f"--{name}", default="", help=text)
    listing.add_argument("--trash", action="store_true", help="those in the trash")
    listing.add_argument("--all", action="store_true", help="those that you administer")
    listing.add_argument("--page", default="1", help="which page; default: the first")
    listing.add_argument("--size", default="100", help="how many on a page; default: 100")
    add_style(listing)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--usage-mode", choices=MODES, default="general", help="what it is for; default: general")
    parser.add_argument("--permission", choices=PERMISSIONS, default="rw", help="what members of its project may do; default: rw")
    parser.add_argument("--cloneable", action="store_true", help="others who may read it may copy it")
    add_style(parser)


def list_folders(options: argparse.Namespace) -> int:
    """``folder list``."""
    wanted = {name: getattr(options, name) for name in (*(name for name, _ in _FILTERS), "page", "size")}
    query = urlencode({**{name: text for name, text in wanted.items() if text}, **({"trash": "1"} if options.trash else {})})
    found = open_own(options).call("GET", f"folders{'/all' if options.all else ''}?{query}").data
    if options.style != "table":
        print(format_data(found["folders"], options.style), end="")
        return 0
    print_table(COLUMNS, [_shorten(folder) for folder in found["folders"]])
    if found["pages"] > 1:
        print(f"Page {found['page']} of {found['pages']}, {found['total']} folders in all.", file=sys.stderr)
    return 0


def create_folder(options: argparse.Namespace) -> int:
    """``folder create``."""
    body = {name: getattr(options, name) for name in ("name", "host", "project", "usage_mode", "permission", "cloneable")}
    return _print_folder(open_own(options).call("POST", "folders", body).data, options.style)


def print_folder(options: argparse.Namespace) -> int:
    """``folder info``."""
    connection = open_own(options)
    return _print_folder(connection.call("GET", find_folder(connection, options.key)).data, options.style)


def rename_folder(options: argparse.Namespace) -> int:
    """``folder rename``."""
    return _act(options, "rename", {"name": options.name})


def trash_folder(options: argparse.Namespace) -> int:
    """``folder trash``."""
    return _act(options, "trash", {})


def restore_folder(options: argparse.Namespace) -> int:
    """``folder restore``."""
    return _act(options, "restore", {}, trash=True)


def change_options(options: argparse.Namespace) -> int:
    """``folder options``."""
    body = {name: getattr(options, name) for name in ("permission", "cloneable") if getattr(options, name) is not None}
    return _act(options, "options", body)


def clone_folder(options: argparse.Namespace) -> int:
    """``folder clone``."""
    connection = open_own(options)
    body = {name: getattr(options, name) for name in ("name", "usage_mode", "permission", "cloneable")}
    folder = connection.call("POST", f"{find_folder(connection, options.key)}/clone", body).data
    while options.wait and folder["status"] == "cloning":
        time.sleep(WAIT_S)
        folder = connection.call("GET", f"folders/{folder['id']}").data
    _print_folder(folder, options.style)
    return 1 if folder["status"] == "error" else 0


def purge_folder(options: argparse.Namespace) -> int:
    """``folder purge``."""
    connection = open_own(options)
    path = find_folder(connection, options.key, trash=True)
    connection.call("POST", f"{path}/purge", {"name": options.name or _ask_name()})
    print("It is being deleted for good.")
    return 0


def list_hosts(options: argparse.Namespace) -> int:
    """``folder hosts``."""
    found = open_own(options).call("GET", "folders/hosts").data
    if options.style != "table":
        print(format_data(found, options.style), end="")
        return 0
    rows = [{**host, "permissions": ",".join(host["permissions"])} for host in found["hosts"]]
    print_table(("name", "description", "permissions"), rows)
    return 0


def _act(options: argparse.Namespace, verb: str, body: dict[str, Any], *, trash: bool = False) -> int:
    connection = open_own(options)
    return _print_folder(connection.call("POST", f"{find_folder(connection, options.key, trash=trash)}/{verb}", body).data, options.style)


def _ask_name() -> str:
    if not sys.stdin.isatty():
        raise Unauthenticated("Nobody can be asked here: give the folder's name with --name.")
    print("Type the folder's name to delete it for good: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().rstrip("\n")


def _print_folder(folder: dict[str, Any], style: str) -> int:
    if style != "table":
        return show(folder, style)
    task = folder.pop("task", None)
    if folder["used_bytes"] is not None:
        folder["used_bytes"] = format_bytes(folder["used_bytes"])
    show({**folder, **({"task": f"{task['kind']}, {task['status']}. {task['trouble']}".strip(" .")} if task else {})}, style)
    return 0


def _shorten(folder: dict[str, Any]) -> dict[str, Any]:
    used = folder["used_bytes"]
    more = {"owner": folder["project"] or folder["user"], "used": "" if used is None else format_bytes(used)}
    return {**folder, **more, "created_at": folder["created_at"][:19]}
