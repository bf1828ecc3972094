"""The transactions of a login: each all or nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core import throttle
from ...core.identity import Identity, Person, UserStatus
from ...core.mapping import Mapped
from ...core.names import is_name
from ...errors import N_, Forbidden, NotFound
from ...store import audit, logins, mapping, notes, recovery, users
from ...store import otp as tokens
from ...store.models import User
from .attempts import EVERYBODY, TICKET_OVER, Attempt, Keys, Known
from .flow import Flow, Work
from .tickets import LIFE

SOMEBODY_TRIES = N_("Somebody gave your password and many wrong one-time passwords. If that was not you, change your password now.")
WITHOUT_PROOF = frozenset({"code"})
"""Steps that also people see whose password was wrong."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody who may come in, with what their rows need."""

    person: Person
    mapped: Mapped
    managed_projects: frozenset[str]
    keypair: tuple[str, str]


def begin(db: Session, attempt: Attempt, budget: throttle.Budget | None, lock: throttle.Budget | None, at: datetime) -> Known:
    """Who has to wait, and what is known. The attempt counts as failed until it is not, so that many at once gain nothing."""
    keys = Keys(attempt.name, attempt.source)
    is_known = is_name(attempt.name) and logins.is_known_source(db, attempt.name, keys.net)
    network_wait_s = logins.remaining_wait_s(db, keys.network, at)
    wait_s = 0.0 if is_known else network_wait_s
    wait_s = wait_s or logins.try_attempt(db, keys.person, throttle.PERSON, at)
    if wait_s <= 0 and budget:
        wait_s = logins.try_attempt(db, keys.budget(is_known=is_known), budget, at)
    if wait_s <= 0 and lock:
        wait_s = logins.try_attempt(db, keys.lock, lock, at)
    if wait_s > 0:
        return Known(network_wait_s or wait_s)
    delay_s = logins.find_delay_s(db, keys.who, throttle.STRANGERS, at) or logins.find_delay_s(db, EVERYBODY, throttle.OVERALL, at)
    return replace(look_up(db, keys.name, keys.net), delay_s=delay_s, network_wait_s=network_wait_s)


def look_up(db: Session, name: str, net: str = "") -> Known:
    """What is known of a name, and whether it is known in that network."""
    if not is_name(name):
        return Known()
    return Known(
        is_known_source=bool(net) and logins.is_known_source(db, name, net),
        account=users.get_local_account(db, name),
        token=tokens.get_token(db, name),
        recovery_salt=recovery.get_salt(db, name),
        notes=tuple(notes.list_notes(db, name)),
        status=db.scalar(select(User.status).where(User.name == name)) or UserStatus.ACTIVE,
    )


def begin_code(db: Session, flow: Flow, at: datetime) -> float:
    """Count one more code of a ticket before it is looked at; the seconds to wait instead. The password's attempt paid for the first."""
    if logins.count_failure(db, f"ticket:{flow.ticket_id}", throttle.TICKET, at) <= 1:
        return 0.0
    return logins.try_attempt(db, flow.keys.person, throttle.PERSON, at)


def may_try_code(db: Session, flow: Flow, at: datetime) -> bool:
    """Whether a code is looked at at all, after the right password.

    Somebody who has the password and many addresses must not try codes on and on. Only for networks where the owner never was.
    """
    if logins.try_attempt(db, flow.keys.codes, throttle.CODES, at) <= 0:
        return True
    notes.add_note(db, flow.name, SOMEBODY_TRIES, at)
    return False


def refuse(db: Session, flow: Flow, reason: str, at: datetime) -> None:
    """A login that is over."""
    _count(db, flow, at)
    _record(db, flow.name, flow.source, "login", "refused", reason=reason)


def _count(db: Session, flow: Flow, at: datetime) -> None:
    """What a failure adds to, beside what was counted before it was one: the same, whichever part was wrong."""
    if flow.known.network_wait_s <= 0:  # those who wait add nothing; nor does this one, who would be told apart by it
        logins.count_failure(db, flow.keys.network, throttle.SOURCE, at)
    if not flow.known.is_known_source:
        logins.count_failure(db, flow.keys.who, throttle.STRANGERS, at)
        logins.count_failure(db, EVERYBODY, throttle.OVERALL, at)


def refuse_step(db: Session, flow: Flow, reason: str, is_final: bool, budget: throttle.Budget | None, at: datetime) -> bool:
    """Something wrong in a step; whether the ticket is void now. ``budget`` is for the passwords that the directory counts."""
    if flow.step in WITHOUT_PROOF:  # counted when it began
        _count(db, flow, at)
        count = logins.count_failures(db, f"ticket:{flow.ticket_id}")
    else:
        count = logins.count_failure(db, f"ticket:{flow.ticket_id}", throttle.TICKET, at)
        if budget and reason == "wrong-password":
            key = flow.keys.budget(is_known=flow.known.is_known_source)
            is_final = logins.count_failure(db, key, budget, at) >= budget.most or is_final
    is_over = is_final or count >= throttle.TICKET.free
    if is_over:
        logins.use_ticket(db, flow.ticket_id, at)
    _record(db, flow.name, flow.source, f"login.{flow.step}", "refused", reason=reason)
    return is_over


def move_on(db: Session, flow: Flow, ticket: logins.Ticket, work: Work | None, at: datetime) -> None:
    """Use the ticket of the last step up, do its work, and keep the one of the next. Raises NotFound when it was used already."""
    _end_step(db, flow, work, at)
    if ticket.step not in WITHOUT_PROOF:
        _forgive(db, flow)
    logins.add_ticket(db, ticket, at + LIFE)
    details = {"step": ticket.step, **({"reason": flow.reason} if flow.reason else {})}
    _record(db, flow.name, flow.source, "login", "step", **details)


def finish(db: Session, flow: Flow, entry: Entry, work: Work | None, at: datetime) -> Identity:
    """Ticket, work, rows: all or nothing, and once."""
    _end_step(db, flow, work, at)
    person = entry.person
    identity = mapping.sync_login(db, person, entry.mapped, entry.managed_projects, entry.keypair, at)
    if not identity.is_active:
        raise Forbidden(mapping.REFUSALS[UserStatus.INACTIVE])
    _forgive(db, flow)
    logins.remember_source(db, person.name, flow.keys.net, at)
    _record(db, person.name, flow.source, "login", "ok")
    return identity


def _forgive(db: Session, flow: Flow) -> None:
    keys = flow.keys
    logins.clear_failures(db, keys.person, keys.lock, keys.budget(is_known=True), keys.budget(is_known=False))


def _end_step(db: Session, flow: Flow, work: Work | None, at: datetime) -> None:
    if flow.ticket_id and not logins.use_ticket(db, flow.ticket_id, at):
        raise NotFound(TICKET_OVER)
    if work:
        work(db, at)


def _record(db: Session, name: str, source: str, action: str, result: str, **details: str) -> None:
    actor = name if is_name(name) else ""
    audit.record(db, actor=actor, action=action, object=actor, source=source, result=result, details=details)
