"""A worker: one process of one Unix account, doing what the service asks with the folders of one storage host.

It is that account already when it comes here, and nothing more. One message is one request, as JSON, over a SOCK_SEQPACKET socket
(``{"id": 7, "op": "open", "folder": "user-<id>/<id>", "path": "a/b"}``), and one message is its answer (``{"id": 7, "ok": {…}}`` or
``{"id": 7, "problem": {…}}``), with descriptors beside it. Names are text with surrogates for what is no UTF-8. What takes long is done
by a child, which answers by itself and says how far it is (``{"id": 7, "progress": {…}}``); ``{"cancel": 7}`` ends it.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import logging
import os
import resource
import selectors
import signal
import socket
from collections.abc import Sequence
from typing import Any, NoReturn

from ..errors import BackendAIError, InvalidParameters, TooManyRequests
from . import passing
from .worker_base import Answer, Job, Tree
from .worker_errors import UNREADABLE, translate
from .worker_operations import LONG, OPERATIONS

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 64 * 1024
MAX_DESCRIPTORS = 4
MAX_CHILDREN = 12
DESCRIPTORS = 4096
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_libc = ctypes.CDLL(None, use_errno=True)
_to_json = json.JSONEncoder(separators=(",", ":")).encode  # made once: json.dumps() makes one each time


def settle() -> None:
    """Before the first request: gain nothing by any program, be looked into by nobody, have room for descriptors."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    os.umask(0o077)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS), hard))


class Worker:
    """Serves one socket until its other end closes. ``directory`` is a descriptor of the storage host's directory."""

    def __init__(self, connection: socket.socket, host: str, directory: int) -> None:
        self._connection, self._host, self._directory = connection, host, directory
        self._children: dict[int, tuple[int, int]] = {}  # by pid: the request's id and the process's descriptor
        self._selector = selectors.DefaultSelector()
        connection.setblocking(True)

    def serve(self) -> None:
        self._selector.register(self._connection, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._connection:
                    self._reap(key.data)
                elif not self._receive():
                    self._end_children()
                    return

    def _receive(self) -> bool:
        """Do one request. False when the other end is gone."""
        try:
            message, descriptors, _ = passing.receive(self._connection, MAX_MESSAGE_BYTES + 1, MAX_DESCRIPTORS, passing.DONT_WAIT)
        except (BlockingIOError, InterruptedError):
            return True
        except OSError:
            return False
        if not message:
            return False
        try:
            self._handle(json.loads(message), descriptors)
        except ValueError:
            log.exception("a message cannot be read")
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return True

    def _handle(self, request: dict[str, Any], descriptors: Sequence[int]) -> None:
        if "cancel" in request:
            self._cancel(request["cancel"])
        elif request.get("op") in LONG:
            self._fork(request, descriptors)
        else:
            self._answer(request["id"], self._perform(request, descriptors))

    def _perform(self, request: dict[str, Any], descriptors: Sequence[int]) -> Answer | BackendAIError:
        """Do it in this very process."""
        try:
            operation = OPERATIONS.get(request.get("op", ""))
            if operation is None:
                raise InvalidParameters(UNREADABLE)
            with Tree(self._directory, request.get("folder", ""), self._host) as tree:
                return operation(Job(tree, request, descriptors, lambda values: self._tell(request["id"], values)))
        except BackendAIError as exc:
            return exc
        except OSError as exc:
            problem = translate(exc, self._host)
            if type(problem) is BackendAIError:
                log.exception("%s failed", request.get("op"))
            return problem
        except Exception:
            log.exception("%s failed", request.get("op"))
            return BackendAIError()

    def _fork(self, request: dict[str, Any], descriptors: Sequence[int]) -> None:
        if len(self._children) >= MAX_CHILDREN:
            self._answer(request["id"], TooManyRequests())
            return
        pid = os.fork()
        if not pid:
            self._work(request, descriptors)
        process = os.pidfd_open(pid)
        self._children[pid] = request["id"], process
        self._selector.register(process, selectors.EVENT_READ, pid)

    def _work(self, request: dict[str, Any], descriptors: Sequence[int]) -> NoReturn:
        """In the child: it ends with the worker, and answers by itself."""
        status = 1
        try:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            gc.disable()
            for _, process in self._children.values():
                os.close(process)
            self._selector.close()
            answer = self._perform(request, descriptors)
            self._answer(request["id"], answer)
            status = 0
            if isinstance(answer, Answer) and answer.then:
                self._connection.close()
                answer.then()
        finally:
            os._exit(status)

    def _reap(self, pid: int) -> None:
        self._selector.unregister(self._children[pid][1])
        request_id, process = self._children.pop(pid)
        os.close(process)
        _, status = os.waitpid(pid, 0)
        if status:  # it could not answer: killed, or without memory
            self._answer(request_id, BackendAIError())

    def _cancel(self, request_id: int) -> None:
        for pid, (known, _) in self._children.items():
            if known == request_id:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _end_children(self) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _tell(self, request_id: int, values: dict[str, Any]) -> None:
        self._send({"id": request_id, "progress": values}, ())

    def _answer(self, request_id: int, answer: Answer | BackendAIError) -> None:
        if isinstance(answer, BackendAIError):
            self._send({"id": request_id, "problem": answer.to_problem()}, ())
            return
        try:
            self._send({"id": request_id, "ok": answer.values}, answer.descriptors)
        finally:
            for descriptor in answer.descriptors:
                os.close(descriptor)

    def _send(self, message: dict[str, Any], descriptors: Sequence[int]) -> None:
        """Say it; what is too long for a message goes into memory that both have. Nobody there is no error."""
        data = _to_json(message).encode()
        large = -1
        if len(data) > MAX_MESSAGE_BYTES:
            large = os.memfd_create("answer")
            with open(large, "wb", closefd=False) as file:
                file.write(data)
            data = json.dumps({"id": message["id"], "large": len(data)}).encode()
            descriptors = (large, *descriptors)
        try:
            passing.send(self._connection, data, descriptors)
        except (BrokenPipeError, ConnectionError):
            pass  # the next look at the socket ends this worker
        except OSError:  # too many descriptors are on their way
            passing.send(self._connection, json.dumps({"id": message["id"], "problem": TooManyRequests().to_problem()}).encode())
        finally:
            if large >= 0:
                os.close(large)
