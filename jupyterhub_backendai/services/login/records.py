"""The transactions of a login: each all or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core import throttle
from ...core.identity import Identity, Person, Role
from ...core.mapping import Mapped
from ...core.names import is_name
from ...errors import N_, Forbidden, NotFound
from ...store import audit, logins, mapping, notes, recovery, users
from ...store import otp as tokens
from ...store.models import User
from .attempts import TICKET_OVER, Attempt, Known, person_key, source_key
from .flow import Flow, Work
from .tickets import LIFE

WITHOUT_PROOF = frozenset({"code"})
"""Steps that also people see whose password was wrong."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody who may come in, with what their rows need."""

    person: Person
    mapped: Mapped
    managed_projects: frozenset[str]
    keypair: tuple[str, str]


def begin(db: Session, attempt: Attempt, at: datetime) -> Known:
    """Who has to wait, and what is known. The attempt counts as failed until it is not, so that many at once gain nothing."""
    wait_s = logins.remaining_wait_s(db, source_key(attempt.source), at)
    wait_s = wait_s or logins.try_attempt(db, person_key(attempt.name), throttle.PERSON, at)
    return Known(wait_s) if wait_s > 0 else look_up(db, attempt.name)


def look_up(db: Session, name: str) -> Known:
    """What is known of a name."""
    if not is_name(name):
        return Known()
    return Known(
        account=users.get_local_account(db, name),
        token=tokens.get_token(db, name),
        recovery_salt=recovery.get_salt(db, name),
        notes=tuple(notes.list_notes(db, name)),
        role=db.scalar(select(User.role).where(User.name == name)) or Role.USER,
    )


def begin_code(db: Session, flow: Flow, at: datetime) -> float:
    """Count one more code of a ticket before it is looked at; the seconds to wait instead. The password's attempt paid for the first."""
    if logins.count_failure(db, f"ticket:{flow.ticket_id}", throttle.TICKET, at) <= 1:
        return 0.0
    return logins.try_attempt(db, person_key(flow.name), throttle.PERSON, at)


def refuse(db: Session, name: str, source: str, reason: str, at: datetime) -> None:
    """A login that is over."""
    logins.count_failure(db, source_key(source), throttle.SOURCE, at)
    _record(db, name, source, "login", "refused", reason=reason)


def refuse_step(db: Session, flow: Flow, reason: str, is_final: bool, at: datetime) -> bool:
    """Something wrong in a step; whether the ticket is void now."""
    if flow.step in WITHOUT_PROOF:  # counted when it began
        logins.count_failure(db, source_key(flow.source), throttle.SOURCE, at)
        count = logins.count_failures(db, f"ticket:{flow.ticket_id}")
    else:
        count = logins.count_failure(db, f"ticket:{flow.ticket_id}", throttle.TICKET, at)
    is_over = is_final or count >= throttle.TICKET.free
    if is_over:
        logins.use_ticket(db, flow.ticket_id, at)
    _record(db, flow.name, flow.source, f"login.{flow.step}", "refused", reason=reason)
    return is_over


def move_on(db: Session, flow: Flow, ticket: logins.Ticket, work: Work | None, at: datetime) -> None:
    """Use the ticket of the last step up, do its work, and keep the one of the next. Raises NotFound when it was used already."""
    _end_step(db, flow, work, at)
    if ticket.step not in WITHOUT_PROOF:
        logins.clear_failures(db, person_key(flow.name))
    logins.add_ticket(db, ticket, at + LIFE)
    details = {"step": ticket.step, **({"reason": flow.reason} if flow.reason else {})}
    _record(db, flow.name, flow.source, "login", "step", **details)


def finish(db: Session, flow: Flow, entry: Entry, work: Work | None, at: datetime) -> Identity:
    """Ticket, work, rows: all or nothing, and once."""
    _end_step(db, flow, work, at)
    person = entry.person
    identity = mapping.sync_login(db, person, entry.mapped, entry.managed_projects, entry.keypair, at)
    if not identity.is_active:
        raise Forbidden(N_("Your account here is closed. Ask your centre's help desk."))
    logins.clear_failures(db, person_key(flow.name))
    _record(db, person.name, flow.source, "login", "ok")
    return identity


def _end_step(db: Session, flow: Flow, work: Work | None, at: datetime) -> None:
    if flow.ticket_id and not logins.use_ticket(db, flow.ticket_id, at):
        raise NotFound(TICKET_OVER)
    if work:
        work(db, at)


def _record(db: Session, name: str, source: str, action: str, result: str, **details: str) -> None:
    actor = name if is_name(name) else ""
    audit.record(db, actor=actor, action=action, object=actor, source=source, result=result, details=details)
