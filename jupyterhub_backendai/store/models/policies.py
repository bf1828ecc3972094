"""The three kinds of policy. None is no limit."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from ...core.slots import ResourceSlots
from .base import Base, now


class KeypairResourcePolicy(Base):
    """What one keypair may have at a time.

    ``default_for_unspecified`` says what a slot means that is not named: limited (there is none) or unlimited.
    """

    __tablename__ = "keypair_resource_policies"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    total_resource_slots: Mapped[ResourceSlots] = mapped_column(default=ResourceSlots)
    default_for_unspecified: Mapped[str] = mapped_column(String(16), default="unlimited")
    max_concurrent_sessions: Mapped[int | None]
    max_concurrent_sftp_sessions: Mapped[int | None]
    max_pending_session_count: Mapped[int | None]
    max_pending_session_resource_slots: Mapped[ResourceSlots | None]
    max_session_lifetime_s: Mapped[int | None] = mapped_column(BigInteger)
    idle_timeout_s: Mapped[int | None] = mapped_column(BigInteger)
    max_containers_per_session: Mapped[int | None]
    allowed_vfolder_hosts: Mapped[dict[str, list[str]]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)


class UserResourcePolicy(Base):
    """What one person may have, over all keypairs. The slots and sessions are those of the main keypair's policy (contract §7.3)."""

    __tablename__ = "user_resource_policies"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    max_vfolder_count: Mapped[int | None]
    max_quota_scope_size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    max_session_count_per_model_session: Mapped[int | None]
    max_customized_image_count: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class ProjectResourcePolicy(Base):
    """What one project may keep."""

    __tablename__ = "project_resource_policies"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    max_vfolder_count: Mapped[int | None]
    max_quota_scope_size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=now)
