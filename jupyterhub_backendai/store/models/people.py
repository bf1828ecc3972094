"""Domains, projects, users, keypairs, and the accounts of the embedded directory."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from ...core.identity import Role, UserStatus
from ...core.slots import ResourceSlots
from .base import Base, new_id, now

DEFAULT_POLICY = "default"
DEFAULT_RATE_LIMIT = 30_000


class Domain(Base):
    """The outermost tenant. A slot that ``total_resource_slots`` does not name is unlimited."""

    __tablename__ = "domains"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    description: Mapped[str] = mapped_column(String(512), default="")
    is_active: Mapped[bool] = mapped_column(default=True)
    total_resource_slots: Mapped[ResourceSlots] = mapped_column(default=ResourceSlots)
    allowed_vfolder_hosts: Mapped[dict[str, list[str]]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Project(Base):
    """A group of people of one domain who work on one thing (``group`` on the wire)."""

    __tablename__ = "projects"
    __table_args__ = (Index("uq_projects_domain_name", "domain", "name", unique=True),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    domain: Mapped[str] = mapped_column(String(64), ForeignKey("domains.name", onupdate="CASCADE"))
    name: Mapped[str] = mapped_column(String(64))
    description: Mapped[str] = mapped_column(String(512), default="")
    type: Mapped[str] = mapped_column(String(16), default="general")  # or model-store
    is_active: Mapped[bool] = mapped_column(default=True)
    total_resource_slots: Mapped[ResourceSlots] = mapped_column(default=ResourceSlots)
    allowed_vfolder_hosts: Mapped[dict[str, list[str]]] = mapped_column(default=dict)
    resource_policy: Mapped[str] = mapped_column(
        String(64), ForeignKey("project_resource_policies.name", onupdate="CASCADE"), default=DEFAULT_POLICY
    )
    created_at: Mapped[datetime] = mapped_column(default=now)


class User(Base):
    """Somebody who logged in at least once. ``name`` is the hub's, ``posix_*`` the Unix account, which may have another."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(255), unique=True)
    display_name: Mapped[str] = mapped_column(String(255), default="")
    email: Mapped[str] = mapped_column(String(255), default="")
    domain: Mapped[str] = mapped_column(String(64), ForeignKey("domains.name", onupdate="CASCADE"), index=True)
    role: Mapped[Role] = mapped_column(default=Role.USER)
    status: Mapped[UserStatus] = mapped_column(default=UserStatus.ACTIVE)
    # "directory": each login sets the role anew; "site": an administrator set it here, and logins leave it alone
    role_source: Mapped[str] = mapped_column(String(16), default="directory")
    # the same for the domain, which follows the directory only where a rule gives one
    domain_source: Mapped[str] = mapped_column(String(16), default="directory", server_default="directory")
    description: Mapped[str] = mapped_column(String(512), default="")
    resource_policy: Mapped[str] = mapped_column(
        String(64), ForeignKey("user_resource_policies.name", onupdate="CASCADE"), default=DEFAULT_POLICY
    )
    language: Mapped[str] = mapped_column(String(8), default="")
    ssh_public_key: Mapped[str] = mapped_column(Text, default="")
    posix_name: Mapped[str | None] = mapped_column(String(255))
    posix_uid: Mapped[int | None] = mapped_column(BigInteger)
    posix_gid: Mapped[int | None] = mapped_column(BigInteger)
    posix_home: Mapped[str | None] = mapped_column(String(1024))
    created_at: Mapped[datetime] = mapped_column(default=now)
    last_login_at: Mapped[datetime | None]


class ProjectMember(Base):
    """Who is in which project. ``source`` is ``directory`` where a login made it, so that a login ends it; otherwise ``site``."""

    __tablename__ = "project_members"

    user_id: Mapped[str] = mapped_column(String(32), ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    project_id: Mapped[str] = mapped_column(String(32), ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True, index=True)
    source: Mapped[str] = mapped_column(String(16), default="site", server_default="site")
    created_at: Mapped[datetime] = mapped_column(default=now)


class Keypair(Base):
    """What a program signs its calls with; ``secret_key`` is encrypted."""

    __tablename__ = "keypairs"

    access_key: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(32), ForeignKey("users.id", ondelete="CASCADE"), index=True)
    secret_key: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(default=True)
    # Only the owner's own word may be taken back by the owner.
    is_off_by_owner: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_main: Mapped[bool] = mapped_column(default=False)
    rate_limit: Mapped[int] = mapped_column(default=DEFAULT_RATE_LIMIT)  # calls in 15 minutes
    resource_policy: Mapped[str] = mapped_column(
        String(64), ForeignKey("keypair_resource_policies.name", onupdate="CASCADE"), default=DEFAULT_POLICY
    )
    last_used_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class LocalAccount(Base):
    """Somebody of the embedded directory."""

    __tablename__ = "local_accounts"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    password_hash: Mapped[str] = mapped_column(Text)
    display_name: Mapped[str] = mapped_column(String(255), default="")
    email: Mapped[str] = mapped_column(String(255), default="")
    groups: Mapped[list[str]] = mapped_column(default=list)
    posix_name: Mapped[str | None] = mapped_column(String(255))
    posix_uid: Mapped[int | None] = mapped_column(BigInteger)
    posix_gid: Mapped[int | None] = mapped_column(BigInteger)
    posix_home: Mapped[str | None] = mapped_column(String(1024))
    is_active: Mapped[bool] = mapped_column(default=True)
    must_change_password: Mapped[bool] = mapped_column(default=False)
    password_changed_at: Mapped[datetime | None]
    # Of somebody who signed up: when, whether the address is theirs, which terms they agreed to, whether they were told that they may come.
    signed_up_at: Mapped[datetime | None]
    email_verified_at: Mapped[datetime | None]
    agreed_terms: Mapped[str] = mapped_column(String(64), default="")
    welcomed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
