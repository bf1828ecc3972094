"""A service's hold on work that only one of several services may do at a time."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable

from ..errors import BackendAIError
from ..store import leases
from ..store.database import Database

log = logging.getLogger("backendai")


class Lease:
    """Held for ``ttl_s`` seconds from each time that it is taken; whoever asks while another one holds it is told no."""

    def __init__(self, db: Database, name: str, ttl_s: float) -> None:
        self._db, self._name, self._ttl_s = db, name, ttl_s
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._until = 0.0

    @property
    def is_held(self) -> bool:
        return self._until > time.monotonic()

    async def take(self) -> bool:
        """Take it, or keep it from now on; False while another one has it."""
        began = time.monotonic()
        has = await self._db.run_exclusive(leases.take, self._name, self._holder, self._ttl_s)
        self._until = began + self._ttl_s if has else 0.0
        return has

    async def keep(self) -> bool:
        """The same; what is held is renewed in the last two thirds of its time only."""
        if self._until - time.monotonic() < self._ttl_s * 2 / 3:
            await self.take()
        return self.is_held

    async def repeat(self, look: Callable[[], Awaitable[object]], interval_s: float, complaint: str) -> None:
        """Look for ever, and give the lease back when cancelled; ``look`` takes it itself. A part that is away is asked again."""
        try:
            while True:
                try:
                    await look()
                except BackendAIError as exc:
                    log.info("%s: %s", complaint, exc)
                await asyncio.sleep(interval_s)
        finally:
            await self.give_back()

    async def give_back(self) -> None:
        """Another service need not wait until it runs out. Never raises for a database that is away."""
        self._until = 0.0
        try:
            await self._db.run_exclusive(leases.give_back, self._name, self._holder)
        except (BackendAIError, RuntimeError) as exc:
            log.info("The lease runs out by itself: %s", exc)
