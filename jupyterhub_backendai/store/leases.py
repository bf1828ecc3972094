"""Leases: work that only one of several services may do at a time."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from .models import Lease, now


def take(db: Session, name: str, holder: str, ttl_s: float) -> bool:
    """Take or keep the lease for ``ttl_s`` seconds from now; False while somebody else has it. Use it exclusively."""
    moment = now()
    until = moment + timedelta(seconds=ttl_s)
    mine_or_free = or_(Lease.holder == holder, Lease.until < moment)
    changed = db.execute(update(Lease).where(Lease.name == name, mine_or_free).values(holder=holder, until=until).returning(Lease.name))
    if changed.first():
        return True
    if db.scalar(select(Lease.name).where(Lease.name == name)):
        return False
    try:
        with db.begin_nested():
            db.execute(insert(Lease).values(name=name, holder=holder, until=until))
    except IntegrityError:
        # Somebody took it for the first time ever in between.
        return False
    return True


def give_back(db: Session, name: str, holder: str) -> None:
    """End the holder's lease, so that another one need not wait until it runs out."""
    db.execute(delete(Lease).where(Lease.name == name, Lease.holder == holder))
