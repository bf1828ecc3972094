"""Quotas of virtual folders: how much one owner keeps on one storage host, who enforces the limit, and whether more fits.

A quota scope is an owner on a host: ``user:<id>`` or ``project:<id>``. Its bytes are those of all the owner's folders there, the trash
included, and of what others wrote into them. Uploads and copies under way reserve what they still need.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import N_, InvalidParameters, StorageFull
from .slots import format_bytes
from .vfolders import Folder

AUTO, ACCOUNTING = "auto", "accounting"
# Those that have the kernel, or the file server, refuse what is too much.
KERNEL_DRIVERS = ("xfs", "ext4", "btrfs", "lustre", "cephfs")
DRIVERS = (*KERNEL_DRIVERS, ACCOUNTING)
MAX_LIMIT_BYTES = (1 << 60) - 1
# Kernels count in blocks, and take a limit of nothing for no limit at all.
MIN_APPLIED_BYTES = 4096
MAX_OWNER = 330
NEARLY_BYTES = 1024 * 1024

_SCOPE = re.compile(r"(user|project):([0-9a-f]{32})", re.ASCII)

ENFORCED = N_("The file system itself refuses what is too much, also from sessions.")
COUNTED = N_("The platform counts: it refuses uploads that are too much; what sessions write is counted later.")
NO_ROOM = N_("There is no room left on %(host)s for %(wanted)s more: %(used)s of %(limit)s are used. Delete something, or ask for more.")
NO_ROOM_RESERVED = N_(
    "There is no room left on %(host)s for %(wanted)s more: %(used)s of %(limit)s are used, and uploads and copies that are under way "
    "need another %(reserved)s. Delete something, or ask for more."
)
DISK_FULL = N_(
    "The storage host %(host)s has no room for %(wanted)s more: %(free)s are free. Try a smaller file, or tell your administrator."
)
FULL = N_("There is no room left on %(host)s: %(used)s of %(limit)s are used. Delete something, or ask for more.")
BAD_LIMIT = N_("The limit is a number of bytes from 0 to %(highest)s, or null for no limit.")
BAD_SCOPE = N_("A quota scope is written user:<id> or project:<id>, also user:<name> or project:<domain>/<name>.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeUsage:
    """A quota scope: its limit, what is used of it, and what is reserved by what is under way. None as a limit is unlimited.

    ``policy_bytes`` is what the owner's resource policy says; ``limit_bytes`` is what holds: an administrator's word where
    ``is_limit_set``, else the policy's. ``used_bytes`` None: nobody has measured yet. ``driver`` "" is not known yet either: it will be
    the ``host_driver`` when the first folder is made. ``measured_bytes`` is what the folders hold by our own count, whoever enforces.
    """

    host: str
    id: str
    owner: str = ""
    domain: str = ""
    driver: str = ""
    host_driver: str = ""
    limit_bytes: int | None = None
    policy_bytes: int | None = None
    is_limit_set: bool = False
    used_bytes: int | None = None
    used_files: int | None = None
    reserved_bytes: int = 0
    folders: int = 0
    measured_bytes: int | None = None
    measured_at: datetime | None = None
    biggest: Sequence[Folder] = ()

    @property
    def is_enforced(self) -> bool:
        """Whether the kernel (or a file server) refuses what is too much; otherwise we count, and see late what sessions write."""
        return self.driver in KERNEL_DRIVERS

    @property
    def words(self) -> str:
        """Who enforces the limit, a msgid."""
        return ENFORCED if (self.driver or self.host_driver) in KERNEL_DRIVERS else COUNTED

    @property
    def taken_bytes(self) -> int:
        """What is used or reserved."""
        return (self.used_bytes or 0) + self.reserved_bytes

    @property
    def remaining_bytes(self) -> int | None:
        """What still fits, never negative; None without a limit."""
        return None if self.limit_bytes is None else max(self.limit_bytes - self.taken_bytes, 0)

    @property
    def percent(self) -> int | None:
        """How full it is, 0 to 100; None without a limit. Only what is really full is 100."""
        if self.limit_bytes is None:
            return None
        if self.limit_bytes <= self.taken_bytes:
            return 100
        return min(99, self.taken_bytes * 100 // self.limit_bytes)

    @property
    def is_full(self) -> bool:
        return self.remaining_bytes == 0


def check_room(usage: ScopeUsage, wanted_bytes: int) -> None:
    """Raises StorageFull, with the numbers, where ``wanted_bytes`` more do not fit. Nothing always fits, also into a full scope."""
    remaining = usage.remaining_bytes
    if wanted_bytes <= 0 or remaining is None or wanted_bytes <= remaining:
        return
    params: dict[str, Any] = {
        "host": usage.host,
        "wanted": format_bytes(wanted_bytes),
        "used": format_bytes(usage.used_bytes or 0),
        "limit": format_bytes(usage.limit_bytes or 0),
    }
    if usage.reserved_bytes:
        raise StorageFull(NO_ROOM_RESERVED, **params, reserved=format_bytes(usage.reserved_bytes))
    raise StorageFull(NO_ROOM, **params)


def check_full(usage: ScopeUsage) -> None:
    """Raises StorageFull, with the numbers, where a scope is as good as full: kernels keep a little for themselves."""
    if usage.is_enforced and usage.limit_bytes is not None and (usage.used_bytes or 0) > usage.limit_bytes * 0.95 - NEARLY_BYTES:
        raise StorageFull(FULL, host=usage.host, used=format_bytes(usage.used_bytes or 0), limit=format_bytes(usage.limit_bytes))


def check_disk(host: str, free_bytes: int | None, wanted_bytes: int) -> None:
    """Raises StorageFull where the disk itself has less. ``free_bytes`` None: nobody knows."""
    if free_bytes is not None and wanted_bytes > max(free_bytes, 0):
        raise StorageFull(DISK_FULL, host=host, wanted=format_bytes(wanted_bytes), free=format_bytes(max(free_bytes, 0)))


def parse_scope(text: str) -> tuple[str, str]:
    """Kind and owner's id of a quota scope. Raises InvalidParameters. Dashes of a UUID are taken off."""
    found = _SCOPE.fullmatch(text.replace("-", "").lower()) if isinstance(text, str) else None
    if not found:
        raise InvalidParameters(BAD_SCOPE)
    return found[1], found[2]


def parse_owner(text: str) -> tuple[str, str]:
    """Kind, and id or name, of a quota scope as people write it. Raises InvalidParameters."""
    kind, _, owner = text.partition(":")
    if kind not in ("user", "project") or not 0 < len(owner) <= MAX_OWNER:
        raise InvalidParameters(BAD_SCOPE)
    try:
        return parse_scope(text)
    except InvalidParameters:
        return kind, owner


def parse_limit(value: object) -> int | None:
    """A limit as a program gives it: bytes, or None. Raises InvalidParameters."""
    if value is None:
        return None
    if type(value) is not int or not 0 <= value <= MAX_LIMIT_BYTES:  # True is an int to isinstance
        raise InvalidParameters(BAD_LIMIT, highest=MAX_LIMIT_BYTES)
    return value


def applied_limit(limit_bytes: int | None) -> int:
    """A limit as file systems take it: whole blocks of 4 KiB, 0 for none."""
    if limit_bytes is None:
        return 0
    return max(limit_bytes // MIN_APPLIED_BYTES, 1) * MIN_APPLIED_BYTES
