"""Statements of a month from the ledger's entries, and who may read whose.

A charge belongs to the month in which it was made: what was sent out stays as it is. A person's own statement is theirs; those of
people, projects and a domain are for the domain's administrators, and all of them for superadmins. What is not yours is not found.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from ..core import ledger
from ..core.identity import Actor
from ..core.ledger import Balance
from ..core.statements import SCOPES, Line, Movement, Statement, Subject, join_lines
from ..errors import N_, NotFound
from .ledger import get_balance, get_billing
from .models import Domain, LedgerAccount, LedgerEntry, Project, ProjectMember, SessionBill, User

_FACTS = (
    SessionBill.session_id,
    SessionBill.user_name,
    SessionBill.domain,
    SessionBill.project,
    SessionBill.queue,
    SessionBill.name,
    SessionBill.used_s,
    SessionBill.used_slots,
    SessionBill.source,
)
_CHARGES = (ledger.CHARGE, ledger.REFUND)
_CREDITS = (ledger.CREDIT, ledger.DEBIT)
_OWN = (*_CHARGES, *_CREDITS)


def find_subject(db: Session, viewer: Actor, scope: str, name: str) -> Subject:
    """Whose statement somebody wants to read; ``name`` of a project is ``domain/project``. Raises NotFound, also for other people's."""
    subject = _find(db, scope, name)
    if subject is None or not _may_read(viewer, subject):
        raise NotFound(N_("There is no statement of %(name)s."), name=name[:128])
    return subject


def load_statement(db: Session, subject: Subject, first: datetime, until: datetime) -> Statement:
    """Everything that was charged for somebody's sessions from ``first`` until before ``until``, to the last digit."""
    in_time = (LedgerEntry.at >= first, LedgerEntry.at < until)
    query = (
        select(LedgerEntry.kind, LedgerEntry.at, LedgerEntry.amount, *_FACTS)
        .join(SessionBill, SessionBill.session_id == LedgerEntry.reference)
        .where(LedgerEntry.kind.in_(_CHARGES), *in_time, _condition(subject))
        .order_by(LedgerEntry.at, LedgerEntry.id)
    )
    lines = join_lines(_line(row) for row in db.execute(query))
    if not _pays(db, subject):
        return Statement(subject, first, until, lines)
    own = select(LedgerEntry.kind, LedgerEntry.at, LedgerEntry.amount, LedgerEntry.actor, LedgerEntry.note)
    own = own.where(LedgerEntry.account == subject.account, LedgerEntry.kind.in_(_OWN), LedgerEntry.at >= first)
    entries = db.execute(own.order_by(LedgerEntry.at, LedgerEntry.id)).all()
    now = get_balance(db, subject.account).total
    closing = now - _sum(row for row in entries if row.at >= until)
    opening = closing - _sum(row for row in entries if row.at < until)
    movements = [Movement(row.at, _signed(row), row.actor, row.note) for row in entries if row.kind in _CREDITS and row.at < until]
    return Statement(subject, first, until, lines, tuple(movements), opening, closing)


def list_accounts(db: Session, viewer: Actor, search: str = "", limit: int = 100) -> list[tuple[Subject, Balance]]:
    """Who pays here, with their balances, by name; also those without an entry yet. Raises NotFound to who administers nothing."""
    if not viewer.is_admin:
        raise NotFound
    scope = get_billing(db).payer
    columns: Any = {
        "user": (User.name, User.domain, User.id),
        "project": (Project.name, Project.domain, Project.id),
        "domain": (Domain.name, Domain.name.label("domain"), Domain.name.label("id")),
    }[scope]
    query = select(*columns, LedgerAccount.available, LedgerAccount.held)
    query = query.outerjoin(LedgerAccount, LedgerAccount.id == f"{scope}:" + columns[2]).order_by(columns[0], columns[1]).limit(limit)
    if search:
        query = query.where(columns[0].icontains(search, autoescape=True))
    if not viewer.is_superadmin:
        query = query.where(columns[1] == viewer.domain)
    return [
        (Subject(scope, name, domain, owner, ledger.account_id(scope, owner)), Balance(available or Decimal(0), held or Decimal(0)))
        for name, domain, owner, available, held in map(tuple, db.execute(query))
    ]


def list_payers(db: Session, user: str) -> list[tuple[Subject, Balance]]:
    """The accounts that pay for a person's own sessions: their own, or those of their projects, or the domain's."""
    row = db.execute(select(User.id, User.domain).where(User.name == user)).first()
    if row is None:
        return []
    payer = get_billing(db).payer
    if payer == "project":
        member = select(Project.name, Project.id).join(ProjectMember, ProjectMember.project_id == Project.id)
        found = db.execute(member.where(ProjectMember.user_id == row.id, Project.is_active.is_(True)).order_by(Project.name))
        subjects = [Subject("project", name, row.domain, id_, ledger.account_id("project", id_)) for name, id_ in found]
    else:
        name, owner = (user, row.id) if payer == "user" else (row.domain, row.domain)
        subjects = [Subject(payer, name, row.domain, owner, ledger.account_id(payer, owner))]
    return [(subject, get_balance(db, subject.account)) for subject in subjects]


def _find(db: Session, scope: str, name: str) -> Subject | None:
    if scope not in SCOPES:
        return None
    if scope == "user":
        row = db.execute(select(User.name, User.domain, User.id).where(User.name == name)).first()
    elif scope == "project":
        domain, _, project = name.partition("/")
        row = db.execute(select(Project.name, Project.domain, Project.id).where(Project.domain == domain, Project.name == project)).first()
    else:
        row = db.execute(select(Domain.name, Domain.name.label("domain"), Domain.name.label("id")).where(Domain.name == name)).first()
    return Subject(scope, row[0], row[1], row[2], ledger.account_id(scope, row[2])) if row else None


def _may_read(viewer: Actor, subject: Subject) -> bool:
    if viewer.is_superadmin or (viewer.is_admin and subject.domain == viewer.domain):
        return True
    return subject.scope == "user" and subject.name == viewer.name


def _condition(subject: Subject) -> ColumnElement[bool]:
    if subject.scope == "user":
        return SessionBill.user_id == subject.owner
    if subject.scope == "project":
        return SessionBill.project_id == subject.owner
    return SessionBill.domain == subject.name


def _pays(db: Session, subject: Subject) -> bool:
    """Whether there is an account of theirs: one that paid once keeps its statement when the site bills others now."""
    return get_billing(db).payer == subject.scope or db.get(LedgerAccount, subject.account) is not None


def _line(row: Any) -> Line:
    charged, refunded = (row.amount, Decimal(0)) if row.kind == ledger.CHARGE else (Decimal(0), row.amount)
    facts = (row.user_name, row.domain, row.project, row.queue, row.name, row.used_s, row.used_slots, row.source)
    return Line(row.session_id, row.at, *facts, charged, refunded)


def _signed(row: Any) -> Decimal:
    amount: Decimal = row.amount
    return amount if row.kind in {ledger.CREDIT, ledger.REFUND} else -amount


def _sum(rows: Iterable[Any]) -> Decimal:
    return sum((_signed(row) for row in rows), Decimal(0))
