"""Quotas of folders at work: the kernel is told the limits, what is used is read or counted, and what cannot fit is refused early."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..backends.helper import Helper
from ..core.identity import Actor
from ..core.vfolder_quotas import ACCOUNTING, KERNEL_DRIVERS, ScopeUsage, applied_limit, check_disk, check_full, check_room
from ..core.vfolders import Folder
from ..errors import BackendAIError
from ..store import audit, vfolder_hosts, vfolder_quota_lists, vfolder_quotas
from ..store.models import now
from ..store.vfolder_quotas import Reading
from .lease import Lease
from .storage.doors import HelperDoor, as_door

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from ..store.database import Database

log = logging.getLogger("backendai")
LOOK_S, LEASE_S, FREE_S, REFRESH_S, REFUSED_S = 60.0, 180.0, 15.0, 2.0, 0.2
SCOPES_AT_ONCE = 500
# No answer from a host in this time is no answer; what is asked of it meanwhile does not wait.
DISK_S = 5.0
BLOCK_BYTES = 1024 * 1024  # a disk with less is full


@dataclass(frozen=True, slots=True)
class Disk:
    """A host's file system: its size, and what may still be written, bytes. ``driver`` limits what is made there from now on."""

    size: int
    free: int
    driver: str = ACCOUNTING


