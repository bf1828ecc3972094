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
    _upgrade_batch()
    _upgrade_login_steps()
    _upgrade_account_pages()
    _upgrade_used_codes()
    _upgrade_local_accounts()
    _upgrade_mapping()


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


def _upgrade_batch() -> None:
    """Sessions that run commands by themselves, and calls counted against a keypair's rate limit."""
    op.add_column("sessions", sa.Column("session_type", sa.String(length=16), nullable=False, server_default="interactive"))
    op.add_column("sessions", sa.Column("command", sa.Text(), nullable=False, server_default=""))
    op.add_column("sessions", sa.Column("exit_code", sa.Integer(), nullable=True))
    op.drop_index("ix_sessions_created_at", table_name="sessions")
    op.create_index("ix_sessions_created_at_id", "sessions", ["created_at", "id"])
    op.create_table(
        "call_windows",
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("calls", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_call_windows")),
    )
    op.create_table(
        "bulk_imports",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("noun", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bulk_imports")),
    )


def _upgrade_login_steps() -> None:
    """Recovery codes, what people are told at their next login, and where they came in from before."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "recovery_codes",
        sa.Column("user_name", sa.String(length=255), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("salt", sa.String(length=32), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("used_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("user_name", "hash", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "login_notes",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("user_name", sa.String(length=255), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_login_notes")),
    )
    op.create_index(op.f("ix_login_notes_user_name"), "login_notes", ["user_name"])
    op.create_table(
        "login_sources",
        sa.Column("user_name", sa.String(length=255), nullable=False),
        sa.Column("net", sa.String(length=64), nullable=False),
        sa.Column("last_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("user_name", "net", name=op.f("pk_login_sources")),
    )
    op.create_index(op.f("ix_login_sources_last_at"), "login_sources", ["last_at"])


def _upgrade_account_pages() -> None:
    """Browsers that are logged in, and people's own SSH keys."""
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "active_logins",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("user_name", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=255), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("seen_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_active_logins"),
    )
    op.create_index("ix_active_logins_user_name", "active_logins", ["user_name"])
    op.create_index("ix_active_logins_expires_at", "active_logins", ["expires_at"])
    op.add_column("users", sa.Column("ssh_public_key", sa.Text(), nullable=False, server_default=""))
    op.add_column("keypairs", sa.Column("is_off_by_owner", sa.Boolean(), nullable=False, server_default=sa.false()))


def _upgrade_used_codes() -> None:
    """One-time passwords that other servers accepted."""
    op.create_table(
        "used_codes",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_used_codes")),
    )
    op.create_index(op.f("ix_used_codes_taken_at"), "used_codes", ["taken_at"])


def _upgrade_local_accounts() -> None:
    """Accounts that people made themselves: links in mail, invitations, and what is known of how they came."""
    moment = sa.DateTime(timezone=True)
    op.add_column("local_accounts", sa.Column("must_change_password", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("local_accounts", sa.Column("password_changed_at", moment, nullable=True))
    op.add_column("local_accounts", sa.Column("signed_up_at", moment, nullable=True))
    op.add_column("local_accounts", sa.Column("email_verified_at", moment, nullable=True))
    op.add_column("local_accounts", sa.Column("agreed_terms", sa.String(length=64), nullable=False, server_default=""))
    op.add_column("local_accounts", sa.Column("welcomed_at", moment, nullable=True))
    op.create_table(
        "account_links",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("user_name", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("used_at", moment, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_account_links")),
    )
    op.create_index(op.f("ix_account_links_user_name"), "account_links", ["user_name"])
    op.create_index(op.f("ix_account_links_expires_at"), "account_links", ["expires_at"])
    op.create_table(
        "sign_up_invitations",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("projects", sa.JSON(), nullable=False),
        sa.Column("max_uses", sa.Integer(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("expires_at", moment, nullable=True),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.ForeignKeyConstraint(["domain"], ["domains.name"], name=op.f("fk_sign_up_invitations_domain_domains"), onupdate="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_up_invitations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_sign_up_invitations_token_hash")),
    )
    op.create_index(op.f("ix_sign_up_invitations_domain"), "sign_up_invitations", ["domain"])


def _upgrade_mapping() -> None:
    """What logins gave and therefore take away again, and who decided about somebody's domain."""
    for table, default in (("project_members", "site"), ("resource_group_keypairs", "site")):
        op.add_column(table, sa.Column("source", sa.String(length=16), nullable=False, server_default=default))
    op.add_column("users", sa.Column("domain_source", sa.String(length=16), nullable=False, server_default="directory"))
