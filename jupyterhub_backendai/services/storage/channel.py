"""The service's end of one worker: questions go out, answers and descriptors come back, and nothing here ever waits on the loop."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import json
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import StorageUnavailable, TooManyRequests, from_problem
from ...helper import passing

log = logging.getLogger("backendai")

MAX_MESSAGE_BYTES = 64 * 1024
MAX_LARGE_BYTES = 256 * 1024 * 1024
MAX_PENDING = 256
_MESSAGES_PER_TURN = 32
_F_GET_SEALS = 1034
_to_json = json.JSONEncoder(separators=(",", ":")).encode  # made once: json.dumps() makes one each time


class WorkerGone(Exception):
    """The worker ended before it answered; whether it had done what was asked is not known."""


@dataclass(slots=True)
class Reply:
    """An answer. Whoever has it closes its descriptors."""

    values: dict[str, Any]
    descriptors: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Pending:
    future: asyncio.Future[Reply]
    deadline_s: float
    on_progress: Callable[[dict[str, Any]], None] | None
    is_long: bool
    timer: asyncio.TimerHandle | None = None


class Channel:
    """Talks to one worker. ``end`` is called once when nobody needs the worker any more: it makes the process end."""

    def __init__(self, connection: socket.socket, host: str, end: Callable[[], None]) -> None:
        connection.setblocking(False)
        self._connection, self._host, self._end = connection, host, end
        self._loop = asyncio.get_running_loop()
        self._ids = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        self._outgoing: deque[tuple[bytes, list[int]]] = deque()
        self.used_at = self._loop.time()
        self._is_waiting = False
        self.is_stuck = False
        self.is_gone = asyncio.Event()
        self._loop.add_reader(connection.fileno(), self._read)

    @property
    def is_usable(self) -> bool:
        return not self.is_stuck and not self.is_gone.is_set()

    @property
    def pending(self) -> int:
        return len(self._pending)

    async def call(
        self,
        operation: str,
        fields: dict[str, Any],
        *,
        descriptors: Sequence[int] = (),
        deadline_s: float,
        is_long: bool = False,
        on_progress: Callable[[dict[str, Any]], None] | None = None,
    ) -> Reply:
        """Ask for one thing. Raises what the worker answered, StorageUnavailable when it says nothing in time, WorkerGone.

        A long one is given the time anew with each word of its progress; when it is silent, it ends, and the worker goes on.
        """
        if not self.is_usable:
            raise WorkerGone
        if len(self._pending) >= MAX_PENDING:
            raise TooManyRequests
        number = next(self._ids)
        pending = _Pending(self._loop.create_future(), deadline_s, on_progress, is_long)
        self._pending[number] = pending
        self._set_timer(number, pending)
        self.used_at = self._loop.time()
        data = _to_json({"id": number, "op": operation, **fields}).encode()
        self._outgoing.append((data, [os.dup(descriptor) for descriptor in descriptors]))
        try:
            self._write()
            return await pending.future
        except asyncio.CancelledError:
            # An answer may be here already, just not taken.
            if pending.future.done() and not pending.future.cancelled() and not pending.future.exception():
                _close(pending.future.result().descriptors)
            raise
        finally:
            self._forget(number)
            self.used_at = self._loop.time()

    def _forget(self, number: int) -> None:
        pending = self._pending.pop(number, None)
        if pending is None:
            return
        if pending.timer:
            pending.timer.cancel()
        if pending.is_long and self.is_usable:  # nobody waits for it any more
            self._outgoing.append((json.dumps({"cancel": number}).encode(), []))
            self._write()

    def _set_timer(self, number: int, pending: _Pending) -> None:
        if pending.timer:
            pending.timer.cancel()
        pending.timer = self._loop.call_later(pending.deadline_s, self._expire, number)

    def _expire(self, number: int) -> None:
        pending = self._pending.get(number)
        if pending is None:
            return
        if not pending.is_long:
            self.abandon()
        _fail(pending, StorageUnavailable(host=self._host))

    def abandon(self) -> None:
        """Ask it nothing more: it is stuck in a file system. Everybody who waits for it is told now; its process ends when it can."""
        if self.is_gone.is_set() or self.is_stuck:
            return
        self.is_stuck = True
        log.warning("A worker of %s does not answer", self._host)
        for pending in self._pending.values():
            _fail(pending, StorageUnavailable(host=self._host))
        self._drop_outgoing()
        self._end()

    def close(self) -> None:
        """End the worker; who still waits for it gets WorkerGone."""
        if self.is_gone.is_set():
            return
        self.is_gone.set()
        self._loop.remove_reader(self._connection.fileno())
        self._loop.remove_writer(self._connection.fileno())
        for pending in self._pending.values():
            _fail(pending, WorkerGone())
        self._drop_outgoing()
        self._connection.close()
        if not self.is_stuck:
            self._end()

    def _drop_outgoing(self) -> None:
        while self._outgoing:
            _close(self._outgoing.popleft()[1])

    def _write(self) -> None:
        """Send what can be sent now; the rest when there is room."""
        while self._outgoing:
            data, descriptors = self._outgoing[0]
            try:
                passing.send(self._connection, data, descriptors)
            except (BlockingIOError, InterruptedError):
                self._is_waiting = True
                self._loop.add_writer(self._connection.fileno(), self._write)
                return
            except OSError:
                self.close()
                return
            self._outgoing.popleft()
            _close(descriptors)
        if self._is_waiting:
            self._is_waiting = False
            self._loop.remove_writer(self._connection.fileno())

    def _read(self) -> None:
        for _ in range(_MESSAGES_PER_TURN):
            try:
                data, descriptors, is_truncated = passing.receive(self._connection, MAX_MESSAGE_BYTES + 4096, 8, passing.DONT_WAIT)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data, descriptors, is_truncated = b"", [], False
            if not data:
                self.close()
                return
            self._take(data, descriptors, is_truncated=is_truncated)
            if not self._pending:  # nothing more is expected; should something come, the loop says so
                return

    def _take(self, data: bytes, descriptors: list[int], *, is_truncated: bool) -> None:
        """One message. Descriptors that nobody waits for are closed: that is all that keeps cancelled calls from piling them up."""
        message: dict[str, Any] = {}
        pending: _Pending | None = None
        try:
            message = json.loads(data)
            pending = self._pending.get(message["id"])
            if pending is None or pending.future.done():
                return
            if "progress" in message:
                self._set_timer(message["id"], pending)
                if pending.on_progress:
                    pending.on_progress(message["progress"])
                return
            if is_truncated:  # we have no room for descriptors
                raise TooManyRequests
            if "large" in message:
                message = _read_large(descriptors, message)
            if "problem" in message:
                raise from_problem(message["problem"])
            reply = Reply(message["ok"], descriptors)
            self._settle(message["id"])
            pending.future.set_result(reply)
            descriptors = []
        except (ValueError, KeyError, TypeError, OSError):
            log.exception("A worker of %s said what cannot be read", self._host)
            self.close()
        except Exception as exc:  # noqa: BLE001 - whatever it answered with
            if pending:
                self._settle(message["id"])
                _fail(pending, exc)
        finally:
            _close(descriptors)

    def _settle(self, number: int) -> None:
        """It has answered: nothing is left to be cancelled."""
        pending = self._pending.pop(number)
        if pending.timer:
            pending.timer.cancel()


def _read_large(descriptors: list[int], message: dict[str, Any]) -> dict[str, Any]:
    """An answer that is in memory of the worker's. Raises ValueError where it is anything else, which could keep us waiting."""
    memory = descriptors.pop(0)
    try:
        fcntl.fcntl(memory, _F_GET_SEALS)
        size = message["large"]
        if not isinstance(size, int) or not 0 < size <= MAX_LARGE_BYTES:
            raise ValueError("too large")
        found: dict[str, Any] = json.loads(os.pread(memory, size, 0))
        return found
    finally:
        os.close(memory)


def _fail(pending: _Pending, error: BaseException) -> None:
    if not pending.future.done():
        pending.future.set_exception(error)


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
