"""Accounts of the embedded directory that people make themselves, and the way back for who forgot the password.

The hub's pages (``authenticator/accounts.py``) ask here over the private listener. What a site did not turn on is not there.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .. import i18n
from ..config import BackendAI
from ..core import throttle
from ..core.accounts import (
    EXISTS,
    FORGOTTEN,
    GUESSES,
    RESET,
    SIGN_UPS,
    VERIFY,
    SignUp,
    check_new_password,
    check_sign_up,
    fold_email,
    hash_terms,
    hash_word,
    read_sign_up,
)
from ..core.names import fold_name
from ..errors import BackendAIError, InvalidParameters, NotFound, TooManyRequests
from ..identity.local import hash_password
from ..identity.mail import Mailer
from ..store import accounts, logins
from ..store.accounts import Addressee, NewAccount
from ..store.database import Database
from ..store.models import now
from .account_mails import APPROVAL, CHANGED, WELCOME, write_mail
from .active_logins import end_other_logins
from .base import PrivateHandler, check_text
from .login.attempts import Keys
from .reserved_names import has_rights_by_name

log = logging.getLogger("backendai")
LOOK_EVERY_S = 30.0
SERVICE = "services/backendai/"
_hashing = ThreadPoolExecutor(1, thread_name_prefix="new-accounts")


def check_settings(settings: BackendAI, *, knows_address: bool = True) -> None:
    """Raises InvalidParameters for what is turned on and cannot work. Only the service is told the hub's address by the hub."""
    wants_mail = [name for name in ("sign_up_verification_required", "forgotten_password") if getattr(settings, name)]
    for name in ["sign_up", *wants_mail]:
        if getattr(settings, name) and settings.directory != "local":
            raise InvalidParameters("c.BackendAI.%(name)s needs c.BackendAI.directory = 'local'.", name=name)
    for name in wants_mail:
        for needed in ("mail_server", "public_hub_url") if knows_address else ("mail_server",):
            if not getattr(settings, needed):
                raise InvalidParameters("c.BackendAI.%(name)s needs c.BackendAI.%(needed)s.", name=name, needed=needed)


