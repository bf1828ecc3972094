"""Calls of the REST interface against a keypair's rate limit.

Calls are given out in small packs, so that not every one of them is a write: a process that ends gives none of its pack back, which
costs at most a hundredth of the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from .models import DEFAULT_RATE_LIMIT, CallWindow, Keypair, User

WINDOW_S = 900
_PACKS = 100


@dataclass(frozen=True, slots=True)
class Grant:
    """So many more calls now (0: none before ``left_s`` seconds are over); ``remaining`` are those that nobody has been given yet."""

    calls: int
    limit: int
    remaining: int
    left_s: float


def take(db: Session, user: str, at: datetime) -> Grant:
    """Give somebody calls of the window that began with their first one, or of a new one (use it exclusively)."""
    query = select(Keypair.access_key, Keypair.rate_limit, User.id).select_from(User)
    found = db.execute(query.outerjoin(Keypair, (Keypair.user_id == User.id) & Keypair.is_main).where(User.name == user)).first()
    access_key, rate_limit, user_id = found or (None, None, user)
    limit = DEFAULT_RATE_LIMIT if rate_limit is None else rate_limit
    owner = (access_key or f"user:{user_id}")[:64]
    window = db.get(CallWindow, owner, with_for_update=True) or _open(db, owner, at)
    age_s = (at - window.started_at).total_seconds()
    if not 0 <= age_s < WINDOW_S:
        window.started_at, window.calls, age_s = at, 0, 0.0
    calls = max(0, min(max(1, limit // _PACKS), limit - window.calls))
    window.calls += calls
    return Grant(calls, limit, max(0, limit - window.calls), WINDOW_S - age_s)


def _open(db: Session, owner: str, at: datetime) -> CallWindow:
    """The first window of somebody's, locked; another service may have made it in between."""
    try:
        with db.begin_nested():
            db.add(CallWindow(owner=owner, started_at=at, calls=0))
    except IntegrityError:
        db.expire_all()
    return db.get_one(CallWindow, owner, with_for_update=True)
