"""The embedded directory: password hashes in our own database, argon2id by default, scrypt from elsewhere accepted too."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from ..config import BackendAI
from ..core.identity import LocalAccount, PasswordChange, PasswordCheck, Person, Standing
from ..core.nouns.users import check_password
from .base import system_account

THREADS = 2  # each verification takes 64 MiB for a moment
MAX_PASSWORD = 1024
_MOST_SCRYPT_MEMORY = 256 * 1024 * 1024
_hasher = PasswordHasher()


def hash_password(password: str) -> str:
    """The hash to keep of a password (argon2id)."""
    return _hasher.hash(password)


def verify(password_hash: str, password: str) -> bool:
    """Whether the password is the one of the hash. A hash that cannot be read is nobody's."""
    if password_hash.startswith("scrypt:"):
        return _verify_scrypt(password_hash, password)
    try:
        return _hasher.verify(password_hash, password)
    except (Argon2Error, InvalidHashError):
        return False


def _verify_scrypt(password_hash: str, password: str) -> bool:
    """``scrypt:N:r:p$salt$key``, as werkzeug writes it; the key is 64 bytes in hexadecimal, or any in base64."""
    try:
        parameters, salt_text, key_text = password_hash.split("$")
        n, r, p = (int(number) for number in parameters.removeprefix("scrypt:").split(":"))
        key = bytes.fromhex(key_text) if len(key_text) == 128 else base64.b64decode(key_text, validate=True)
        if not 32 <= len(key) <= 64:
            return False
        found = hashlib.scrypt(password.encode(), salt=salt_text.encode(), n=n, r=r, p=p, maxmem=_MOST_SCRYPT_MEMORY, dklen=len(key))
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(found, key)


class LocalDirectory:
    """Checks passwords against rows that the service hands in."""

    def __init__(self, settings: BackendAI) -> None:
        self._use_system_accounts = settings.local_posix
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="passwords")
        # No password is known to fit it; checking against it makes an unknown name cost as much as a known one.
        self._nobody = hash_password(secrets.token_urlsafe())

    async def check(self, name: str, password: str, account: LocalAccount | None = None) -> PasswordCheck:
        """Whether the password is this person's; see :class:`identity.base.Directory`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._check, name, password, account)

    async def change_password(self, name: str, old: str, new: str, account: LocalAccount | None = None) -> PasswordChange:
        """Whether the password may be changed; the caller keeps the new hash. See :class:`identity.base.Directory`."""
        checked = await self.check(name, old, account)
        if checked.person is None:
            return PasswordChange(False, checked.reason)
        if not new or new == old:
            return PasswordChange(False, "same" if new else "empty")
        if len(new) > MAX_PASSWORD:
            return PasswordChange(False, "too-long")
        return PasswordChange(True) if not check_password(new) else PasswordChange(False, "weak-password")

    async def find(self, name: str, account: LocalAccount | None = None) -> Standing:
        """Who this is by the row that the caller hands in; see :class:`identity.base.Directory`."""
        if account is None or account.name != name:
            return Standing(None, "removed", detail="unknown")
        person = await asyncio.get_running_loop().run_in_executor(self._threads, self._person, account)
        return Standing(person, "" if account.is_active else "closed")

    async def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _check(self, name: str, password: str, account: LocalAccount | None) -> PasswordCheck:
        if not password or len(password) > MAX_PASSWORD:
            return PasswordCheck(None, "empty-password" if not password else "wrong-password")
        if account is None or account.name != name:
            verify(self._nobody, password)
            return PasswordCheck(None, "unknown")
        if not verify(account.password_hash, password):
            return PasswordCheck(None, "wrong-password")
        if not account.is_active:
            return PasswordCheck(None, "closed")
        return PasswordCheck(self._person(account), "must-change" if account.must_change_password else "")

    def _person(self, account: LocalAccount) -> Person:
        takes_system_account = self._use_system_accounts and not account.has_signed_up
        posix = account.posix or (system_account(account.name) if takes_system_account else None)
        return Person(account.name, account.display_name, account.email, account.groups, posix)
