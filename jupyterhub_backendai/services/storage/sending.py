"""A file or a pipe, to the one who asked, without a copy: the kernel moves the bytes.

What makes throughput look good is never to let go; what this does is to send a piece and then let everybody else have a turn. A
piece that is not in memory is fetched by a thread of the host, so that a slow disk holds up its own download and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from tornado.iostream import IOStream, SSLIOStream, StreamClosedError

from ...errors import N_, BackendAIError, BackendUnavailable, StorageUnavailable
from .pools import TURNS, HostPool

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
        self._cached = offset, offset  # from, to

    def is_at_hand(self, size: int) -> bool:
        """Whether the next piece is in memory already: both its ends, of which one was the end of the piece before."""
        begin, end = self.offset, self.offset + size
        is_known = self._cached[0] < begin <= self._cached[1]
        if not (is_cached(self.descriptor, end - 1) and (is_known or is_cached(self.descriptor, begin))):
            return False
        self._cached = begin, end
        return True

    def put(self, outlet: int, size: int) -> None:
        """The next piece to a socket, as far as that takes it now."""
        try:
            sent = os.sendfile(outlet, self.descriptor, self.offset, size)
        except BlockingIOError:
            return
        if not sent:
            raise BrokenOff
        self.offset += sent
        self.count -= sent

    async def read(self) -> bytes:
        """The next piece itself."""
        size = min(COPIED_BYTES, self.count)
        data = await self.pool.run(lambda: os.pread(self.descriptor, size, self.offset))
        if not data:
            raise BrokenOff
        self.offset += len(data)
        self.count -= len(data)
        return data


class _FileSender:
    """Sends a file whenever the loop says that the socket takes more: no task is woken for a piece, and no wait is set up for it."""

    under_way = 0

    def __init__(self, stream: IOStream, source: _FileSource) -> None:
        self._stream, self._source = stream, source
        self._loop = asyncio.get_running_loop()
        # a descriptor of our own: tornado may close its one (and the number be another's) while a thread sends
        self._outlet = os.dup(stream.socket.fileno())
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._fetching: asyncio.Future[None] | None = None
        self._moved_at = self._loop.time()

    async def run(self) -> None:
        """Until everything is sent. Raises TimeoutError for who takes nothing, StreamClosedError, BackendAIError, OSError."""
        _FileSender.under_way += 1
        self._loop.add_writer(self._outlet, self._put)
        self._watch()
        try:
            await self._done
        finally:
            _FileSender.under_way -= 1
            self._limit.cancel()
            self._loop.remove_writer(self._outlet)
            self._give_up_outlet()

    def _give_up_outlet(self) -> None:
        if self._fetching is None or self._fetching.done():
            os.close(self._outlet)
            return
        # a thread may wait for its disk, or for its turn, with these numbers in its hands: whatever it sends, nobody gets
        with contextlib.suppress(OSError):
            self._stream.socket.shutdown(socket.SHUT_RDWR)
        self._source.pool.close(self._outlet, self._fetching)

    def _put(self) -> None:
        """The socket takes more. A turn of all downloads together is some pieces at most."""
        size = min(PIECE_BYTES, PIECE_BYTES * TURNS // _FileSender.under_way, self._source.count)
        try:
            if self._stream.closed():
                raise StreamClosedError
            if self._source.is_at_hand(size):
                self._source.put(self._outlet, size)
                self._note()
                return
        except (BackendAIError, StreamClosedError, OSError) as exc:
            self._end(exc)
            return
        self._loop.remove_writer(self._outlet)
        self._fetching = self._source.pool.start(lambda: self._source.put(self._outlet, size))
        self._fetching.add_done_callback(self._go_on)

    def _go_on(self, fetching: asyncio.Future[None]) -> None:
        """A thread has sent a piece."""
        error = None if fetching.cancelled() else fetching.exception()
        if self._done.done():
            return
        if error:
            self._end(error)
            return
        self._note()
        if not self._done.done():
            self._loop.add_writer(self._outlet, self._put)

    def _note(self) -> None:
        self._moved_at = self._loop.time()
        if not self._source.count:
            self._end(None)

    def _watch(self) -> None:
        """Give up where nothing has moved for too long."""
        left = self._moved_at + IDLE_S - self._loop.time()
        if left > 0:
            self._limit = self._loop.call_later(left, self._watch)
        elif self._fetching and not self._fetching.done():
            self._end(StorageUnavailable(host=self._source.pool.host))
        else:
            self._end(TimeoutError())

    def _end(self, error: BaseException | None) -> None:
        self._loop.remove_writer(self._outlet)
        if self._done.done():
            return
        if error:
            self._done.set_exception(error)
        else:
            self._done.set_result(None)


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


def is_cached(descriptor: int, offset: int) -> bool:
    """Whether a byte of a file can be had without waiting. A network file system never says so."""
    try:
        os.preadv(descriptor, [_PROBE], offset, os.RWF_NOWAIT)
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
        elif isinstance(source, _FileSource):
            if source.count:
                await _FileSender(stream, source).run()
        elif source.count:
            await _move(stream, source)
    except (StreamClosedError, ConnectionError, TimeoutError) as exc:
        log.debug("A download was not wanted to its end: %r", exc)
        stream.close()
    except (BackendAIError, OSError) as exc:
        stream.close()  # a shorter answer than was said must not look whole
        log.warning("A download broke off: %s", exc)
    _end(handler)


async def _move(stream: IOStream, source: _PipeSource) -> None:
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