class AccountDesk:
    """Where accounts are made. One per process."""

    def __init__(self, settings: BackendAI, db: Database, mail: Mailer) -> None:
        self._settings, self._db, self._mail = settings, db, mail
        self._tasks: set[asyncio.Task[None]] = set()

    # -- signing up

    async def sign_up(self, fields: Mapping[str, str], source: str, language: str) -> dict[str, Any]:
        """Make an account: ``outcome`` is ``done``, ``verify`` (a link was mailed) or ``approval``. Raises InvalidParameters."""
        settings = self._settings
        if not settings.sign_up:
            raise NotFound
        form = read_sign_up(fields)
        terms = hash_terms(settings.sign_up_terms, settings.sign_up_privacy_policy)
        asks_invitation = settings.sign_up_invitation_required
        reserved = [form.name] if await asyncio.to_thread(has_rights_by_name, settings, form.name) else []
        found = check_sign_up(form, asks_agreement=bool(terms), asks_invitation=asks_invitation, reserved=reserved)
        if found:
            raise InvalidParameters(violations=found)
        if asks_invitation:
            await self._hold_back("guess", source, GUESSES, only_look=True)
        await self._hold_back("sign-up", source, SIGN_UPS)
        new = NewAccount(
            form=form,
            password_hash=await _hash(form.password),
            invitation_hash=hash_word(form.invitation) if asks_invitation else "",
            groups=tuple(settings.sign_up_groups),
            domain=settings.default_domain,
            agreed_terms=terms,
            is_open=not settings.sign_up_verification_required and not settings.sign_up_approval_required,
            needs_verification=settings.sign_up_verification_required,
            language=language,
            source=source,
        )
        return await self._make(new)

    async def _make(self, new: NewAccount) -> dict[str, Any]:
        person = Addressee(new.form.name, new.form.email, new.language)
        try:
            await self._db.run_exclusive(accounts.sign_up, new, now())
        except InvalidParameters as exc:
            rules = {(violation.field, violation.rule) for violation in exc.violations}
            if ("invitation", "unknown") in rules:
                await self._hold_back("guess", new.source, GUESSES)
            if not new.needs_verification:
                raise
            if others := [violation for violation in exc.violations if (violation.field, violation.rule) != ("email", "taken")]:
                # With a name that is taken, too, nobody learns whether an address is.
                raise InvalidParameters(violations=others) from exc
            # Whose address it is learns it by mail; who typed it learns nothing.
            self._begin(self._tell_owner(new.form))
            return {"outcome": "verify"}
        if new.needs_verification:
            self._begin(self._send_link(VERIFY, person))
            return {"outcome": "verify"}
        if not new.is_open:
            self._notify(person)
            return {"outcome": "approval"}
        return {"outcome": "done"}

    async def verify(self, token: str, source: str) -> dict[str, Any]:
        """The mailed link was opened: ``outcome`` is ``done`` or ``approval``. Raises NotFound."""
        await self._hold_back("guess", source, GUESSES, only_look=True)
        needs_approval = self._settings.sign_up_approval_required
        person = await self._guessed(source, self._db.run_exclusive(accounts.verify_email, hash_word(token), needs_approval, source, now()))
        if person.kind == "approval":
            self._notify(person)
        return {"outcome": person.kind, "name": person.name}

    def _notify(self, person: Addressee) -> None:
        link = f"{self._base_url()}{SERVICE}admin/users/{person.name}" if self._settings.public_hub_url else ""
        for address in self._settings.sign_up_notify:
            self._mail.post(write_mail(APPROVAL, i18n.DEFAULT_LANGUAGE, self._settings.site_name, person.name, address, link))

    async def _tell_owner(self, form: SignUp) -> None:
        for person in await self._db.run(accounts.list_forgetful, "", form.email):
            await self._send_link(EXISTS, person)

    # -- a forgotten password

    async def forget_password(self, typed: str, source: str, language: str) -> None:
        """Mail a link to whoever has this name or address. It takes as long, and says the same, when nobody has."""
        if not self._settings.forgotten_password:
            raise NotFound
        await self._hold_back("forgotten", source, FORGOTTEN)
        self._begin(self._mail_forgetful(typed, language))

    async def _mail_forgetful(self, typed: str, language: str) -> None:
        for person in await self._db.run(accounts.list_forgetful, fold_name(typed), fold_email(typed)):
            await self._send_link(person.kind, Addressee(person.name, person.email, person.language or language))

    async def show_link(self, token: str, kind: str, source: str) -> dict[str, Any]:
        """Whose link this is; nothing is used up. Raises NotFound."""
        await self._hold_back("guess", source, GUESSES, only_look=True)
        return {"name": await self._guessed(source, self._db.run(accounts.find_link, hash_word(token), kind, now()))}

    async def reset_password(self, token: str, password: str, again: str, source: str) -> str:
        """Keep a new password, and tell its owner; whose it is. Raises NotFound and InvalidParameters."""
        await self.show_link(token, RESET, source)
        if found := check_new_password(password, again):
            raise InvalidParameters(violations=found)
        person = await self._db.run_exclusive(accounts.reset_password, hash_word(token), await _hash(password), source, now())
        # Who guessed at the forgotten one need not wait with the new one.
        keys = Keys(person.name, source)
        await self._db.run(logins.clear_failures, keys.person, keys.lock)
        self._mail.post(write_mail(CHANGED, person.language, self._settings.site_name, person.name, person.email))
        return person.name

    # -- in the background

    async def run(self) -> None:
        """Tell people that their account was made active, whichever way that happened; forget old links."""
        while True:
            waits = self._settings.directory == "local" and await self._db.run(accounts.has_unwelcomed)
            for person in await self._db.run_exclusive(accounts.take_welcomed, now()) if waits else ():
                link = self._settings.public_hub_url and f"{self._settings.public_hub_url.rstrip('/')}/login"
                self._mail.post(write_mail(WELCOME, person.language, self._settings.site_name, person.name, person.email, link))
            await self._db.run(accounts.remove_stale_links, now())
            await asyncio.sleep(LOOK_EVERY_S)

    async def finish(self) -> None:
        """Wait for what was begun."""
        await asyncio.gather(*self._tasks)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(_log_faults(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send_link(self, kind: str, person: Addressee) -> None:
        token = secrets.token_urlsafe(32)
        if not await self._db.run_exclusive(accounts.add_link, hash_word(token), kind, person.name, person.email, now()):
            log.info("%s gets no more mail (%s) for now", person.name, kind)
            return
        page = {VERIFY: "account/verify", RESET: "account/reset"}.get(kind)
        link = f"{self._settings.public_hub_url.rstrip('/')}/{page}?token={token}" if page else ""
        self._mail.post(write_mail(kind, person.language, self._settings.site_name, person.name, person.email, link))

    def _base_url(self) -> str:
        return self._settings.public_hub_url.rstrip("/").removesuffix("hub")

    # -- who tries too often

    async def _hold_back(self, what: str, source: str, allowance: throttle.Allowance, *, only_look: bool = False) -> None:
        """Raises TooManyRequests for a network that did this too often; counts this time."""
        key = f"{what}:{throttle.source_net(source)}"
        if only_look:
            wait_s = await self._db.run(logins.remaining_wait_s, key, now())
        else:
            wait_s = await self._db.run_exclusive(logins.try_attempt, key, allowance, now())
        if wait_s > 0:
            raise TooManyRequests

    async def _guessed(self, source: str, work: Coroutine[Any, Any, Any]) -> Any:
        """The answer; one that there is none counts as a guess."""
        try:
            return await work
        except NotFound:
            await self._db.run_exclusive(logins.count_failure, f"guess:{throttle.source_net(source)}", GUESSES, now())
            raise


async def _log_faults(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except BackendAIError as exc:
        log.warning("A mail about an account is not sent: %s", exc)
    except Exception:
        log.exception("A mail about an account is not sent")


async def _hash(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_hashing, hash_password, password)


# -- the hub's calls


class AccountHandler(PrivateHandler):
    """What these calls share: texts of a sane length, and where they come from."""

    def read_texts(self) -> dict[str, str]:
        """The body, every field a text. Raises InvalidParameters."""
        return {name: check_text(value) for name, value in self.read_body().items()}

    @property
    def desk(self) -> AccountDesk:
        """The desk of this process, made once."""
        return find_desk(self.application.settings, self.config, self.db, self.mail)


def find_desk(parts: dict[str, Any], settings: BackendAI, db: Database, mail: Mailer) -> AccountDesk:
    """The desk of this process, made once."""
    if "account_desk" not in parts:
        parts["account_desk"] = AccountDesk(settings, db, mail)
    desk: AccountDesk = parts["account_desk"]
    return desk


class SignUpHandler(AccountHandler):
    """``POST /private/accounts/sign-up`` with the form's fields, source and language."""

    async def post(self) -> None:
        fields = self.read_texts()
        self.answer(await self.desk.sign_up(fields, fields.pop("source", ""), fields.pop("language", "")))


class VerifyHandler(AccountHandler):
    """``POST /private/accounts/verify`` with token and source."""

    async def post(self) -> None:
        fields = self.read_texts()
        self.answer(await self.desk.verify(fields.get("token", ""), fields.get("source", "")))


class LinkHandler(AccountHandler):
    """``POST /private/accounts/link`` with token, kind and source: whose it is."""

    async def post(self) -> None:
        fields = self.read_texts()
        self.answer(await self.desk.show_link(fields.get("token", ""), fields.get("kind", ""), fields.get("source", "")))


class ForgottenHandler(AccountHandler):
    """``POST /private/accounts/forgotten`` with typed, source and language."""

    async def post(self) -> None:
        fields = self.read_texts()
        await self.desk.forget_password(fields.get("typed", ""), fields.get("source", ""), fields.get("language", ""))
        self.answer({})


class ResetHandler(AccountHandler):
    """``POST /private/accounts/reset`` with token, password, again and source. Every login with the old password ends."""

    async def post(self) -> None:
        fields = self.read_texts()
        token, password, again, source = (fields.get(name, "") for name in ("token", "password", "again", "source"))
        name = await self.desk.reset_password(token, password, again, source)
        await end_other_logins(self, name, source=source)
        self.answer({"name": name})


private_handlers = [
    (r"/private/accounts/sign-up", SignUpHandler),
    (r"/private/accounts/verify", VerifyHandler),
    (r"/private/accounts/link", LinkHandler),
    (r"/private/accounts/forgotten", ForgottenHandler),
    (r"/private/accounts/reset", ResetHandler),
]
