"""Threads that touch descriptors of users' files. One small pool for each storage host: where one hangs, only its own callers wait."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ...errors import N_, BackendAIError, StorageFull, StorageUnavailable

T = TypeVar("T")
THREADS = 4
PATIENCE_S = 30.0
TURNS = 4  # pieces sent between two looks at who else wants something
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
DISK_FULL = N_("There is no room left: the quota of this folder, or the disk that it is on, is full. What has arrived is kept.")


class Pools:
    """The pools by host, made when they are needed."""

    def __init__(self) -> None:
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._turns = asyncio.Semaphore(TURNS)

    def of(self, host: str) -> HostPool:
        """The threads of a host."""
        pool = self._pools.get(host)
        if pool is None:
            pool = self._pools[host] = ThreadPoolExecutor(THREADS, thread_name_prefix=f"files-{host}")
        return HostPool(host, pool, self._turns)

    def close(self) -> None:
        """Wait for nobody: a thread in a file system that hangs never comes back."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)


class HostPool:
    """The threads of one storage host. ``turns``: whoever works on the loop itself takes one for each piece."""

    def __init__(self, host: str, pool: ThreadPoolExecutor, turns: asyncio.Semaphore) -> None:
        self.host, self._pool, self.turns = host, pool, turns

    async def run(self, function: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
        """``function()`` in a thread. Raises StorageUnavailable when it takes too long, StorageFull and what else the disk says."""
        return await self.wait(self.start(function), patience_s)

    def start(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """The same without waiting: :meth:`wait` does."""
        return asyncio.get_running_loop().run_in_executor(self._pool, function)

    async def wait(self, future: asyncio.Future[T], patience_s: float = PATIENCE_S) -> T:
        """What a thread found, while its file system answers."""
        try:
            # shielded: a thread cannot be cancelled, and what it has in its hands is closed when it is over
            return await asyncio.wait_for(asyncio.shield(future), patience_s)
        except TimeoutError as exc:
            raise StorageUnavailable(host=self.host) from exc
        except OSError as exc:
            raise explain(exc, self.host) from exc

    def close(self, descriptor: int, after: asyncio.Future[Any] | None = None) -> None:
        """Close a descriptor in a thread (a network file system writes back then), when what uses it is over. Nobody waits for it."""
        if after is not None and not after.done():
            after.add_done_callback(lambda _: self.close(descriptor))
            return
        try:
            self._pool.submit(os.close, descriptor)
        except RuntimeError:  # we end
            os.close(descriptor)


def explain(exc: OSError, host: str) -> BackendAIError:
    """An error of the disk as one for people."""
    if exc.errno in FULL:
        return StorageFull(DISK_FULL)
    return StorageUnavailable(host=host)
