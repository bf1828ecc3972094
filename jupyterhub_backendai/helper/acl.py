"""POSIX access lists, read and set by descriptor: no process of ``setfacl``'s for each of a hundred thousand files."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..errors import N_, Conflict

_TOO_MANY = N_("The access lists of this file system do not hold %(count)s people. Its administrator knows how many they hold.")
READ, WRITE, EXECUTE = 4, 2, 1
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
_HEADER, _ENTRY = struct.Struct("<I"), struct.Struct("<HHI")
_VERSION, _NOBODY = 2, 0xFFFFFFFF
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20


@dataclass(frozen=True, slots=True)
class Acl:
    """An access list. The numbers are sums of READ, WRITE and EXECUTE; ``users`` are by uid. Named groups are not kept."""

    owner: int
    group: int = 0
    other: int = 0
    users: Mapping[int, int] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """What the kernel keeps. The mask is what its named people have, so that it takes nothing away."""
        mask = self.group
        for bits in self.users.values():
            mask |= bits
        named = [(_USER, bits, uid) for uid, bits in sorted(self.users.items())]
        ends = [*([(_MASK, mask, _NOBODY)] if named else []), (_OTHER, self.other, _NOBODY)]
        entries = [(_USER_OBJ, self.owner, _NOBODY), *named, (_GROUP_OBJ, self.group, _NOBODY), *ends]
        return _HEADER.pack(_VERSION) + b"".join(_ENTRY.pack(*entry) for entry in entries)

    @classmethod
    def from_bytes(cls, data: bytes) -> Acl:
        """The inverse; what the mask takes away is taken away. Raises ValueError."""
        if len(data) < _HEADER.size or (len(data) - _HEADER.size) % _ENTRY.size or _HEADER.unpack_from(data)[0] != _VERSION:
            raise ValueError("no access list")
        entries = list(_ENTRY.iter_unpack(data[_HEADER.size :]))
        plain = {tag: bits for tag, bits, _ in entries if tag not in {_USER, _GROUP}}
        mask = plain.get(_MASK, 7)
        users = {uid: bits & mask for tag, bits, uid in entries if tag == _USER}
        return cls(plain.get(_USER_OBJ, 0), plain.get(_GROUP_OBJ, 0) & mask, plain.get(_OTHER, 0), users)


def read_acl(descriptor: int, kind: str = ACCESS) -> Acl | None:
    """The list of something open, None where it has none (or its file system knows none)."""
    try:
        return Acl.from_bytes(os.getxattr(_name(descriptor), kind))
    except OSError as exc:
        if exc.errno in {errno.ENODATA, errno.EOPNOTSUPP}:
            return None
        raise


def set_acl(descriptor: int, acl: Acl | None, kind: str = ACCESS) -> None:
    """Give something open this list, or none; works for O_PATH too. Raises Conflict where it is too long for the file system, OSError."""
    if acl is not None:
        try:
            os.setxattr(_name(descriptor), kind, acl.to_bytes())
        except OSError as exc:
            if exc.errno in {errno.ENOSPC, errno.E2BIG, errno.ERANGE}:
                raise Conflict(_TOO_MANY, count=len(acl.users)) from exc
            raise
        return
    with contextlib.suppress(OSError):
        os.removexattr(_name(descriptor), kind)


def _name(descriptor: int) -> str:
    # Through /proc, because the calls by descriptor refuse O_PATH, which is all that one gets of a file one may not read.
    return f"/proc/self/fd/{descriptor}"
