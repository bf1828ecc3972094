"""All workers of this process: one per Unix account and storage host, started when it is needed, ended when it is idle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...core.identity import PosixAccount
from ...errors import StorageUnavailable, TooManyRequests
from .channel import Channel, Reply, WorkerGone
from .starters import Starter

DEADLINE_S, SILENCE_S = 10.0, 30.0
IDLE_S = 300.0
MAX_WORKERS, MAX_STUCK_PER_HOST = 200, 8
BACK_OFF_S, MAX_BACK_OFF_S = 2.0, 60.0

Key = tuple[int, str]  # the uid (-1: our own), the storage host


@dataclass(slots=True)
class _Place:
    """Where the worker of one key is, or was."""

    channel: Channel | None = None
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    stuck: list[Channel] = field(default_factory=list)
    failures: int = 0
    not_before: float = 0.0


class Workers:
    """Asks workers. ``paths`` are the directories of the storage hosts by name."""

    def __init__(
        self, starter: Starter, paths: Mapping[str, str], *, deadline_s: float = DEADLINE_S, idle_s: float = IDLE_S, most: int = MAX_WORKERS
    ) -> None:
        self._starter, self._paths = starter, paths
        self._deadline_s, self._idle_s, self._most = deadline_s, idle_s, most
        self._places: dict[Key, _Place] = {}
        self._is_closed = False

    async def call(
        self,
        account: PosixAccount | None,
        host: str,
        operation: str,
        fields: Mapping[str, Any],
        *,
        descriptors: Sequence[int] = (),
        is_read: bool = False,
        is_long: bool = False,
        silence_s: float | None = None,
        on_progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> Reply:
        """Ask the worker of an account. Raises what it answers; StorageUnavailable where it says nothing in time, or did so just now.

        A worker that died is asked once more where the question changes nothing (``is_read``).
        """
        key = (account.uid if account else -1, host)
        deadline_s = silence_s or (SILENCE_S if is_long else self._deadline_s)
        for is_last in (not is_read, True):
            channel = await self._get(key, account)
            try:
                reply = await channel.call(
                    operation, dict(fields), descriptors=descriptors, deadline_s=deadline_s, is_long=is_long, on_progress=on_progress
                )
            except WorkerGone as exc:
                if is_last:
                    raise StorageUnavailable(host=host) from exc
            except StorageUnavailable:
                self._note_silence(self._places[key], channel)
                raise
            else:
                self._places[key].failures = 0
                return reply
        raise AssertionError("unreachable")

    async def _get(self, key: Key, account: PosixAccount | None) -> Channel:
        """The worker of a key, a new one if there is none."""
        place = self._places.get(key) or self._places.setdefault(key, _Place())
        if place.channel and place.channel.is_usable:
            return place.channel
        async with place.starting:  # two who come at once get the same one
            if place.channel and place.channel.is_usable:
                return place.channel
            self._check_start(place, key[1])
            place.channel = await self._starter.start(account, key[1], self._paths[key[1]])
            if self._is_closed:
                place.channel.close()
            return place.channel

    def _check_start(self, place: _Place, host: str) -> None:
        """Whether one more may be started. Raises StorageUnavailable, TooManyRequests."""
        self._sweep()
        if host not in self._paths or self._is_closed or time.monotonic() < place.not_before:
            raise StorageUnavailable(host=host)
        stuck = sum(len(other.stuck) for (_, name), other in self._places.items() if name == host)
        if stuck >= MAX_STUCK_PER_HOST or len(place.stuck) > 1:
            raise StorageUnavailable(host=host)
        running = [other.channel for other in self._places.values() if other.channel and other.channel.is_usable]
        if len(running) >= self._most:
            idle = [channel for channel in running if not channel.pending]
            if not idle:
                raise TooManyRequests
            min(idle, key=lambda channel: channel.used_at).close()

    def _note_silence(self, place: _Place, channel: Channel) -> None:
        """Its worker is stuck: the next one may be tried after a while, and after a longer one each time."""
        if channel is not place.channel or not channel.is_stuck:
            return
        place.stuck.append(channel)
        place.channel = None
        place.failures += 1
        place.not_before = time.monotonic() + min(BACK_OFF_S * 2 ** (place.failures - 1), MAX_BACK_OFF_S)

    def _sweep(self) -> None:
        """Forget stuck workers that are gone by now."""
        for place in self._places.values():
            place.stuck = [channel for channel in place.stuck if not channel.is_gone.is_set()]

    def reap_idle(self, now: float | None = None) -> None:
        """End the workers that nobody asked for a while. ``now`` is the loop's time."""
        now = asyncio.get_running_loop().time() if now is None else now
        self._sweep()
        for place in self._places.values():
            channel = place.channel
            if channel and channel.is_usable and not channel.pending and now - channel.used_at >= self._idle_s:
                channel.close()
        self._places = {
            key: place
            for key, place in self._places.items()
            if place.starting.locked() or place.stuck or place.failures or (place.channel and place.channel.is_usable)
        }

    async def run(self) -> None:
        """Look for idle workers for ever."""
        while True:
            await asyncio.sleep(min(self._idle_s / 5, 60))
            self.reap_idle()

    def count(self) -> int:
        """How many are running."""
        return sum(1 for place in self._places.values() if place.channel and place.channel.is_usable)

    def close(self) -> None:
        """End them all."""
        self._is_closed = True
        for place in self._places.values():
            for channel in filter(None, (place.channel, *place.stuck)):
                channel.close()
