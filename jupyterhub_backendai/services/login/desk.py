"""Logging in: the whole decision, in one place. The hub's login pages ask it over the private listener.

Directory first, then the one-time password, then the rows. Whatever was wrong, the answer is the same; the true reason goes into
the audit log. A part that does not answer is an error of its own and never a way in.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from typing import Any

from ...config import BackendAI
from ...core import otp
from ...core.identity import PasswordCheck, Person
from ...core.mapping import Mapped, map_person
from ...errors import BackendUnavailable, Forbidden, NotFound
from ...identity import Directory
from ...store import logins
from ...store import otp as tokens
from ...store.crypt import Crypt
from ...store.database import Database
from ...store.models import now
from ...store.safe import new_keypair
from .. import metrics
from . import records
from .attempts import MUST_CHANGE, NOT_ALLOWED, TICKET_OVER, WAIT, WRONG_CODE, Attempt, Known, Refused, hash_text, person_key
from .rules import make_rules
from .tickets import draw_qr

log = logging.getLogger("backendai")

CLEAN_EVERY_S = 3600


class Desk:
    """Where logins are decided. One per process; it keeps nothing but the parts it works with."""

    def __init__(self, settings: BackendAI, db: Database, people: Directory, crypt: Crypt) -> None:
        self._settings, self._db, self._people, self._crypt = settings, db, people, crypt
        self._rules = make_rules(settings)
        self._cleaned = float("-inf")

    # -- a password

    async def login(self, attempt: Attempt) -> dict[str, Any]:
        """Decide about a name, a password and a code: the answers of ``client.ServiceClient.login``."""
        known = await self._db.run_exclusive(records.begin, attempt, now())
        if known.wait_s > 0:
            metrics.LOGINS.labels("throttled").inc()
            return {"outcome": "refused", "message": WAIT, "params": {"seconds": max(1, round(known.wait_s))}, "throttled": True}
        try:
            checked = await self._people.check(attempt.name, attempt.password, known.account)
            answer = await self._decide(attempt, known, checked)
        except Refused as refusal:
            await self._db.run_exclusive(records.refuse, attempt, refusal.reason, now())
            metrics.LOGINS.labels("refused").inc()
            answer = {"outcome": "refused", "message": refusal.message, "params": {}}
        except BackendUnavailable:
            metrics.LOGINS.labels("unavailable").inc()
            await self._take_back(attempt)
            raise
        await self._clean()
        return answer

    async def _decide(self, attempt: Attempt, known: Known, checked: PasswordCheck) -> dict[str, Any]:
        person = checked.person
        if person is None:
            raise Refused(checked.reason)
        if self._settings.otp_required and known.token is not None:
            await self._check_code(attempt, known.token)
        mapped = map_person(person, self._rules)
        if checked.reason:
            raise Refused(checked.reason, MUST_CHANGE)
        if not mapped.is_allowed:
            raise Refused("not-allowed", NOT_ALLOWED)
        if self._settings.otp_required and known.token is None:
            return await self._enrol(attempt, person)
        try:
            identity = await self._db.run_exclusive(records.finish, self._entry(person, mapped), attempt, now())
        except Forbidden as exc:
            raise Refused("closed-here", exc.message) from exc
        metrics.LOGINS.labels("ok").inc()
        return {"outcome": "ok", "identity": identity.to_json()}

    async def _check_code(self, attempt: Attempt, token: tokens.Token) -> None:
        """Take the code. Only who knows the password gets here, so a stranger's guesses use nobody's codes up."""
        secret = otp.parse_secret(self._crypt.decrypt(token.secret, tokens.purpose(attempt.name)))
        at = time.time()
        step = otp.find_step(secret, attempt.otp, at, drift=token.drift)
        if step is None:
            raise Refused("wrong-code" if attempt.otp else "no-code")
        if not await self._db.run(tokens.consume_step, attempt.name, step, otp.drift_of(step, at)):
            raise Refused("used-code")

    async def _take_back(self, attempt: Attempt) -> None:
        try:
            await self._db.run(logins.take_back_failure, person_key(attempt))
        except BackendUnavailable:
            log.warning("A failure that was none stays counted: the database is away")

    async def _clean(self) -> None:
        if time.monotonic() - self._cleaned > CLEAN_EVERY_S:
            self._cleaned = time.monotonic()
            await self._db.run(logins.remove_stale, now())

    def _entry(self, person: Person, mapped: Mapped) -> records.Entry:
        access_key, secret_key = new_keypair()
        encrypted = self._crypt.encrypt(secret_key, f"keypair:{access_key}")
        return records.Entry(person, mapped, self._rules.managed_projects(), (access_key, encrypted))

    # -- the steps after it

    async def _enrol(self, attempt: Attempt, person: Person) -> dict[str, Any]:
        """A ticket for setting up the one-time password; the key exists only in it until a code confirms it."""
        browser = secrets.token_urlsafe(32)
        ticket_id = hash_text(browser)
        secret = otp.format_secret(secrets.token_bytes(otp.SECRET_BYTES))
        payload = json.dumps({"secret": secret, "person": person.to_json(), "source": attempt.source})
        ticket = logins.Ticket(ticket_id, person.name, "enrol", attempt.next, self._crypt.encrypt(payload, f"ticket:{ticket_id}"))
        await self._db.run_exclusive(records.keep_ticket, ticket, attempt, now())
        metrics.LOGINS.labels("step").inc()
        return {"outcome": "step", "step": "enrol", "ticket": browser}

    async def show_step(self, browser_ticket: str) -> dict[str, Any]:
        """What the page of a step shows. Raises NotFound for a ticket that is no longer good."""
        ticket, payload = await self._find_ticket(browser_ticket)
        secret = otp.parse_secret(payload["secret"])
        uri = otp.build_uri(secret, ticket.user_name, self._settings.site_name)
        return {"step": ticket.step, "secret": payload["secret"], "uri": uri, "svg": draw_qr(uri), "username": ticket.user_name}

    async def confirm_step(self, browser_ticket: str, code: str) -> dict[str, Any]:
        """Finish a step: the first code of a new token. The answers of :meth:`login`, plus ``next``."""
        ticket, payload = await self._find_ticket(browser_ticket)
        person = Person.from_json(payload["person"])
        attempt = Attempt(ticket.user_name, "", "", payload["source"], ticket.next)
        at = time.time()
        step = otp.find_step(otp.parse_secret(payload["secret"]), code, at)
        if step is None:
            await self._db.run_exclusive(records.refuse_code, ticket, attempt, now())
            metrics.LOGINS.labels("refused").inc()
            return {"outcome": "refused", "message": WRONG_CODE, "params": {}}
        encrypted = self._crypt.encrypt(payload["secret"], tokens.purpose(person.name))
        entry = self._entry(person, map_person(person, self._rules))
        new_token = records.NewToken(ticket.id, encrypted, step, otp.drift_of(step, at))
        identity = await self._db.run_exclusive(records.finish_enrolment, entry, attempt, new_token, now())
        metrics.LOGINS.labels("ok").inc()
        return {"outcome": "ok", "identity": identity.to_json(), "next": ticket.next}

    async def _find_ticket(self, browser_ticket: str) -> tuple[logins.Ticket, dict[str, Any]]:
        ticket = await self._db.run(logins.get_ticket, hash_text(browser_ticket), now())
        if ticket is None or ticket.step != "enrol":
            raise NotFound(TICKET_OVER)
        payload: dict[str, Any] = json.loads(self._crypt.decrypt(ticket.payload, f"ticket:{ticket.id}"))
        return ticket, payload
