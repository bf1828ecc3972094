"""The ledger in the database: holds within the admission, settlements, credit, and comparing balances with their entries.

Locks are taken in the order that an admission has, and whoever pays is last: person, project, domain, queue, account, bill. Nothing
here asks anything for a queue that is free. How the site bills is ``Session.info["billing"]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, cast

from sqlalchemy import Table, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ..core import ledger
from ..core.identity import Actor
from ..core.ledger import Balance, Entry, Settlement, Terms, Used
from ..core.prices import Billing, is_price_known, is_priced, most_cost
from ..core.queues import Queue, QueueFigures
from ..core.slots import ResourceSlots
from ..errors import N_, Conflict, InvalidParameters, NotFound, QuotaExceeded, Violation
from . import audit
from .models import ComputeSession, Domain, LedgerAccount, LedgerEntry, Project, SessionBill, User, now

NO_PRICE = N_(
    "What a session costs in the queue %(queue)s cannot be said at the moment, because the cluster does not answer. Try again soon."
)
MOST_CREDIT = Decimal(10) ** 15
_ACCOUNTS, _ENTRIES, _BILLS = (cast(Table, model.__table__) for model in (LedgerAccount, LedgerEntry, SessionBill))
_LOCK_ACCOUNT = select(_ACCOUNTS.c.available, _ACCOUNTS.c.held).where(_ACCOUNTS.c.id == bindparam("id")).with_for_update()
_LOCK_BILL = select(_BILLS).where(_BILLS.c.session_id == bindparam("session_id")).with_for_update()
_READ_BILL = select(_BILLS).where(_BILLS.c.session_id == bindparam("session_id"))
_KEEP_BALANCE = update(_ACCOUNTS).where(_ACCOUNTS.c.id == bindparam("account"))
_INSERT_BILL, _INSERT_ENTRY = insert(_BILLS), insert(_ENTRIES)


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose session it is, and with that who pays."""

    user_id: str
    user: str
    domain: str
    project: str
    project_id: str

    def account(self, billing: Billing) -> str:
        owner = {"user": self.user_id, "project": self.project_id, "domain": self.domain}[billing.payer]
        return ledger.account_id(billing.payer, owner)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a session would cost, and why it may not start for money; the account is locked."""

    account: str
    balance: Balance
    terms: Terms
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class Due:
    """A session of a priced queue that is over and not settled, with what our own records say of it."""

    session_id: str
    engine: str
    cluster: str
    job_id: str
    posix_name: str
    began_at: datetime | None
    ended_at: datetime
    released_at: datetime
    reason: str


def get_billing(db: Session) -> Billing:
    """How the site bills."""
    return cast(Billing, db.info.get("billing") or Billing())


def prepare(
    db: Session, payer: Payer, queue: Queue, figures: QueueFigures | None, slots: ResourceSlots, gpu_type: str, time_s: int
) -> Offer | None:
    """What a session costs, with whoever pays locked; None, without a statement, on a free queue."""
    if not is_priced(queue):
        return None
    billing = get_billing(db)
    account = payer.account(billing)
    terms = ledger.make_terms(queue, figures, slots, gpu_type, time_s, billing.currency)
    if terms is None or not is_price_known(queue, figures):
        return Offer(account, Balance(), _NOTHING, (Violation(NO_PRICE, {"queue": queue.name}, "queue", ledger.RULE),))
    balance = lock_account(db, account)
    return Offer(account, balance, terms, tuple(ledger.check_credit(balance.available, terms.most, billing)))


def hold(db: Session, session_id: str, payer: Payer, offer: Offer, queue: str, name: str, at: datetime) -> None:
    """Hold the most that a session can cost; call it in the transaction of its admission."""
    terms = offer.terms
    values = {
        "session_id": session_id,
        "account": offer.account,
        "user_id": payer.user_id,
        "user_name": payer.user,
        "domain": payer.domain,
        "project": payer.project,
        "project_id": payer.project_id,
        "queue": queue,
        "name": name,
        "rate": terms.rate,
        "most": terms.most,
        "time_limit_s": terms.time_limit_s,
        "slots": terms.slots,
        "prices": terms.prices,
        "gpu_type": terms.gpu_type,
        "nodes": [node.to_json() for node in terms.nodes],
        "held": terms.most,
        "created_at": at,
        **_FRESH,
    }
    db.execute(_INSERT_BILL, values)
    if terms.most:
        entry = Entry(ledger.HOLD, offer.account, ledger.held_id(offer.account), terms.most)
        _post(db, offer.account, offer.balance, [entry], at, session_id)


def adjust_hold(db: Session, session_id: str, time_limit_s: int) -> None:
    """Hold for another time limit of a session that is not over; nothing happens on a free queue.

    Raises QuotaExceeded when the credit does not allow a longer one.
    """
    row = db.execute(_READ_BILL, {"session_id": session_id}).first()
    if row is None or row.settled_at is not None:
        return
    billing = get_billing(db)
    balance = lock_account(db, row.account)
    row = db.execute(_LOCK_BILL, {"session_id": session_id}).one()
    most = most_cost(row.rate, time_limit_s, billing.currency)
    more = most - row.most
    if row.settled_at is not None or not more:
        return
    if more > 0 and (violations := ledger.check_credit(balance.available, more, billing)):
        raise QuotaExceeded(violations=[replace(violation, field="time") for violation in violations])
    held = ledger.held_id(row.account)
    more = max(more, -row.held)  # of one that lives again a part is paid, and not held any more
    if more:
        entry = Entry(ledger.HOLD, row.account, held, more) if more > 0 else Entry(ledger.RELEASE, held, row.account, -more)
        _post(db, row.account, balance, [entry], now(), session_id)
    values = {"most": most, "held": row.held + more, "time_limit_s": time_limit_s}
    db.execute(update(_BILLS).where(_BILLS.c.session_id == session_id).values(values))


def settle(db: Session, session_id: str, used: Used, at: datetime) -> Settlement | None:
    """Charge a session that is over, release what is held for it, refund where its node failed (use it exclusively).

    None when there is no bill, or it is settled: a hold is released once, whoever calls this how often.
    """
    row = db.execute(_READ_BILL, {"session_id": session_id}).first()
    if row is None or row.settled_at is not None:
        return None
    balance = lock_account(db, row.account)
    row = db.execute(_LOCK_BILL, {"session_id": session_id}).one()
    if row.settled_at is not None:
        return None
    found = ledger.settle(row.account, read_terms(row), row.held, row.charged, row.refunded, used, get_billing(db).currency)
    if found.entries:
        _post(db, row.account, balance, found.entries, at, session_id)
    values = {
        "held": Decimal(0),
        "charged": found.charge,
        "refunded": found.refund,
        "used_s": used.seconds,
        "used_slots": found.slots,
        "source": used.source,
        "settled_at": at,
    }
    db.execute(update(_BILLS).where(_BILLS.c.session_id == session_id).values(values))
    return found


def reopen(db: Session, session_id: str) -> None:
    """A session that was over lives again: it is settled anew when it is over, for all of its time; until then its rest is held."""
    row = db.execute(_READ_BILL, {"session_id": session_id}).first()
    if row is None or row.settled_at is None:
        return
    balance = lock_account(db, row.account)
    row = db.execute(_LOCK_BILL, {"session_id": session_id}).one()
    rest = row.most - (row.charged - row.refunded)
    if row.settled_at is None:
        return
    if rest > 0:
        _post(db, row.account, balance, [Entry(ledger.HOLD, row.account, ledger.held_id(row.account), rest)], now(), session_id)
    db.execute(update(_BILLS).where(_BILLS.c.session_id == session_id).values(settled_at=None, held=max(rest, Decimal(0))))


def reopen_records(db: Session) -> int:
    """Have sessions that were charged from our own records, because no accounting answered, settled anew; how many (use it exclusively).

    What accounting says now is charged or given back as the difference; what it does not know stays as it is.
    """
    jobs = select(ComputeSession.id).where(ComputeSession.job_id != "", ComputeSession.released_at.is_not(None))
    known = (_BILLS.c.source == ledger.RECORDS, _BILLS.c.settled_at.is_not(None), _BILLS.c.session_id.in_(jobs))
    return len(db.execute(update(_BILLS).where(*known).values(settled_at=None).returning(_BILLS.c.session_id)).all())


def list_due(db: Session, limit: int = 500, after: str = "") -> list[Due]:
    """Sessions that are over and not settled, by id; those that come after one."""
    row = ComputeSession
    query = (
        select(row)
        .join(SessionBill, SessionBill.session_id == row.id)
        .where(SessionBill.settled_at.is_(None), row.released_at.is_not(None), row.id > after)
        .order_by(row.id)
        .limit(limit)
    )
    return [_due(found) for found in db.scalars(query)]


def give_credit(db: Session, actor: Actor, account: str, amount: Decimal, note: str, at: datetime, reference: str = "") -> Balance:
    """Add to (or, below zero, take from) somebody's credit, audited; the balance after it. Only superadmins; raises NotFound to others.

    With a ``reference`` the same act twice is done once. Raises InvalidParameters for an amount that is none in this currency, and
    Conflict for a reference of another act.
    """
    if not actor.is_superadmin or not describe_account(db, account):
        raise NotFound(N_("There is no account %(account)s."), account=account)
    currency = get_billing(db).currency
    if not amount.is_finite() or not 0 < abs(amount) < MOST_CREDIT or amount != currency.round(amount):
        message = N_("Give an amount of at most %(digits)s digits after the point that is not zero.")
        raise InvalidParameters(violations=[Violation(message, {"digits": currency.digits}, "amount", "invalid")])
    before = lock_account(db, account)
    if reference and _is_done(db, account, reference, amount):
        return before
    source, target = (ledger.FUNDING, account) if amount > 0 else (account, ledger.FUNDING)
    entry = Entry(ledger.CREDIT if amount > 0 else ledger.DEBIT, source, target, abs(amount))
    after = _post(db, account, before, [entry], at, reference, actor.name, note[:512])
    db.execute(_KEEP_BALANCE.values(warned_s=None), {"account": account})  # people are warned anew
    details = {"amount": format(amount, "f"), "note": note[:512], "balance": format(after.total, "f")}
    audit.record(db, actor=actor.name, action="ledger.credit", object=account, source=actor.source, details=details)
    return after


def _is_done(db: Session, account: str, reference: str, amount: Decimal) -> bool:
    """Whether this very act was done under the reference. Raises Conflict when another one was."""
    done = db.execute(
        select(_ENTRIES.c.kind, _ENTRIES.c.amount).where(_ENTRIES.c.account == account, _ENTRIES.c.reference == reference).limit(1)
    ).first()
    if done is None:
        return False
    if (done.kind == ledger.CREDIT) != (amount > 0) or abs(done.amount) != abs(amount):
        raise Conflict(N_("The reference %(reference)s was used for another amount already. Take another one."), reference=reference[:64])
    return True


def get_balance(db: Session, account: str) -> Balance:
    """An account's balance; zero for one that never had an entry."""
    row = db.execute(select(_ACCOUNTS.c.available, _ACCOUNTS.c.held).where(_ACCOUNTS.c.id == account)).first()
    return Balance(row.available, row.held) if row else Balance()


