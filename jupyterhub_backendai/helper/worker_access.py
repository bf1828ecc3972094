"""Access lists of the files in a folder follow who may use it. A worker changes its own person's files; nobody else's can be changed so."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import replace

from .acl import DEFAULT, EXECUTE, Acl, read_acl, set_acl
from .openat2 import open_beneath
from .worker_base import Answer, Job
from .worker_manage import read_passers
from .worker_tree import Walk

_TOLD_EVERY, _MOST_OWNERS = 500, 2000


def apply_access(job: Job) -> Answer:
    """Give every file and directory of this account's beneath the folder the lists that are wanted; how many were changed.

    ``owners`` says whose else there are, so that nobody else need look; null where it could not look everywhere, or they are many.
    """
    owner, me = os.fstat(job.tree.data).st_uid, os.geteuid()
    others = {passer.uid: passer.bits for passer in read_passers(job) if passer.uid != owner}
    wanted = {**others, owner: 7} if others else {}
    changed, owners, walk = 0, set[int](), Walk(job.tree.data)
    for seen, found in enumerate(walk, 1):
        if seen % _TOLD_EVERY == 0:
            job.tell({"files": seen})
        owners.add(found.status.st_uid)
        if found.status.st_uid == me and not stat.S_ISLNK(found.status.st_mode):
            handle = found.open_handle()
            try:
                changed += apply(handle, wanted)
            finally:
                os.close(handle)
    is_known = not walk.skipped and len(owners) <= _MOST_OWNERS
    return Answer({"changed": changed, "owners": sorted(owners - {me}) if is_known else None})


def apply(handle: int, wanted: Mapping[int, int]) -> bool:
    """Bring one thing's lists up to date; whether they were not. ``wanted`` are the bits of a directory, by uid; none is no list."""
    mode = os.fstat(handle).st_mode
    is_directory = stat.S_ISDIR(mode)
    users = wanted if is_directory or mode & stat.S_IXUSR else {uid: bits & ~EXECUTE for uid, bits in wanted.items()}
    plain = Acl(mode >> 6 & 7, 0, mode & 7)
    access = replace(plain, users=users) if users else None
    is_changed = _set(handle, access, mode)
    if is_directory:
        default = Acl(7, users=wanted) if wanted else None
        if read_acl(handle, DEFAULT) != default:
            set_acl(handle, default, DEFAULT)
            is_changed = True
    return is_changed


def _set(handle: int, access: Acl | None, mode: int) -> bool:
    known = read_acl(handle)
    if known == access and (access is not None or not mode & 0o070):
        return False
    if access is None:  # first, because without a list what was its mask is the group's
        os.chmod(f"/proc/self/fd/{handle}", stat.S_IMODE(mode) & ~0o070)  # noqa: PTH101 - a descriptor, which fchmod refuses
    set_acl(handle, access)
    return True


def inherit(descriptor: int, directory: int, mode: int) -> None:
    """Give a file that was made elsewhere what it would have got in this directory: its default list, or the mode."""
    readable = open_beneath(directory, b"", os.O_RDONLY | os.O_DIRECTORY)
    try:
        default = read_acl(readable, DEFAULT)
    finally:
        os.close(readable)
    if default is None:
        return
    users = {uid: bits if mode & 0o100 else bits & ~EXECUTE for uid, bits in default.users.items()}
    set_acl(descriptor, Acl(mode >> 6 & 7, 0, 0, users))
