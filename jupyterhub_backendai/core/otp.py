"""Time-based one-time passwords (RFC 6238: SHA-1, 30 s, 6 digits), without clock and without randomness.

A code is good for one step. Which step it was good for is returned, so that the store can take each step once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import struct
from urllib.parse import quote, urlencode

from ..errors import N_, InvalidParameters

STEP_S = 30
DIGITS = 6
WINDOW = 1
SECRET_BYTES = 20
MAX_DRIFT = 10  # steps; a phone that is five minutes wrong needs its clock set, not our patience

_CODE = re.compile(r"[0-9]{6}\Z", re.ASCII)


def format_secret(secret: bytes) -> str:
    """A secret as people type it: base32 without padding."""
    return base64.b32encode(secret).decode("ascii").rstrip("=")


def parse_secret(text: str) -> bytes:
    """The inverse of :func:`format_secret`; blanks and small letters are forgiven. Raises InvalidParameters below 160 bits."""
    letters = "".join(text.split()).upper().rstrip("=")
    try:
        secret = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except (binascii.Error, ValueError) as exc:
        raise InvalidParameters(N_("This is not a key for one-time passwords.")) from exc
    if len(secret) < SECRET_BYTES:
        raise InvalidParameters(N_("A key for one-time passwords needs at least %(bits)s bits."), bits=SECRET_BYTES * 8)
    return secret


def code_at(secret: bytes, step: int) -> str:
    """The code of one step."""
    digest = hmac.digest(secret, struct.pack(">Q", step), hashlib.sha1)
    offset = digest[-1] & 0x0F
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_of(now_s: float) -> int:
    """The step that a time (seconds since 1970) lies in."""
    return int(now_s // STEP_S)


def find_step(secret: bytes, typed: str, now_s: float, *, drift: int = 0, window: int = WINDOW) -> int | None:
    """The step for which a typed code is right, or None.

    ``drift`` is how many steps the token's clock was ahead when it was last used. Steps around our own time count besides: a code
    that was typed late looks like a clock that is behind, and the next one comes in time. Every step of both windows is compared, so
    that the time taken says nothing.
    """
    code = "".join(typed.split(" "))
    if not _CODE.match(code):
        code = ""
    found = None
    current = step_of(now_s)
    near = {centre + offset for centre in (current, current + drift) for offset in range(-window, window + 1)}
    for step in sorted(step for step in near if step >= 0):
        if hmac.compare_digest(code_at(secret, step).encode("ascii"), code.encode("ascii")):
            found = step
    return found


def drift_of(step: int, now_s: float) -> int:
    """What to remember of a token whose code of that step was accepted now."""
    return max(-MAX_DRIFT, min(MAX_DRIFT, step - step_of(now_s)))


def build_uri(secret: bytes, name: str, issuer: str) -> str:
    """The otpauth address that authenticator apps read from a QR code."""
    issuer = issuer.replace(":", " ")
    label = f"{quote(issuer, safe='')}:{quote(name, safe='')}"
    query = {"secret": format_secret(secret), "issuer": issuer, "algorithm": "SHA1", "digits": DIGITS, "period": STEP_S}
    return f"otpauth://totp/{label}?{urlencode(query, quote_via=quote)}"
