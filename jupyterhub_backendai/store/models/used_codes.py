"""One-time passwords that other servers accepted, so that each is good once."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base


class UsedCode(Base):
    """A code that somebody logged in with. ``digest`` is the SHA-256 of name and code."""

    __tablename__ = "used_codes"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    taken_at: Mapped[datetime] = mapped_column(index=True)
