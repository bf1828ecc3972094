"""What may be asked of the helper: every field of a known form, nothing else. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import N_, InvalidParameters
from .links import check_links

MAX_REQUEST_BYTES = 256 * 1024
MAX_GRANTS = 8000
MAX_VARIABLES, MAX_ARGUMENTS, MAX_TEXT, MAX_SCOPES = 256, 64, 32 * 1024, 1000

_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_CONSTRAINT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.&|-]{0,127}", re.ASCII)
# parts of GPUs, and nothing else: whole ones have fields of their own
_GRES = re.compile(r"(?:shard|mps)(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,63})?:[1-9][0-9]{0,5}", re.ASCII)
_SESSION = re.compile(r"[0-9a-f]{32}", re.ASCII)
_JOB = re.compile(r"[1-9][0-9]{0,9}", re.ASCII)
_NODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", re.ASCII)
# One line of words: nothing that Slurm, or somebody who reads its answers, could take for another field.
_REASON = re.compile(r"[^\W_][\w .,:;!?()/#+-]{0,199}")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_SCOPE = re.compile(r"(?:user|project)-[0-9a-f]{32}", re.ASCII)
_PLACE = re.compile(r"(?:user|project)-[0-9a-f]{32}/(?:\.new-|\.trash-)?[0-9a-f]{32}", re.ASCII)
_DRIVER = re.compile(r"auto|accounting|xfs|ext4|btrfs|lustre|cephfs", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Who it is for: the Unix name, and the uid that the caller believes it has."""

    user: str
    uid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit(Request):
    """A job. ``environment``, ``command``, ``lines`` (a batch job's, for a shell) and ``links`` (its folders, which its own program makes
    links to, as the user) go into the user's session file and nowhere else.
    """

    session_id: str
    job_name: str
    partition: str
    cpus: int
    mem_bytes: int
    time_s: int
    environment: Mapping[str, str]
    command: tuple[str, ...]
    account: str = ""
    gpus: int = 0
    gpu_type: str = ""
    gres: str = ""
    qos: str = ""
    reservation: str = ""
    constraint: str = ""
    lines: str = ""
    cluster: str = ""
    links: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel(Request):
    """End a job; ``session_id`` also removes the session file that a job which never ran left behind."""

    job_id: str
    session_id: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mkdir(Request):
    """Make the user's directory of logs and the working directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLog(Request):
    """The end of a job's log."""

    job_id: str
    cluster: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extend(Request):
    """Make ``time_s`` seconds from its start the time limit of a job of the user's that we submitted."""

    job_id: str
    time_s: int
    cluster: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRequest(Request):
    """About one node of Slurm's; nobody in particular asks, and nothing is done as anybody."""

    user: str = ""
    uid: int = 0
    node: str
    cluster: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain(NodeRequest):
    """Give nothing new to the node."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(NodeRequest):
    """Use the node again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaRequest(Request):
    """About quotas on one storage host, which the helper knows by name. ``user`` only says for whom such requests are counted."""

    user: str = "storage"
    uid: int = 0
    host: str
    driver: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareScope(QuotaRequest):
    """Have a quota scope's directory, with at most ``limit`` bytes in it (0: as many as there is room for)."""

    scope: str
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadScopes(QuotaRequest):
    """How much is used. ``sync``: have the file system count first, where it counts late."""

    scopes: tuple[str, ...]
    sync: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenWorker(Request):
    """A process that is the user from now on and serves the files of one storage host, through a socket that comes with the answer."""

    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderRequest(Request):
    """About folders of one storage host, which the helper knows by name. ``user`` only says for whom such requests are counted."""

    user: str = "storage"
    uid: int = 0
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetGate(FolderRequest):
    """Let exactly the given uids pass, each with ``ro``, ``rw`` or ``wd``.

    ``is_divided``: what is at the top is of who made it, and nobody else renames or removes it.
    """

    scope: str
    folder: str
    grants: tuple[tuple[int, str], ...]
    is_divided: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeFolder(SetGate):
    """Have a folder's directories; ``owner_uid`` and ``owner_gid`` are whose the files are."""

    owner_uid: int
    owner_gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveFolder(FolderRequest):
    """Delete a folder's directories for good."""

    scope: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFolders(FolderRequest):
    """Which folders have directories: those after ``scope/folder``, as many as one answer holds."""

    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListWork(FolderRequest):
    """In which folders there is something in ``work`` that nobody has touched for ``older_s`` seconds, and whose it is."""

    older_s: int


