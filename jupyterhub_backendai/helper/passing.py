"""Messages with descriptors beside them. Python 3.11's ``socket.recv_fds`` ignores its flags: programs would inherit what it returns."""

from __future__ import annotations

import array
import socket
from collections.abc import Sequence

# plain numbers: the socket module's own are an enum's, and putting two together takes longer than the call
DONT_WAIT = int(socket.MSG_DONTWAIT)
_CLOSE_ON_EXEC, _CUT_OFF, _NO_SIGNAL = int(socket.MSG_CMSG_CLOEXEC), int(socket.MSG_CTRUNC), int(socket.MSG_NOSIGNAL)
_ITEM_BYTES = array.array("i").itemsize


def send(connection: socket.socket, data: bytes, descriptors: Sequence[int] = ()) -> None:
    """One message. Raises OSError; ETOOMANYREFS where too many descriptors are on their way."""
    beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
    connection.sendmsg([data], beside, _NO_SIGNAL)


def receive(connection: socket.socket, size: int, most: int, flags: int = 0) -> tuple[bytes, list[int], bool]:
    """(the message, its descriptors, whether some were lost because we have too many). Raises OSError, BlockingIOError."""
    data, beside, found, _ = connection.recvmsg(size, socket.CMSG_LEN(most * _ITEM_BYTES), flags | _CLOSE_ON_EXEC)
    descriptors = array.array("i")
    for level, kind, content in beside:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    return data, list(descriptors), bool(found & _CUT_OFF)
