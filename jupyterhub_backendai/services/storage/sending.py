"""A file or a pipe, to the one who asked, without a copy: the kernel moves the bytes.

What makes throughput look good is never to let go; what this does is to send a piece and then let everybody else have a turn. A
piece that is not in memory is fetched by a thread of the host, so that a slow disk holds up its own download and nothing else.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from ...errors import N_, BackendAIError, BackendUnavailable, StorageUnavailable
from .pools import HostPool

if TYPE_CHECKING:
    from ..base import BaseHandler

log = logging.getLogger("backendai")
PIECE_BYTES = 1024 * 1024
COPIED_BYTES = 256 * 1024  # where the kernel cannot do it
IDLE_S = 60.0
FIRST_BYTE_S = 300.0
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ
_SPLICE = 0x01 | 0x02  # move, never wait
_PROBE = bytearray(1)


class BrokenOff(BackendUnavailable):
    """What was being sent ended before its time."""

    code = "backendai_download_broken-off"
    default_message = N_("The file became shorter while it was sent. Try again.")


async def send_file(handler: BaseHandler, descriptor: int, offset: int, count: int, pool: HostPool) -> None:
    """So many bytes of a file, after the headers, and the end of the answer. The descriptor stays the caller's.

    Whoever went away, or reads nothing for a minute, is let go quietly.
    """
    await _send(handler, _FileSource(descriptor, offset, count, pool))


async def send_pipe(handler: BaseHandler, descriptor: int, count: int, pool: HostPool) -> None:
    """The same of what comes out of a pipe; one that ends early ends the connection, so that nobody takes it for whole."""
    os.set_blocking(descriptor, False)
    await _send(handler, _PipeSource(descriptor, count, pool))


class _FileSource:
    """A regular file."""

    def __init__(self, descriptor: int, offset: int, count: int, pool: HostPool) -> None:
        self.descriptor, self.offset, self.count, self.pool = descriptor, offset, count, pool

    async def move(self, outlet: int) -> bool:
        """The next piece to a socket; False when that takes no more now."""
        size = min(PIECE_BYTES, self.count)
        if is_at_hand(self.descriptor, self.offset, size):
            async with self.pool.turns:
                sent = self._sendfile(outlet, size)
                await asyncio.sleep(0)
        else:
            sent = await self.pool.run(lambda: self._sendfile(outlet, size))
        self.offset += sent
        self.count -= sent
        return sent == size  # less: the socket is full, there is no need to ask it again

    def _sendfile(self, outlet: int, size: int) -> int:
        try:
            sent = os.sendfile(outlet, self.descriptor, self.offset, size)
        except BlockingIOError:
            return 0
        if not sent:
            raise BrokenOff
        return sent

    async def read(self) -> bytes:
        """The next piece itself."""
        size = min(COPIED_BYTES, self.count)
        data = await self.pool.run(lambda: os.pread(self.descriptor, size, self.offset))
        if not data:
            raise BrokenOff
        self.offset += len(data)
        self.count -= len(data)
        return data


class _PipeSource:
    """A pipe that another process writes into. The limits of time are the writer's file system's."""

    def __init__(self, descriptor: int, count: int, pool: HostPool) -> None:
        self.descriptor, self.count, self.pool = descriptor, count, pool

    async def move(self, outlet: int) -> bool:
        size = min(PIECE_BYTES, self.count)
        await self._wait()
        async with self.pool.turns:
            try:
                sent = os.splice(self.descriptor, outlet, size, flags=_SPLICE)
            except BlockingIOError:
                return False
            await asyncio.sleep(0)
        if not sent:
            raise BrokenOff
        self.count -= sent
        return True

    async def read(self) -> bytes:
        await self._wait()
        data = os.read(self.descriptor, min(COPIED_BYTES, self.count))
        if not data:
            raise BrokenOff
        self.count -= len(data)
        return data

    async def _wait(self) -> None:
        try:
            await wait_for(self.descriptor, is_writing=False, limit_s=FIRST_BYTE_S)
        except TimeoutError as exc:
            raise StorageUnavailable(host=self.pool.host) from exc


def widen_pipe(descriptor: int) -> None:
    """Let as much as a piece wait in a pipe."""
    try:
        fcntl.fcntl(descriptor, _SET_PIPE_SIZE, PIECE_BYTES)
    except OSError:
        log.debug("A pipe keeps its size")


def is_at_hand(descriptor: int, offset: int, size: int) -> bool:
    """Whether a piece of a file is in memory already: both its ends, without waiting. A network file system never says so."""
    try:
        for at in (offset, offset + size - 1):
            os.preadv(descriptor, [_PROBE], at, os.RWF_NOWAIT)
    except OSError:
        return False
    return True


async def wait_for(descriptor: int, *, is_writing: bool, limit_s: float) -> None:
    """Until a descriptor can be read or written. Raises TimeoutError."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    add, remove = (loop.add_writer, loop.remove_writer) if is_writing else (loop.add_reader, loop.remove_reader)
    add(descriptor, _wake, ready)
    # not asyncio.wait_for: there are thousands of waits in a download, and this costs a tenth
    limit = loop.call_later(limit_s, _give_up, ready)
    try:
        await ready
    finally:
        limit.cancel()
        remove(descriptor)


def _wake(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _give_up(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_exception(TimeoutError())


async def _send(handler: BaseHandler, source: _FileSource | _PipeSource) -> None:
    stream: IOStream = handler.request.connection.stream  # type: ignore[union-attr] # tornado's own server
    try:
        await handler.flush()
        if isinstance(stream, SSLIOStream):
            await _copy(handler, source)
        elif source.count:
            await _move(stream, source)
    except (StreamClosedError, ConnectionError, TimeoutError) as exc:
        log.debug("A download was not wanted to its end: %r", exc)
        stream.close()
    except (BackendAIError, OSError) as exc:
        stream.close()  # a shorter answer than was said must not look whole
        log.warning("A download broke off: %s", exc)
    _end(handler)


async def _move(stream: IOStream, source: _FileSource | _PipeSource) -> None:
    # a descriptor of our own: tornado may close its one (and the number be another's) while a thread sends
    outlet = os.dup(stream.socket.fileno())
    try:
        while source.count and not stream.closed():
            if not await source.move(outlet) and source.count:
                await wait_for(outlet, is_writing=True, limit_s=IDLE_S)
        if source.count:
            raise StreamClosedError
    finally:
        os.close(outlet)


async def _copy(handler: BaseHandler, source: _FileSource | _PipeSource) -> None:
    while source.count:
        handler.write(await source.read())
        await asyncio.wait_for(_as_coroutine(handler.flush()), IDLE_S)
        await asyncio.sleep(0)


async def _as_coroutine(awaitable: Awaitable[None]) -> None:
    await awaitable


def _end(handler: BaseHandler) -> None:
    """Finish an answer whose body tornado did not see: its own count of what is missing must be told (a private name; see the tests)."""
    connection: Any = handler.request.connection
    if not isinstance(connection.stream, SSLIOStream):
        connection._expected_content_remaining = 0  # noqa: SLF001
    handler.finish()
