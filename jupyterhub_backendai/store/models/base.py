"""What all tables share: column types, ids, and the names of constraints."""

from __future__ import annotations

import enum
import functools
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Enum, MetaData, Text
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator

from ...core.identity import Role, UserStatus
from ...core.sessions import SessionStatus
from ...core.slots import ResourceSlots
from ...core.vfolders import FolderStatus, InvitationState, OwnershipType, Permission, UsageMode


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
        return None if value is None else _parse_slots(value)


@functools.lru_cache(maxsize=4096)
def _parse_slots(text: str) -> ResourceSlots:
    """Immutable, so the same text is the same object: a queue reads thousands of rows with a handful of different amounts."""
    return ResourceSlots.from_json(json.loads(text))


def new_id() -> str:
    """An id for a new row."""
    return uuid.uuid4().hex


def now() -> datetime:
    """This moment, aware, as every time in the database."""
    return datetime.now(UTC)


def _by_value(kind: type[enum.Enum], length: int = 16) -> Enum:
    # A plain text column: a new word needs no ALTER TYPE.
    return Enum(kind, native_enum=False, create_constraint=False, length=length, values_callable=lambda members: [m.value for m in members])


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
        UserStatus: _by_value(UserStatus, 24),
        FolderStatus: _by_value(FolderStatus, 24),
        InvitationState: _by_value(InvitationState),
        OwnershipType: _by_value(OwnershipType),
        Permission: _by_value(Permission),
        UsageMode: _by_value(UsageMode),
        list[str]: JSON(),
        list[int]: JSON(),
        dict[str, str]: JSON(),
        list[dict[str, str]]: JSON(),
        dict[str, list[str]]: JSON(),
        dict[str, Any]: JSON(),
    }
