"""Proving once more who one is, before something that a stolen browser must not do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from ...core import throttle
from ...core.identity import MUST_CHANGE, Person
from ...errors import N_, BackendUnavailable, InvalidParameters, TooManyRequests, Violation
from ...store import audit, logins
from ...store.crypt import Crypt
from ...store.models import now
from ..base import HubUserHandler
from ..login import records
from ..login.attempts import WAIT, Keys, Refused
from ..login.codes import Codes
from ..login.flow import Flow

NOTHING = N_("Type your password or a one-time password.")
BOTH = N_("Type your password and a one-time password.")
WRONG = N_("The password or the one-time password is not right.")


@dataclass(frozen=True, slots=True)
class Proof:
    """What somebody can prove who they are with: ``joined`` when only password and code together can be checked."""

    has_codes: bool
    are_ours: bool
    joined: bool


async def find_proof(handler: HubUserHandler, name: str) -> Proof:
    """What the pages ask this person for."""
    codes, known = _make_codes(handler), await handler.db.run(records.look_up, name)
    return Proof(known.token is not None if codes.are_ours else handler.config.otp_required, codes.are_ours, codes.joins_password)


async def prove(handler: HubUserHandler, password: str, code: str, *, both: bool = False) -> None:
    """Check a password or a code, or both where there are both. Raises InvalidParameters, TooManyRequests, BackendUnavailable.

    The code is used up. Failures are counted apart from those of the login: who has this browser cannot keep its owner out.
    """
    name, source = handler.identity.name, handler.request.remote_ip or ""
    await begin_attempt(handler, with_password=bool(password))
    try:
        await _check(handler, Flow(name, source, known=await handler.db.run(records.look_up, name)), password, code, both=both)
    except Refused as refusal:
        reason = {"reason": refusal.reason}
        await handler.db.run(audit.record, actor=name, action="prove", object=name, source=source, result="refused", details=reason)
        raise InvalidParameters(violations=[Violation(WRONG, {}, "proof", "wrong-proof")]) from refusal
    except (BackendUnavailable, InvalidParameters):
        await take_back_attempt(handler, with_password=bool(password))
        raise
    await handler.db.run(logins.clear_failures, *list_keys(name, with_password=bool(password)))


async def begin_attempt(handler: HubUserHandler, *, with_password: bool) -> None:
    """Count an attempt as failed before its outcome is known. Raises TooManyRequests.

    A directory that locks accounts counts its wrong passwords together with the login's: they are of one budget here too.
    """
    budget = throttle.share_budget(handler.config.directory_locks_after, handler.config.directory_locks_within_s)
    limits: list[throttle.Limit] = [throttle.PERSON, *([budget] if budget and with_password else [])]
    keys = list_keys(handler.identity.name, with_password=with_password)

    def count(db: Session, at: datetime) -> float:
        waits = (logins.try_attempt(db, key, limit, at) for key, limit in zip(keys, limits, strict=False))
        return next((wait_s for wait_s in waits if wait_s > 0), 0.0)

    wait_s = await handler.db.run_exclusive(count, now())
    if wait_s > 0:
        raise TooManyRequests(WAIT, seconds=max(1, round(wait_s)))


async def take_back_attempt(handler: HubUserHandler, *, with_password: bool) -> None:
    """Undo one that was no failure."""
    for key in list_keys(handler.identity.name, with_password=with_password):
        await handler.db.run(logins.take_back_failure, key)


def list_keys(name: str, *, with_password: bool) -> tuple[str, ...]:
    """What somebody's attempts at an own page are counted under."""
    return (f"prove:{name}", *([Keys(name, "").budget(is_known=True)] if with_password else []))


async def _check(handler: HubUserHandler, flow: Flow, password: str, code: str, *, both: bool) -> None:
    codes = _make_codes(handler)
    has_codes = not codes.are_ours or flow.known.token is not None
    needs_code = has_codes and (both or codes.joins_password or not password)
    if (both or codes.joins_password) and (not password or (needs_code and not code)):
        raise _missing(BOTH if needs_code else NOTHING)
    if not password and not (code and has_codes):
        raise _missing(NOTHING)
    if codes.joins_password:
        flow.password = password
    elif password:
        flow.take(await handler.people.check(flow.name, password, flow.known.account))
        if flow.person is None or (flow.reason and flow.reason not in MUST_CHANGE):
            raise Refused(flow.reason)
    else:
        flow.person = Person(flow.name)
    if needs_code:
        await codes.check(flow, code)
        if "code" not in flow.done:
            raise Refused("challenge")


def _missing(message: str) -> InvalidParameters:
    return InvalidParameters(violations=[Violation(message, {}, "proof", "no-proof")])


def _make_codes(handler: HubUserHandler) -> Codes:
    parts = handler.application.settings
    return Codes(handler.config, handler.db, Crypt(handler.config.read_secret("crypt")), parts.get("factor"))