def find_account(db: Session, user: str, project: str, billing: Billing) -> str:
    """Whose credit a session of somebody's would be charged to; "" when there is no such person or project."""
    row = db.execute(select(User.id, User.domain).where(User.name == user)).first()
    if row is None:
        return ""
    project_id = ""
    if billing.payer == "project":
        project_id = db.scalar(select(Project.id).where(Project.domain == row.domain, Project.name == project)) or ""
        if not project_id:
            return ""
    return Payer(row.id, user, row.domain, project, project_id).account(billing)


def describe_account(db: Session, account: str) -> tuple[str, str, str] | None:
    """Who an account belongs to as (payer, name, domain), None when nobody has it."""
    payer, _, owner = account.partition(":")
    if payer == "user":
        row = db.execute(select(User.name, User.domain).where(User.id == owner)).first()
    elif payer == "project":
        row = db.execute(select(Project.name, Project.domain).where(Project.id == owner)).first()
    else:
        found = db.scalar(select(Domain.name).where(Domain.name == owner)) if payer == "domain" else None
        return (payer, found, found) if found else None
    return (payer, row[0], row[1]) if row else None


def compare(db: Session, *, is_mending: bool = False) -> list[tuple[str, Balance, Balance]]:
    """The accounts whose balance is not what their entries come to, with both; use it exclusively to mend them."""
    # Locked first: an entry that is made meanwhile would be in the balance and not in the sum.
    rows = db.execute(select(_ACCOUNTS).order_by(_ACCOUNTS.c.id).with_for_update()).all()
    sums: dict[str, Decimal] = {}
    for source, target, amount in db.execute(select(_ENTRIES.c.source, _ENTRIES.c.target, _ENTRIES.c.amount)):
        ledger.apply(sums, [Entry("", source, target, amount)])
    wrong = []
    for row in rows:
        noted, counted = Balance(row.available, row.held), ledger.balance_of(row.id, sums)
        if noted != counted:
            wrong.append((row.id, noted, counted))
            if is_mending:
                db.execute(_KEEP_BALANCE.values(available=counted.available, held=counted.held), {"account": row.id})
    return wrong


