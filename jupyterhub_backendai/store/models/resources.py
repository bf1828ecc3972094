"""What sessions can be given: slots, resource groups, presets, images, storage."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from ...core.slots import ResourceSlots
from .base import Base, new_id, now


class ResourceSlotType(Base):
    """A slot that exists here, besides the four that every site knows. ``kind`` is count, bytes or fraction (three digits)."""

    __tablename__ = "resource_slot_types"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    engines: Mapped[list[str]] = mapped_column(default=list)  # those that report it; none: an administrator made it
    created_at: Mapped[datetime] = mapped_column(default=now)


class ResourceGroup(Base):
    """A queue: nodes of one engine, and the rules of the waiting line where the engine has none (``scaling_group`` on the wire).

    ``definition`` is an entry of ``c.BackendAI.queues``. Where ``is_configured``, the configuration file owns it and every start of
    the service writes it anew; otherwise an administrator made the group here. ``is_open`` opens it to every domain.
    """

    __tablename__ = "resource_groups"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    description: Mapped[str] = mapped_column(String(512), default="")
    engine: Mapped[str] = mapped_column(String(32))
    position: Mapped[int] = mapped_column(default=0)
    definition: Mapped[dict[str, Any]] = mapped_column(default=dict)
    is_configured: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    is_public: Mapped[bool] = mapped_column(default=True)
    is_open: Mapped[bool] = mapped_column(default=False)
    scheduler: Mapped[str] = mapped_column(String(16), default="none")  # none, fifo, lifo or drf
    pending_timeout_s: Mapped[int | None] = mapped_column(BigInteger)
    num_retries_to_skip: Mapped[int] = mapped_column(default=0)
    agent_selection_strategy: Mapped[str] = mapped_column(String(16), default="dispersed")  # or concentrated
    allowed_session_types: Mapped[list[str]] = mapped_column(default=lambda: ["interactive", "batch"])
    created_at: Mapped[datetime] = mapped_column(default=now)


def _group_key() -> Mapped[str]:
    key = ForeignKey("resource_groups.name", onupdate="CASCADE", ondelete="CASCADE")
    return mapped_column(String(64), key, primary_key=True)


class ResourceGroupDomain(Base):
    """A domain that may use a resource group."""

    __tablename__ = "resource_group_domains"

    resource_group: Mapped[str] = _group_key()
    domain: Mapped[str] = mapped_column(String(64), ForeignKey("domains.name", onupdate="CASCADE", ondelete="CASCADE"), primary_key=True)


class ResourceGroupProject(Base):
    """A project that may use a resource group."""

    __tablename__ = "resource_group_projects"

    resource_group: Mapped[str] = _group_key()
    project_id: Mapped[str] = mapped_column(String(32), ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)


class ResourceGroupKeypair(Base):
    """A keypair that may use a resource group. ``source`` is ``directory`` where a rule of the logins gave it, else ``site``."""

    __tablename__ = "resource_group_keypairs"

    resource_group: Mapped[str] = _group_key()
    access_key: Mapped[str] = mapped_column(String(32), ForeignKey("keypairs.access_key", ondelete="CASCADE"), primary_key=True)
    source: Mapped[str] = mapped_column(String(16), default="site", server_default="site")


class ResourcePreset(Base):
    """Named amounts to start a session with; bound to one resource group, or (None) offered in all."""

    __tablename__ = "resource_presets"

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    labels: Mapped[dict[str, str]] = mapped_column(default=dict)
    resource_group: Mapped[str | None] = mapped_column(
        String(64), ForeignKey("resource_groups.name", onupdate="CASCADE", ondelete="CASCADE")
    )
    resource_slots: Mapped[ResourceSlots] = mapped_column(default=ResourceSlots)
    shared_memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    position: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)


class Image(Base):
    """Something a session can run: an environment of the configuration (``is_configured``), or an image of a registry.

    ``digest`` to ``scanned_at`` are what the registry said when it was looked through last; nobody else writes them. ``image_labels``
    are the image's own (``ai.backend.*``). ``is_gone``: the registry has it no more.
    """

    __tablename__ = "images"

    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    labels: Mapped[dict[str, str]] = mapped_column(default=dict)
    container_registry: Mapped[str | None] = mapped_column(String(64), ForeignKey("container_registries.name", onupdate="CASCADE"))
    min_slots: Mapped[ResourceSlots] = mapped_column(default=ResourceSlots)
    max_slots: Mapped[ResourceSlots] = mapped_column(default=ResourceSlots)
    is_configured: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)
    digest: Mapped[str] = mapped_column(String(160), default="")
    architectures: Mapped[list[str]] = mapped_column(default=list)
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)
    image_labels: Mapped[dict[str, str]] = mapped_column(default=dict)
    is_gone: Mapped[bool] = mapped_column(default=False)
    scanned_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class ContainerRegistry(Base):
    """Where images come from. ``password`` is encrypted. ``scan_result`` is what the last look through it came to (``core.registries``)."""

    __tablename__ = "container_registries"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    url: Mapped[str] = mapped_column(String(512))
    type: Mapped[str] = mapped_column(String(16), default="docker")
    projects: Mapped[list[str]] = mapped_column(default=list)
    user_name: Mapped[str] = mapped_column(String(255), default="")
    password: Mapped[str] = mapped_column(Text, default="")
    takes_unlabelled: Mapped[bool] = mapped_column(default=False)
    scanned_at: Mapped[datetime | None]
    scan_result: Mapped[dict[str, Any]] = mapped_column(default=dict)
    created_at: Mapped[datetime] = mapped_column(default=now)


class StorageHost(Base):
    """A place for virtual folders, as the policies name it: ``<proxy>:<volume>``.

    Where ``is_configured``, ``c.BackendAI.storage_hosts`` owns it. ``quota_driver`` is ``auto`` or the name of one.
    """

    __tablename__ = "storage_hosts"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    description: Mapped[str] = mapped_column(String(512), default="")
    path: Mapped[str] = mapped_column(String(1024), default="")
    quota_driver: Mapped[str] = mapped_column(String(16), default="auto", server_default="auto")
    is_configured: Mapped[bool] = mapped_column(default=False, server_default=false())
    position: Mapped[int] = mapped_column(default=0, server_default="0")
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(default=now)
