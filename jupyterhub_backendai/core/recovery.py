"""Recovery codes: ten words to come in with when the telephone is lost, each once. Without randomness of its own."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata

COUNT = 10
LENGTH = 10
RANDOM_BYTES = 7  # 56 bits; ten letters of base32 hold 50 of them
SALT_BYTES = 16
_SHAPE = re.compile(r"[A-Z2-7]{10}\Z", re.ASCII)
# Base32 has no 0, 1 and 8: who reads them meant the letter.
_MISREAD = str.maketrans("018", "OIB")


def make_code(random: bytes) -> str:
    """A code from :data:`RANDOM_BYTES` random bytes."""
    return base64.b32encode(random).decode("ascii")[:LENGTH]


def format_code(code: str) -> str:
    """A code as people read it: two groups of five."""
    return f"{code[:5]}-{code[5:]}"


def parse_code(typed: str) -> str:
    """The inverse of :func:`format_code`, forgiving about blanks, dashes, small and full-width letters; "" for what is no such code."""
    letters = unicodedata.normalize("NFKC", typed[:64]).upper()
    code = re.sub(r"[\s\-\u2010-\u2015]", "", letters).translate(_MISREAD)
    return code if _SHAPE.match(code) else ""


def hash_code(code: str, salt: str) -> str:
    """What is kept of a code. Takes some 15 ms of a processor and 4 MiB: never call it in an event loop.

    A code has 50 bits by itself, so that less than what a password needs is enough.
    """
    return hashlib.scrypt(code.encode("ascii"), salt=bytes.fromhex(salt), n=2**12, r=8, p=1, dklen=32).hex()
