r"""What a session gets of somebody's folders, and where it appears there: the words for asking, and for what was settled.

One mount as text is ``name[/subpath][:target][:ro]``, several with commas or on lines of their own; a backslash takes their meaning
from ``: , \``. What may be mounted is :mod:`.vfolder_mount_plans`'.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import N_
from .fields import Fields

MOST_MOUNTS, MOST_NEIGHBOURS, MAX_TEXT, MAX_TARGET = 32, 1000, 16 * 1024, 255
READ_ONLY, READ_WRITE = MODES = ("ro", "rw")
# Where containers have the session's home; a target beneath it is one beneath any session's home.
HOME = "/home/work"
# Engines that show folders as links in what is the person's own all the time; elsewhere what is in no folder goes with the session.
LINKING_ENGINES = frozenset({"slurm", "local"})
_MODES = {"": "", READ_ONLY: READ_ONLY, READ_WRITE: READ_WRITE, "wd": READ_WRITE}
_KEYS = frozenset({"folder", "subpath", "target", "mode"})
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class MountRequest:
    """One folder as somebody asks for it. ``folder`` is its name or id; ``target`` "" is its name; ``mode`` ro, rw, or "" as it may be.

    Paths have no empty parts, and none that are ``.`` or ``..``; a target may begin with a slash.
    """

    folder: str
    subpath: str = ""
    target: str = ""
    mode: str = ""


@dataclass(frozen=True, slots=True)
class Mount:
    """One folder (or a directory in it) as a session sees it.

    ``source`` is the absolute directory on the nodes; ``target`` is where it appears: relative to the session's home (``data``,
    ``.local``), or absolute. ``is_automatic``: nobody asked for it, its name begins with a dot.
    """

    folder_id: str
    name: str
    source: str
    target: str
    is_read_only: bool
    subpath: str = ""
    is_automatic: bool = False

    @property
    def is_own_part(self) -> bool:
        """Whether it is a member's part of a project's ``.local``: whoever starts the session makes the directory, as that person."""
        return self.is_automatic and bool(self.subpath)

    @property
    def top(self) -> str:
        """The folder's own directory, without the sub-path: that much of ``source`` only the platform can change."""
        return self.source.removesuffix("/" + self.subpath) if self.subpath else self.source

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Mount:
        return cls(**data)


def read_mounts(fields: Fields) -> tuple[MountRequest, ...]:
    """The field ``mounts`` of a request: one text, or a list of texts and of objects; a complaint stays with the fields."""
    try:
        return parse_mounts(fields.options.get("mounts"))
    except ValueError as exc:
        message, *params = exc.args
        fields.refuse("mounts", message, **(params[0] if params else {}))
        return ()


def parse_mounts(value: Any) -> tuple[MountRequest, ...]:
    """Mounts from one text, or from a list of texts and objects. Raises ValueError with a message for people and its places."""
    if value is None or value == "":
        return ()
    items = value if isinstance(value, list | tuple) else [value]
    found: list[MountRequest] = []
    for item in items[: MOST_MOUNTS + 1]:
        if isinstance(item, str):
            if len(item) > MAX_TEXT:
                raise ValueError(_TOO_MANY, {"most": MOST_MOUNTS})
            found += [parse_mount(part) for part in _split(item, ",\n\r") if part.strip()]
        else:
            found.append(_read_object(item))
    if len(found) > MOST_MOUNTS:
        raise ValueError(_TOO_MANY, {"most": MOST_MOUNTS})
    return tuple(dict.fromkeys(found))


def format_mounts(requests: Sequence[MountRequest]) -> str:
    """The inverse of :func:`parse_mounts`, as one text."""
    return ",".join(map(format_mount, requests))


def format_again(mounts: Sequence[Mount]) -> str:
    """What asks for the same folders once more, those that come by themselves aside."""
    asked = (mount for mount in mounts if not mount.is_automatic)
    return format_mounts(
        [
            MountRequest(
                mount.folder_id, mount.subpath, "" if mount.target == mount.name else mount.target, READ_ONLY if mount.is_read_only else ""
            )
            for mount in asked
        ]
    )


