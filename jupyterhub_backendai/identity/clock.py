"""Whether this machine's clock is right: one-time passwords are made of the time."""

from __future__ import annotations

import ctypes

_UNSYNCHRONISED = 0x40
_STATUS_AT = 40  # after modes and four numbers, as <sys/timex.h> has them on machines of 64 bits
_SIZE = 512  # more than the structure has


def is_clock_kept() -> bool | None:
    """Whether the kernel hears from a time server (NTP, PTP, the machine's host); None where it cannot be asked. Never blocks."""
    buffer = ctypes.create_string_buffer(_SIZE)
    try:
        state = ctypes.CDLL(None).adjtimex(buffer)  # with modes 0 it only reads, which everybody may
    except (OSError, AttributeError):
        return None
    if state < 0 or ctypes.sizeof(ctypes.c_long) != 8:
        return None
    return not int.from_bytes(buffer.raw[_STATUS_AT : _STATUS_AT + 4], "little") & _UNSYNCHRONISED
