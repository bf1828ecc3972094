"""The one-time password: set up anew on another telephone, and new recovery codes. Both ask for password and code."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from ...core import otp, throttle
from ...errors import N_, Conflict, InvalidParameters, NotFound, Violation
from ...store import audit, logins, recovery
from ...store import otp as tokens
from ...store.crypt import Crypt
from ...store.models import now
from ..active_logins import end_other_logins
from ..base import HubUserHandler
from ..login.attempts import WRONG_CODE, hash_text
from ..login.codes import make_codes
from ..login.steps.enrol import draw_qr
from .base import AccountPage, Act
from .logins import this_login
from .proof import find_proof, prove

STEP = "account-otp"
LIFE = timedelta(minutes=10)
TOO_OLD = N_("This took too long or was finished already. Begin again.")
ELSEWHERE = N_("Your centre keeps the one-time passwords. Ask its help desk for another.")


async def load_otp(handler: HubUserHandler) -> dict[str, Any]:
    """Whether there is a token, since when, and how many recovery codes are left."""
    name = handler.identity.name
    token, proof = await handler.db.run(tokens.get_token, name), await find_proof(handler, name)
    return {
        "is_here": proof.are_ours,
        "confirmed_at": token.confirmed_at.isoformat(timespec="seconds") if token and proof.are_ours else None,
        "recovery_codes": await handler.db.run(recovery.count_codes, name) if token and proof.are_ours else 0,
    }


async def begin_enrolment(handler: HubUserHandler, fields: Mapping[str, str]) -> dict[str, Any]:
    """A new key, proven with ``password`` and ``code``; it counts once ``confirm_enrolment`` has a code of it. Raises Conflict."""
    await _require_ours(handler)
    await prove(handler, fields.get("password", ""), fields.get("code", ""), both=True)
    browser, secret = secrets.token_urlsafe(32), otp.format_secret(secrets.token_bytes(otp.SECRET_BYTES))
    ticket_id = hash_text(browser)
    payload = _crypt(handler).encrypt(json.dumps({"secret": secret}), f"ticket:{ticket_id}")
    ticket = logins.Ticket(ticket_id, handler.identity.name, STEP, "", payload)
    await handler.db.run(logins.add_ticket, ticket, now() + LIFE)
    return {"ticket": browser, **describe_secret(handler, secret)}


def describe_secret(handler: HubUserHandler, secret: str) -> dict[str, str]:
    """A key as a page shows it."""
    uri = otp.build_uri(otp.parse_secret(secret), handler.identity.name, handler.config.site_name)
    return {"secret": secret, "uri": uri, "svg": draw_qr(uri)}


async def find_secret(handler: HubUserHandler, browser: str) -> tuple[str, str]:
    """The id and the key of one's enrolment that is under way. Raises NotFound."""
    ticket = await handler.db.run(logins.get_ticket, hash_text(browser), now())
    if ticket is None or ticket.step != STEP or ticket.user_name != handler.identity.name:
        raise NotFound(TOO_OLD)
    return ticket.id, str(json.loads(_crypt(handler).decrypt(ticket.payload, f"ticket:{ticket.id}"))["secret"])


async def confirm_enrolment(handler: HubUserHandler, fields: Mapping[str, str]) -> list[str]:
    """The first ``code`` of the key of ``ticket``: the new recovery codes. Every other login ends."""
    name, source, at = handler.identity.name, handler.request.remote_ip or "", time.time()
    ticket_id, secret = await find_secret(handler, fields.get("ticket", ""))
    step = otp.find_step(otp.parse_secret(secret), fields.get("code", ""), at)
    if step is None:
        await handler.db.run_exclusive(_refuse, ticket_id, now())
        raise InvalidParameters(violations=[Violation(WRONG_CODE, {}, "code", "wrong-code")])
    codes, salt, hashes = await make_codes()
    sealed = _crypt(handler).encrypt(secret, tokens.purpose(name))

    def keep(db: Session, moment: datetime) -> None:
        if not logins.use_ticket(db, ticket_id, moment):
            raise NotFound(TOO_OLD)
        tokens.remove_token(db, name)
        tokens.add_confirmed(db, name, sealed, step, otp.drift_of(step, at), moment)
        recovery.replace_codes(db, name, salt, hashes, moment)
        audit.record(db, actor=name, action="enrol-otp", object=name, source=source, details={"again": True})

    await handler.db.run_exclusive(keep, now())
    await end_other_logins(handler, name, this_login(handler), source=source)
    return codes


async def renew_codes(handler: HubUserHandler, fields: Mapping[str, str]) -> list[str]:
    """New recovery codes, proven with ``password`` and ``code``; the old ones end."""
    await _require_ours(handler)
    name, source = handler.identity.name, handler.request.remote_ip or ""
    if await handler.db.run(tokens.get_token, name) is None:
        raise Conflict(N_("Set up your one-time password first."))
    await prove(handler, fields.get("password", ""), fields.get("code", ""), both=True)
    codes, salt, hashes = await make_codes()

    def keep(db: Session, moment: datetime) -> None:
        recovery.replace_codes(db, name, salt, hashes, moment)
        audit.record(db, actor=name, action="renew-recovery-codes", object=name, source=source)

    await handler.db.run_exclusive(keep, now())
    return codes


def _refuse(db: Session, ticket_id: str, at: datetime) -> None:
    if logins.count_failure(db, f"ticket:{ticket_id}", throttle.TICKET, at) >= throttle.TICKET.free:
        logins.use_ticket(db, ticket_id, at)


async def _require_ours(handler: HubUserHandler) -> None:
    if not (await find_proof(handler, handler.identity.name)).are_ours:
        raise Conflict(ELSEWHERE)


def _crypt(handler: HubUserHandler) -> Crypt:
    return Crypt(handler.config.read_secret("crypt"))


class OTPPage(AccountPage):
    """``account/otp``: ``act`` is ``enrol`` or ``codes``."""

    part = "otp"

    async def load(self) -> dict[str, Any]:
        return {"token": await load_otp(self)}

    async def act(self, fields: Mapping[str, str]) -> str:
        match fields.get("act", ""):
            case "enrol":
                self.show_page("account/otp_enrol.html", step=await begin_enrolment(self, fields))
            case "codes":
                self.show_page("account/otp_codes.html", codes=await renew_codes(self, fields), is_new=False)
            case _:
                raise InvalidParameters
        return ""


class ConfirmAct(Act):
    """``account/otp/confirm``: the first code of the new key."""

    part = "otp"

    async def load(self) -> dict[str, Any]:
        return {"token": await load_otp(self)}

    async def act(self, fields: Mapping[str, str]) -> str:
        try:
            codes = await confirm_enrolment(self, fields)
        except InvalidParameters as exc:
            _, secret = await find_secret(self, fields.get("ticket", ""))
            self.set_status(exc.status)
            step = {"ticket": fields["ticket"], **describe_secret(self, secret)}
            self.show_page("account/otp_enrol.html", exc, step=step)
            return ""
        self.show_page("account/otp_codes.html", codes=codes, is_new=True)
        return ""


default_handlers = [(r"account/otp", OTPPage), (r"account/otp/confirm", ConfirmAct)]