class Quotas:
    """``run`` looks after the limits for ever, in one service at a time; everything else is asked by requests."""

    def __init__(self, db: Database, helper: HelperDoor | str = "") -> None:
        self._db = db
        self._door = as_door(helper)
        self._known_helper = Helper(self._door.socket_path)
        self._lease = Lease(db, "quotas", LEASE_S)
        self._disks: dict[str, tuple[float, Disk]] = {}
        self._asking: dict[str, asyncio.Task[Disk]] = {}
        self._refreshed: dict[tuple[str, str], float] = {}

    @property
    def _helper(self) -> Helper | None:
        """None where everything is counted here."""
        return self._known_helper if self._door.is_needed else None

    async def prepare(self, host: str, scope_id: str) -> str:
        """Have a scope's directory with its limit before a folder is made in it; the driver's name. Raises BackendAIError."""
        usage = await self._db.run_exclusive(vfolder_quotas.lock_scope, host, scope_id)
        if self._helper is None or usage.driver == ACCOUNTING:
            await self._keep_driver(usage, ACCOUNTING)
            return ACCOUNTING
        return await self._apply(await self._find_host(host), usage, applied_limit(usage.limit_bytes))

    async def check_room(self, folder: Folder, wanted_bytes: int) -> None:
        """Refuse early what cannot fit, on the disk or in the scope. Raises StorageFull with the numbers.

        It reserves nothing: that is for :func:`.vfolder_quotas.reserve`, in the transaction that begins the work.
        """
        disk = await self.find_disk(folder.host)
        check_disk(folder.host, disk.free if disk else None, wanted_bytes)
        usage = await self._db.run(vfolder_quotas.read_scope, folder.host, folder.quota_scope_id)
        if usage.is_enforced and usage.remaining_bytes is not None and wanted_bytes > usage.remaining_bytes:
            usage = await self.refresh(usage)  # the number is a minute old, and something may have been deleted since
        check_room(usage, wanted_bytes)

    async def refresh(self, usage: ScopeUsage, most_s: float = REFRESH_S) -> ScopeUsage:
        """A scope as the kernel counts it at this moment, or at most ``most_s`` ago; as it was, where nobody can say."""
        key = (usage.host, usage.id)
        if self._helper is None or not usage.is_enforced or time.monotonic() < self._refreshed.get(key, -most_s) + most_s:
            return usage
        self._refreshed[key] = time.monotonic()
        try:
            await self._read(await self._find_host(usage.host), [usage.id], sync=True)
        except BackendAIError as exc:
            log.info("What is used on %s cannot be read: %s", usage.host, exc)
        return await self._db.run(vfolder_quotas.read_scope, usage.host, usage.id)

    async def explain_full(self, folder: Folder) -> None:
        """The kernel refused something for want of room: raises StorageFull with the numbers, where they show why."""
        usage = await self._db.run(vfolder_quotas.read_scope, folder.host, folder.quota_scope_id)
        usage = await self.refresh(usage, REFUSED_S)
        check_full(usage)
        disk = await self.find_disk(folder.host)
        check_disk(folder.host, disk.free if disk else None, BLOCK_BYTES)

    async def set_limit(
        self, actor: Actor, host: str, scope_id: str, limit_bytes: int | None, *, is_set: bool = True
    ) -> tuple[ScopeUsage, bool]:
        """An administrator's limit, or with ``is_set`` False the policy's again; and whether who enforces it knows already.

        Raises NotFound and Forbidden.
        """
        usage = await self._db.run_exclusive(_set_limit, actor, host, scope_id, limit_bytes, is_set)
        if not usage.is_enforced or self._helper is None:
            return usage, True
        try:
            await self._apply(await self._find_host(host), usage, applied_limit(usage.limit_bytes))
        except BackendAIError as exc:
            log.warning("The limit of %s on %s is told later: %s", scope_id, host, exc)
            return usage, False
        return usage, True

    async def find_disk(self, host: str) -> Disk | None:
        """The file system of a host, at most some seconds old; None when it does not answer."""
        until, known = self._disks.get(host, (0.0, None))
        if known and time.monotonic() < until:
            return known
        asking = self._asking.get(host)
        if asking is None or asking.done():  # one that hangs is not asked a second time
            asking = self._asking[host] = asyncio.create_task(self._ask_disk(host))
        try:
            disk = await asyncio.wait_for(asyncio.shield(asking), DISK_S)
        except (BackendAIError, OSError, TimeoutError) as exc:
            log.info("The storage host %s does not say how full it is: %s", host, exc)
            return None
        self._disks[host] = (time.monotonic() + FREE_S, disk)
        return disk

    async def _ask_disk(self, name: str) -> Disk:
        host = await self._find_host(name)
        if self._helper is None:
            status = await asyncio.to_thread(os.statvfs, host.path)
            return Disk(status.f_blocks * status.f_frsize, status.f_bavail * status.f_frsize)
        answer = await self._helper.call("quota_read", host=host.name, driver=host.quota_driver, scopes=[])
        return Disk(int(answer["size"]), int(answer["free"]), str(answer["driver"]))

    # -- the work that goes on by itself

    async def run(self) -> None:
        """Tell kernels the limits that changed and keep what they count, for ever."""
        await self._lease.repeat(self.look, LOOK_S, "Quotas cannot be looked after")

    async def look(self) -> None:
        """Once; a host that does not answer does not hold up the others."""
        if self._helper is None or not await self._lease.take():
            return
        hosts = [host for host in await self._db.run(vfolder_hosts.list_hosts) if host.path]
        await asyncio.gather(*(self._look_at(host) for host in hosts))

    async def _look_at(self, host: vfolder_hosts.Host) -> None:
        try:
            rows = await self._db.run(vfolder_quotas.list_enforced, host.name)
            for start in range(0, len(rows), SCOPES_AT_ONCE):
                await self._read(host, [row.id for row in rows[start : start + SCOPES_AT_ONCE]])
            wanted = await self._db.run(vfolder_quotas.list_wanted, host.name)
            for scope_id, limit in wanted.items():
                await self._apply(host, await self._db.run(vfolder_quotas.read_scope, host.name, scope_id), limit)
        except BackendAIError as exc:
            log.warning("Quotas on %s cannot be looked after: %s", host.name, exc)

    async def _read(self, host: vfolder_hosts.Host, ids: Sequence[str], *, sync: bool = False) -> None:
        answer = await self._call("quota_read", host, scopes=[_directory(id_) for id_ in ids], sync=sync)
        readings = {
            _scope_id(name): Reading(int(found["used"]), found["files"], found["limit"])
            for name, found in answer["scopes"].items()
            if found["used"] is not None
        }
        await self._db.run_exclusive(vfolder_quotas.keep_readings, host.name, readings, now())

    async def _apply(self, host: vfolder_hosts.Host, usage: ScopeUsage, limit: int) -> str:
        """Tell who enforces it; what is there stays as it is."""
        answer = await self._call("quota_prepare", host, scope=_directory(usage.id), limit=limit)
        driver = str(answer["driver"])
        await self._keep_driver(usage, driver)
        if driver in KERNEL_DRIVERS:
            await self._db.run(vfolder_quotas.set_applied, usage.host, usage.id, limit)
        return driver

    async def _keep_driver(self, usage: ScopeUsage, driver: str) -> None:
        if usage.driver != driver:
            await self._db.run(vfolder_quotas.set_driver, usage.host, usage.id, driver)

    async def _call(self, verb: str, host: vfolder_hosts.Host, **fields: Any) -> dict[str, Any]:
        assert self._helper is not None  # noqa: S101 - said to the type checker
        return await self._helper.call(verb, host=host.name, driver=host.quota_driver, **fields)

    async def _find_host(self, name: str) -> vfolder_hosts.Host:
        return await self._db.run(vfolder_hosts.find_host, name)


def _set_limit(db: Session, actor: Actor, host: str, scope_id: str, limit_bytes: int | None, is_set: bool) -> ScopeUsage:
    before = vfolder_quota_lists.find_scope(db, actor, host, scope_id)
    vfolder_quota_lists.check_may_set(actor, before, limit_bytes, is_set=is_set)
    usage = vfolder_quotas.set_limit(db, host, scope_id, limit_bytes, is_set=is_set)
    details = {"owner": usage.owner, "before": before.limit_bytes, "limit": usage.limit_bytes}
    action = "quota_scope.set" if is_set else "quota_scope.unset"
    audit.record(db, actor=actor.name, source=actor.source, action=action, object=f"{host} {scope_id}", details=details)
    return usage


def _directory(scope_id: str) -> str:
    return scope_id.replace(":", "-")


def _scope_id(directory: str) -> str:
    return directory.replace("-", ":", 1)
