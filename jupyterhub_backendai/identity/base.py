"""How we ask those who know passwords."""

from __future__ import annotations

import pwd
from typing import Protocol

from ..core.identity import LocalAccount, PasswordChange, PasswordCheck, PosixAccount, Standing

LOWEST_UID = 1000
_NOBODY = 65534


class Directory(Protocol):
    """Somebody who knows passwords. Never blocks the loop; raises DirectoryUnavailable when it cannot say."""

    async def check(self, name: str, password: str, account: LocalAccount | None = None) -> PasswordCheck:
        """Whether the password is this person's. ``name`` is folded; ``account`` is the row of the embedded directory, if any.

        An unknown name costs as much work as a known one.
        """

    async def change_password(self, name: str, old: str, new: str, account: LocalAccount | None = None) -> PasswordChange:
        """Change somebody's own password. Who changed it may log in with the new one at once.

        ``account.password_hash`` is not written here: where the store keeps it, the caller does, once this has said that it may.
        """

    async def find(self, name: str, account: LocalAccount | None = None) -> Standing:
        """Who this is now and whether they may still work, without a password. An outage raises and is never ``removed``."""

    async def close(self) -> None:
        """End the threads and the connections."""


def system_account(name: str) -> PosixAccount | None:
    """The system's own account of a name, for people only: never root's or a daemon's. May block: the system may ask a directory."""
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError, UnicodeError):
        return None
    if entry.pw_uid < LOWEST_UID or entry.pw_uid == _NOBODY:
        return None
    return PosixAccount(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)
