"""The ledger: accounts of whoever pays, entries that are only ever added, and what each session was promised and charged."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, Dialect, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from ...core.slots import ResourceSlots
from .base import Base, now


class MoneyText(TypeDecorator[Decimal]):
    """An exact decimal as the text of a plain number: neither database's arithmetic ever touches it."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the interface
        return None if value is None else format(value, "f")

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:  # noqa: ARG002 - the interface
        return None if value is None else Decimal(value)


class LedgerAccount(Base):
    """Who pays (``user:<id>``, ``project:<id>``, ``domain:<name>``), and what the entries of both of its accounts come to.

    ``warned_s`` is the last mark before the end of the credit at which people were warned.
    """

    __tablename__ = "ledger_accounts"

    id: Mapped[str] = mapped_column(String(80), primary_key=True)
    available: Mapped[Decimal] = mapped_column(MoneyText, default=Decimal(0))
    held: Mapped[Decimal] = mapped_column(MoneyText, default=Decimal(0))
    warned_s: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=now)


class LedgerEntry(Base):
    """An amount that went from one account to another. Rows are added, never changed and never removed."""

    __tablename__ = "ledger_entries"
    __table_args__ = (
        Index("ix_ledger_entries_account_at", "account", "at"),
        Index("ix_ledger_entries_reference", "reference"),
        Index("ix_ledger_entries_at", "at"),
    )

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(default=now)
    kind: Mapped[str] = mapped_column(String(16))
    account: Mapped[str] = mapped_column(String(80))  # whose it is: the payer of the two
    source: Mapped[str] = mapped_column(String(96))
    target: Mapped[str] = mapped_column(String(96))
    amount: Mapped[Decimal] = mapped_column(MoneyText)
    reference: Mapped[str] = mapped_column(String(64), default="")  # the session, or the id of an act that must not be done twice
    actor: Mapped[str] = mapped_column(String(255), default="")
    note: Mapped[str] = mapped_column(String(512), default="")


class SessionBill(Base):
    """What a session of a priced queue was promised, and what became of it. One row for a session, whatever happens to it.

    ``held`` is what is held for it now; ``settled_at`` None: not settled. ``source`` says what the usage is known from. Names are
    kept as they were: a statement stays as it is when people and projects are renamed or gone.
    """

    __tablename__ = "session_bills"
    __table_args__ = (
        Index(
            "ix_session_bills_unsettled", "account", sqlite_where=text("settled_at IS NULL"), postgresql_where=text("settled_at IS NULL")
        ),
        Index("ix_session_bills_user_id", "user_id"),
        Index("ix_session_bills_domain", "domain"),
        Index("ix_session_bills_project_id", "project_id"),
    )

    session_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account: Mapped[str] = mapped_column(String(80))
    user_id: Mapped[str] = mapped_column(String(32))
    user_name: Mapped[str] = mapped_column(String(255))
    domain: Mapped[str] = mapped_column(String(64))
    project: Mapped[str] = mapped_column(String(64))
    project_id: Mapped[str] = mapped_column(String(32))
    queue: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(64), default="")
    rate: Mapped[Decimal] = mapped_column(MoneyText)
    most: Mapped[Decimal] = mapped_column(MoneyText)
    time_limit_s: Mapped[int] = mapped_column(BigInteger)
    slots: Mapped[ResourceSlots]
    prices: Mapped[ResourceSlots]
    gpu_type: Mapped[str] = mapped_column(String(64), default="")
    nodes: Mapped[list[dict[str, str]]] = mapped_column(default=list)
    held: Mapped[Decimal] = mapped_column(MoneyText)
    charged: Mapped[Decimal] = mapped_column(MoneyText, default=Decimal(0))
    refunded: Mapped[Decimal] = mapped_column(MoneyText, default=Decimal(0))
    used_s: Mapped[int] = mapped_column(BigInteger, default=0)
    used_slots: Mapped[ResourceSlots] = mapped_column(default=ResourceSlots)
    source: Mapped[str] = mapped_column(String(16), default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    settled_at: Mapped[datetime | None]