def lock_account(db: Session, account: str) -> Balance:
    """An account, which nobody else changes before this transaction ends; made at its first use."""
    row = db.execute(_LOCK_ACCOUNT, {"id": account}).first()
    if row is None:
        try:
            with db.begin_nested():
                db.execute(insert(_ACCOUNTS), {"id": account, "available": Decimal(0), "held": Decimal(0), "created_at": now()})
        except IntegrityError:
            pass  # somebody else made it at the same moment
        row = db.execute(_LOCK_ACCOUNT, {"id": account}).one()
    return Balance(row.available, row.held)


def read_terms(row: Any) -> Terms:
    """What a bill's row says was promised."""
    nodes = tuple(ResourceSlots.from_json(node) for node in row.nodes)
    return Terms(row.rate, row.most, row.time_limit_s, row.slots, row.prices, row.gpu_type, nodes)


def _post(
    db: Session,
    account: str,
    balance: Balance,
    entries: Sequence[Entry],
    at: datetime,
    reference: str = "",
    actor: str = "",
    note: str = "",
) -> Balance:
    """Write entries of one account, which is locked and has this balance, and what it has after them."""
    common = {"at": at, "account": account, "reference": reference, "actor": actor, "note": note}
    rows = [{"kind": entry.kind, "source": entry.source, "target": entry.target, "amount": entry.amount, **common} for entry in entries]
    db.execute(_INSERT_ENTRY, rows)
    balances = {account: balance.available, ledger.held_id(account): balance.held}
    after = ledger.balance_of(account, ledger.apply(balances, entries))
    db.execute(_KEEP_BALANCE.values(available=after.available, held=after.held), {"account": account})
    return after


def _due(row: ComputeSession) -> Due:
    released = cast(datetime, row.released_at)
    return Due(
        row.id,
        row.engine,
        str(row.choice.get("cluster") or ""),
        row.job_id,
        row.posix_name or "",
        row.began_at or row.started_at,
        row.terminated_at or released,
        released,
        row.status_reason,
    )


_FRESH: Mapping[str, Any] = {"charged": Decimal(0), "refunded": Decimal(0), "used_s": 0, "used_slots": ResourceSlots(), "source": ""}
_NOTHING = Terms(Decimal(0), Decimal(0), 0, ResourceSlots(), ResourceSlots())
