"""Everybody's sessions, to look at. Ending one goes through the hub and is none of the store's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from ...core.nouns import Query
from ...core.nouns.sessions import SESSIONS
from ..models import ComputeSession, User
from .base import Records
from .like import like

# The wire's words for the table's.
_COLUMNS: Mapping[str, Any] = {"resource_group": ComputeSession.queue, "user": User.name}
_SHOWN = tuple(name for name in SESSIONS.field_names if name not in {"user", "resource_group", "is_live", "status"})


class SessionRecords(Records):
    """Past sessions are very many: people are joined only where a list is sorted by them, so that counting reads one index."""

    noun = SESSIONS
    model = ComputeSession
    domain_column = "domain"

    def column(self, name: str) -> Any:
        return _COLUMNS[name] if name in _COLUMNS else super().column(name)

    def values_of(self, db: Session, rows: Sequence[Any]) -> list[dict[str, Any]]:
        ids = {row.user_id for row in rows}
        people = {row.id: row.name for row in db.execute(select(User.id, User.name).where(User.id.in_(ids)))}
        return [
            {
                **{name: getattr(row, name) for name in _SHOWN},
                "user": people[row.user_id],
                "resource_group": row.queue,
                "status": row.status.value,
                "is_live": row.released_at is None,
            }
            for row in rows
        ]

    def search(self, name: str, pattern: str) -> ColumnElement[bool]:
        if name == "user":
            return ComputeSession.user_id.in_(select(User.id).where(like(User.name, pattern)))
        return super().search(name, pattern)

    def filter(self, name: str, text: str) -> ColumnElement[bool]:
        if name == "user":
            return ComputeSession.user_id == select(User.id).where(User.name == text).scalar_subquery()
        if name == "is_live":
            released = ComputeSession.released_at
            return released.is_(None) if text.lower() in {"true", "1", "yes"} else released.is_not(None)
        if name == "project" and "/" in text:
            domain, _, project = text.rpartition("/")
            return and_(ComputeSession.domain == domain, ComputeSession.project == project)
        return super().filter(name, text.upper() if name == "status" else text)

    def _sort(self, found: Select[Any], query: Query) -> Select[Any]:
        if query.sort.removeprefix("-") == "user":
            found = found.join(User, User.id == ComputeSession.user_id)
        return super()._sort(found, query)
