"""The login's decision: who comes in, who has to take a step first, and who stays out.

Directory first, then the one-time password, then the steps, then the rows. Whatever was wrong, the answer is the same and takes the
same time; the true reason goes into the audit log. A part that does not answer is an error of its own and never a way in.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

from ...config import BackendAI
from ...core import throttle
from ...core.enrolment import OTP_FORMS
from ...core.identity import MUST_CHANGE, UserStatus
from ...core.mapping import Mapped, map_person
from ...errors import BackendUnavailable, Forbidden, InvalidParameters, NotFound
from ...identity import Directory
from ...identity.factors import SecondFactor
from ...store import logins
from ...store.crypt import Crypt
from ...store.database import Database
from ...store.mapping import REFUSALS
from ...store.models import now
from ...store.safe import new_keypair
from .. import metrics
from . import records, tickets
from .attempts import NOT_ALLOWED, TICKET_OVER, Attempt, Known, Refused, Throttled, hash_text
from .codes import Codes
from .flow import Flow, Work
from .rules import make_rules
from .steps import Step, make_steps

log = logging.getLogger("backendai")

CLEAN_EVERY_S = 3600


class Desk:
    """Where logins are decided. One per process; it keeps nothing but the parts it works with."""

    def __init__(self, settings: BackendAI, db: Database, people: Directory, crypt: Crypt, factor: SecondFactor | None = None) -> None:
        if settings.otp_form not in OTP_FORMS:
            raise InvalidParameters("c.BackendAI.otp_form: %(name)s is neither `one-page` nor `two-step`.", name=settings.otp_form)
        self._settings, self._db, self._people, self._crypt = settings, db, people, crypt
        self._rules = make_rules(settings)
        self._codes = Codes(settings, db, crypt, factor)
        self._steps = {step.name: step for step in make_steps(settings, db, people, crypt, self._codes, self._rules)}
        self._cleaned = float("-inf")

    # -- a password

    async def login(self, attempt: Attempt) -> dict[str, Any]:
        """Decide about a name, a password and a code: the answers of ``client.ServiceClient.login``."""
        started = time.monotonic()
        known = await self._db.run_exclusive(records.begin, attempt, self._budget, self._lock, now())
        if known.wait_s > 0:
            metrics.LOGINS.labels("throttled").inc()
            return await self._even_out(Throttled(known.wait_s).to_answer(), started)
        flow = Flow(attempt.name, attempt.source, attempt.next, known=known)
        if not known.is_known_source:
            await asyncio.sleep(known.delay_s)
        try:
            await self._check_password(flow, attempt.password)
            await self._check_code(flow, attempt.otp)
            answer = await self._advance(flow)
        except Refused as refusal:
            await self._db.run_exclusive(records.refuse, flow, refusal.reason, now())
            answer = await self._veil(known, refusal)
        except BackendUnavailable:
            metrics.LOGINS.labels("unavailable").inc()
            await self._take_back(flow)
            raise
        await self._clean()
        return await self._even_out(answer, started)

    async def _veil(self, known: Known, refusal: Refused) -> dict[str, Any]:
        """The refusal of somebody who did not have to wait because they were in this network before: as late as, and no other than,
        what everybody else there is told. Otherwise it would say whose names these are.
        """
        answer = _refuse(refusal)
        if not known.is_known_source:
            return answer
        await asyncio.sleep(known.delay_s)
        return Throttled(known.network_wait_s).to_answer() if known.network_wait_s > 0 and not refusal.is_final else answer

    @property
    def _budget(self) -> throttle.Budget | None:
        return throttle.share_budget(self._settings.directory_locks_after, self._settings.directory_locks_within_s)

    @property
    def _lock(self) -> throttle.Budget | None:
        """Where we keep the passwords, we lock; for the network that guesses, so that nobody keeps somebody else out."""
        after = self._settings.password_lock_after
        is_ours = self._settings.directory == "local" and after > 0
        return throttle.Budget(after + 1, self._settings.password_lock_s) if is_ours else None

    async def _check_password(self, flow: Flow, password: str) -> None:
        if self._codes.joins_password:
            flow.password = password
            return
        flow.take(await self._people.check(flow.name, password, flow.known.account))
        if self._codes.wants_password:
            flow.password = password
        if flow.person is not None and flow.reason and flow.reason not in MUST_CHANGE:
            raise Refused(flow.reason)
        if flow.person is None and not (self._is_two_step and self._codes.are_asked(flow)):
            raise Refused(flow.reason)

    @property
    def _is_two_step(self) -> bool:
        # A server that sends its code when it is asked cannot be asked about a wrong password.
        return self._settings.otp_form == "two-step" and not self._codes.asks_first

    async def _check_code(self, flow: Flow, typed: str) -> None:
        if self._codes.are_asked(flow) and (typed or not self._is_two_step):
            await self._codes.check(flow, typed)

    async def _even_out(self, answer: dict[str, Any], started: float) -> dict[str, Any]:
        """Keep the answers of all failures back until the same moment: the time taken must not say what was wrong."""
        pace = self._settings.login_pace_s
        if pace > 0 and (answer["outcome"] == "refused" or answer.get("step") in records.WITHOUT_PROOF):
            await asyncio.sleep(pace - (time.monotonic() - started) % pace)
        return answer

    async def _take_back(self, flow: Flow) -> None:
        try:
            for key in (flow.keys.person, flow.keys.lock, flow.keys.budget(is_known=flow.known.is_known_source)):
                await self._db.run(logins.take_back_failure, key)
        except BackendUnavailable:
            log.warning("A failure that was none stays counted: the database is away")

    async def _clean(self) -> None:
        if time.monotonic() - self._cleaned > CLEAN_EVERY_S:
            self._cleaned = time.monotonic()
            await self._db.run(logins.remove_stale, now())

    # -- the steps after it

    async def show_step(self, browser_ticket: str) -> dict[str, Any]:
        """What the page of a step shows. Raises NotFound for a ticket that is no longer good."""
        flow, step = await self._open(browser_ticket)
        return {"step": step.name, "username": flow.name, **step.show(flow)}

    async def confirm_step(self, browser_ticket: str, fields: Mapping[str, str]) -> dict[str, Any]:
        """Finish a step. The answers of :meth:`login`, plus ``next``; one that is ``over`` begins anew. Raises NotFound."""
        started = time.monotonic()
        flow, step = await self._open(browser_ticket)
        try:
            work = await step.confirm(flow, fields)
            answer = await self._advance(flow, work)
        except Throttled as wait:
            metrics.LOGINS.labels("throttled").inc()
            return wait.to_answer()
        except Refused as refusal:
            is_over = await self._db.run_exclusive(records.refuse_step, flow, refusal.reason, refusal.is_final, self._budget, now())
            answer = {**_refuse(refusal), "over": is_over}
        return await self._even_out(answer, started) if step.name in records.WITHOUT_PROOF else answer

    async def _open(self, browser_ticket: str) -> tuple[Flow, Step]:
        ticket = await self._db.run(logins.get_ticket, hash_text(browser_ticket), now())
        if ticket is None or ticket.step not in self._steps:
            raise NotFound(TICKET_OVER)
        flow = tickets.unseal(self._crypt, ticket)
        flow.known = await self._db.run(records.look_up, flow.name, flow.keys.net)
        return flow, self._steps[ticket.step]

    async def _advance(self, flow: Flow, work: Work | None = None) -> dict[str, Any]:
        """On to the first step that this login still needs, or in. Never back: an enrolment's new token is not asked for at once."""
        names = list(self._steps)
        for name in names[names.index(flow.step) if flow.step else 0 :]:
            step = self._steps[name]
            if step.name not in records.WITHOUT_PROOF:
                self._check_allowed(flow)
            if await step.is_needed(flow):
                return await self._hand_ticket(flow, step, work)
        return await self._finish(flow, work)

    def _check_allowed(self, flow: Flow) -> Mapped:
        mapped = map_person(flow.find_person(), self._rules)
        if not mapped.is_allowed:
            raise Refused("not-allowed", NOT_ALLOWED, is_final=True)
        # Again in the transaction that lets somebody in; here, so that nobody takes steps that lead nowhere.
        if flow.known.status is not UserStatus.ACTIVE:
            raise Refused("closed-here", REFUSALS[flow.known.status], is_final=True)
        return mapped

    async def _hand_ticket(self, flow: Flow, step: Step, work: Work | None) -> dict[str, Any]:
        flow.step, flow.data = step.name, await step.begin(flow)
        browser, ticket = tickets.seal(self._crypt, flow)
        await self._db.run_exclusive(records.move_on, flow, ticket, work, now())
        metrics.LOGINS.labels("step").inc()
        return {"outcome": "step", "step": step.name, "ticket": browser}

    async def _finish(self, flow: Flow, work: Work | None) -> dict[str, Any]:
        if self._codes.are_asked(flow) and "enrol" not in flow.done:
            # Somebody set up a token after this login had passed the step that asks for its code.
            raise Refused("no-code", TICKET_OVER, is_final=True)
        access_key, secret_key = new_keypair()
        encrypted = self._crypt.encrypt(secret_key, f"keypair:{access_key}")
        mapped = self._check_allowed(flow)
        entry = records.Entry(flow.find_person(), mapped, self._rules.managed_projects(), (access_key, encrypted))
        try:
            identity = await self._db.run_exclusive(records.finish, flow, entry, work, now())
        except Forbidden as exc:
            raise Refused("closed-here", exc.message, is_final=True) from exc
        metrics.LOGINS.labels("ok").inc()
        return {"outcome": "ok", "identity": identity.to_json(), "next": flow.next}


def _refuse(refusal: Refused) -> dict[str, Any]:
    metrics.LOGINS.labels("refused").inc()
    answer = {"outcome": "refused", "message": refusal.message, "params": refusal.params}
    return {**answer, "said": refusal.said} if refusal.said else answer
