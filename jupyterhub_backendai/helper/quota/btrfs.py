"""Qgroups of btrfs: the scope's directory is a subvolume, and a group around it has the limit. An administrator enables quotas beforehand.

The limit is not the subvolume's own group's: whoever makes a subvolume in it would be outside. With simple quotas (Linux 6.7) such a one
is in the group around it from the first.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import uuid
from pathlib import Path

from .base import SCOPE_MODE, Driver, Reading, file_system_type, open_scope, refuse

_MAGIC = 0x9123683E
_CREATE, _LOOKUP, _INFO, _LIMIT, _SYNC = 0x5000940E, 0xD0009412, 0x8400941F, 0x8030942B, 0x9408
_MAKE_GROUP, _ASSIGN = 0x4010942A, 0x40189429
_LEVEL = 48  # a group's number: its level above these bits, its own beneath
_ARGUMENTS = struct.Struct("=q4088s")
_ROOT_INODE = 256
_MAX_REFERENCED, _NO_LIMIT = 1, 2**64 - 1


class Btrfs(Driver):
    """Counts what the subvolume refers to. The count is as old as the last commit, at most half a minute."""

    name = "btrfs"

    def probe(self, host: int) -> str:
        try:
            if file_system_type(host) != _MAGIC:
                return "the file system is not btrfs"
            return "" if _groups(host).is_dir() else "quotas are off (btrfs quota enable)"
        except OSError as exc:
            return exc.strerror or str(exc)

    def prepare(self, host: int, scope: str) -> None:
        try:
            fcntl.ioctl(host, _CREATE, bytearray(_ARGUMENTS.pack(0, os.fsencode(scope))))  # Python's own buffer is too small
            os.chmod(scope, SCOPE_MODE, dir_fd=host)  # whatever the umask
        except FileExistsError:
            pass
        except OSError as exc:
            raise refuse(scope, exc) from exc
        with open_scope(host, scope) as directory:
            if os.fstat(directory).st_ino != _ROOT_INODE:
                raise refuse(scope, OSError(0, "it is a plain directory that was there before quotas were"))
            try:
                _surround(host, _subvolume(directory))
            except OSError as exc:
                raise refuse(scope, exc) from exc

    def set_limit(self, host: int, scope: str, limit: int) -> None:
        with open_scope(host, scope) as directory:
            try:
                arguments = struct.pack("=6Q", 1 << _LEVEL | _subvolume(directory), _MAX_REFERENCED, limit or _NO_LIMIT, 0, 0, 0)
                fcntl.ioctl(host, _LIMIT, arguments)
            except OSError as exc:
                raise refuse(scope, exc) from exc

    def read(self, host: int, scope: str, *, sync: bool = False) -> Reading:
        with open_scope(host, scope) as directory:
            try:
                if sync:
                    fcntl.ioctl(directory, _SYNC)
                group = _groups(directory) / f"1_{_subvolume(directory)}"
                used, limit = (int((group / name).read_text()) for name in ("referenced", "max_referenced"))
            except OSError as exc:
                raise refuse(scope, exc) from exc
        return Reading(used, None, 0 if limit == _NO_LIMIT else limit)


def _groups(descriptor: int) -> Path:
    """Where the kernel shows the groups of the file system."""
    answer = fcntl.ioctl(descriptor, _INFO, bytes(1024))
    return Path("/sys/fs/btrfs", str(uuid.UUID(bytes=answer[16:32])), "qgroups")


def _surround(host: int, own: int) -> None:
    """Have the group around a subvolume, with the subvolume in it. Asked for outside of it: within, a full one refuses even that."""
    for command, arguments in ((_MAKE_GROUP, (1, 1 << _LEVEL | own)), (_ASSIGN, (1, own, 1 << _LEVEL | own))):
        with contextlib.suppress(FileExistsError):
            fcntl.ioctl(host, command, struct.pack(f"={len(arguments)}Q", *arguments))


def _subvolume(directory: int) -> int:
    """The number of the subvolume that a directory is in."""
    buffer = bytearray(4096)
    struct.pack_into("=QQ", buffer, 0, 0, _ROOT_INODE)
    fcntl.ioctl(directory, _LOOKUP, buffer)
    return int(struct.unpack_from("=Q", buffer)[0])
