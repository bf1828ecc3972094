"""What somebody typed, what is known of them before the directory is asked, and what may be said when it was wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core import throttle
from ...core.identity import LocalAccount, UserStatus
from ...core.names import fold_name, is_name
from ...errors import N_
from ...store import otp as tokens
from ...store.notes import Note

REFUSED = N_("The user name, the password or the one-time password is not right.")
WAIT = N_("Too many attempts. Wait %(seconds)s seconds and try again.")
NOT_ALLOWED = N_("Your account may not use this site. Ask your centre's help desk.")
WRONG_CODE = N_("This code is not right. Wait for the next one, and check that your phone's clock is right.")
TICKET_OVER = N_("This login took too long or was finished already. Log in again.")
HAS_TOKEN = N_("Your one-time password was set up already. Log in again with it.")
EVERYBODY = "all"  # what all failures together are counted under


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody typed, and where they come from and want to go."""

    username: str
    password: str = field(repr=False)
    otp: str = field(repr=False)
    source: str
    next: str = ""

    @property
    def name(self) -> str:
        return fold_name(self.username)


@dataclass(frozen=True, slots=True)
class Known:
    """What the database knows of somebody: before the directory is asked, and again at each step.

    ``network_wait_s`` is what the strangers of the same network wait for, and who was there before does not.
    """

    wait_s: float = 0.0
    network_wait_s: float = 0.0
    delay_s: float = 0.0
    is_known_source: bool = False
    account: LocalAccount | None = None
    token: tokens.Token | None = None
    recovery_salt: str = ""
    notes: tuple[Note, ...] = ()
    status: UserStatus = UserStatus.ACTIVE


class Refused(Exception):
    """No login. ``reason`` is the true one, for the audit log; the message is what may be said.

    ``is_final``: the steps that were done so far are worth nothing either. ``said`` is what a server of the centre said itself.
    """

    def __init__(
        self, reason: str, message: str = REFUSED, *, is_final: bool = False, said: str = "", params: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(reason)
        self.reason, self.message, self.is_final, self.said, self.params = reason, message, is_final, said, dict(params or {})


class Throttled(Exception):
    """Not even looked at: somebody has to wait."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s

    def to_answer(self) -> dict[str, Any]:
        """What the login page is told."""
        return {"outcome": "refused", "message": WAIT, "params": {"seconds": max(1, round(self.wait_s))}, "throttled": True}


@dataclass(frozen=True, slots=True)
class Keys:
    """What the failures of one person from one network are counted under."""

    name: str
    source: str

    @property
    def net(self) -> str:
        return throttle.source_net(self.source)

    @property
    def who(self) -> str:
        """The name, from wherever. Hashed when it is none: what was typed may be longer than the column, or a password."""
        return f"user:{self.name}" if is_name(self.name) else f"name:{hash_text(self.name)}"

    @property
    def person(self) -> str:
        """The name from this network."""
        return f"{self.who}@{self.net}"

    @property
    def lock(self) -> str:
        """Wrong passwords in a row of this name from this network."""
        return f"lock:{self.person}"

    @property
    def network(self) -> str:
        """All names from this network."""
        return f"source:{self.net}"

    @property
    def codes(self) -> str:
        """Wrong codes of this name after the right password."""
        return f"codes:{self.who}"

    def budget(self, *, is_known: bool) -> str:
        """Wrong passwords that the directory counts."""
        return f"budget:{'own' if is_known else 'strangers'}:{self.who}"


def hash_text(text: str) -> str:
    """What stands for a text that is not to be kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
