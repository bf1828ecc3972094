"""Bytes that arrive, to a file: gathered, and written by a thread while the next ones come in."""

from __future__ import annotations

import asyncio
import os
from typing import Protocol

from .pools import HostPool

GATHER_BYTES = 1024 * 1024
MAX_PIECES = 512  # of one system call; the kernel takes 1024


class Checksum(Protocol):
    """A running checksum."""

    def update(self, data: bytes, /) -> None: ...


class Writer:
    """Writes to a descriptor from an offset on; at most two gatherings are in memory. Closes the descriptor at the end."""

    def __init__(self, descriptor: int, offset: int, pool: HostPool, checksum: Checksum | None = None) -> None:
        self.descriptor, self.offset, self.pool, self._checksum = descriptor, offset, pool, checksum
        self._pieces: list[bytes] = []
        self._gathered = 0
        self._under_way: asyncio.Future[None] | None = None

    async def write(self, data: bytes) -> None:
        """Take some bytes; waits while the disk is slower than who sends. Raises StorageFull, StorageUnavailable."""
        self._pieces.append(data)
        self._gathered += len(data)
        if self._gathered >= GATHER_BYTES or len(self._pieces) >= MAX_PIECES:
            await self._hand_over()

    async def flush(self) -> None:
        """Until everything is written."""
        if self._pieces:
            await self._hand_over()
        await self._settle()

    async def sync(self) -> None:
        """Until it is on the disk."""
        await self.flush()
        await self.pool.run(lambda: os.fsync(self.descriptor))

    async def truncate(self, size: int) -> None:
        """Forget what is behind ``size``."""
        await self.pool.run(lambda: os.ftruncate(self.descriptor, size))
        self.offset = size

    async def size(self) -> int:
        """How much is in the file."""
        return (await self.pool.run(lambda: os.fstat(self.descriptor))).st_size

    def close(self) -> None:
        """Give the descriptor up; what is not flushed is lost."""
        if self.descriptor >= 0:
            self.pool.close(self.descriptor, self._under_way)
            self.descriptor = -1

    async def _hand_over(self) -> None:
        await self._settle()
        pieces, offset = self._pieces, self.offset
        self._pieces, self._gathered = [], 0
        self.offset += sum(map(len, pieces))
        descriptor = self.descriptor
        self._under_way = self.pool.start(lambda: self._put(descriptor, pieces, offset))

    async def _settle(self) -> None:
        if self._under_way is not None:
            under_way = self._under_way
            await self.pool.wait(under_way)
            self._under_way = None

    def _put(self, descriptor: int, pieces: list[bytes], offset: int) -> None:
        """In a thread."""
        if self._checksum is not None:
            for piece in pieces:
                self._checksum.update(piece)
        size = sum(map(len, pieces))
        written = os.pwritev(descriptor, pieces, offset)
        if written < size:
            rest = memoryview(b"".join(pieces))[written:]
            while rest:
                offset += written
                written = os.pwrite(descriptor, rest, offset)
                rest = rest[written:]
