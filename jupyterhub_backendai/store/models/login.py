"""One-time passwords, logins that wait for a step, and failed ones."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, new_id, now


class OTPToken(Base):
    """A person's one-time-password generator. ``last_step`` is the last accepted time step: none before it is taken again."""

    __tablename__ = "otp_tokens"

    user_name: Mapped[str] = mapped_column(String(255), primary_key=True)
    secret: Mapped[str] = mapped_column(Text)
    last_step: Mapped[int] = mapped_column(BigInteger, default=0)
    drift: Mapped[int] = mapped_column(default=0)
    confirmed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class RecoveryCode(Base):
    """A word that takes the place of a one-time password, once. All of one person share a salt; ``hash`` is scrypt's."""

    __tablename__ = "recovery_codes"

    user_name: Mapped[str] = mapped_column(String(255), primary_key=True)
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    salt: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(default=now)
    used_at: Mapped[datetime | None]


class LoginNote(Base):
    """What somebody is told at their next login: a message with named places, and their values."""

    __tablename__ = "login_notes"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    user_name: Mapped[str] = mapped_column(String(255), index=True)
    message: Mapped[str] = mapped_column(Text)
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)


class LoginSource(Base):
    """A network that somebody came in from before: strangers who fail elsewhere do not make them wait."""

    __tablename__ = "login_sources"

    user_name: Mapped[str] = mapped_column(String(255), primary_key=True)
    net: Mapped[str] = mapped_column(String(64), primary_key=True)
    last_at: Mapped[datetime] = mapped_column(default=now, index=True)


class LoginTicket(Base):
    """A login that waits for its next step. ``id`` is the SHA-256 of what the browser holds, ``payload`` is encrypted."""

    __tablename__ = "login_tickets"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_name: Mapped[str] = mapped_column(String(255))
    step: Mapped[str] = mapped_column(String(32))
    next: Mapped[str] = mapped_column(Text, default="")
    payload: Mapped[str] = mapped_column(Text, default="")
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class LoginFailure(Base):
    """Failed logins in a row of ``user:<name>`` or ``source:<network>``; refused ``until`` then."""

    __tablename__ = "login_failures"

    key: Mapped[str] = mapped_column(String(320), primary_key=True)
    count: Mapped[int] = mapped_column(default=0)
    until: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(default=now, index=True)
