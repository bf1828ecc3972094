"""Compute sessions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from ...core.sessions import SessionStatus
from ...core.slots import ResourceSlots
from .base import Base, now

_LIVE = text("released_at IS NULL")
_UNTOLD = text("wants_mail AND mailed_at IS NULL")


class ComputeSession(Base):
    """A compute session: one hub server, or one batch job, from its admission on. It holds its slots until ``released_at``."""

    __tablename__ = "sessions"
    __table_args__ = (
        # The hub runs one server per name, and so does the database: what a bug or a race lets through fails here.
        Index("uq_sessions_live_server", "user_id", "server_name", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        # Live rows are few among very many over ones: counting a queue reads the live ones only.
        Index("ix_sessions_live_queue", "queue", sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("ix_sessions_live_user_id", "user_id", sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("ix_sessions_live_domain_project", "domain", "project", sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("ix_sessions_user_id_created_at", "user_id", "created_at"),
        # the list in its usual order: a page far back is found without reading the rows before it
        Index("ix_sessions_created_at_id", "created_at", "id"),
        # the waits of a queue, newest first (store/waits.py)
        Index("ix_sessions_queue_created_at", "queue", "created_at"),
        # mails that are still to be written: next to none among all rows
        Index("ix_sessions_untold", "created_at", sqlite_where=_UNTOLD, postgresql_where=_UNTOLD),
        # statistics read the sessions of a period: those that ended after its beginning
        Index("ix_sessions_terminated_at", "terminated_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(32), ForeignKey("users.id"))
    domain: Mapped[str] = mapped_column(String(64))
    project: Mapped[str] = mapped_column(String(64))
    access_key: Mapped[str] = mapped_column(String(32), default="")
    name: Mapped[str] = mapped_column(String(64), default="")
    server_name: Mapped[str] = mapped_column(String(255), default="")
    queue: Mapped[str] = mapped_column(String(64))
    engine: Mapped[str] = mapped_column(String(32))
    environment: Mapped[str] = mapped_column(String(64))
    interface: Mapped[str] = mapped_column(String(16))
    status: Mapped[SessionStatus] = mapped_column(default=SessionStatus.PENDING)
    status_reason: Mapped[str] = mapped_column(Text, default="")
    slots: Mapped[ResourceSlots]
    gpu_type: Mapped[str] = mapped_column(String(64), default="")
    devices: Mapped[list[int]] = mapped_column(default=list)
    time_limit_s: Mapped[int] = mapped_column(BigInteger)
    posix_name: Mapped[str | None] = mapped_column(String(255))
    job_id: Mapped[str] = mapped_column(String(64), default="")
    node: Mapped[str] = mapped_column(String(255), default="")
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    terminated_at: Mapped[datetime | None]
    released_at: Mapped[datetime | None]
    # -- waiting for a place, on engines without a queue of their own (core/scheduling.py)
    scheduled_at: Mapped[datetime | None]
    starts_at: Mapped[datetime | None]
    depends_on: Mapped[list[str]] = mapped_column(default=list)
    retries: Mapped[int] = mapped_column(default=0)
    waiting_for: Mapped[dict[str, Any]] = mapped_column(default=dict)
    # -- batch sessions (store/batch.py); the commands are read only where they are needed
    session_type: Mapped[str] = mapped_column(String(16), default="interactive", server_default="interactive")
    command: Mapped[str] = mapped_column(Text, default="", server_default="", deferred=True)
    exit_code: Mapped[int | None]
    # -- what was chosen of the engine's scheduler (core/scheduler_choice.py)
    choice: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    # what shares of GPUs are in its own words, such as shard:v100:4
    gres: Mapped[str] = mapped_column(String(128), default="", server_default="")
    # -- how long it waited, and for how long its owner wants to (store/waits.py); ``told`` is what was expected when it was admitted
    began_at: Mapped[datetime | None]
    told: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    patience_s: Mapped[int | None] = mapped_column(BigInteger)
    wants_mail: Mapped[bool] = mapped_column(default=False, server_default=false())
    mailed_at: Mapped[datetime | None]
    # -- more time that it was given while it ran (store/extensions.py); ``time_limit_s`` has it already
    extended_s: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    extensions: Mapped[int] = mapped_column(default=0, server_default="0")
    # -- its end (store/idle.py): when a policy (``idle`` or ``lifetime``) is about to end it, when its owner wanted to keep it, for which
    # end a mail was sent; and why it ended, as words with their values, so that they can be translated
    kept_at: Mapped[datetime | None]
    policy_ends_at: Mapped[datetime | None]
    policy_end: Mapped[str] = mapped_column(String(16), default="", server_default="")
    warned_for: Mapped[datetime | None]
    ending: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
