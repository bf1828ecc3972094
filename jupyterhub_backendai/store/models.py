"""The tables. Text ids are uuid4 hex, times are UTC, enums are stored by value, slots as JSON text of exact decimals."""

from __future__ import annotations

import enum
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Enum, ForeignKey, Index, MetaData, String, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from ..core.sessions import SessionStatus
from ..core.slots import ResourceSlots


class Role(enum.Enum):
    """What a user may do on the platform (not on the hub)."""

    USER = "user"
    ADMIN = "admin"
    SUPERADMIN = "superadmin"


class UserStatus(enum.Enum):
    """Whether somebody may work here."""

    ACTIVE = "active"
    INACTIVE = "inactive"


class UTCDateTime(TypeDecorator[datetime]):
    """A moment. SQLite keeps no time zone, so UTC is taken off on the way in and put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a time zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the interface
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class SlotsText(TypeDecorator[ResourceSlots]):
    """Amounts of slots as JSON text: binary floating point never touches them."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: ResourceSlots | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - the interface
        return None if value is None else json.dumps(value.to_json(), sort_keys=True)

    def process_result_value(self, value: str | None, dialect: Dialect) -> ResourceSlots | None:  # noqa: ARG002 - the interface
        return None if value is None else ResourceSlots.from_json(json.loads(value))


def new_id() -> str:
    """An id for a new row."""
    return uuid.uuid4().hex


def now() -> datetime:
    """This moment, aware, as every time in the database."""
    return datetime.now(UTC)


def _by_value(kind: type[enum.Enum]) -> Enum:
    # A plain text column: a new word needs no ALTER TYPE.
    return Enum(kind, native_enum=False, create_constraint=False, length=16, values_callable=lambda members: [m.value for m in members])


class Base(DeclarativeBase):
    """Constraint names are the same on every database, so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own way
        datetime: UTCDateTime(),
        ResourceSlots: SlotsText(),
        SessionStatus: _by_value(SessionStatus),
        Role: _by_value(Role),
        UserStatus: _by_value(UserStatus),
        list[str]: JSON(),
        list[int]: JSON(),
        dict[str, Any]: JSON(),
    }


class Domain(Base):
    """The outermost tenant."""

    __tablename__ = "domains"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    description: Mapped[str] = mapped_column(String(512), default="")
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Project(Base):
    """A group of people of one domain who work on one thing (``group`` on the wire)."""

    __tablename__ = "projects"
    __table_args__ = (Index("uq_projects_domain_name", "domain", "name", unique=True),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    domain: Mapped[str] = mapped_column(String(64), ForeignKey("domains.name", onupdate="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class User(Base):
    """Somebody who logged in at least once. ``name`` is the hub's, ``posix_*`` the Unix account, which may have another."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    display_name: Mapped[str] = mapped_column(String(255), default="")
    email: Mapped[str] = mapped_column(String(255), default="")
    domain: Mapped[str] = mapped_column(String(64), ForeignKey("domains.name", onupdate="CASCADE"), index=True)
    role: Mapped[Role] = mapped_column(default=Role.USER)
    status: Mapped[UserStatus] = mapped_column(default=UserStatus.ACTIVE)
    language: Mapped[str] = mapped_column(String(8), default="")
    posix_name: Mapped[str | None] = mapped_column(String(255))
    posix_uid: Mapped[int | None] = mapped_column(BigInteger)
    posix_gid: Mapped[int | None] = mapped_column(BigInteger)
    posix_home: Mapped[str | None] = mapped_column(String(1024))
    created_at: Mapped[datetime] = mapped_column(default=now)
    last_login_at: Mapped[datetime | None]


class ProjectMember(Base):
    """Who is in which project."""

    __tablename__ = "project_members"

    user_id: Mapped[str] = mapped_column(String(32), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[str] = mapped_column(String(32), ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True, index=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Keypair(Base):
    """What a program signs its calls with; ``secret_key`` is encrypted."""

    __tablename__ = "keypairs"

    access_key: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(32), ForeignKey("users.id", ondelete="CASCADE"), index=True)
    secret_key: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(default=True)
    is_main: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)


class LocalAccount(Base):
    """Somebody of the embedded directory."""

    __tablename__ = "local_accounts"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    password_hash: Mapped[str] = mapped_column(Text)
    display_name: Mapped[str] = mapped_column(String(255), default="")
    email: Mapped[str] = mapped_column(String(255), default="")
    groups: Mapped[list[str]] = mapped_column(default=list)
    posix_name: Mapped[str | None] = mapped_column(String(255))
    posix_uid: Mapped[int | None] = mapped_column(BigInteger)
    posix_gid: Mapped[int | None] = mapped_column(BigInteger)
    posix_home: Mapped[str | None] = mapped_column(String(1024))
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=now)


class OTPToken(Base):
    """A person's one-time-password generator. ``last_step`` is the last accepted time step: none before it is taken again."""

    __tablename__ = "otp_tokens"

    user_name: Mapped[str] = mapped_column(String(255), primary_key=True)
    secret: Mapped[str] = mapped_column(Text)
    last_step: Mapped[int] = mapped_column(BigInteger, default=0)
    drift: Mapped[int] = mapped_column(default=0)
    confirmed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


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


_LIVE = text("released_at IS NULL")


class ComputeSession(Base):
    """A compute session: one hub server from its admission on. It holds its slots until ``released_at``."""

    __tablename__ = "sessions"
    __table_args__ = (
        # The hub runs one server per name, and so does the database: what a bug or a race lets through fails here.
        Index("uq_sessions_live_server", "user_id", "server_name", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        # Live rows are few among very many over ones: counting a queue reads the live ones only.
        Index("ix_sessions_live_queue", "queue", sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("ix_sessions_user_id_created_at", "user_id", "created_at"),
        Index("ix_sessions_created_at", "created_at"),
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


class AuditEntry(Base):
    """One security-relevant act."""

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_at", "at"), Index("ix_audit_log_actor_at", "actor", "at"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    at: Mapped[datetime] = mapped_column(default=now)
    actor: Mapped[str] = mapped_column(String(255))
    action: Mapped[str] = mapped_column(String(64))
    object: Mapped[str] = mapped_column(String(255), default="")
    source: Mapped[str] = mapped_column(String(64), default="")
    result: Mapped[str] = mapped_column(String(32), default="ok")
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)


class Lease(Base):
    """Who does a piece of single-run work at the moment; free for others after ``until``."""

    __tablename__ = "leases"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(128))
    until: Mapped[datetime]
