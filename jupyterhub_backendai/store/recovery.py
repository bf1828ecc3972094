"""Recovery codes as they are kept: hashes of one salt, each good once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from .models import RecoveryCode


def replace_codes(db: Session, name: str, salt: str, hashes: Sequence[str], at: datetime) -> None:
    """Give somebody new codes; the old ones end. All hashes are of one salt, so that looking for a code hashes it once."""
    remove_codes(db, name)
    db.add_all(RecoveryCode(user_name=name, salt=salt, hash=hashed, created_at=at) for hashed in hashes)
    db.flush()


def remove_codes(db: Session, name: str) -> None:
    """Take all codes of somebody away."""
    db.execute(delete(RecoveryCode).where(RecoveryCode.user_name == name))


def get_salt(db: Session, name: str) -> str:
    """The salt of somebody's codes, "" without any that is left."""
    return db.scalar(select(RecoveryCode.salt).where(RecoveryCode.user_name == name, RecoveryCode.used_at.is_(None)).limit(1)) or ""


def count_codes(db: Session, name: str) -> int:
    """How many codes are left."""
    return db.scalar(select(func.count()).where(RecoveryCode.user_name == name, RecoveryCode.used_at.is_(None))) or 0


def use_code(db: Session, name: str, hashed: str, at: datetime) -> bool:
    """Use a code up: true for exactly one caller, however many processes try. Commit before you answer."""
    used = db.execute(
        update(RecoveryCode)
        .where(RecoveryCode.user_name == name, RecoveryCode.hash == hashed, RecoveryCode.used_at.is_(None))
        .values(used_at=at)
        .execution_options(synchronize_session=False)
    )
    return bool(used.rowcount)  # type: ignore[attr-defined]
