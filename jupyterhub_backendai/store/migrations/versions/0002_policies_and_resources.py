"""Policies, resource groups, presets, images, and what sessions wait for.

Revision ID: 0002
Revises: 0001
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "announcements",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("title", sa.JSON(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_announcements")),
    )
    op.create_table(
        "container_registries",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("url", sa.String(length=512), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("projects", sa.JSON(), nullable=False),
        sa.Column("user_name", sa.String(length=255), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_container_registries")),
    )
    op.create_table(
        "keypair_resource_policies",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("total_resource_slots", sa.Text(), nullable=False),
        sa.Column("default_for_unspecified", sa.String(length=16), nullable=False),
        sa.Column("max_concurrent_sessions", sa.Integer(), nullable=True),
        sa.Column("max_concurrent_sftp_sessions", sa.Integer(), nullable=True),
        sa.Column("max_pending_session_count", sa.Integer(), nullable=True),
        sa.Column("max_pending_session_resource_slots", sa.Text(), nullable=True),
        sa.Column("max_session_lifetime_s", sa.BigInteger(), nullable=True),
        sa.Column("idle_timeout_s", sa.BigInteger(), nullable=True),
        sa.Column("max_containers_per_session", sa.Integer(), nullable=True),
        sa.Column("allowed_vfolder_hosts", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_keypair_resource_policies")),
    )
    op.create_table(
        "project_resource_policies",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("max_vfolder_count", sa.Integer(), nullable=True),
        sa.Column("max_quota_scope_size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_project_resource_policies")),
    )
    op.create_table(
        "resource_groups",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.String(length=512), nullable=False),
        sa.Column("engine", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("is_configured", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("is_public", sa.Boolean(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("scheduler", sa.String(length=16), nullable=False),
        sa.Column("pending_timeout_s", sa.BigInteger(), nullable=True),
        sa.Column("num_retries_to_skip", sa.Integer(), nullable=False),
        sa.Column("agent_selection_strategy", sa.String(length=16), nullable=False),
        sa.Column("allowed_session_types", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_resource_groups")),
    )
    op.create_table(
        "resource_slot_types",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_resource_slot_types")),
    )
    op.create_table(
        "settings",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_settings")),
    )
    op.create_table(
        "storage_hosts",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.String(length=512), nullable=False),
        sa.Column("path", sa.String(length=1024), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_storage_hosts")),
    )
    op.create_table(
        "user_resource_policies",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("max_vfolder_count", sa.Integer(), nullable=True),
        sa.Column("max_quota_scope_size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("max_session_count_per_model_session", sa.Integer(), nullable=True),
        sa.Column("max_customized_image_count", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_user_resource_policies")),
    )
    op.create_table(
        "images",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("container_registry", sa.String(length=64), nullable=True),
        sa.Column("min_slots", sa.Text(), nullable=False),
        sa.Column("max_slots", sa.Text(), nullable=False),
        sa.Column("is_configured", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["container_registry"],
            ["container_registries.name"],
            name=op.f("fk_images_container_registry_container_registries"),
            onupdate="CASCADE",
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_images")),
    )
    op.create_table(
        "resource_group_domains",
        sa.Column("resource_group", sa.String(length=64), nullable=False),
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain"], ["domains.name"], name=op.f("fk_resource_group_domains_domain_domains"), onupdate="CASCADE", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["resource_group"],
            ["resource_groups.name"],
            name=op.f("fk_resource_group_domains_resource_group_resource_groups"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("resource_group", "domain", name=op.f("pk_resource_group_domains")),
    )
    op.create_table(
        "resource_presets",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("resource_group", sa.String(length=64), nullable=True),
        sa.Column("resource_slots", sa.Text(), nullable=False),
        sa.Column("shared_memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["resource_group"],
            ["resource_groups.name"],
            name=op.f("fk_resource_presets_resource_group_resource_groups"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resource_presets")),
        sa.UniqueConstraint("name", name=op.f("uq_resource_presets_name")),
    )
    op.create_table(
        "resource_group_projects",
        sa.Column("resource_group", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_resource_group_projects_project_id_projects"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["resource_group"],
            ["resource_groups.name"],
            name=op.f("fk_resource_group_projects_resource_group_resource_groups"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("resource_group", "project_id", name=op.f("pk_resource_group_projects")),
    )
    op.create_table(
        "resource_group_keypairs",
        sa.Column("resource_group", sa.String(length=64), nullable=False),
        sa.Column("access_key", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["access_key"], ["keypairs.access_key"], name=op.f("fk_resource_group_keypairs_access_key_keypairs"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["resource_group"],
            ["resource_groups.name"],
            name=op.f("fk_resource_group_keypairs_resource_group_resource_groups"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("resource_group", "access_key", name=op.f("pk_resource_group_keypairs")),
    )
    _add_defaults()
    with op.batch_alter_table("domains", schema=None) as batch_op:
        batch_op.add_column(sa.Column("total_resource_slots", sa.Text(), nullable=False, server_default="{}"))
        batch_op.add_column(sa.Column("allowed_vfolder_hosts", sa.JSON(), nullable=False, server_default="{}"))

    with op.batch_alter_table("keypairs", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rate_limit", sa.Integer(), nullable=False, server_default="30000"))
        batch_op.add_column(sa.Column("resource_policy", sa.String(length=64), nullable=False, server_default="default"))
        batch_op.add_column(sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_keypairs_resource_policy_keypair_resource_policies"),
            "keypair_resource_policies",
            ["resource_policy"],
            ["name"],
            onupdate="CASCADE",
        )

    with op.batch_alter_table("projects", schema=None) as batch_op:
        batch_op.add_column(sa.Column("description", sa.String(length=512), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("type", sa.String(length=16), nullable=False, server_default="general"))
        batch_op.add_column(sa.Column("total_resource_slots", sa.Text(), nullable=False, server_default="{}"))
        batch_op.add_column(sa.Column("allowed_vfolder_hosts", sa.JSON(), nullable=False, server_default="{}"))
        batch_op.add_column(sa.Column("resource_policy", sa.String(length=64), nullable=False, server_default="default"))
        batch_op.create_foreign_key(
            batch_op.f("fk_projects_resource_policy_project_resource_policies"),
            "project_resource_policies",
            ["resource_policy"],
            ["name"],
            onupdate="CASCADE",
        )

    with op.batch_alter_table("sessions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("scheduled_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("depends_on", sa.JSON(), nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("retries", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("waiting_for", sa.JSON(), nullable=False, server_default="{}"))
        batch_op.create_index(
            "ix_sessions_live_domain_project",
            ["domain", "project"],
            unique=False,
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )
        batch_op.create_index("ix_sessions_terminated_at", ["terminated_at"], unique=False)
        batch_op.create_index(
            "ix_sessions_live_user_id",
            ["user_id"],
            unique=False,
            sqlite_where=sa.text("released_at IS NULL"),
            postgresql_where=sa.text("released_at IS NULL"),
        )
    # every session so far had its place from the beginning: none of them waits in a line of ours
    op.execute("UPDATE sessions SET scheduled_at = created_at")

    with op.batch_alter_table("users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("role_source", sa.String(length=16), nullable=False, server_default="directory"))
        batch_op.add_column(sa.Column("description", sa.String(length=512), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("resource_policy", sa.String(length=64), nullable=False, server_default="default"))
        batch_op.alter_column("status", existing_type=sa.VARCHAR(length=16), type_=sa.String(length=24), existing_nullable=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_users_resource_policy_user_resource_policies"),
            "user_resource_policies",
            ["resource_policy"],
            ["name"],
            onupdate="CASCADE",
        )


def _add_defaults() -> None:
    """The policies that everybody has who was here before, or to whom no rule gives another: no limits."""
    at = datetime.now(UTC).replace(tzinfo=None)
    for table in ("user_resource_policies", "project_resource_policies"):
        rows = sa.table(table, sa.column("name"), sa.column("created_at", sa.DateTime(timezone=True)))
        op.bulk_insert(rows, [{"name": "default", "created_at": at}])
    keypairs = sa.table(
        "keypair_resource_policies",
        sa.column("name"),
        sa.column("created_at", sa.DateTime(timezone=True)),
        sa.column("total_resource_slots"),
        sa.column("default_for_unspecified"),
        sa.column("allowed_vfolder_hosts", sa.JSON()),
    )
    unlimited = {"total_resource_slots": "{}", "default_for_unspecified": "unlimited", "allowed_vfolder_hosts": {}}
    op.bulk_insert(keypairs, [{"name": "default", "created_at": at, **unlimited}])
