"""The transactions of a login: each all or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from ...core import throttle
from ...core.identity import Identity, Person
from ...core.mapping import Mapped
from ...core.names import is_name
from ...errors import N_, Conflict, Forbidden, NotFound
from ...store import audit, logins, users
from ...store import otp as tokens
from .attempts import HAS_TOKEN, TICKET_OVER, Attempt, Known, person_key, source_key

TICKET_LIFE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody who may come in, with what their rows need."""

    person: Person
    mapped: Mapped
    managed_projects: frozenset[str]
    keypair: tuple[str, str]


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token whose first code was right, and the ticket that it came with."""

    ticket_id: str
    secret: str
    step: int
    drift: int


def begin(db: Session, attempt: Attempt, at: datetime) -> Known:
    """Who has to wait, and what is known. The attempt counts as failed until it is not, so that many at once gain nothing."""
    wait_s = logins.remaining_wait_s(db, source_key(attempt), at) or logins.try_attempt(db, person_key(attempt), throttle.PERSON, at)
    if wait_s > 0:
        return Known(wait_s)
    return Known(0.0, users.get_local_account(db, attempt.name), tokens.get_token(db, attempt.name))


def refuse(db: Session, attempt: Attempt, reason: str, at: datetime) -> None:
    logins.count_failure(db, source_key(attempt), throttle.SOURCE, at)
    actor = attempt.name if is_name(attempt.name) else ""
    audit.record(db, actor=actor, action="login", object=actor, source=attempt.source, result="refused", details={"reason": reason})


def keep_ticket(db: Session, ticket: logins.Ticket, attempt: Attempt, at: datetime) -> None:
    logins.clear_failures(db, person_key(attempt))
    logins.add_ticket(db, ticket, at + TICKET_LIFE)
    details = {"step": ticket.step}
    audit.record(db, actor=ticket.user_name, action="login", object=ticket.user_name, source=attempt.source, result="step", details=details)


def refuse_code(db: Session, ticket: logins.Ticket, attempt: Attempt, at: datetime) -> None:
    if logins.count_failure(db, f"ticket:{ticket.id}", throttle.TICKET, at) >= throttle.TICKET.free:
        logins.use_ticket(db, ticket.id, at)
    audit.record(db, actor=ticket.user_name, action="enrol-otp", object=ticket.user_name, source=attempt.source, result="refused")


def finish(db: Session, entry: Entry, attempt: Attempt, at: datetime) -> Identity:
    person = entry.person
    identity = users.sync_login(db, person, entry.mapped, entry.managed_projects, entry.keypair, at)
    if not identity.is_active:
        raise Forbidden(N_("Your account here is closed. Ask your centre's help desk."))
    logins.clear_failures(db, person_key(attempt))
    audit.record(db, actor=person.name, action="login", object=person.name, source=attempt.source)
    return identity


def finish_enrolment(db: Session, entry: Entry, attempt: Attempt, token: NewToken, at: datetime) -> Identity:
    """Ticket, token, rows: all or nothing, and once."""
    if not logins.use_ticket(db, token.ticket_id, at):
        raise NotFound(TICKET_OVER)
    if not tokens.add_confirmed(db, entry.person.name, token.secret, token.step, token.drift, at):
        raise Conflict(HAS_TOKEN)
    audit.record(db, actor=entry.person.name, action="enrol-otp", object=entry.person.name, source=attempt.source)
    return finish(db, entry, attempt, at)
