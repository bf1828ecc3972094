"""Calls of the REST interface, counted against rate limits."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class CallWindow(Base):
    """How many calls were given out to somebody (an access key, or ``user:<id>``) since ``started_at``."""

    __tablename__ = "call_windows"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    started_at: Mapped[datetime]
    calls: Mapped[int] = mapped_column(default=0)
