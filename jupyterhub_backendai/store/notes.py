"""What somebody is to be told at their next login."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from .models import LoginNote, new_id


@dataclass(frozen=True, slots=True)
class Note:
    """A message (an English sentence with named places, to be translated) with its values, and when it was left (UTC)."""

    id: str
    message: str
    params: Mapping[str, Any]
    at: datetime


def add_note(db: Session, name: str, message: str, at: datetime, **params: str) -> None:
    """Leave a message for somebody's next login; one of the same words takes the place of the last."""
    db.execute(delete(LoginNote).where(LoginNote.user_name == name, LoginNote.message == message))
    db.add(LoginNote(id=new_id(), user_name=name, message=message, params=params, created_at=at))
    db.flush()


def list_notes(db: Session, name: str) -> list[Note]:
    """What waits for somebody, oldest first."""
    rows = db.scalars(select(LoginNote).where(LoginNote.user_name == name).order_by(LoginNote.created_at, LoginNote.id))
    return [Note(row.id, row.message, row.params, row.created_at) for row in rows]


def remove_notes(db: Session, name: str, ids: Sequence[str]) -> None:
    """Forget what somebody has read."""
    db.execute(delete(LoginNote).where(LoginNote.user_name == name, LoginNote.id.in_(ids)))
