"""How far the work on a large file is, for whichever service is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from .models import BulkImport, now

LOOKING, LOOKED, HASHING, WRITING, DONE, FAILED = "looking", "looked", "hashing", "writing", "done", "failed"
GOES_ON = frozenset({LOOKING, HASHING, WRITING})
# Whoever works on one says so more often than this; else its service ended, and the transaction with it.
STALE = timedelta(minutes=2)
KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Progress:
    """One file: ``state``, how much of it is done, and in the end what it came to."""

    id: str
    noun: str
    actor: str
    state: str
    done: int = 0
    total: int = 0
    result: Mapping[str, Any] = field(default_factory=dict)
    updated_at: datetime = field(default_factory=now)

    @property
    def goes_on(self) -> bool:
        return self.state in GOES_ON

    @property
    def is_lost(self) -> bool:
        """Whether nobody works on it any more, although it is not over."""
        return self.goes_on and now() - self.updated_at > STALE


def keep(db: Session, progress: Progress) -> None:
    """Write down how far it is; old ones of everybody are forgotten."""
    row = db.get(BulkImport, progress.id)
    if row is None:
        db.execute(delete(BulkImport).where(BulkImport.updated_at < now() - KEPT))
        row = BulkImport(id=progress.id, noun=progress.noun, actor=progress.actor)
        db.add(row)
    row.state, row.done, row.total, row.result, row.updated_at = progress.state, progress.done, progress.total, dict(progress.result), now()


def find(db: Session, import_id: str, noun: str, actor: str) -> Progress | None:
    """An administrator's own, or None."""
    row = db.get(BulkImport, import_id)
    if row is None or (row.noun, row.actor) != (noun, actor):
        return None
    return Progress(row.id, row.noun, row.actor, row.state, row.done, row.total, row.result, row.updated_at)
