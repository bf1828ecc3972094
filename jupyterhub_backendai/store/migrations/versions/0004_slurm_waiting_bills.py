"""Choices of a scheduler, waits and their history, prices and the ledger, ends and warnings.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One function per subject."""
    _upgrade_choices()
    _upgrade_waits()
    _upgrade_ends()
    _upgrade_ledger()


def _upgrade_choices() -> None:
    """What a session was asked for of its engine's scheduler."""
    op.add_column("sessions", sa.Column("choice", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("sessions", sa.Column("gres", sa.String(128), nullable=False, server_default=""))


def _upgrade_waits() -> None:
    """When a session left its queue, what had been expected, and what its owner wants meanwhile."""
    op.add_column("sessions", sa.Column("began_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sessions", sa.Column("told", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("sessions", sa.Column("patience_s", sa.BigInteger(), nullable=True))
    op.add_column("sessions", sa.Column("wants_mail", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("sessions", sa.Column("mailed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_sessions_queue_created_at", "sessions", ["queue", "created_at"])
    untold = sa.text("wants_mail AND mailed_at IS NULL")
    op.create_index("ix_sessions_untold", "sessions", ["created_at"], sqlite_where=untold, postgresql_where=untold)


def _upgrade_ends() -> None:
    """More time for a session that runs, the end that a policy has in store for it, and why it ended in words that can be translated."""
    op.add_column("sessions", sa.Column("extended_s", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("sessions", sa.Column("extensions", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("sessions", sa.Column("kept_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sessions", sa.Column("policy_ends_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sessions", sa.Column("policy_end", sa.String(16), nullable=False, server_default=""))
    op.add_column("sessions", sa.Column("warned_for", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sessions", sa.Column("ending", sa.JSON(), nullable=False, server_default="{}"))


def _upgrade_ledger() -> None:
    """Accounts of whoever pays, entries, and the bill of each session of a priced queue."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "ledger_accounts",
        sa.Column("id", sa.String(length=80), nullable=False),
        sa.Column("available", sa.Text(), nullable=False),
        sa.Column("held", sa.Text(), nullable=False),
        sa.Column("warned_s", sa.BigInteger(), nullable=True),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_accounts")),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column("source", sa.String(length=96), nullable=False),
        sa.Column("target", sa.String(length=96), nullable=False),
        sa.Column("amount", sa.Text(), nullable=False),
        sa.Column("reference", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("note", sa.String(length=512), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
    )
    op.create_index("ix_ledger_entries_account_at", "ledger_entries", ["account", "at"])
    op.create_index("ix_ledger_entries_at", "ledger_entries", ["at"])
    op.create_index("ix_ledger_entries_reference", "ledger_entries", ["reference"])
    op.create_table(
        "session_bills",
        sa.Column("session_id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=80), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("user_name", sa.String(length=255), nullable=False),
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=32), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("rate", sa.Text(), nullable=False),
        sa.Column("most", sa.Text(), nullable=False),
        sa.Column("time_limit_s", sa.BigInteger(), nullable=False),
        sa.Column("slots", sa.Text(), nullable=False),
        sa.Column("prices", sa.Text(), nullable=False),
        sa.Column("gpu_type", sa.String(length=64), nullable=False),
        sa.Column("nodes", sa.JSON(), nullable=False),
        sa.Column("held", sa.Text(), nullable=False),
        sa.Column("charged", sa.Text(), nullable=False),
        sa.Column("refunded", sa.Text(), nullable=False),
        sa.Column("used_s", sa.BigInteger(), nullable=False),
        sa.Column("used_slots", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("settled_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_session_bills")),
    )
    op.create_index("ix_session_bills_domain", "session_bills", ["domain"])
    op.create_index("ix_session_bills_project_id", "session_bills", ["project_id"])
    unsettled = sa.text("settled_at IS NULL")
    op.create_index("ix_session_bills_unsettled", "session_bills", ["account"], sqlite_where=unsettled, postgresql_where=unsettled)
    op.create_index("ix_session_bills_user_id", "session_bills", ["user_id"])
