"""Tokens for one-time passwords. Secrets come and go encrypted (``store.crypt``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from ..errors import N_
from . import audit, notes, recovery
from .models import OTPToken, now
from .users import insert_missing

RESET = N_("An administrator took your one-time password away. If you did not ask for that, tell your centre's help desk.")


@dataclass(frozen=True, slots=True)
class Token:
    """A confirmed token. ``secret`` is encrypted for the purpose ``otp:<user name>``."""

    user_name: str
    secret: str
    last_step: int
    drift: int
    confirmed_at: datetime


def purpose(name: str) -> str:
    """What a secret of this person is encrypted for."""
    return f"otp:{name}"


def get_token(db: Session, name: str) -> Token | None:
    """A person's token, once it was confirmed."""
    row = db.get(OTPToken, name)
    if row is None or row.confirmed_at is None:
        return None
    return Token(row.user_name, row.secret, row.last_step, row.drift, row.confirmed_at)


def consume_step(db: Session, name: str, step: int, drift: int) -> bool:
    """Take a step, and with it the code: true for exactly one caller, however many processes try. Commit before you answer."""
    taken = db.execute(
        update(OTPToken)
        .where(OTPToken.user_name == name, OTPToken.confirmed_at.is_not(None), OTPToken.last_step < step)
        .values(last_step=step, drift=drift)
        .execution_options(synchronize_session=False)
    )
    return bool(taken.rowcount)  # type: ignore[attr-defined]


def add_confirmed(db: Session, name: str, secret: str, step: int, drift: int, at: datetime) -> bool:
    """Keep a token whose first code (of that step) was right; false when the person has one by now."""
    return insert_missing(db, OTPToken, user_name=name, secret=secret, last_step=step, drift=drift, confirmed_at=at, created_at=at)


def set_confirmed(db: Session, name: str, encrypted_secret: str) -> None:
    """Give somebody a token without asking for a code: for demo people and for tokens brought along. Replaces what was there."""
    remove_token(db, name)
    add_confirmed(db, name, encrypted_secret, 0, 0, now())


def remove_token(db: Session, name: str) -> bool:
    """Take a person's token away, so that the next login enrols again; whether there was one."""
    return bool(db.execute(delete(OTPToken).where(OTPToken.user_name == name)).rowcount)  # type: ignore[attr-defined]


def reset(db: Session, name: str, *, actor: str, source: str, at: datetime) -> bool:
    """Take a person's token and recovery codes away and tell them at the next login, which enrols anew; whether there was anything."""
    had_token, had_codes = remove_token(db, name), recovery.count_codes(db, name) > 0
    if not had_token and not had_codes:
        return False
    recovery.remove_codes(db, name)
    notes.add_note(db, name, RESET, at)
    audit.record(db, actor=actor, action="user.reset-otp", object=name, source=source)
    return True
