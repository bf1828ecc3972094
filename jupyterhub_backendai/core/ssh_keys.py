"""Public SSH keys as people paste them: one line of a known kind, strong enough, and what it is recognised by."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass

from ..errors import N_, InvalidParameters, Violation

LONGEST = 8192
SHORTEST_RSA_BITS = 2048
_POINT_BYTES = {"nistp256": 65, "nistp384": 97, "nistp521": 133}
KINDS = (
    "ssh-ed25519",
    "ssh-rsa",
    *(f"ecdsa-sha2-{curve}" for curve in _POINT_BYTES),
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
_PRIVATE = N_("This is a private key. Never give it to anybody; paste the public one, the file that ends in .pub.")
_UNREADABLE = N_("This is not a public SSH key. Paste the whole line of the file that ends in .pub.")
_KIND = N_("Keys of the kind %(kind)s are not taken. Use one of: %(kinds)s.")
_SHORT = N_("This RSA key has %(bits)s bits; it needs at least %(least)s.")


@dataclass(frozen=True, slots=True)
class SSHKey:
    """A key that was read: its kind, the key itself in base64, and its owner's comment."""

    kind: str
    body: str
    comment: str

    @property
    def line(self) -> str:
        """As ``authorized_keys`` has it."""
        return f"{self.kind} {self.body} {self.comment}".rstrip()

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` shows it."""
        digest = hashlib.sha256(base64.b64decode(self.body)).digest()
        return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


def parse_ssh_key(text: str) -> SSHKey:
    """A public key from one pasted line. Raises InvalidParameters for anything else; options before a key are no key."""
    text = text.strip()
    if "PRIVATE KEY" in text:
        raise _wrong(_PRIVATE)
    if not text or len(text) > LONGEST or "\n" in text or "\r" in text:
        raise _wrong(_UNREADABLE)
    kind, _, rest = text.partition(" ")
    body, _, comment = rest.strip().partition(" ")
    if kind not in KINDS:
        raise _wrong(_KIND, kind=kind[:40], kinds=", ".join(KINDS)) if body else _wrong(_UNREADABLE)
    try:
        _check_body(kind, base64.b64decode(body, validate=True))
    except (ValueError, binascii.Error, struct.error, IndexError) as exc:
        raise _wrong(_UNREADABLE) from exc
    return SSHKey(kind, body, " ".join(word for word in comment.split() if word.isprintable())[:200])


def _check_body(kind: str, body: bytes) -> None:
    """The parts of a key are those of its kind. Raises ValueError; InvalidParameters when it is too weak."""
    name, *parts = _read_parts(body)
    if name.decode("ascii") != kind:
        raise ValueError("of another kind")
    if kind == "ssh-rsa":
        exponent, modulus = parts
        bits = int.from_bytes(modulus).bit_length()
        if int.from_bytes(exponent) < 3:
            raise ValueError("no exponent")
        if bits < SHORTEST_RSA_BITS:
            raise _wrong(_SHORT, bits=bits, least=SHORTEST_RSA_BITS)
        return
    curve, point = (parts.pop(0), parts.pop(0)) if "ecdsa" in kind else (b"", parts.pop(0))
    if len(point) != (_POINT_BYTES[curve.decode("ascii")] if curve else 32) or (curve and point[0] != 4):
        raise ValueError("no point")
    if (curve and curve.decode("ascii") not in kind) or len(parts) != kind.startswith("sk-"):
        raise ValueError("other parts")


def _read_parts(body: bytes) -> list[bytes]:
    parts = []
    while body:
        (length,) = struct.unpack(">I", body[:4])
        if len(body) < 4 + length:
            raise ValueError("cut off")
        parts.append(body[4 : 4 + length])
        body = body[4 + length :]
    return parts


def _wrong(message: str, **params: object) -> InvalidParameters:
    return InvalidParameters(violations=[Violation(message, params, "ssh_public_key", "ssh-key")])
