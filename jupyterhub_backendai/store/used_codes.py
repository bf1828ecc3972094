"""One-time passwords that other servers accepted: each is taken once, however many processes ask."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from .models import UsedCode
from .users import insert_missing

# Longer than any server's window; short enough that a person's codes do not come round again by chance.
KEEP = timedelta(days=1)


def take_code(db: Session, name: str, code: str, at: datetime) -> bool:
    """Take a person's code: true for exactly one caller within a day. Commit before you answer."""
    db.execute(delete(UsedCode).where(UsedCode.taken_at < at - KEEP).execution_options(synchronize_session=False))
    # The name's length keeps two pairs apart that are written alike one after the other.
    digest = hashlib.sha256(f"{len(name)}:{name}{code}".encode()).hexdigest()
    return insert_missing(db, UsedCode, digest=digest, taken_at=at)