def parse_mount(text: str) -> MountRequest:
    """``name[/subpath][:target][:ro]``. Raises ValueError as :func:`parse_mounts`."""
    parts = _split(text.lstrip(), ":")
    if len(parts) == 2 and parts[1] in _MODES:  # a target of that name is written with a mode behind it
        parts.insert(1, "")
    if len(parts) > 3:
        raise ValueError(_UNREADABLE, {"text": text[:80]})
    path, target, mode = (_ESCAPED.sub(r"\1", part) for part in (*parts, "", "")[:3])
    folder, _, subpath = path.partition("/")
    return _make(folder, subpath, target, mode)


def format_mount(request: MountRequest) -> str:
    """The inverse of :func:`parse_mount`."""
    path = f"{request.folder}/{request.subpath}" if request.subpath else request.folder
    parts = [path, request.target, request.mode] if request.mode else [path, request.target] if request.target else [path]
    if request.target in _MODES and request.target and not request.mode:
        parts.append("")
    return ":".join(re.sub(r"([\\:,])", r"\\\1", part) for part in parts)


def _read_object(item: Any) -> MountRequest:
    if not isinstance(item, Mapping) or not item.keys() <= _KEYS or not all(isinstance(text, str) for text in item.values()):
        raise ValueError(N_("A mount is a text such as data/input:in:ro, or an object with folder, subpath, target and mode."))
    folder, _, first = str(item.get("folder", "")).partition("/")
    subpath = "/".join(part for part in (first, item.get("subpath", "")) if part)
    return _make(folder, subpath, item.get("target", ""), item.get("mode", ""))


def _make(folder: str, subpath: str, target: str, mode: str) -> MountRequest:
    if mode not in _MODES:
        raise ValueError(N_("A folder is mounted with ro (for reading) or rw (for writing too), not with %(mode)s."), {"mode": mode[:20]})
    if folder in {"", ".", ".."} or len(folder) > 128 or not folder.isprintable():
        raise ValueError(_UNREADABLE, {"text": folder[:80]})
    return MountRequest(folder, clean_path(subpath), clean_target(target), _MODES[mode])


def clean_target(text: str) -> str:
    """Where a mount shall appear: relative to the session's home, where it is beneath it, else absolute. Raises ValueError."""
    path = clean_path(text)
    if not text.startswith("/"):
        return path
    if f"/{path}/".startswith(HOME + "/"):
        path = f"/{path}"[len(HOME) + 1 :]
        if not path:
            raise ValueError(N_("A folder has a place of its own in the session; it cannot be the whole home directory."))
        return path
    return "/" + path


def clean_path(text: str) -> str:
    """A path without what means nothing (empty parts and ``.``) and without a slash at the ends. Raises ValueError."""
    parts = [part for part in text.split("/") if part not in {"", "."}]
    path = "/".join(parts)
    is_bad = any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in path)
    if is_bad or ".." in parts or len(path) > MAX_TARGET or any(len(part.encode()) > 255 for part in parts):
        raise ValueError(
            N_("A path in a folder or a session has no “..”, no control characters and at most %(most)s characters."), {"most": MAX_TARGET}
        )
    return path


def _split(text: str, separators: str) -> list[str]:
    """The parts between separators that no backslash stands before; the backslashes stay."""
    parts, escaped = [""], False
    for letter in text:
        if letter in separators and not escaped:
            parts.append("")
        else:
            parts[-1] += letter
        escaped = letter == "\\" and not escaped
    if escaped:
        raise ValueError(_UNREADABLE, {"text": text[:80]})
    return parts


_TOO_MANY = N_("A session has at most %(most)s folders.")
_UNREADABLE = N_("“%(text)s” is no folder. Write its name, as in data or data/input:in:ro")
