"""What many acts in one transaction would ask again and again, remembered until it ends."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from sqlalchemy.orm import Session

T = TypeVar("T")
_KEY = "remembered"


def remember_all(db: Session) -> None:
    """From now on, in this transaction, :func:`remembered` asks once."""
    db.info[_KEY] = {}


def remembered(db: Session, key: Hashable, read: Callable[[], T]) -> T:
    """What ``read`` says; only what no act in between changes may be asked for like this."""
    memory = db.info.get(_KEY)
    if memory is None:
        return read()
    if key not in memory:
        memory[key] = read()
    found: T = memory[key]
    return found
