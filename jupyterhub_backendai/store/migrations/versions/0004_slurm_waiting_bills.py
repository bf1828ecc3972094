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


def _upgrade_choices() -> None:
    """What a session was asked for of its engine's scheduler."""
    op.add_column("sessions", sa.Column("choice", sa.JSON(), nullable=False, server_default="{}"))
