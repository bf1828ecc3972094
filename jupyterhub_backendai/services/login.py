"""Logging in: the whole decision, in one place. The hub's login pages ask it over the private listener.

Directory first, then the one-time password, then the rows. Whatever was wrong, the answer is the same; the true reason goes into
the audit log. A part that does not answer is an error of its own and never a way in.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import segno
from sqlalchemy.orm import Session

from ..config import BackendAI
from ..core import otp, throttle
from ..core.identity import Identity, LocalAccount, PasswordCheck, Person
from ..core.mapping import Mapped, MappingRules, map_person
from ..core.names import fold_name, is_name
from ..errors import N_, BackendUnavailable, Conflict, Forbidden, InvalidParameters, NotFound
from ..identity import Directory
from ..store import audit, logins, users
from ..store import otp as tokens
from ..store.crypt import Crypt
from ..store.database import Database
from ..store.models import now
from ..store.safe import new_keypair
from . import metrics
from .base import PrivateHandler

log = logging.getLogger("backendai")

TICKET_LIFE = timedelta(minutes=10)
MAX_FIELD = 1024
CLEAN_EVERY_S = 3600
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
class _Known:
    """What the database knows before the directory is asked."""

    wait_s: float
    account: LocalAccount | None = None
    token: tokens.Token | None = None


class _Refused(Exception):
    """No login. ``reason`` is the true one, for the audit log; the message is what may be said."""

    def __init__(self, reason: str, message: str = REFUSED) -> None:
        super().__init__(reason)
        self.reason, self.message = reason, message


class Desk:
    """Where logins are decided. One per process; it keeps nothing but the parts it works with."""

    def __init__(self, settings: BackendAI, db: Database, people: Directory, crypt: Crypt) -> None:
        self._settings, self._db, self._people, self._crypt = settings, db, people, crypt
        self._rules = MappingRules(
            allowed_groups=tuple(settings.allowed_groups),
            admin_groups=tuple(settings.admin_groups),
            admin_users=tuple(fold_name(name) for name in settings.admin_users),
            project_groups=dict(settings.project_groups),
            default_project=settings.default_project,
            default_domain=settings.default_domain,
        )
        self._cleaned = float("-inf")

    # -- a password

    async def login(self, attempt: Attempt) -> dict[str, Any]:
        """Decide about a name, a password and a code: the answers of ``client.ServiceClient.login``."""
        known = await self._db.run_exclusive(_begin, attempt, now())
        if known.wait_s > 0:
            metrics.LOGINS.labels("throttled").inc()
            return {"outcome": "refused", "message": WAIT, "params": {"seconds": max(1, round(known.wait_s))}, "throttled": True}
        try:
            checked = await self._people.check(attempt.name, attempt.password, known.account)
            answer = await self._decide(attempt, known, checked)
        except _Refused as refusal:
            await self._db.run_exclusive(_refuse, attempt, refusal.reason, now())
            metrics.LOGINS.labels("refused").inc()
            answer = {"outcome": "refused", "message": refusal.message, "params": {}}
        except BackendUnavailable:
            metrics.LOGINS.labels("unavailable").inc()
            await self._take_back(attempt)
            raise
        await self._clean()
        return answer

    async def _decide(self, attempt: Attempt, known: _Known, checked: PasswordCheck) -> dict[str, Any]:
        person = checked.person
        if person is None:
            raise _Refused(checked.reason)
        if self._settings.otp_required and known.token is not None:
            await self._check_code(attempt, known.token)
        mapped = map_person(person, self._rules)
        if checked.reason:
            raise _Refused(checked.reason, MUST_CHANGE)
        if not mapped.is_allowed:
            raise _Refused("not-allowed", NOT_ALLOWED)
        if self._settings.otp_required and known.token is None:
            return await self._enrol(attempt, person)
        try:
            identity = await self._db.run_exclusive(_finish, self._entry(person, mapped), attempt, now())
        except Forbidden as exc:
            raise _Refused("closed-here", exc.message) from exc
        metrics.LOGINS.labels("ok").inc()
        return {"outcome": "ok", "identity": identity.to_json()}

    async def _check_code(self, attempt: Attempt, token: tokens.Token) -> None:
        """Take the code. Only who knows the password gets here, so a stranger's guesses use nobody's codes up."""
        secret = otp.parse_secret(self._crypt.decrypt(token.secret, tokens.purpose(attempt.name)))
        at = time.time()
        step = otp.find_step(secret, attempt.otp, at, drift=token.drift)
        if step is None:
            raise _Refused("wrong-code" if attempt.otp else "no-code")
        if not await self._db.run(tokens.consume_step, attempt.name, step, otp.drift_of(step, at)):
            raise _Refused("used-code")

    async def _take_back(self, attempt: Attempt) -> None:
        try:
            await self._db.run(logins.take_back_failure, _person_key(attempt))
        except BackendUnavailable:
            log.warning("A failure that was none stays counted: the database is away")

    async def _clean(self) -> None:
        if time.monotonic() - self._cleaned > CLEAN_EVERY_S:
            self._cleaned = time.monotonic()
            await self._db.run(logins.remove_stale, now())

    def _entry(self, person: Person, mapped: Mapped) -> _Entry:
        access_key, secret_key = new_keypair()
        encrypted = self._crypt.encrypt(secret_key, f"keypair:{access_key}")
        return _Entry(person, mapped, self._rules.managed_projects(), (access_key, encrypted))

    # -- the steps after it

    async def _enrol(self, attempt: Attempt, person: Person) -> dict[str, Any]:
        """A ticket for setting up the one-time password; the key exists only in it until a code confirms it."""
        browser = secrets.token_urlsafe(32)
        ticket_id = _hash(browser)
        secret = otp.format_secret(secrets.token_bytes(otp.SECRET_BYTES))
        payload = json.dumps({"secret": secret, "person": person.to_json(), "source": attempt.source})
        ticket = logins.Ticket(ticket_id, person.name, "enrol", attempt.next, self._crypt.encrypt(payload, f"ticket:{ticket_id}"))
        await self._db.run_exclusive(_keep_ticket, ticket, attempt, now())
        metrics.LOGINS.labels("step").inc()
        return {"outcome": "step", "step": "enrol", "ticket": browser}

    async def show_step(self, browser_ticket: str) -> dict[str, Any]:
        """What the page of a step shows. Raises NotFound for a ticket that is no longer good."""
        ticket, payload = await self._find_ticket(browser_ticket)
        secret = otp.parse_secret(payload["secret"])
        uri = otp.build_uri(secret, ticket.user_name, self._settings.site_name)
        return {"step": ticket.step, "secret": payload["secret"], "uri": uri, "svg": _qr(uri), "username": ticket.user_name}

    async def confirm_step(self, browser_ticket: str, code: str) -> dict[str, Any]:
        """Finish a step: the first code of a new token. The answers of :meth:`login`, plus ``next``."""
        ticket, payload = await self._find_ticket(browser_ticket)
        person = Person.from_json(payload["person"])
        attempt = Attempt(ticket.user_name, "", "", payload["source"], ticket.next)
        at = time.time()
        step = otp.find_step(otp.parse_secret(payload["secret"]), code, at)
        if step is None:
            await self._db.run_exclusive(_refuse_code, ticket, attempt, now())
            metrics.LOGINS.labels("refused").inc()
            return {"outcome": "refused", "message": WRONG_CODE, "params": {}}
        encrypted = self._crypt.encrypt(payload["secret"], tokens.purpose(person.name))
        entry = self._entry(person, map_person(person, self._rules))
        new_token = _NewToken(ticket.id, encrypted, step, otp.drift_of(step, at))
        identity = await self._db.run_exclusive(_finish_enrolment, entry, attempt, new_token, now())
        metrics.LOGINS.labels("ok").inc()
        return {"outcome": "ok", "identity": identity.to_json(), "next": ticket.next}

    async def _find_ticket(self, browser_ticket: str) -> tuple[logins.Ticket, dict[str, Any]]:
        ticket = await self._db.run(logins.get_ticket, _hash(browser_ticket), now())
        if ticket is None or ticket.step != "enrol":
            raise NotFound(TICKET_OVER)
        payload: dict[str, Any] = json.loads(self._crypt.decrypt(ticket.payload, f"ticket:{ticket.id}"))
        return ticket, payload

    # -- afterwards

    async def get_identity(self, name: str) -> Identity | None:
        """Who this is now; None for somebody who is closed, here or in the embedded directory, or never came."""
        identity = await self._db.run(users.get_identity, name)
        if identity is None or not identity.is_active:
            return None
        if self._settings.directory == "local":
            account = await self._db.run(users.get_local_account, name)
            if account is None or not account.is_active:
                return None
        return identity


@dataclass(frozen=True, slots=True)
class _Entry:
    """Somebody who may come in, with what their rows need."""

    person: Person
    mapped: Mapped
    managed_projects: frozenset[str]
    keypair: tuple[str, str]


@dataclass(frozen=True, slots=True)
class _NewToken:
    """A token whose first code was right, and the ticket that it came with."""

    ticket_id: str
    secret: str
    step: int
    drift: int


# -- transactions


def _person_key(attempt: Attempt) -> str:
    # Hashed, because what was typed may be longer than the column, or a password in the wrong field.
    return f"user:{attempt.name}" if is_name(attempt.name) else f"name:{_hash(attempt.name)}"


def _source_key(attempt: Attempt) -> str:
    return f"source:{throttle.source_net(attempt.source)}"


def _begin(db: Session, attempt: Attempt, at: datetime) -> _Known:
    """Who has to wait, and what is known. The attempt counts as failed until it is not, so that many at once gain nothing."""
    wait_s = logins.remaining_wait_s(db, _source_key(attempt), at) or logins.try_attempt(db, _person_key(attempt), throttle.PERSON, at)
    if wait_s > 0:
        return _Known(wait_s)
    return _Known(0.0, users.get_local_account(db, attempt.name), tokens.get_token(db, attempt.name))


def _refuse(db: Session, attempt: Attempt, reason: str, at: datetime) -> None:
    logins.count_failure(db, _source_key(attempt), throttle.SOURCE, at)
    actor = attempt.name if is_name(attempt.name) else ""
    audit.record(db, actor=actor, action="login", object=actor, source=attempt.source, result="refused", details={"reason": reason})


def _keep_ticket(db: Session, ticket: logins.Ticket, attempt: Attempt, at: datetime) -> None:
    logins.clear_failures(db, _person_key(attempt))
    logins.add_ticket(db, ticket, at + TICKET_LIFE)
    details = {"step": ticket.step}
    audit.record(db, actor=ticket.user_name, action="login", object=ticket.user_name, source=attempt.source, result="step", details=details)


def _refuse_code(db: Session, ticket: logins.Ticket, attempt: Attempt, at: datetime) -> None:
    if logins.count_failure(db, f"ticket:{ticket.id}", throttle.TICKET, at) >= throttle.TICKET.free:
        logins.use_ticket(db, ticket.id, at)
    audit.record(db, actor=ticket.user_name, action="enrol-otp", object=ticket.user_name, source=attempt.source, result="refused")


def _finish(db: Session, entry: _Entry, attempt: Attempt, at: datetime) -> Identity:
    person = entry.person
    identity = users.sync_login(db, person, entry.mapped, entry.managed_projects, entry.keypair, at)
    if not identity.is_active:
        raise Forbidden(N_("Your account here is closed. Ask your centre's help desk."))
    logins.clear_failures(db, _person_key(attempt))
    audit.record(db, actor=person.name, action="login", object=person.name, source=attempt.source)
    return identity


def _finish_enrolment(db: Session, entry: _Entry, attempt: Attempt, token: _NewToken, at: datetime) -> Identity:
    """Ticket, token, rows: all or nothing, and once."""
    if not logins.use_ticket(db, token.ticket_id, at):
        raise NotFound(TICKET_OVER)
    if not tokens.add_confirmed(db, entry.person.name, token.secret, token.step, token.drift, at):
        raise Conflict(HAS_TOKEN)
    audit.record(db, actor=entry.person.name, action="enrol-otp", object=entry.person.name, source=attempt.source)
    return _finish(db, entry, attempt, at)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _qr(uri: str) -> str:
    """The address as an SVG that stands in the page. Dark on white, whatever the page's colours are: phones want it so."""
    out = io.BytesIO()
    code = segno.make(uri, error="m", micro=False)
    code.save(out, kind="svg", scale=4, border=4, dark="#000", light="#fff", xmldecl=False, svgns=False, nl=False)
    return out.getvalue().decode()


