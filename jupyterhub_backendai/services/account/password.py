"""A new password, through whoever knows the passwords."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy.orm import Session

from ...core.identity import LocalAccount
from ...core.password_change import DIFFERENT, MISSING, explain_refusal
from ...errors import N_, BackendUnavailable, Conflict, InvalidParameters, Violation
from ...identity.factors import plain_code
from ...identity.local import hash_password
from ...store import audit, logins, users
from ..account_mails import CHANGED, write_mail
from ..active_logins import end_other_logins
from ..base import HubUserHandler
from .base import AccountPage
from .logins import this_login
from .proof import begin_attempt, list_keys, take_back_attempt

AT_ONCE = N_("Somebody changed the password at the same time. Log in again.")
_hashing = ThreadPoolExecutor(1, thread_name_prefix="own-password")


async def change_password(handler: HubUserHandler, fields: Mapping[str, str]) -> None:
    """``old``, ``new`` and ``again``, and ``code`` where it belongs to the password. Every other login ends.

    Raises InvalidParameters, TooManyRequests, BackendUnavailable.
    """
    old, new, again = (fields.get(name, "") for name in ("old", "new", "again"))
    if not old or not new:
        raise _wrong("new" if old else "old", MISSING)
    if new != again:
        raise _wrong("again", DIFFERENT)
    name, source = handler.identity.name, handler.request.remote_ip or ""
    await begin_attempt(handler, with_password=True)
    if asks_code(handler):
        old += plain_code(fields.get("code", "")) or ""
    known = await handler.db.run(users.get_local_account, name) if handler.config.directory == "local" else None
    try:
        change = await handler.people.change_password(name, old, new, known)
    except BackendUnavailable:
        await take_back_attempt(handler, with_password=True)
        raise
    if not change.ok:
        await _refuse(handler, name, source, change.reason)
        raise _wrong("old" if change.reason == "wrong-password" else "new", explain_refusal(change.reason), change.message)
    hashed = await asyncio.get_running_loop().run_in_executor(_hashing, hash_password, new) if known else ""
    await handler.db.run(_keep, name, source, known, hashed)
    await end_other_logins(handler, name, this_login(handler), source=source)
    if handler.identity.email:
        handler.mail.post(write_mail(CHANGED, handler.language, handler.config.site_name, name, handler.identity.email))


def asks_code(handler: HubUserHandler) -> bool:
    """Whether the directory wants a code behind the current password, as at each login."""
    return handler.config.otp_required and handler.config.otp_backend == "ldap-append"


async def _refuse(handler: HubUserHandler, name: str, source: str, reason: str) -> None:
    if reason != "wrong-password":  # the old one was right: only guesses are counted
        await take_back_attempt(handler, with_password=True)
    details = {"reason": reason}
    await handler.db.run(audit.record, actor=name, action="change-password", object=name, source=source, result="refused", details=details)


def _keep(db: Session, name: str, source: str, known: LocalAccount | None, hashed: str) -> None:
    if known is not None and not users.set_password_hash(db, name, hashed, before=known.password_hash):
        raise Conflict(AT_ONCE)
    logins.clear_failures(db, *list_keys(name, with_password=True))
    audit.record(db, actor=name, action="change-password", object=name, source=source)


def _wrong(field: str, message: str, said: str = "") -> InvalidParameters:
    """``said`` are the directory's own words, which may say more than ours."""
    found = [Violation(message, {}, field, "password")]
    if said:
        found.append(Violation(N_("The directory says: %(words)s"), {"words": said[:500]}, "said", "said"))
    return InvalidParameters(violations=found)


class PasswordPage(AccountPage):
    """``account/password``."""

    part = "password"

    async def load(self) -> dict[str, Any]:
        return {"is_ours": self.config.directory == "local", "asks_code": asks_code(self)}

    async def act(self, fields: Mapping[str, str]) -> str:
        await change_password(self, fields)
        return "password"


default_handlers = [(r"account/password", PasswordPage)]
