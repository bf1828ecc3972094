"""Browsers that are logged in. A login lives while its row does; ids are ``core.logins.hash_session``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from .models import ActiveLogin, LoginTicket

MOST = 100
SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class BrowserLogin:
    """One login on one browser: where it came from, what the browser says it is, and when it was last used."""

    id: str
    user_name: str
    source: str
    agent: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime


def open_login(db: Session, login: BrowserLogin, replaces: str = "") -> list[str]:
    """Keep a new login; the ids of those that it ended.

    ``replaces`` is the login that the same browser had before. A person has at most :data:`MOST`: the longest unused give way.
    """
    db.execute(delete(ActiveLogin).where(ActiveLogin.expires_at < login.created_at))
    ended = [replaces] if replaces and end_logins(db, login.user_name, [replaces]) else []
    db.add(
        ActiveLogin(
            id=login.id,
            user_name=login.user_name,
            source=login.source[:64],
            agent=login.agent[:255],
            created_at=login.created_at,
            seen_at=login.seen_at,
            expires_at=login.expires_at,
        )
    )
    db.flush()
    unused = select(ActiveLogin.id).where(ActiveLogin.user_name == login.user_name).order_by(ActiveLogin.seen_at.desc()).offset(MOST)
    ended += end_logins(db, login.user_name, list(db.scalars(unused)))
    return ended


def look_at(db: Session, user_name: str, login_id: str, source: str, at: datetime) -> bool:
    """Whether this person's login lives, and that it was used at this moment from ``source`` ("" when unknown)."""
    row = db.get(ActiveLogin, login_id)
    if row is None or row.user_name != user_name or row.expires_at <= at:
        return False
    if at - row.seen_at >= SEEN_EVERY or (source and row.source != source[:64]):
        # By a statement: a login that ends at the same moment stays ended.
        values = {"seen_at": at, **({"source": source[:64]} if source else {})}
        db.execute(update(ActiveLogin).where(ActiveLogin.id == login_id).values(**values).execution_options(synchronize_session=False))
    return True


def list_logins(db: Session, user_name: str, at: datetime) -> list[BrowserLogin]:
    """A person's logins that live, the last used first."""
    rows = select(ActiveLogin).where(ActiveLogin.user_name == user_name, ActiveLogin.expires_at > at)
    return [
        BrowserLogin(row.id, row.user_name, row.source, row.agent, row.created_at, row.seen_at, row.expires_at)
        for row in db.scalars(rows.order_by(ActiveLogin.seen_at.desc(), ActiveLogin.id))
    ]


def end_logins(db: Session, user_name: str, ids: Collection[str]) -> list[str]:
    """End some of a person's logins; the ids of those that lived."""
    return _end(db, ActiveLogin.user_name == user_name, ActiveLogin.id.in_(ids)) if ids else []


def end_other_logins(db: Session, user_name: str, but: str = "") -> list[str]:
    """End all of a person's logins but one (all without it), and those under way; the ids of those that lived."""
    db.execute(delete(LoginTicket).where(LoginTicket.user_name == user_name))
    return _end(db, ActiveLogin.user_name == user_name, ActiveLogin.id != but)


def _end(db: Session, *conditions: object) -> list[str]:
    return list(db.scalars(delete(ActiveLogin).where(*conditions).returning(ActiveLogin.id).execution_options(synchronize_session=False)))  # type: ignore[arg-type]
