"""What servers say about a password beside yes and no: the password policy's control, and Active Directory's text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

PPOLICY_CONTROL = "1.3.6.1.4.1.42.2.27.8.5.1"
CONTROLS = [(PPOLICY_CONTROL, False, None)]
SUCCESS, CONSTRAINT, NO_SUCH_OBJECT, INAPPROPRIATE, INVALID_CREDENTIALS = 0, 19, 32, 48, 49
NO_RIGHTS, UNWILLING = 50, 53
# Results of a person's bind that are the server's trouble, not an answer: operations or protocol error, confidentiality required,
# busy, unavailable, other.
TROUBLE = frozenset({1, 2, 8, 13, 51, 52, 80})
EXPIRED, LOCKED, MUST_CHANGE, MUST_GIVE_OLD = "expired", "locked", "must-change", "must-give-old"
_ERRORS = {
    0: EXPIRED,
    1: LOCKED,
    2: MUST_CHANGE,
    3: "not-allowed",
    4: MUST_GIVE_OLD,
    5: "not-quality",
    6: "too-short",
    7: "too-young",
    8: "in-history",
    9: "too-long",
}
# "… AcceptSecurityContext error, data 773, v4563": Windows' own error in hexadecimal
_AD_DATA = re.compile(r"\bdata ([0-9a-f]{2,4})\b", re.IGNORECASE)
_AD_REASONS = {
    "525": "unknown",
    "52e": "wrong-password",
    "530": "not-now",
    "531": "not-here",
    "532": EXPIRED,
    "533": "closed",
    "701": "account-expired",
    "773": MUST_CHANGE,
    "775": LOCKED,
}
_AD_CHANGES = {"00000056": "wrong-password", "0000052d": "not-quality", "00000005": "not-allowed", "0000001f": "not-allowed"}
_RESULTS = {CONSTRAINT: "not-quality", NO_RIGHTS: "not-allowed", INVALID_CREDENTIALS: "wrong-password"}


@dataclass(frozen=True, slots=True)
class Policy:
    """The control's content: ``error`` in our words, seconds until the password expires, and how often an expired one still works."""

    error: str = ""
    expires_in_s: int | None = None
    grace_left: int | None = None


def read_policy(result: Mapping[str, Any]) -> Policy:
    """The policy's answer in a result; an empty one where the server sent none, or something that is none.

    The value is SEQUENCE { [0] { [0] seconds until expiry | [1] grace logins left } OPTIONAL, [1] error OPTIONAL }.
    """
    control = (result.get("controls") or {}).get(PPOLICY_CONTROL)
    value = control.get("value") if control else None
    if not isinstance(value, bytes):
        return Policy()
    error, expires_in_s, grace_left = "", None, None
    for tag, content in next((list(_items(inner)) for outer, inner in _items(value) if outer == 0x30), []):
        if tag == 0xA0:
            warnings = dict(_items(content))
            expires_in_s, grace_left = _number(warnings.get(0x80)), _number(warnings.get(0x81))
        elif tag == 0x81:
            error = _ERRORS.get(int.from_bytes(content, "big"), "policy")
    return Policy(error, expires_in_s, grace_left)


def bind_reason(result: Mapping[str, Any], policy: Policy) -> str:
    """Why a bind is no login, "" when it is. The bind of somebody with ``must-change`` or ``grace`` may have succeeded."""
    if result["result"] == SUCCESS:
        return "grace" if policy.grace_left is not None else policy.error
    windows = _AD_DATA.search(result.get("message") or "")
    if policy.error:
        return policy.error
    if windows and windows[1].lower() in _AD_REASONS:
        return _AD_REASONS[windows[1].lower()]
    if result["result"] in {INVALID_CREDENTIALS, INAPPROPRIATE, NO_SUCH_OBJECT}:
        return "wrong-password"
    return f"refused-{result['result']}"


def change_reason(result: Mapping[str, Any], policy: Policy) -> str:
    """Why a new password was refused, "" when it was taken."""
    if result["result"] == SUCCESS:
        return ""
    windows = _AD_CHANGES.get((result.get("message") or "")[:8].lower())
    return policy.error or windows or _RESULTS.get(result["result"], "refused")


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The tags and contents of BER in a row; ends where it is no BER any more."""
    while len(data) >= 2:
        tag, length, start = data[0], data[1], 2
        if length & 0x80:
            start = 2 + (length & 0x7F)
            length = int.from_bytes(data[2:start], "big")
        if len(data) < start + length:
            return
        yield tag, data[start : start + length]
        data = data[start + length :]


def _number(content: bytes | None) -> int | None:
    return None if content is None else int.from_bytes(content, "big")
