"""The helper's loop: one process accepts, checks who calls and reads requests; each request runs in a process of its own."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import selectors
import signal
import socket
import struct
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ..errors import N_, BackendAIError, BackendUnavailable, Forbidden, TooManyRequests
from .directories import is_trusted
from .requests import MAX_REQUEST_BYTES, OpenWorker, RemoveFolder, Request, parse
from .verbs import Options, perform
from .worker_start import become_worker

log = logging.getLogger(__name__)

CALL_LIMIT_S = 30.0
REMOVE_LIMIT_S = 590.0  # what is cut off goes on where it was
READ_LIMIT_S = 5.0
STOP_LIMIT_S = 5.0
MAX_CONNECTIONS, MAX_PER_USER = 256, 16
MAX_WORKERS, MAX_WORKERS_PER_USER = 512, 16
_CREDENTIALS = struct.Struct("3i")


class Refused(Exception):
    """The helper cannot start; the message says why."""


@dataclass(slots=True)
class Call:
    """One connection: being read while ``pid`` is 0, then being worked on by that process.

    ``is_worker``: the process has answered, and is there until the caller closes the connection.
    """

    connection: socket.socket
    deadline: float
    buffer: bytearray = field(default_factory=bytearray)
    user: str = ""
    pid: int = 0
    what: str = ""
    is_worker: bool = False
    started: float = field(default_factory=time.monotonic)


def listen(path: Path, uid: int, gid: int) -> socket.socket:
    """The listening socket, for one account alone; the socket of a helper that is gone is replaced. Raises Refused.

    As root the directory must be root's alone, or its owner could put something else in the socket's place.
    """
    if os.geteuid() == 0:
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            path.parent.chmod(0o755)  # whatever the umask: the hub's account must get to the socket
        if not is_trusted(path.parent.lstat()):
            raise Refused(f"{path.parent} must be a directory that only root can change")
    if path.is_socket():
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                raise Refused(f"another helper listens at {path}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    previous = os.umask(0o117)
    try:
        listener.bind(str(new))
        if os.geteuid() == 0:
            os.chown(new, uid, gid, follow_symlinks=False)
        listener.listen(128)
        new.rename(path)  # it appears when it is ready, in the place of one that is stale
    except OSError as exc:
        raise Refused(f"{path}: {exc.strerror}") from exc
    finally:
        os.umask(previous)
    listener.setblocking(False)
    return listener


class Server:
    """Serves until :meth:`stop`. Never waits for one caller or one user."""

    def __init__(self, listener: socket.socket, allowed_uid: int, options: Options, *, call_limit_s: float = CALL_LIMIT_S) -> None:
        self.listener, self.allowed_uid, self.options = listener, allowed_uid, options
        self.call_limit_s = call_limit_s
        self.calls: dict[int, Call] = {}
        self.lingering: dict[int, str] = {}  # killed but not gone: stuck in a file server, and still counted for their user
        self.stop_at: float | None = None
        self.selector = selectors.DefaultSelector()
        self.selector.register(listener, selectors.EVENT_READ)
        self.signals, wake = socket.socketpair()
        for end in (self.signals, wake):
            end.setblocking(False)
        self.selector.register(self.signals, selectors.EVENT_READ)
        self._wake = wake
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # the byte in the pipe is what matters
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)

    def stop(self, *_: object) -> None:
        """Accept nothing more; end when the running requests are done, at the latest after a few seconds."""
        if self.stop_at is None:
            self.stop_at = time.monotonic() + STOP_LIMIT_S

    def serve(self) -> None:
        listening = True
        while listening or self.calls:
            if self.stop_at and listening:
                self.selector.unregister(self.listener)
                self.listener.close()
                listening = False
                continue
            for key, _ in self.selector.select(self._patience()):
                if key.fileobj is self.listener:
                    self._accept()
                elif key.fileobj is self.signals:
                    self._drain_signals()
                elif key.data is not None:
                    self._note_ready(key.data, key.fd)
                elif key.fd in self.calls:
                    self._read(self.calls[key.fd])
            self._reap()
            self._expire()

    def _patience(self) -> float | None:
        ends = [call.deadline for call in self.calls.values() if not call.is_worker]
        if self.stop_at:
            ends.append(self.stop_at)
        return max(0.0, min(ends) - time.monotonic()) if ends else None

    def _drain_signals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while self.signals.recv(4096):
                pass

    def _accept(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        _, uid, _ = _CREDENTIALS.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
        if uid != self.allowed_uid:
            log.warning("refused a caller with uid %s", uid)
            _answer(connection, Forbidden().to_problem())
            connection.close()
        elif sum(not call.is_worker for call in self.calls.values()) >= MAX_CONNECTIONS:
            _answer(connection, TooManyRequests().to_problem())
            connection.close()
        else:
            self.calls[connection.fileno()] = Call(connection, time.monotonic() + READ_LIMIT_S)
            self.selector.register(connection, selectors.EVENT_READ)

    def _read(self, call: Call) -> None:
        try:
            data = call.connection.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if call.is_worker:
            self._end_worker(call)
            return
        call.buffer += data
        line, newline, rest = call.buffer.partition(b"\n")
        if newline and not rest and len(line) <= MAX_REQUEST_BYTES:
            self._begin(call, bytes(line))
        elif newline or not data or len(call.buffer) > MAX_REQUEST_BYTES:
            self._finish(call, BackendAIError(N_("The helper cannot read the request.")) if data else None)

    def _begin(self, call: Call, line: bytes) -> None:
        """Check a request and give it a process."""
        call.buffer.clear()
        try:
            request = parse(line)
            self._check_room(request)
        except BackendAIError as exc:
            self._finish(call, exc)
            return
        self.selector.unregister(call.connection)
        call.user, call.what = _counted_for(request), type(request).__name__
        call.deadline = time.monotonic() + (REMOVE_LIMIT_S if isinstance(request, RemoveFolder) else self.call_limit_s)
        ready, told = os.pipe() if isinstance(request, OpenWorker) else (-1, -1)
        sys.stderr.flush()
        call.pid = os.fork()
        if not call.pid:
            self._work(call.connection, request, told)
        if ready >= 0:
            os.close(told)
            self.selector.register(ready, selectors.EVENT_READ, call)

    def _check_room(self, request: Request) -> None:
        """Whether one more may be begun for that user. Raises TooManyRequests."""
        is_worker = isinstance(request, OpenWorker)
        workers = [call.user for call in self.calls.values() if call.is_worker]
        working = workers if is_worker else [call.user for call in self.calls.values() if call.pid and not call.is_worker]
        most = MAX_WORKERS_PER_USER if is_worker else MAX_PER_USER
        if Counter([*working, *self.lingering.values()])[_counted_for(request)] >= most or (is_worker and len(workers) >= MAX_WORKERS):
            raise TooManyRequests

    def _note_ready(self, call: Call, pipe: int) -> None:
        """A worker is one now, and has answered by itself; or it never will be."""
        is_ready = bool(os.read(pipe, 1))
        self.selector.unregister(pipe)
        os.close(pipe)
        if is_ready and self.calls.get(call.connection.fileno()) is call:
            call.is_worker = True
            self.selector.register(call.connection, selectors.EVENT_READ)

    def _end_worker(self, call: Call) -> None:
        """Nobody wants it any more. It may be stuck, or stopped by its user: nothing less than this ends it for sure."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(call.pid, signal.SIGKILL)
        self.lingering[call.pid] = call.user
        self._finish(call, None)

    def _work(self, connection: socket.socket, request: Request, told: int) -> NoReturn:
        """In the child: everything is inherited, so everything but the own connection goes first."""
        status = 1
        gc.disable()  # this process ends before it could matter
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            for other in [call.connection for call in self.calls.values()] + [self.listener, self.signals, self._wake]:
                if other is not connection:
                    other.close()
            self.selector.close()
            if isinstance(request, OpenWorker):
                become_worker(request, self.options, connection, told)
                os._exit(0)
            try:
                answer: dict[str, Any] = {"ok": True, **perform(request, self.options)}
            except BackendAIError as exc:
                log.warning("%s for %s: %s", type(request).__name__, request.user, exc)
                answer = exc.to_problem()
            connection.setblocking(True)
            _answer(connection, answer)
            status = 0
        except Exception:
            log.exception("%s for %s failed", type(request).__name__, request.user)
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self.lingering.pop(pid, None)
            for call in [call for call in self.calls.values() if call.pid == pid]:
                log.info("%s for %s: %.0f ms", call.what, call.user, (time.monotonic() - call.started) * 1000)
                self._finish(call, BackendAIError() if status else None)

    def _expire(self) -> None:
        """End what takes too long: the request's process with all it started. Its caller is told at once."""
        now = time.monotonic()
        for call in list(self.calls.values()):
            if call.is_worker:
                if self.stop_at:
                    self._end_worker(call)
            elif call.deadline <= now or (self.stop_at and self.stop_at <= now):
                if call.pid:
                    log.warning("%s for %s took too long", call.what, call.user)
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(call.pid, signal.SIGKILL)
                    self.lingering[call.pid] = call.user
                self._finish(call, BackendUnavailable())

    def _finish(self, call: Call, error: BackendAIError | None) -> None:
        del self.calls[call.connection.fileno()]
        with contextlib.suppress(KeyError):
            self.selector.unregister(call.connection)
        if error:
            _answer(call.connection, error.to_problem())
        call.connection.close()


def _counted_for(request: Request) -> str:
    """Whose the request is when room is short: somebody's, apart for each storage host, because one of them may hang."""
    host = getattr(request, "host", "")
    return f"{request.user} at {host}" if host else request.user


def _answer(connection: socket.socket, answer: dict[str, Any]) -> None:
    """Best effort: a caller that went away is no error."""
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(answer).encode() + b"\n")
