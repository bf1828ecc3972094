"""What somebody typed, what is known of them before the directory is asked, and what may be said when it was wrong."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ...core import throttle
from ...core.identity import LocalAccount
from ...core.names import fold_name, is_name
from ...errors import N_
from ...store import otp as tokens

REFUSED = N_("The user name, the password or the one-time password is not right.")
WAIT = N_("Too many attempts. Wait %(seconds)s seconds and try again.")
NOT_ALLOWED = N_("Your account may not use this site. Ask your centre's help desk.")
MUST_CHANGE = N_("Change your password first: your centre asks for a new one. Then log in again.")
WRONG_CODE = N_("This code is not right. Wait for the next one, and check that your phone's clock is right.")
TICKET_OVER = N_("This login took too long or was finished already. Log in again.")
HAS_TOKEN = N_("Your one-time password was set up already. Log in again with it.")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody typed, and where they come from and want to go."""

    username: str
    password: str
    otp: str
    source: str
    next: str = ""

    @property
    def name(self) -> str:
        return fold_name(self.username)


@dataclass(frozen=True, slots=True)
class Known:
    """What the database knows before the directory is asked."""

    wait_s: float
    account: LocalAccount | None = None
    token: tokens.Token | None = None


class Refused(Exception):
    """No login. ``reason`` is the true one, for the audit log; the message is what may be said."""

    def __init__(self, reason: str, message: str = REFUSED) -> None:
        super().__init__(reason)
        self.reason, self.message = reason, message


def person_key(attempt: Attempt) -> str:
    """What a person's failures are counted under."""
    # Hashed, because what was typed may be longer than the column, or a password in the wrong field.
    return f"user:{attempt.name}" if is_name(attempt.name) else f"name:{hash_text(attempt.name)}"


def source_key(attempt: Attempt) -> str:
    """What a network's failures are counted under."""
    return f"source:{throttle.source_net(attempt.source)}"


def hash_text(text: str) -> str:
    """What stands for a text that is not to be kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
