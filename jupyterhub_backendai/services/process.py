"""The service as a process: it dies with the hub, takes its port back from a predecessor, and opens its two listeners."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import json
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from tornado.netutil import bind_sockets, bind_unix_socket

from ..errors import InvalidParameters

log = logging.getLogger("backendai")
PORT_WAIT_S = 15.0
TERM_WAIT_S = 5.0
_PR_SET_PDEATHSIG = 1
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def die_with_parent(parent: int) -> None:
    """End this process when its parent ends, even by kill -9. ``parent`` is the parent's id as read when this program began."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        # It ended before the kernel knew that we want to hear of it.
        sys.exit(1)


class PidFile:
    """Which process of ours serves a port: its id and start time, so that nobody else's process is ever mistaken for it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self) -> None:
        """Enter this process."""
        text = json.dumps({"pid": os.getpid(), "started": _started(os.getpid())})
        fresh = self._path.with_suffix(f".{os.getpid()}")
        fresh.write_text(text)
        fresh.replace(self._path)

    def remove(self) -> None:
        """Forget this process, unless another one has entered itself by now."""
        if self._read() == (os.getpid(), _started(os.getpid())):
            self._path.unlink(missing_ok=True)

    def find_other(self) -> int | None:
        """The id of the predecessor that is still alive."""
        pid, started = self._read()
        return pid if pid and pid != os.getpid() and started and _started(pid) == started else None

    def _read(self) -> tuple[int, str]:
        try:
            entry = json.loads(self._path.read_text())
            return int(entry["pid"]), str(entry["started"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0, ""


def _started(pid: int) -> str:
    """When a process began, in the kernel's ticks since boot, with the boot's id; "" when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    return "" if stat[0] == "Z" else f"{boot}:{stat[19]}"


async def end_other(pid_file: PidFile) -> None:
    """End the predecessor that kept the port after its hub was killed: SIGTERM, then SIGKILL."""
    pid = pid_file.find_other()
    for kind in (signal.SIGTERM, signal.SIGKILL):
        if pid is None:
            return
        log.warning("A service of an earlier hub (process %s) still has our port; sending it %s", pid, kind.name)
        try:
            os.kill(pid, kind)
        except ProcessLookupError:
            return
        deadline = time.monotonic() + TERM_WAIT_S
        while pid_file.find_other() == pid and time.monotonic() < deadline:  # noqa: ASYNC110 - no event tells of another process's end
            await asyncio.sleep(0.05)
        pid = pid_file.find_other()


async def open_public(url: str, pid_file: PidFile) -> list[socket.socket]:
    """Listen where the hub's proxy looks for us. A busy port is taken back from a predecessor, and waited for some seconds."""
    parts = urlsplit(url)
    deadline, is_said = time.monotonic() + PORT_WAIT_S, False
    while True:
        try:
            sockets = bind_sockets(parts.port or 80, parts.hostname or "127.0.0.1")
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
            if not is_said:
                log.warning("Port %s is taken; waiting for it", parts.port)
                is_said = True
            await end_other(pid_file)
            await asyncio.sleep(0.1)
        else:
            pid_file.write()
            return sockets


def open_private(url: str) -> list[socket.socket]:
    """The hub's own door: a unix socket that only our account may use, or a loopback port. A stale socket is replaced."""
    if url.startswith("unix://"):
        path = Path(url.removeprefix("unix://"))
        old_mask = os.umask(0o177)
        try:
            return [bind_unix_socket(str(path), mode=0o600)]
        finally:
            os.umask(old_mask)
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK or not parts.port:
        raise InvalidParameters("c.BackendAI.private_url must be unix:///path or http://127.0.0.1:port, not %(url)s.", url=url)
    return bind_sockets(parts.port, parts.hostname)


def close_private(url: str, inode: int) -> None:
    """Remove our unix socket, unless a successor has put its own there."""
    path = Path(url.removeprefix("unix://"))
    if inode and socket_inode(url) == inode:
        path.unlink(missing_ok=True)


def socket_inode(url: str) -> int:
    """What tells our unix socket from a successor's at the same path; 0 for none."""
    try:
        return Path(url.removeprefix("unix://")).stat().st_ino if url.startswith("unix://") else 0
    except OSError:
        return 0
