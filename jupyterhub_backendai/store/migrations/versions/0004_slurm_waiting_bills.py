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


def _upgrade_choices() -> None:
    """What a session was asked for of its engine's scheduler."""
    op.add_column("sessions", sa.Column("choice", sa.JSON(), nullable=False, server_default="{}"))


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
