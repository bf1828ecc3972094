"""Logins that are under way or failed: tickets between two steps, and who has to wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from ..core.throttle import Allowance, Limit
from .models import LoginFailure, LoginSource, LoginTicket
from .users import insert_missing

KEEP = timedelta(days=1)
KEEP_SOURCE = timedelta(days=180)


@dataclass(frozen=True, slots=True)
class Ticket:
    """A login that waits for its next step. ``payload`` is encrypted."""

    id: str
    user_name: str
    step: str
    next: str
    payload: str


# -- tickets


def add_ticket(db: Session, ticket: Ticket, expires_at: datetime) -> None:
    """Keep a ticket under the hash of what the browser gets."""
    db.add(
        LoginTicket(
            id=ticket.id,
            user_name=ticket.user_name,
            step=ticket.step,
            next=ticket.next,
            payload=ticket.payload,
            expires_at=expires_at,
        )
    )


def get_ticket(db: Session, ticket_id: str, at: datetime) -> Ticket | None:
    """A ticket that is still good."""
    row = db.get(LoginTicket, ticket_id)
    if row is None or row.used_at is not None or row.expires_at <= at:
        return None
    return Ticket(row.id, row.user_name, row.step, row.next, row.payload)


def use_ticket(db: Session, ticket_id: str, at: datetime) -> bool:
    """Use a ticket up: true for exactly one caller."""
    used = db.execute(
        update(LoginTicket)
        .where(LoginTicket.id == ticket_id, LoginTicket.used_at.is_(None), LoginTicket.expires_at > at)
        .values(used_at=at, payload="")
        .execution_options(synchronize_session=False)
    )
    return bool(used.rowcount)  # type: ignore[attr-defined]


# -- who has to wait


def remaining_wait_s(db: Session, key: str, at: datetime) -> float:
    """Seconds that this key (``user:<name>``, ``source:<net>``) still has to wait."""
    until = db.scalar(select(LoginFailure.until).where(LoginFailure.key == key))
    return _seconds(until, at)


def try_attempt(db: Session, key: str, allowance: Limit, at: datetime) -> float:
    """Count an attempt as failed before its outcome is known; or, when the key has to wait, the seconds that are left.

    Looking and counting are one step, so that many attempts at once gain nothing. Run it with ``run_exclusive``.
    """
    row = _lock(db, key, at)
    wait_s = _seconds(row.until, at)
    if wait_s <= 0:
        _count(row, allowance, at)
        db.flush()
    return wait_s


def count_failure(db: Session, key: str, allowance: Limit, at: datetime) -> int:
    """One more failure of a key; how many count now. Run it with ``run_exclusive``."""
    row = _lock(db, key, at)
    _count(row, allowance, at)
    db.flush()
    return row.count


def count_failures(db: Session, key: str) -> int:
    """How many failures of a key count."""
    return db.scalar(select(LoginFailure.count).where(LoginFailure.key == key)) or 0


def find_delay_s(db: Session, key: str, allowance: Allowance, at: datetime) -> float:
    """Seconds that an attempt of this key is slowed down by."""
    row = db.execute(select(LoginFailure.count, LoginFailure.updated_at).where(LoginFailure.key == key)).first()
    return allowance.delay_s(allowance.left(row[0], (at - row[1]).total_seconds())) if row else 0.0


def _seconds(until: datetime | None, at: datetime) -> float:
    return max(0.0, (until - at).total_seconds()) if until else 0.0


def _lock(db: Session, key: str, at: datetime) -> LoginFailure:
    insert_missing(db, LoginFailure, key=key, count=0, until=None, updated_at=at)
    locked = select(LoginFailure).where(LoginFailure.key == key).with_for_update().execution_options(populate_existing=True)
    return db.scalars(locked).one()


def _count(row: LoginFailure, allowance: Limit, at: datetime) -> None:
    row.count = allowance.count(row.count, (at - row.updated_at).total_seconds())
    wait = allowance.wait_s(row.count)
    row.until = at + timedelta(seconds=wait) if wait else None
    row.updated_at = at


def take_back_failure(db: Session, key: str) -> None:
    """Undo one failure that was counted before the answer was known, and was none."""
    db.execute(
        update(LoginFailure)
        .where(LoginFailure.key == key, LoginFailure.count > 0)
        .values(count=LoginFailure.count - 1, until=None)
        .execution_options(synchronize_session=False)
    )


def clear_failures(db: Session, *keys: str) -> None:
    """Forget the failures of keys: the right person came."""
    db.execute(delete(LoginFailure).where(LoginFailure.key.in_(keys)))


# -- where people are


def is_known_source(db: Session, name: str, net: str) -> bool:
    """Whether this person came in from this network before."""
    return db.get(LoginSource, (name, net)) is not None


def remember_source(db: Session, name: str, net: str, at: datetime) -> None:
    """This person came in from this network."""
    if not insert_missing(db, LoginSource, user_name=name, net=net, last_at=at):
        db.execute(update(LoginSource).where(LoginSource.user_name == name, LoginSource.net == net).values(last_at=at))


def remove_stale(db: Session, at: datetime) -> None:
    """Remove what nobody needs any longer."""
    db.execute(delete(LoginFailure).where(LoginFailure.updated_at < at - KEEP))
    db.execute(delete(LoginTicket).where(LoginTicket.expires_at < at))  # a password may be in it, though encrypted
    db.execute(delete(LoginSource).where(LoginSource.last_at < at - KEEP_SOURCE))
