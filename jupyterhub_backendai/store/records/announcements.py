"""Announcements."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from ...core.identity import Actor
from ...core.nouns import Record
from ...core.nouns.announcements import ANNOUNCEMENTS, LEVELS, check_times
from ...core.nouns.values import LANGUAGES
from ...errors import Violation
from ..models import Announcement
from .base import Records

_LABELS = frozenset({"title", "body"})


class AnnouncementRecords(Records):
    noun = ANNOUNCEMENTS
    model = Announcement

    def column(self, name: str) -> Any:
        texts = super().column(name)
        # PostgreSQL neither sorts nor searches JSON; in its text, letters that are not ASCII are written as numbers.
        return func.coalesce(*_texts(texts)) if name in _LABELS else texts

    def search(self, name: str, pattern: str) -> ColumnElement[bool]:
        return or_(*(text.ilike(pattern, escape="\\") for text in _texts(getattr(Announcement, name))))

    def check(self, db: Session, actor: Actor, values: Mapping[str, Any], row: Any | None) -> list[Violation]:  # noqa: ARG002
        starts_at, ends_at = (values.get(name, row and getattr(row, name)) for name in ("starts_at", "ends_at"))
        return check_times(starts_at, ends_at)


def list_current(db: Session, at: datetime) -> list[Record]:
    """What everybody is to read now, the gravest first, then the newest."""
    query = select(Announcement).where(
        Announcement.is_active.is_(True),
        or_(Announcement.starts_at.is_(None), Announcement.starts_at <= at),
        or_(Announcement.ends_at.is_(None), Announcement.ends_at > at),
    )
    rows = db.scalars(query.order_by(Announcement.created_at.desc(), Announcement.id)).all()
    records = AnnouncementRecords()
    found = [Record(row.id, values) for row, values in zip(rows, records.values_of(db, rows), strict=True)]
    return sorted(found, key=lambda record: -LEVELS.index(record.values["level"]))


def _texts(labels: Any) -> list[Any]:
    """The text of each language, in SQL."""
    return [labels[language].as_string() for language in LANGUAGES]
