"""Project quotas of XFS and ext4: a directory has a number, what is made in it inherits it, and the kernel counts by number.

All by system calls: no tool is needed, and nothing goes through a shell. The calls are the same for both file systems.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from .base import Driver, Reading, call, file_system_type, make_directory, open_scope, refuse

# struct fsxattr: flags, hints, extents, project, hint, padding
_FSXATTR = struct.Struct("=5I8x")
_GET_XATTR, _SET_XATTR, _INHERIT = 0x801C581F, 0x401C5820, 0x200
# quotactl(2): commands for project quotas, and struct if_dqblk (limits in KiB, use in bytes)
_PROJECT_QUOTA, _STATE, _GET, _SET = 2, (ord("X") << 8) + 5, 0x800007, 0x800008
_DQBLK = struct.Struct("=8QI4x")
_LIMITS_VALID = 1
_STATE_SIZE, _STATE_FLAGS, _IS_ENFORCED = 80, 2, 1 << 5
_QUOTACTL_FD = 443  # everywhere; since Linux 5.14
# Numbers of ours, far from those that people give by hand.
_FIRST, _COUNT = 0x40000000, 0x40000000


class Projects(Driver):
    """What both file systems have in common."""

    magic: ClassVar[int] = 0

    def probe(self, host: int) -> str:
        try:
            if file_system_type(host) != self.magic:
                return f"the file system is not {self.name}"
            state = ctypes.create_string_buffer(_STATE_SIZE)
            _quotactl(host, _STATE, 0, state)
        except OSError as exc:
            return f"project quotas are off ({exc.strerror})"
        (flags,) = struct.unpack_from("=H", state, _STATE_FLAGS)
        return "" if flags & _IS_ENFORCED else "project quotas are not enforced"

    def prepare(self, host: int, scope: str) -> None:
        with _locked(host):  # two at once could take the same number
            make_directory(host, scope)
            with open_scope(host, scope) as directory:
                if not _is_ours(_read_project(directory)):
                    try:
                        _write_project(directory, _free_number(directory))
                    except OSError as exc:
                        raise refuse(scope, exc) from exc

    def set_limit(self, host: int, scope: str, limit: int) -> None:
        with open_scope(host, scope) as directory:
            try:
                project = _checked(directory)
                block = ctypes.create_string_buffer(_DQBLK.pack(limit // 1024, 0, 0, 0, 0, 0, 0, 0, _LIMITS_VALID), _DQBLK.size)
                _quotactl(directory, _SET, project, block)
            except OSError as exc:
                raise refuse(scope, exc) from exc

    def read(self, host: int, scope: str, *, sync: bool = False) -> Reading:  # noqa: ARG002 - the kernel knows at once
        with open_scope(host, scope) as directory:
            try:
                hard, _, used, _, _, files, *_ = _read_quota(directory, _checked(directory))
            except OSError as exc:
                raise refuse(scope, exc) from exc
        return Reading(used, files, hard * 1024)


class Xfs(Projects):
    """Mounted with ``prjquota``. Says ENOSPC where others say EDQUOT, and limits root too."""

    name = "xfs"
    magic = 0x58465342


class Ext4(Projects):
    """Made with the features quota and project, mounted with ``prjquota``. Does not limit who has CAP_SYS_RESOURCE."""

    name = "ext4"
    magic = 0xEF53


@contextmanager
def _locked(host: int) -> Iterator[None]:
    fcntl.flock(host, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(host, fcntl.LOCK_UN)


def _is_ours(project: int) -> bool:
    return _FIRST <= project < _FIRST + _COUNT


def _read_project(directory: int) -> int:
    """The number of a directory, 0 where new files do not inherit it."""
    flags, _, _, project, _ = _FSXATTR.unpack(fcntl.ioctl(directory, _GET_XATTR, bytes(_FSXATTR.size)))
    return int(project) if flags & _INHERIT else 0


def _checked(directory: int) -> int:
    project = _read_project(directory)
    if not _is_ours(project):
        raise OSError(errno.ENODATA, "the directory has no project number of ours")
    return project


def _write_project(directory: int, project: int) -> None:
    flags, hint, extents, _, cow = _FSXATTR.unpack(fcntl.ioctl(directory, _GET_XATTR, bytes(_FSXATTR.size)))
    fcntl.ioctl(directory, _SET_XATTR, _FSXATTR.pack(flags | _INHERIT, hint, extents, project, cow))


def _free_number(directory: int) -> int:
    """A number that counts nothing yet, beginning with the inode's: no register to keep, and none to lose."""
    start = os.fstat(directory).st_ino % _COUNT
    for step in range(1000):
        number = _FIRST + (start + step) % _COUNT
        hard, _, used, _, _, files, *_ = _read_quota(directory, number)
        if not (hard or used or files):
            return number
    raise OSError(errno.ENOSPC, "no free project number was found")


def _read_quota(directory: int, project: int) -> tuple[int, ...]:
    block = ctypes.create_string_buffer(_DQBLK.size)
    try:
        _quotactl(directory, _GET, project, block)
    except OSError as exc:
        if exc.errno not in (errno.ENOENT, errno.ESRCH):  # nothing was counted under the number yet
            raise
    return tuple(_DQBLK.unpack(block.raw))


def _quotactl(directory: int, command: int, project: int, buffer: ctypes.Array[ctypes.c_char]) -> None:
    number = ctypes.c_int(((command << 8) | _PROJECT_QUOTA) & 0xFFFFFFFF)
    try:
        call("syscall", ctypes.c_long(_QUOTACTL_FD), ctypes.c_int(directory), number, ctypes.c_uint(project), buffer)
    except OSError as exc:
        if exc.errno != errno.ENOSYS:
            raise
        device = _find_device(os.fstat(directory).st_dev)
        call("quotactl", number, ctypes.c_char_p(os.fsencode(device)), ctypes.c_int(project), buffer)


def _find_device(number: int) -> str:
    """The block device that is mounted under a device number. Raises OSError."""
    wanted = f"{os.major(number)}:{os.minor(number)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mounted, _, source = line.partition(" - ")
        if mounted.split()[2] == wanted:
            return source.split()[1]
    raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
