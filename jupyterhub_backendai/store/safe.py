"""What the store needs to keep secrets: the service fits every database that it opens with one."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from ..errors import BackendAIError
from .crypt import Crypt

KEY = "safe"
_LETTERS = string.ascii_uppercase + string.digits


@dataclass(frozen=True, slots=True)
class Safe:
    """Encrypts what must be read again, and hashes passwords; ``hash_password`` is None where a directory keeps them."""

    crypt: Crypt
    hash_password: Callable[[str], str] | None = None

    def new_keypair(self) -> tuple[str, str, str]:
        """A new access key, its secret, and the secret as the database has it."""
        access_key, secret_key = new_keypair()
        return access_key, secret_key, self.crypt.encrypt(secret_key, f"keypair:{access_key}")


def new_keypair() -> tuple[str, str]:
    """An access key and its secret, in Backend.AI's form."""
    return "AKIA" + "".join(secrets.choice(_LETTERS) for _ in range(16)), secrets.token_urlsafe(30)


def find_safe(db: Session) -> Safe:
    """The safe of the database that this transaction is of. Raises BackendAIError where nobody fitted one."""
    safe = db.info.get(KEY)
    if not isinstance(safe, Safe):
        raise BackendAIError
    return safe


def get_safe(db: Session) -> Safe | None:
    """The same, or None."""
    safe = db.info.get(KEY)
    return safe if isinstance(safe, Safe) else None
