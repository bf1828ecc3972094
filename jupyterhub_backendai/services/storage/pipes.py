"""Reading what a child of a worker writes into a pipe, as fast as it is taken and no faster."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any

from ...errors import BackendAIError, StorageUnavailable, from_problem

SILENCE_S = 30.0
_PIECE_BYTES = 256 * 1024


async def read_pipe(descriptor: int, silence_s: float = SILENCE_S) -> AsyncIterator[bytes]:
    """Pieces until its end; the descriptor is closed then. Raises StorageUnavailable when nothing comes for a while."""
    loop = asyncio.get_running_loop()
    os.set_blocking(descriptor, False)
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        while True:
            try:
                piece = os.read(descriptor, _PIECE_BYTES)
            except BlockingIOError:
                readable.clear()
                await _wait(readable, silence_s)
                continue
            if not piece:
                return
            yield piece
            await asyncio.sleep(0)
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _wait(readable: asyncio.Event, silence_s: float) -> None:
    try:
        await asyncio.wait_for(readable.wait(), silence_s)
    except TimeoutError as exc:
        raise StorageUnavailable(host="") from exc


async def read_rows(descriptor: int) -> AsyncIterator[bytes]:
    """What comes but its last line, in pieces of whole lines. The last one says that it was all, or what went wrong: that is raised."""
    rest = b""
    async for piece in read_pipe(descriptor):
        lines, newline, rest = (rest + piece).rpartition(b"\n")
        if lines:
            yield lines
        rest = newline + rest
    end: dict[str, Any] = json.loads(rest) if rest.startswith(b"\n{") else {}
    if "problem" in end:
        raise from_problem(end["problem"])
    if "end" not in end:
        raise BackendAIError
