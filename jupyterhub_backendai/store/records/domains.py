"""Domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from ...core.identity import Actor, Role, UserStatus
from ...core.nouns.domains import DOMAINS
from ...errors import N_, Conflict, Violation
from ..models import Domain, Project, ResourceGroup, ResourceGroupDomain, StorageHost, User
from .base import Records, check_references


class DomainRecords(Records):
    noun = DOMAINS
    model = Domain
    domain_column = "name"

    def column(self, name: str) -> Any:
        if name == "user_count":
            return select(func.count()).where(User.domain == Domain.name).correlate(Domain).scalar_subquery()
        return super().column(name)

    def values_of(self, db: Session, rows: Sequence[Any]) -> list[dict[str, Any]]:
        names = [row.name for row in rows]
        people = db.execute(select(User.domain, func.count()).where(User.domain.in_(names)).group_by(User.domain))
        counts = {name: count for name, count in people}  # noqa: C416 - a result has keys() and would be taken for a mapping
        groups: dict[str, list[str]] = {}
        links = select(ResourceGroupDomain).where(ResourceGroupDomain.domain.in_(names)).order_by(ResourceGroupDomain.resource_group)
        for link in db.scalars(links):
            groups.setdefault(link.domain, []).append(link.resource_group)
        return [
            {**values, "user_count": counts.get(values["name"], 0), "resource_groups": tuple(groups.get(values["name"], ()))}
            for values in super().values_of(db, rows)
        ]

    def check(self, db: Session, actor: Actor, values: Mapping[str, Any], row: Any | None) -> list[Violation]:  # noqa: ARG002
        found = check_references(db, "resource_groups", values.get("resource_groups", ()), ResourceGroup.name)
        found += check_references(db, "allowed_vfolder_hosts", list(values.get("allowed_vfolder_hosts", ())), StorageHost.name)
        if row is not None and row.is_active and not values.get("is_active", True) and _has_last_superadmins(db, row.name):
            message = N_("The last active superadmins are in this domain. Make somebody in another active domain one first.")
            found.append(Violation(message, {}, "is_active", "last-superadmin"))
        return found

    def link(self, db: Session, actor: Actor, row: Any, values: Mapping[str, Any]) -> None:  # noqa: ARG002
        if "resource_groups" in values:
            db.execute(delete(ResourceGroupDomain).where(ResourceGroupDomain.domain == row.name))
            db.add_all(ResourceGroupDomain(resource_group=name, domain=row.name) for name in values["resource_groups"])
            db.flush()

    def count_people(self, db: Session, row: Any) -> int:
        return db.scalar(select(func.count()).where(User.domain == row.name)) or 0

    def check_removal(self, db: Session, actor: Actor, row: Any) -> None:  # noqa: ARG002
        people = self.count_people(db, row)
        projects = db.scalar(select(func.count()).where(Project.domain == row.name)) or 0
        if people or projects:
            message = N_("The domain %(name)s still has %(people)s people and %(projects)s projects. Make it inactive instead.")
            raise Conflict(message, name=row.name, people=people, projects=projects)


def _has_last_superadmins(db: Session, domain: str) -> bool:
    """Whether active superadmins are in this active domain and in no other one; they stay what they are until this transaction ends."""
    query = select(User.domain).join(Domain, Domain.name == User.domain)
    query = query.where(User.role == Role.SUPERADMIN, User.status == UserStatus.ACTIVE, Domain.is_active)
    return set(db.scalars(query.order_by(User.id).with_for_update(of=User))) == {domain}
