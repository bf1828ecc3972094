"""Encryption of what we must be able to read again: one-time-password seeds, keypair secrets, what a login waits for."""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ..errors import BackendAIError, InvalidParameters


class Crypt:
    """MultiFernet over the secret ``crypt`` (keys with commas between, the newest first): old keys still read, the first one writes.

    Each text is bound to a purpose such as ``otp:kim01``, so that a row copied onto somebody else's does not open there.
    """

    def __init__(self, keys: str) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key.strip()) for key in keys.split(",") if key.strip()])
        except ValueError as exc:
            raise InvalidParameters("The secret crypt holds something that is not a Fernet key.") from exc

    def encrypt(self, text: str, purpose: str) -> str:
        """The text as it may lie in the database."""
        return self._fernet.encrypt(f"{purpose}\0{text}".encode()).decode("ascii")

    def decrypt(self, token: str, purpose: str) -> str:
        """The inverse of :meth:`encrypt`. Raises BackendAIError when no key opens it or it was made for something else."""
        try:
            found, _, text = self._fernet.decrypt(token.encode()).decode().partition("\0")
        except InvalidToken as exc:
            raise BackendAIError from exc
        if found != purpose:
            raise BackendAIError
        return text