VERBS: Mapping[str, type[Request]] = {
    "submit": Submit,
    "cancel": Cancel,
    "mkdir": Mkdir,
    "read_log": ReadLog,
    "extend": Extend,
    "drain": Drain,
    "resume": Resume,
    "worker": OpenWorker,
    "make_folder": MakeFolder,
    "set_gate": SetGate,
    "remove_folder": RemoveFolder,
    "list_folders": ListFolders,
    "list_work": ListWork,
    "quota_prepare": PrepareScope,
    "quota_read": ReadScopes,
}


def _text(pattern: re.Pattern[str], *, optional: bool = False) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or not (pattern.fullmatch(value) or (optional and value == "")):
            raise ValueError
        return value

    return check


def _number(lowest: int, highest: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if type(value) is not int or not lowest <= value <= highest:  # True is an int to isinstance
            raise ValueError
        return value

    return check


def _free_text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT or "\0" in value:
        raise ValueError
    value.encode()  # a lone surrogate is a ValueError
    return value


def _environment(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_VARIABLES or not all(_VARIABLE.fullmatch(name) for name in value):
        raise ValueError
    return {name: _free_text(text) for name, text in value.items()}


def _command(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_ARGUMENTS:
        raise ValueError
    return tuple(_free_text(item) for item in value)


def _grants(value: Any) -> tuple[tuple[int, str], ...]:
    if not isinstance(value, list) or len(value) > MAX_GRANTS:
        raise ValueError
    found = []
    for item in value:
        uid, permission = item if isinstance(item, list) and len(item) == 2 else (0, "")
        if type(uid) is not int or not 0 < uid < 2**32 - 1 or permission not in {"ro", "rw", "wd"}:
            raise ValueError
        found.append((uid, permission))
    return tuple(found)


def _scopes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_SCOPES:
        raise ValueError
    return tuple(map(_text(_SCOPE), value))


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError  # noqa: TRY004 - caught with the others
    return value


_CHECKS: Mapping[str, Callable[[Any], Any]] = {
    "user": _text(_USER),
    "uid": _number(0, 2**32 - 2),
    "session_id": _text(_SESSION),
    "job_id": _text(_JOB),
    "job_name": _text(_WORD),
    "partition": _text(_WORD),
    "account": _text(_WORD, optional=True),
    # one of several, by the name that the accounting knows
    "cluster": _text(_WORD, optional=True),
    "cpus": _number(1, 1_000_000),
    "mem_bytes": _number(1, 1 << 60),
    "gpus": _number(0, 4096),
    "gpu_type": _text(_WORD, optional=True),
    "gres": _text(_GRES, optional=True),
    "time_s": _number(60, 366 * 24 * 3600),
    "qos": _text(_WORD, optional=True),
    "reservation": _text(_WORD, optional=True),
    "constraint": _text(_CONSTRAINT, optional=True),
    # one name, never a list of them
    "node": _text(_NODE),
    "reason": _text(_REASON),
    "environment": _environment,
    "command": _command,
    "host": _text(_HOST),
    "driver": _text(_DRIVER),
    "scope": _text(_SCOPE),
    "scopes": _scopes,
    "folder": _text(_SESSION),
    "owner_uid": _number(1, 2**32 - 2),
    "owner_gid": _number(0, 2**32 - 2),
    "grants": _grants,
    "after": _text(_PLACE, optional=True),
    "older_s": _number(60, 366 * 24 * 3600),
    "limit": _number(0, 1 << 60),
    "sync": _flag,
    "is_divided": _flag,
    "lines": _free_text,
    "links": check_links,
}


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field twice")
    return fields


def parse(line: bytes) -> Request:
    """A request from one line of JSON. Raises InvalidParameters, naming the field, for anything that is not exactly as expected."""
    try:
        fields = json.loads(line, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as exc:
        raise InvalidParameters(N_("The helper cannot read the request.")) from exc
    verb = fields.pop("verb", None) if isinstance(fields, dict) else None
    if not isinstance(verb, str) or verb not in VERBS:
        raise InvalidParameters(N_("The helper has no such verb."))
    cls = VERBS[verb]
    values = {}
    for name, value in fields.items():
        if name not in cls.__dataclass_fields__:
            raise InvalidParameters(N_("The helper knows no field %(field)s."), field=name[:64])
        values[name] = _check(name, value, optional=cls is Cancel and name == "session_id")
    try:
        return cls(**values)
    except TypeError as exc:
        raise InvalidParameters(N_("The request lacks a field.")) from exc


def _check(name: str, value: Any, *, optional: bool) -> Any:
    if optional and value == "":
        return value
    try:
        return _CHECKS[name](value)
    except ValueError as exc:
        raise InvalidParameters(N_("%(field)s has a value that is not allowed."), field=name) from exc
