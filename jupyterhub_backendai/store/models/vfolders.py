"""Virtual folders, who may use them, where their bytes are counted, and what is being done to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, false, text
from sqlalchemy.orm import Mapped, mapped_column

from ...core.vfolders import FolderStatus, InvitationState, OwnershipType, Permission, UsageMode
from .base import Base, new_id, now

_NAMED = text("status NOT IN ('delete-ongoing', 'delete-complete')")
_PENDING = text("state = 'pending'")


class VFolder(Base):
    """A virtual folder. Its bytes are in ``<host>/<quota scope>/<id>``; ``used_*`` is what the last measuring found."""

    __tablename__ = "vfolders"
    __table_args__ = (
        # A name is taken until the folder is deleted for good; what a race lets through fails here.
        Index("uq_vfolders_user_id_name", "user_id", "name", unique=True, sqlite_where=_NAMED, postgresql_where=_NAMED),
        Index("uq_vfolders_project_id_name", "project_id", "name", unique=True, sqlite_where=_NAMED, postgresql_where=_NAMED),
        Index("ix_vfolders_host_quota_scope_id", "host", "quota_scope_id"),
        Index("ix_vfolders_status", "status"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(128))
    host: Mapped[str] = mapped_column(String(64), ForeignKey("storage_hosts.name"))
    quota_scope_id: Mapped[str] = mapped_column(String(64))
    domain: Mapped[str] = mapped_column(String(64), ForeignKey("domains.name", onupdate="CASCADE"), index=True)
    ownership_type: Mapped[OwnershipType]
    user_id: Mapped[str | None] = mapped_column(String(32), ForeignKey("users.id"))
    project_id: Mapped[str | None] = mapped_column(String(32), ForeignKey("projects.id"))
    creator: Mapped[str] = mapped_column(String(255))
    usage_mode: Mapped[UsageMode] = mapped_column(default=UsageMode.GENERAL)
    permission: Mapped[Permission] = mapped_column(default=Permission.READ_WRITE)
    cloneable: Mapped[bool] = mapped_column(default=False)
    status: Mapped[FolderStatus] = mapped_column(default=FolderStatus.READY)
    status_reason: Mapped[str] = mapped_column(Text, default="")
    status_changed_at: Mapped[datetime] = mapped_column(default=now)
    created_at: Mapped[datetime] = mapped_column(default=now)
    last_used_at: Mapped[datetime | None]
    used_bytes: Mapped[int | None] = mapped_column(BigInteger)
    used_files: Mapped[int | None] = mapped_column(BigInteger)
    measured_at: Mapped[datetime | None]


class VFolderPermission(Base):
    """What one person may do with a folder that is not theirs: by an accepted ``invitation``, or an ``override`` in a project's."""

    __tablename__ = "vfolder_permissions"

    vfolder_id: Mapped[str] = mapped_column(String(32), ForeignKey("vfolders.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(32), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)
    permission: Mapped[Permission]
    source: Mapped[str] = mapped_column(String(16), default="invitation")
    created_at: Mapped[datetime] = mapped_column(default=now)


class FolderGate(Base):
    """Whom a folder's gate on disk lets in, as it was applied last: uids (texts) with permissions. No row: nothing was ever applied."""

    __tablename__ = "folder_gates"

    vfolder_id: Mapped[str] = mapped_column(String(32), ForeignKey("vfolders.id", ondelete="CASCADE"), primary_key=True)
    applied: Mapped[dict[str, Any]] = mapped_column(default=dict)
    applied_at: Mapped[datetime] = mapped_column(default=now)


class VFolderInvitation(Base):
    """Somebody was asked to share a folder."""

    __tablename__ = "vfolder_invitations"
    __table_args__ = (
        Index("uq_vfolder_invitations_pending", "vfolder_id", "invitee_id", unique=True, sqlite_where=_PENDING, postgresql_where=_PENDING),
        Index("ix_vfolder_invitations_invitee_id_state", "invitee_id", "state"),
        Index("ix_vfolder_invitations_inviter_id", "inviter_id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    vfolder_id: Mapped[str] = mapped_column(String(32), ForeignKey("vfolders.id", ondelete="CASCADE"))
    inviter_id: Mapped[str] = mapped_column(String(32), ForeignKey("users.id", ondelete="CASCADE"))
    invitee_id: Mapped[str] = mapped_column(String(32), ForeignKey("users.id", ondelete="CASCADE"))
    permission: Mapped[Permission]
    state: Mapped[InvitationState] = mapped_column(default=InvitationState.PENDING)
    created_at: Mapped[datetime] = mapped_column(default=now)
    modified_at: Mapped[datetime] = mapped_column(default=now)


class QuotaScope(Base):
    """Where bytes are counted: one per owner (``user:<id>``, ``project:<id>``) and host.

    ``limit_bytes`` None is the policy's, unless ``is_limit_set``: then an administrator gave it. ``driver`` says who enforces it:
    a kernel's quota, or ``accounting`` (we count, and what sessions write is seen late).
    """

    __tablename__ = "quota_scopes"

    host: Mapped[str] = mapped_column(String(64), ForeignKey("storage_hosts.name"), primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    limit_bytes: Mapped[int | None] = mapped_column(BigInteger)
    is_limit_set: Mapped[bool] = mapped_column(default=False, server_default=false())
    driver: Mapped[str] = mapped_column(String(16), default="")
    # what the kernel was told last: None is nothing yet
    applied_bytes: Mapped[int | None] = mapped_column(BigInteger)
    used_bytes: Mapped[int | None] = mapped_column(BigInteger)
    used_files: Mapped[int | None] = mapped_column(BigInteger)
    measured_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Upload(Base):
    """A file that is being uploaded; it reserves its size until it is done, dropped or too old.

    ``path`` is the target beneath the folder as base64url of its bytes. ``locked_until``: somebody writes to it now.
    """

    __tablename__ = "uploads"
    __table_args__ = (Index("ix_uploads_expires_at", "expires_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    vfolder_id: Mapped[str] = mapped_column(String(32), ForeignKey("vfolders.id", ondelete="CASCADE"), index=True)
    user_id: Mapped[str] = mapped_column(String(32), ForeignKey("users.id", ondelete="CASCADE"), index=True)
    path: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    received_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    is_replacing: Mapped[bool] = mapped_column(default=False)
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)  # the client's own Upload-Metadata, to be given back
    locked_by: Mapped[str] = mapped_column(String(64), default="")
    locked_until: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime]


class FolderTask(Base):
    """Long work on a folder: ``clone``, ``purge``, ``access`` (who may use the files) or ``measure``. Any process may go on with it.

    ``status``: pending, running, done, failed or cancelled. A running one whose ``beat_at`` is old was left by a process that ended.
    """

    __tablename__ = "folder_tasks"
    __table_args__ = (Index("ix_folder_tasks_status_created_at", "status", "created_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    kind: Mapped[str] = mapped_column(String(16))
    vfolder_id: Mapped[str] = mapped_column(String(32), index=True)
    source_id: Mapped[str] = mapped_column(String(32), default="")
    user_id: Mapped[str] = mapped_column(String(32), default="")
    status: Mapped[str] = mapped_column(String(16), default="pending")
    done_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    total_bytes: Mapped[int | None] = mapped_column(BigInteger)
    done_files: Mapped[int] = mapped_column(BigInteger, default=0)
    total_files: Mapped[int | None] = mapped_column(BigInteger)
    trouble: Mapped[dict[str, Any]] = mapped_column(default=dict)  # an error's to_problem()
    tries: Mapped[int] = mapped_column(default=0)
    not_before: Mapped[datetime | None]
    beat_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]


class SessionMount(Base):
    """A folder in a session (``core.vfolder_mounts.Mount``)."""

    __tablename__ = "session_mounts"

    session_id: Mapped[str] = mapped_column(String(32), ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True)
    target: Mapped[str] = mapped_column(String(512), primary_key=True)
    vfolder_id: Mapped[str] = mapped_column(String(32), index=True)
    name: Mapped[str] = mapped_column(String(128))
    subpath: Mapped[str] = mapped_column(Text, default="")
    source: Mapped[str] = mapped_column(Text)
    is_read_only: Mapped[bool]
    is_automatic: Mapped[bool] = mapped_column(default=False)
