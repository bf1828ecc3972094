"""Files of very many things, and how far each is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, now


class BulkImport(Base):
    """One file of an administrator's. What stands in it is kept nowhere: it may hold passwords."""

    __tablename__ = "bulk_imports"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    noun: Mapped[str] = mapped_column(String(64))
    actor: Mapped[str] = mapped_column(String(255))
    state: Mapped[str] = mapped_column(String(16))
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    updated_at: Mapped[datetime] = mapped_column(default=now)
