"""From a request's process of the helper's to a worker: root opens the storage host's directory, then is root no more."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket

from ..errors import BackendAIError
from . import passing
from .accounts import become, find_account
from .quota.verbs import open_host
from .requests import OpenWorker
from .verbs import Options
from .worker import Worker, settle

log = logging.getLogger(__name__)


def become_worker(request: OpenWorker, options: Options, connection: socket.socket, told: int) -> None:
    """Answer with one end of a socket and serve the other until it closes. A byte into ``told`` says that it came to that."""
    connection.setblocking(True)
    try:
        account = find_account(request.user, request.uid, options.min_uid)
        with open_host(request.host, options.storage) as host:
            directory = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=host)
        become(account)
    except BackendAIError as exc:
        log.warning("OpenWorker for %s: %s", request.user, exc)
        connection.sendall(json.dumps(exc.to_problem()).encode() + b"\n")
        return
    settle()
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        passing.send(connection, b'{"ok": true}\n', (theirs.fileno(),))
    os.write(told, b"1")
    _close_others({0, 1, 2, ours.fileno(), directory})
    Worker(ours, request.host, directory).serve()


def _close_others(kept: set[int]) -> None:
    """Whatever else the helper had open is not this account's."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - numbers
        if int(name) not in kept:
            try:
                os.close(int(name))
            except OSError:  # the listing's own
                continue
