"""Virtual folders: hosts and quota scopes, folders, sharing, uploads and long work.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

moment = sa.DateTime(timezone=True)
_NAMED = sa.text("status NOT IN ('delete-ongoing', 'delete-complete')")
_PENDING = sa.text("state = 'pending'")


def upgrade() -> None:
    """One function per subject."""
    _upgrade_storage_hosts()
    _upgrade_folders()
    _upgrade_sharing()
    _upgrade_work()


def _upgrade_storage_hosts() -> None:
    """Storage hosts of the configuration file, and who enforces quotas there."""
    op.add_column("storage_hosts", sa.Column("quota_driver", sa.String(length=16), server_default="auto", nullable=False))
    op.add_column("storage_hosts", sa.Column("is_configured", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("storage_hosts", sa.Column("position", sa.Integer(), server_default="0", nullable=False))
    op.create_table(
        "quota_scopes",
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("limit_bytes", sa.BigInteger(), nullable=True),
        sa.Column("is_limit_set", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("driver", sa.String(length=16), nullable=False),
        sa.Column("applied_bytes", sa.BigInteger(), nullable=True),
        sa.Column("used_bytes", sa.BigInteger(), nullable=True),
        sa.Column("used_files", sa.BigInteger(), nullable=True),
        sa.Column("measured_at", moment, nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.ForeignKeyConstraint(["host"], ["storage_hosts.name"], name="fk_quota_scopes_host_storage_hosts"),
        sa.PrimaryKeyConstraint("host", "id", name="pk_quota_scopes"),
    )


def _upgrade_folders() -> None:
    """Folders, and in which sessions they are."""
    op.create_table(
        "vfolders",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("host", sa.String(length=64), nullable=False),
        sa.Column("quota_scope_id", sa.String(length=64), nullable=False),
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("ownership_type", sa.String(length=16), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=True),
        sa.Column("project_id", sa.String(length=32), nullable=True),
        sa.Column("creator", sa.String(length=255), nullable=False),
        sa.Column("usage_mode", sa.String(length=16), nullable=False),
        sa.Column("permission", sa.String(length=16), nullable=False),
        sa.Column("cloneable", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(length=24), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=False),
        sa.Column("status_changed_at", moment, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("last_used_at", moment, nullable=True),
        sa.Column("used_bytes", sa.BigInteger(), nullable=True),
        sa.Column("used_files", sa.BigInteger(), nullable=True),
        sa.Column("measured_at", moment, nullable=True),
        sa.ForeignKeyConstraint(["domain"], ["domains.name"], name="fk_vfolders_domain_domains", onupdate="CASCADE"),
        sa.ForeignKeyConstraint(["host"], ["storage_hosts.name"], name="fk_vfolders_host_storage_hosts"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_vfolders_project_id_projects"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_vfolders_user_id_users"),
        sa.PrimaryKeyConstraint("id", name="pk_vfolders"),
    )
    op.create_index("ix_vfolders_domain", "vfolders", ["domain"], unique=False)
    op.create_index("ix_vfolders_host_quota_scope_id", "vfolders", ["host", "quota_scope_id"], unique=False)
    op.create_index("ix_vfolders_status", "vfolders", ["status"], unique=False)
    op.create_index(
        "uq_vfolders_project_id_name", "vfolders", ["project_id", "name"], unique=True, sqlite_where=_NAMED, postgresql_where=_NAMED
    )
    op.create_index("uq_vfolders_user_id_name", "vfolders", ["user_id", "name"], unique=True, sqlite_where=_NAMED, postgresql_where=_NAMED)
    op.create_table(
        "session_mounts",
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("target", sa.String(length=512), nullable=False),
        sa.Column("vfolder_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("subpath", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("is_read_only", sa.Boolean(), nullable=False),
        sa.Column("is_automatic", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name="fk_session_mounts_session_id_sessions", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("session_id", "target", name="pk_session_mounts"),
    )
    op.create_index("ix_session_mounts_vfolder_id", "session_mounts", ["vfolder_id"], unique=False)


def _upgrade_sharing() -> None:
    """Who may use folders of others, and who was asked to."""
    op.create_table(
        "vfolder_permissions",
        sa.Column("vfolder_id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("permission", sa.String(length=16), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_vfolder_permissions_user_id_users", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["vfolder_id"], ["vfolders.id"], name="fk_vfolder_permissions_vfolder_id_vfolders", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("vfolder_id", "user_id", name="pk_vfolder_permissions"),
    )
    op.create_index("ix_vfolder_permissions_user_id", "vfolder_permissions", ["user_id"], unique=False)
    op.create_table(
        "folder_gates",
        sa.Column("vfolder_id", sa.String(length=32), nullable=False),
        sa.Column("applied", sa.JSON(), nullable=False),
        sa.Column("applied_at", moment, nullable=False),
        sa.ForeignKeyConstraint(["vfolder_id"], ["vfolders.id"], name="fk_folder_gates_vfolder_id_vfolders", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("vfolder_id", name="pk_folder_gates"),
    )
    op.create_table(
        "vfolder_invitations",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("vfolder_id", sa.String(length=32), nullable=False),
        sa.Column("inviter_id", sa.String(length=32), nullable=False),
        sa.Column("invitee_id", sa.String(length=32), nullable=False),
        sa.Column("permission", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("modified_at", moment, nullable=False),
        sa.ForeignKeyConstraint(["invitee_id"], ["users.id"], name="fk_vfolder_invitations_invitee_id_users", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["inviter_id"], ["users.id"], name="fk_vfolder_invitations_inviter_id_users", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["vfolder_id"], ["vfolders.id"], name="fk_vfolder_invitations_vfolder_id_vfolders", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_vfolder_invitations"),
    )
    op.create_index("ix_vfolder_invitations_invitee_id_state", "vfolder_invitations", ["invitee_id", "state"], unique=False)
    op.create_index("ix_vfolder_invitations_inviter_id", "vfolder_invitations", ["inviter_id"], unique=False)
    op.create_index(
        "uq_vfolder_invitations_pending",
        "vfolder_invitations",
        ["vfolder_id", "invitee_id"],
        unique=True,
        sqlite_where=_PENDING,
        postgresql_where=_PENDING,
    )


def _upgrade_work() -> None:
    """Uploads that go on, and long work on folders."""
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("vfolder_id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.Column("is_replacing", sa.Boolean(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("locked_by", sa.String(length=64), nullable=False),
        sa.Column("locked_until", moment, nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_uploads_user_id_users", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["vfolder_id"], ["vfolders.id"], name="fk_uploads_vfolder_id_vfolders", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
    )
    op.create_index("ix_uploads_expires_at", "uploads", ["expires_at"], unique=False)
    op.create_index("ix_uploads_user_id", "uploads", ["user_id"], unique=False)
    op.create_index("ix_uploads_vfolder_id", "uploads", ["vfolder_id"], unique=False)
    op.create_table(
        "folder_tasks",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("vfolder_id", sa.String(length=32), nullable=False),
        sa.Column("source_id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("done_bytes", sa.BigInteger(), nullable=False),
        sa.Column("total_bytes", sa.BigInteger(), nullable=True),
        sa.Column("done_files", sa.BigInteger(), nullable=False),
        sa.Column("total_files", sa.BigInteger(), nullable=True),
        sa.Column("trouble", sa.JSON(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("not_before", moment, nullable=True),
        sa.Column("beat_at", moment, nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("ended_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_folder_tasks"),
    )
    op.create_index("ix_folder_tasks_status_created_at", "folder_tasks", ["status", "created_at"], unique=False)
    op.create_index("ix_folder_tasks_vfolder_id", "folder_tasks", ["vfolder_id"], unique=False)
