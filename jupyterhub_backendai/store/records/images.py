"""Images, and the registries that they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...core.identity import Actor
from ...core.nouns.images import CONTAINER_REGISTRIES, IMAGES, check_bounds, check_image_name, check_url
from ...errors import N_, Conflict, Violation
from ..models import ContainerRegistry, Image
from ..safe import find_safe
from .base import Records, check_references


class ImageRecords(Records):
    noun = IMAGES
    model = Image

    def column(self, name: str) -> Any:
        return func.coalesce(Image.container_registry, "") if name == "container_registry" else super().column(name)

    def values_of(self, db: Session, rows: Sequence[Any]) -> list[dict[str, Any]]:
        return [{**values, "container_registry": values["container_registry"] or ""} for values in super().values_of(db, rows)]

    def check(self, db: Session, actor: Actor, values: Mapping[str, Any], row: Any | None) -> list[Violation]:  # noqa: ARG002
        found = check_image_name(values["name"]) if row is None else []
        registry = values.get("container_registry")
        found += check_references(db, "container_registry", [registry] if registry else [], ContainerRegistry.name)
        if row is not None and row.is_configured and values.get("labels", row.labels) != row.labels:
            found.append(Violation(N_("The configuration file says this; change it there."), {}, "labels", "configured"))
        least, most = (values.get(name, row and getattr(row, name)) for name in ("min_slots", "max_slots"))
        return found + check_bounds(least, most)

    def assign(self, db: Session, row: Any, values: Mapping[str, Any]) -> None:
        if "container_registry" in values:
            values = {**values, "container_registry": values["container_registry"] or None}
        super().assign(db, row, values)

    def check_removal(self, db: Session, actor: Actor, row: Any) -> None:  # noqa: ARG002
        if row.is_configured:
            message = N_("The environment %(name)s is in the configuration file. Take it out there, or make it inactive here.")
            raise Conflict(message, name=row.name)


class RegistryRecords(Records):
    noun = CONTAINER_REGISTRIES
    model = ContainerRegistry

    def column(self, name: str) -> Any:
        if name == "image_count":
            count = select(func.count()).where(Image.container_registry == ContainerRegistry.name)
            return count.correlate(ContainerRegistry).scalar_subquery()
        return super().column(name)

    def values_of(self, db: Session, rows: Sequence[Any]) -> list[dict[str, Any]]:
        registry = Image.container_registry
        found = db.execute(select(registry, func.count()).where(registry.in_([row.name for row in rows])).group_by(registry))
        counts = {name: count for name, count in found}  # noqa: C416 - a result has keys() and would be taken for a mapping
        return [
            {**values, "has_password": bool(row.password), "image_count": counts.get(row.name, 0)}
            for row, values in zip(rows, super().values_of(db, rows), strict=True)
        ]

    def check(self, db: Session, actor: Actor, values: Mapping[str, Any], row: Any | None) -> list[Violation]:  # noqa: ARG002
        return check_url(values["url"]) if "url" in values else []

    def assign(self, db: Session, row: Any, values: Mapping[str, Any]) -> None:
        if password := values.get("password"):
            name = values.get("name") or row.name
            values = {**values, "password": find_safe(db).crypt.encrypt(password, _purpose(name))}
        super().assign(db, row, values)

    def check_removal(self, db: Session, actor: Actor, row: Any) -> None:  # noqa: ARG002
        count = db.scalar(select(func.count()).where(Image.container_registry == row.name)) or 0
        if count:
            message = N_("%(count)s images come from the registry %(name)s. Remove them first.")
            raise Conflict(message, name=row.name, count=count)


def read_password(db: Session, name: str) -> str:
    """The password of a registry, for whoever talks to it; "" when it has none or is not there."""
    token = db.scalar(select(ContainerRegistry.password).where(ContainerRegistry.name == name))
    return find_safe(db).crypt.decrypt(token, _purpose(name)) if token else ""


def _purpose(name: str) -> str:
    return f"registry:{name}"
