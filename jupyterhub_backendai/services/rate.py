"""How often somebody may call the REST interface: the rate limit of their main keypair, over all services together."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from ..errors import RateLimitExceeded
from ..store import calls
from ..store.calls import Grant
from ..store.database import Database

# Who was refused is looked up again after this, in case an administrator allowed more.
REFUSED_S = 5.0
MAX_KNOWN = 10_000


@dataclass(slots=True)
class Pack:
    """The calls that somebody has here, until ``ends_at`` (monotonic)."""

    left: int
    grant: Grant
    ends_at: float

    @property
    def remaining(self) -> int:
        return self.left + self.grant.remaining


class RateLimiter:
    """Counts in memory, and asks the database for more calls when those of a person are used up."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._packs: dict[str, Pack] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def take(self, user: str) -> Pack:
        """One call. Raises RateLimitExceeded with the seconds to wait."""
        pack = self._find(user)
        if pack is None or not pack.left:
            async with self._locks.setdefault(user, asyncio.Lock()):
                pack = self._find(user) or await self._ask(user)
        if not pack.left:
            window_s = pack.grant.left_s - (time.monotonic() - (pack.ends_at - REFUSED_S))
            raise RateLimitExceeded(limit=pack.grant.limit, seconds=max(1, round(window_s)))
        pack.left -= 1
        return pack

    def _find(self, user: str) -> Pack | None:
        """A pack that still has calls, or a refusal that still holds."""
        pack = self._packs.get(user)
        if pack is None or pack.ends_at <= time.monotonic():
            return None
        return pack if pack.left or not pack.grant.calls else None

    async def _ask(self, user: str) -> Pack:
        if len(self._packs) > MAX_KNOWN:
            self._packs.clear()
            self._locks.clear()
        grant = await self._db.run_exclusive(calls.take, user, datetime.now(UTC))
        lasts_s = grant.left_s if grant.calls else min(REFUSED_S, grant.left_s)
        pack = self._packs[user] = Pack(grant.calls, grant, time.monotonic() + lasts_s)
        return pack
