"""Quotas that a kernel or a file server enforces. Runs as root, on directories that only root can change, and nowhere else.

A quota scope is one directory beneath a storage host's. Its driver is made before its first folder: later would not count what is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ...errors import N_, Conflict
from .accounting import Accounting
from .base import Driver, Reading
from .btrfs import Btrfs
from .cephfs import CephFS
from .lustre import Lustre
from .projects import Ext4, Xfs

__all__ = ["AUTO", "DRIVERS", "Driver", "Reading", "find_driver", "without_limit"]

AUTO = "auto"
DRIVERS: dict[str, type[Driver]] = {driver.name: driver for driver in (Xfs, Ext4, Btrfs, Lustre, CephFS, Accounting)}


def find_driver(host: int, wanted: str = AUTO) -> Driver:
    """The driver for a storage host's directory (an open descriptor): the one that serves, or the wanted one. Raises Conflict.

    A site that names a driver wants to hear that it does not work, rather than to go on without limits.
    """
    if wanted != AUTO:
        driver = DRIVERS[wanted]()
        if why := driver.probe(host):
            raise Conflict(N_("The quota driver %(driver)s does not serve here: %(reason)s."), driver=wanted, reason=why)
        return driver
    return next(driver for driver in (kind() for kind in DRIVERS.values()) if not driver.probe(host))


@contextmanager
def without_limit(host: int, scope: str) -> Iterator[None]:
    """Lift a scope's limit for a moment: what makes room, or takes a right away, must work where nothing fits any more.

    Whoever is killed here leaves it lifted until the service looks at its limits, within a minute.
    """
    driver = find_driver(host)
    limit = driver.read(host, scope).limit or 0
    driver.set_limit(host, scope, 0)
    try:
        yield
    finally:
        driver.set_limit(host, scope, limit)
