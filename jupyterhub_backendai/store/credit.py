"""Whose credit is being used by what runs now, and telling people before it is used up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..core.ledger import Balance, Running
from ..core.sessions import BATCH, SessionStatus
from .models import ComputeSession, LedgerAccount, SessionBill, User


@dataclass(frozen=True, slots=True)
class Consumer:
    """A live session that somebody's credit pays for, and who is told about it."""

    session_id: str
    user: str
    server_name: str
    name: str
    is_batch: bool
    is_running: bool
    ends_at: datetime | None
    email: str
    language: str


@dataclass(slots=True)
class Credit:
    """An account with sessions that are not settled."""

    account: str
    balance: Balance
    warned_s: int | None
    running: list[Running] = field(default_factory=list)
    consumers: list[Consumer] = field(default_factory=list)


def list_credits(db: Session, at: datetime) -> list[Credit]:
    """Every account that something runs on, or that something which is over is not settled on yet."""
    bill, row, account = SessionBill, ComputeSession, LedgerAccount
    columns = (account.id, account.available, account.held, account.warned_s, bill.rate, bill.most, bill.charged, bill.refunded)
    query = (
        select(*columns, row, User)
        .join(bill, bill.account == account.id)
        .join(row, row.id == bill.session_id)
        .join(User, User.id == row.user_id)
        .where(bill.settled_at.is_(None))
        .order_by(account.id, row.created_at, row.id)
    )
    found: dict[str, Credit] = {}
    for account_id, available, held, warned_s, rate, most, charged, refunded, session, user in map(tuple, db.execute(query)):
        credit = found.setdefault(account_id, Credit(account_id, Balance(available, held), warned_s))
        began, is_live = session.began_at or session.started_at, session.released_at is None
        if began is None:
            continue
        until = at if is_live else session.terminated_at or session.released_at or at
        seconds = max(0, int((until - began).total_seconds()))
        credit.running.append(Running(session.id, rate, most, seconds, is_live, charged - refunded))
        if is_live:
            credit.consumers.append(_consumer(session, user))
    return list(found.values())


def take_mark(db: Session, account: str, mark_s: int | None) -> bool:
    """Keep the mark that an account has passed (None: none); True when it is a new one, to tell people of (use it exclusively)."""
    row = db.get(LedgerAccount, account, with_for_update=True)
    if row is None or row.warned_s == mark_s:
        return False
    is_new = mark_s is not None and (row.warned_s is None or mark_s < row.warned_s)
    row.warned_s = mark_s
    return is_new


def _consumer(session: ComputeSession, user: User) -> Consumer:
    ends_at = session.policy_ends_at if session.policy_end == "credit" else None
    is_running = session.status is SessionStatus.RUNNING
    name = session.name or session.server_name
    return Consumer(
        session.id, user.name, session.server_name, name, session.session_type == BATCH, is_running, ends_at, user.email, user.language
    )


def list_people(consumers: Sequence[Consumer]) -> dict[str, list[Consumer]]:
    """The sessions of each person."""
    found: dict[str, list[Consumer]] = {}
    for consumer in consumers:
        found.setdefault(consumer.user, []).append(consumer)
    return found