# -- the hub's calls


class LoginHandler(PrivateHandler):
    """``POST /private/login`` with username, password, otp, source and next."""

    async def post(self) -> None:
        body = self.read_body()
        fields = {name: _read_text(body, name) for name in ("username", "password", "otp", "source")}
        attempt = Attempt(**fields, next=_read_text(body, "next", longest=8192))
        self.answer(await _desk(self).login(attempt))


class LoginStepHandler(PrivateHandler):
    """``POST /private/login/step`` with ticket and action: ``show``, or ``confirm`` with code."""

    async def post(self) -> None:
        body = self.read_body()
        ticket, action = _read_text(body, "ticket"), _read_text(body, "action")
        if action == "show":
            self.answer(await _desk(self).show_step(ticket))
        elif action == "confirm":
            self.answer(await _desk(self).confirm_step(ticket, _read_text(body, "code")))
        else:
            raise InvalidParameters(N_("The request could not be read."))


class IdentityHandler(PrivateHandler):
    """``GET /private/identities/<name>``: who this is, null when there is nobody who may work here."""

    async def get(self, name: str) -> None:
        identity = await _desk(self).get_identity(name)
        self.answer({"identity": identity.to_json() if identity else None})


def _read_text(body: Mapping[str, Any], name: str, *, longest: int = MAX_FIELD) -> str:
    text = body.get(name, "")
    if not isinstance(text, str) or len(text) > longest:
        raise InvalidParameters(N_("The request could not be read."))
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise InvalidParameters(N_("The request could not be read.")) from exc
    return text


def _desk(handler: PrivateHandler) -> Desk:
    parts = handler.application.settings
    if "login_desk" not in parts:
        parts["login_desk"] = Desk(handler.config, handler.db, handler.people, Crypt(handler.config.read_secret("crypt")))
    desk: Desk = parts["login_desk"]
    return desk


private_handlers = [
    (r"/private/login", LoginHandler),
    (r"/private/login/step", LoginStepHandler),
    (r"/private/identities/([^/]+)", IdentityHandler),
]
