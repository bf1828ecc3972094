"""Folders on the disk, as root: their directories, and who passes their gates. Nothing that a user can change is opened here by a name
that a user could have put there.

``<scope>/<id>`` is the gate: root's, and an access list says who may go through. ``data`` (the files) and ``work`` (what arrives) in it
belong to people, and nobody but root can put something else in their place. Where there is no root, all of it is one account's.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..core.vfolders import DATA_DIRECTORY, WORK_DIRECTORY, Permission
from ..errors import N_, BackendAIError, Conflict, InvalidParameters, NotFound
from .acl import DEFAULT, EXECUTE, READ, WRITE, Acl, set_acl
from .openat2 import open_beneath, rename_new
from .worker_errors import UNREADABLE, translate

SCOPE = re.compile(r"(?:user|project)-[0-9a-f]{32}", re.ASCII)
FOLDER = re.compile(r"[0-9a-f]{32}", re.ASCII)
MANY = 10_000  # folders in one answer
NEW, TRASH = ".new-", ".trash-"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_BITS = {Permission.READ_ONLY: READ | EXECUTE, Permission.READ_WRITE: READ | WRITE | EXECUTE}
_SCOPE_MODE, _GATE_MODE = 0o711, 0o700


@dataclass(frozen=True, slots=True)
class Passer:
    """One account that may use a folder: its uid, and what it may do with the files (a sum of READ, WRITE, EXECUTE)."""

    uid: int
    bits: int


def bits_of(permission: Permission) -> int:
    """What a permission is on the disk."""
    return _BITS.get(permission, READ | WRITE | EXECUTE)


def make_folder(
    host: int,
    scope: str,
    folder: str,
    owner: tuple[int, int],
    passers: Sequence[Passer],
    prepare: Callable[[int, str], None],
    is_divided: bool = False,
) -> None:
    """Make a folder's directories, all at once or not at all; one that is there gets what it lacks. ``prepare`` makes a scope's.

    ``owner`` is the uid and gid of ``data`` and ``work``. Raises BackendAIError.
    """
    _check(scope, folder)
    with _words(), _trusted(host):
        if not _is_there(host, scope):
            prepare(host, scope)
        with _open(host, scope) as scope_directory:
            if not _is_there(scope_directory, folder):
                _make_gate(scope_directory, folder, owner)
        set_gate(host, scope, folder, passers, is_divided)


def make_scope(host: int, scope: str) -> None:
    """A scope's directory where nothing counts what is in it."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(scope, _SCOPE_MODE, dir_fd=host)
    os.chmod(scope, _SCOPE_MODE, dir_fd=host)


def _make_gate(scope: int, folder: str, owner: tuple[int, int]) -> None:
    new = NEW + folder
    _remove_tree(scope, new)  # of one who was killed here
    os.mkdir(new, _GATE_MODE, dir_fd=scope)
    with _open(scope, new) as gate:
        for name, mode in ((DATA_DIRECTORY, 0o700), (WORK_DIRECTORY, 0o1700)):
            os.mkdir(name, mode, dir_fd=gate)
            with _open(gate, name, is_users=True) as directory:
                os.fchmod(directory, mode)
                if os.geteuid() == 0:
                    os.fchown(directory, *owner)
    with contextlib.suppress(FileExistsError):  # two at once: the other one's is as good
        rename_new(new.encode(), folder.encode(), scope, scope)


def set_gate(host: int, scope: str, folder: str, passers: Sequence[Passer], is_divided: bool = False) -> None:
    """Let exactly these pass from now on, and have what is made from now on be theirs to use. Nobody: the folder is shut.

    What is in the folder already keeps its own lists: :mod:`.worker_access` follows. Raises NotFound, BackendAIError.
    """
    _check(scope, folder)
    with _words(), _trusted(host), _open(host, scope) as scope_directory:
        _open_up(scope_directory, folder, bool(passers))
        with _open(scope_directory, folder) as gate:
            if os.geteuid():  # one account for everything: it passes, or the gate is shut
                os.fchmod(gate, _GATE_MODE if passers else 0)
                return
            # the names first: whoever passes finds what is theirs, whoever must not finds the gate shut at the latest now
            if passers:
                _set_lists(gate, passers, is_divided)
            set_gate_list(gate, [passer.uid for passer in passers])


def _open_up(scope: int, folder: str, is_wanted: bool) -> None:
    """Where one account has all, a gate that is shut is shut to it too."""
    if os.geteuid() and is_wanted:
        os.chmod(folder, _GATE_MODE, dir_fd=scope)


def set_gate_list(gate: int, uids: Sequence[int]) -> None:
    """Who may pass a gate that is open; its list then says nothing else."""
    if uids:  # at once, mode and all: whoever may pass before and after never finds it shut
        set_acl(gate, Acl(7, users=dict.fromkeys(uids, EXECUTE)))
        return
    os.fchmod(gate, 0)  # first, because without a list what was its mask is the group's
    set_acl(gate, None)


