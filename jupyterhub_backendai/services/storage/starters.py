"""How a worker comes to be: forked by the helper as anybody, or started here as ourselves."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from typing import Protocol

from ...core.identity import PosixAccount
from ...errors import StorageUnavailable, from_problem
from ...helper import passing
from .channel import Channel

START_LIMIT_S = 10.0
_MAX_ANSWER_BYTES = 64 * 1024


class Starter(Protocol):
    """Makes workers."""

    async def start(self, account: PosixAccount | None, host: str, path: str) -> Channel:
        """A worker of that account (None: ours) for a storage host. Raises BackendAIError."""
        ...


class OwnStarter:
    """Workers of the account that the service has. Each is a program of its own: this process has threads, and does not fork."""

    async def start(self, account: PosixAccount | None, host: str, path: str) -> Channel:  # noqa: ARG002 - there is one account only
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = await asyncio.to_thread(_start, theirs.fileno(), host, path)
        return Channel(ours, host, lambda: _end(process))


def _start(descriptor: int, host: str, path: str) -> subprocess.Popen[bytes]:
    arguments = [
        *(sys.executable, "-I", "-X", "utf8", "-m", "jupyterhub_backendai.helper.files"),
        *("--socket", str(descriptor), "--host", host, "--path", path),
    ]
    return subprocess.Popen(
        arguments, pass_fds=(descriptor,), env={"PATH": "/usr/bin:/bin"}, cwd="/", stdin=subprocess.DEVNULL, start_new_session=True
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill it with its children. It is never waited for: one that is stuck would keep us too; the next start reaps it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


class HelperStarter:
    """Workers of anybody, from the helper at a socket; our own account's without. The helper ends one when our connection to it ends."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path

    async def start(self, account: PosixAccount | None, host: str, path: str) -> Channel:
        if account is None:
            return await OwnStarter().start(account, host, path)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        connection.setblocking(False)
        try:
            line = json.dumps({"verb": "worker", "user": account.name, "uid": account.uid, "host": host}).encode() + b"\n"
            descriptor = await asyncio.wait_for(self._ask(connection, line), START_LIMIT_S)
        except (OSError, TimeoutError, ValueError) as exc:
            connection.close()
            raise StorageUnavailable(host=host) from exc
        except BaseException:
            connection.close()
            raise
        return Channel(socket.socket(fileno=descriptor), host, connection.close)

    async def _ask(self, connection: socket.socket, line: bytes) -> int:
        """The descriptor of a worker's socket. Raises BackendAIError, OSError, ValueError."""
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, self._path)
        await loop.sock_sendall(connection, line)
        data, descriptors = b"", []
        while not data.endswith(b"\n"):
            await _wait_readable(connection)
            more, found, _ = passing.receive(connection, _MAX_ANSWER_BYTES, 4)
            descriptors += found
            if not more:
                break
            data += more
        answer = json.loads(data)
        if not isinstance(answer, dict):
            raise ValueError("no object")  # noqa: TRY004 - what came is bad, not its type
        if not answer.pop("ok", False):
            raise from_problem(answer)
        for descriptor in descriptors[1:]:
            os.close(descriptor)
        if not descriptors:
            raise ValueError("no descriptor")
        return descriptors[0]


async def _wait_readable(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(connection.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection.fileno())
