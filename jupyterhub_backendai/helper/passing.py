"""Messages with descriptors beside them. Python 3.11's ``socket.recv_fds`` ignores its flags: programs would inherit what it returns."""

from __future__ import annotations

import array
import socket
from collections.abc import Sequence


def send(connection: socket.socket, data: bytes, descriptors: Sequence[int] = ()) -> None:
    """One message. Raises OSError; ETOOMANYREFS where too many descriptors are on their way."""
    beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    connection.sendmsg([data], beside, socket.MSG_NOSIGNAL)


def receive(connection: socket.socket, size: int, most: int, flags: int = 0) -> tuple[bytes, list[int], bool]:
    """(the message, its descriptors, whether some were lost because we have too many). Raises OSError, BlockingIOError."""
    room = socket.CMSG_LEN(most * array.array("i").itemsize)
    data, beside, found, _ = connection.recvmsg(size, room, flags | socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, content in beside:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    return data, list(descriptors), bool(found & socket.MSG_CTRUNC)
