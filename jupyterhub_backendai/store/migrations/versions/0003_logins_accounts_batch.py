"""Login steps, recovery codes, local accounts, account pages, batch sessions.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One function per subject, in the order in which they were wanted."""
    _upgrade_images()


def _upgrade_images() -> None:
    """What a registry says of its images, what the last look through it came to, and which engines report a slot."""
    moment = sa.DateTime(timezone=True)
    op.add_column("images", sa.Column("digest", sa.String(length=160), nullable=False, server_default=""))
    op.add_column("images", sa.Column("architectures", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("images", sa.Column("size_bytes", sa.BigInteger(), nullable=True))
    op.add_column("images", sa.Column("image_labels", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("images", sa.Column("is_gone", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("images", sa.Column("scanned_at", moment, nullable=True))
    op.add_column("container_registries", sa.Column("takes_unlabelled", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("container_registries", sa.Column("scanned_at", moment, nullable=True))
    op.add_column("container_registries", sa.Column("scan_result", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("resource_slot_types", sa.Column("engines", sa.JSON(), nullable=False, server_default="[]"))