def _set_lists(gate: int, passers: Sequence[Passer], is_divided: bool) -> None:
    """The lists of ``data`` and ``work`` themselves. Their owner has all of it, others what was granted; only writers see ``work``.

    In a divided folder nobody puts something in the place of another member's part: programs are run from it.
    """
    with _open(gate, DATA_DIRECTORY, is_users=True) as data:
        owner = os.fstat(data).st_uid
        others = {passer.uid: passer.bits for passer in passers if passer.uid != owner}
        set_directory_list(data, owner, others)
        os.fchmod(data, stat.S_IMODE(os.fstat(data).st_mode) & 0o777 | (stat.S_ISVTX if is_divided else 0))
    with _open(gate, WORK_DIRECTORY, is_users=True) as work:
        writers = {uid: bits for uid, bits in others.items() if bits & WRITE}
        set_acl(work, Acl(7, users=writers) if writers else None)
        os.fchmod(work, 0o1770 if writers else 0o1700)


def set_directory_list(directory: int, owner: int, others: dict[int, int]) -> None:
    """The list of a directory, and of what is made in it. ``owner`` is whose folder it is; named, because others make things too."""
    acl = Acl(7, users={**others, owner: 7}) if others else None
    if acl is None:
        os.fchmod(directory, stat.S_IMODE(os.fstat(directory).st_mode) & ~0o070)
    set_acl(directory, acl)
    set_acl(directory, acl, DEFAULT)


def remove_folder(host: int, scope: str, folder: str) -> None:
    """Delete a folder for good: first its name, so that there is never half of it, then what was in it. What is gone is no error."""
    _check(scope, folder)
    with _words(), _trusted(host):
        with contextlib.suppress(FileNotFoundError), _open(host, scope) as scope_directory:
            # In the scope's directory, not the host's: beyond it a project quota or a subvolume would make a copy of it all.
            _rename_or_empty(scope_directory, folder)
        with contextlib.suppress(FileNotFoundError), _open(host, scope) as scope_directory:
            for name in (TRASH + folder, NEW + folder):
                _remove_tree(scope_directory, name)


def _rename_or_empty(scope: int, folder: str) -> None:
    """Give a folder the name of one that is being deleted. A full btrfs takes no new name: then it is deleted under its own."""
    try:
        os.rename(folder, TRASH + folder, src_dir_fd=scope, dst_dir_fd=scope)
    except OSError as exc:
        if exc.errno not in {errno.EDQUOT, errno.ENOSPC}:
            raise
        _remove_tree(scope, folder)


def list_folders(host: int, after: str = "", most: int = MANY) -> list[tuple[str, str]]:
    """Every scope and folder that has a directory, and what a kill left of one (its id then begins with a dot), in order.

    At most so many of those after ``scope/folder``: fewer are the last.
    """
    found = []
    with _words(), _trusted(host):
        for scope in filter(SCOPE.fullmatch, _list(host)):
            with _open(host, scope) as directory:
                names = (name for name in _list(directory) if FOLDER.fullmatch(name.removeprefix(NEW).removeprefix(TRASH)))
                found += [(scope, name) for name in names]
    return sorted(pair for pair in found if "/".join(pair) > after)[:most]


def _list(directory: int) -> list[str]:
    with _open(directory, ".") as readable:  # what we have may be O_PATH
        return os.listdir(readable)  # noqa: PTH208 - a descriptor


def _remove_tree(directory: int, name: str) -> None:
    from .worker_remove import remove_tree

    with contextlib.suppress(FileNotFoundError):
        remove_tree(directory, os.fsencode(name))


def _check(scope: str, folder: str) -> None:
    if not SCOPE.fullmatch(scope) or not FOLDER.fullmatch(folder):
        raise InvalidParameters(UNREADABLE)


def _is_there(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


@contextlib.contextmanager
def _open(directory: int, name: str, *, is_users: bool = False) -> Iterator[int]:
    """A directory in another one. Raises Conflict where somebody else has it, unless it is a user's by right; OSError."""
    try:
        descriptor = open_beneath(directory, os.fsencode(name), _DIRECTORY)
    except PermissionError:
        if not os.geteuid():
            raise
        os.chmod(name, _GATE_MODE, dir_fd=directory)
        descriptor = open_beneath(directory, os.fsencode(name), _DIRECTORY)
    try:
        status = os.fstat(descriptor)
        if not is_users and (status.st_uid != os.geteuid() or status.st_mode & stat.S_IWOTH):
            raise Conflict(N_("%(path)s cannot be used: somebody else can change it."), path=name)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _trusted(host: int) -> Iterator[None]:
    status = os.fstat(host)
    if status.st_uid != os.geteuid() or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Conflict(N_("The directory of this storage host can be changed by others than root."))
    yield


@contextlib.contextmanager
def _words() -> Iterator[None]:
    """The kernel's refusals as errors of ours."""
    try:
        yield
    except OSError as exc:
        if exc.errno in {errno.ENOENT, errno.ENOTDIR}:
            raise NotFound from exc
        if exc.errno == errno.EOPNOTSUPP:
            raise Conflict(N_("The file system of this storage host has no access lists (POSIX ACLs).")) from exc
        error = translate(exc, "")
        raise (error if type(error) is not BackendAIError else Conflict(exc.strerror or "")) from exc
