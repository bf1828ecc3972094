"""The folders of a session on the launch page: what can be chosen, what was, what comes by itself, and how a form writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..core.queues import Queue
from ..core.vfolder_mount_plans import place_of
from ..core.vfolder_mounts import LINKING_ENGINES, MAX_TEXT, Mount, MountRequest, format_mount, parse_mounts
from ..core.vfolders import Access, is_automount
from ..errors import Violation
from ..store.launch_folders import Choices, load_choices, preview
from .base import PageHandler

MOUNTS, SEARCH = "mounts", "folder_search"
# Sent with the rows, so that none that is chosen is told from a form that has no rows.
SHOWN = "folders"
MAX_IN_LINK = 4000
_ROW = re.compile(r"folder\.([0-9]{1,4})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Row:
    """One folder as the form offers it; ``trouble`` of one that was asked for and is not there."""

    number: int
    key: str
    name: str
    whose: str = ""
    can_write: bool = True
    request: MountRequest | None = None
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Automatic:
    """A folder that nobody needs to choose."""

    name: str
    place: str
    is_read_only: bool


@dataclass(frozen=True, slots=True)
class Mounted:
    """A folder as the page of a session shows it: ``name`` with the path in it, and where it is."""

    folder_id: str
    name: str
    place: str
    is_read_only: bool
    is_automatic: bool


@dataclass(frozen=True, slots=True)
class Card:
    """The card as it stands. ``is_lasting``: what is in no folder stays as well when the session ends."""

    rows: Sequence[Row] = field(default_factory=tuple)
    automatic: Sequence[Automatic] = field(default_factory=tuple)
    is_more: bool = False
    is_lasting: bool = True
    text: str = ""
    chosen: int = 0


def compose(arguments: Mapping[str, Sequence[bytes]]) -> str:
    """The field ``mounts`` of a form (which sends rows), or of a link."""
    if SHOWN not in arguments:
        values = arguments.get(f"opt-{MOUNTS}") or arguments.get(MOUNTS) or []
        return ",".join(value.decode("utf-8", "replace") for value in values)[: MAX_TEXT + 1]
    found = []
    for name in sorted(arguments, key=lambda name: (len(name), name)):
        if _ROW.fullmatch(name) and (folder := _last(arguments, name)):
            subpath, target, mode = (_last(arguments, f"{name}.{part}") for part in ("subpath", "target", "mode"))
            found.append(format_mount(MountRequest(folder, subpath, target, mode)))
    return ",".join(found)[: MAX_TEXT + 1]


def _last(arguments: Mapping[str, Sequence[bytes]], name: str) -> str:
    return (arguments.get(name) or [b""])[-1].decode("utf-8", "replace").strip()


async def load_card(handler: PageHandler, queue: Queue | None, values: Mapping[str, str], text: str = "") -> Card:
    """The card for the form as it stands; ``text`` is looked for in the names of folders."""
    requests = read_requests(values.get(MOUNTS, ""))
    project = values.get("project") or next(iter(handler.identity.projects), "")
    engine = queue.engine if queue else next(iter(LINKING_ENGINES))
    choices = await handler.db.run(load_choices, handler.identity.name, project, engine, requests, text)
    rows = _list_rows(choices, requests, handler.identity.name)
    automatic = [Automatic(mount.name, place_of(mount), mount.is_read_only) for mount in choices.plan.mounts if mount.is_automatic]
    return Card(rows, automatic, choices.is_more, engine in LINKING_ENGINES, text, len(requests))


def read_requests(text: str) -> tuple[MountRequest, ...]:
    """What was asked for, nothing of a text that cannot be read: the refusal says what is wrong with it."""
    try:
        return parse_mounts(text)
    except ValueError:
        return ()


async def check_mounts(handler: PageHandler, queue: Queue, project: str, requests: Sequence[MountRequest]) -> Sequence[Violation]:
    """Why a session would be refused for its folders."""
    project = project or next(iter(handler.identity.projects), "")
    return (await handler.db.run(preview, handler.identity.name, project, queue.engine, requests)).violations


def describe_mounted(mounts: Sequence[Mount]) -> list[Mounted]:
    """The folders of a session."""
    return [
        Mounted(
            mount.folder_id,
            f"{mount.name}/{mount.subpath}" if mount.subpath and not mount.is_own_part else mount.name,
            place_of(mount),
            mount.is_read_only,
            mount.is_automatic,
        )
        for mount in mounts
    ]


def _list_rows(choices: Choices, requests: Sequence[MountRequest], user: str) -> list[Row]:
    """What was chosen first, as it was, then what else there is."""
    rows: list[Row] = []
    chosen: set[str] = set()
    for request in requests:
        access = next((access for access in choices.named if request.folder in (access.folder.id, access.folder.name)), None)
        if access:
            chosen.add(access.folder.id)
        rows.append(_make_row(len(rows), access, request, user))
    others = [access for access in choices.folders if access.folder.id not in chosen and not is_automount(access.folder.name)]
    return rows + [_make_row(len(rows) + number, access, None, user) for number, access in enumerate(others)]


def _make_row(number: int, access: Access | None, request: MountRequest | None, user: str) -> Row:
    if access is None:
        name = request.folder if request else ""
        return Row(number, name, name, request=request, is_known=False)
    folder = access.folder
    whose = "" if folder.user == user else folder.project or folder.user_email or folder.user
    return Row(number, folder.id, folder.name, whose, access.permission.can_write, request)
