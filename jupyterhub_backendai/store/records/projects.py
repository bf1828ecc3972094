"""Projects: their rows, members and resource groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from ...core.identity import Actor
from ...core.nouns import Record
from ...core.nouns.projects import PROJECTS
from ...core.nouns.users import check_superadmin_only
from ...core.slots import ResourceSlots
from ...core.vfolders import OwnershipType, quota_scope_of
from ...errors import N_, AlreadyExists, Conflict, Violation
from .. import vfolder_quotas
from ..models import (
    ComputeSession,
    Domain,
    Project,
    ProjectMember,
    ProjectResourcePolicy,
    ResourceGroup,
    ResourceGroupProject,
    StorageHost,
    User,
    VFolder,
)
from .base import Records, check_references

# They limit the project or reach beyond the domain: a storage host, a group or a policy may give what the domain does not have.
_SUPERADMINS: Mapping[str, Any] = {
    "total_resource_slots": ResourceSlots(),
    "allowed_vfolder_hosts": {},
    "resource_policy": "default",
    "resource_groups": (),
}


class ProjectRecords(Records):
    """``members`` are in single records only: in lists they would be most of the people, many times over."""

    noun = PROJECTS
    model = Project
    domain_column = "domain"

    def column(self, name: str) -> Any:
        if name == "member_count":
            return select(func.count()).where(ProjectMember.project_id == Project.id).correlate(Project).scalar_subquery()
        return super().column(name)

    def values_of(self, db: Session, rows: Sequence[Any]) -> list[dict[str, Any]]:
        ids = [row.id for row in rows]
        people = select(ProjectMember.project_id, func.count()).where(ProjectMember.project_id.in_(ids)).group_by(ProjectMember.project_id)
        counts = {project_id: count for project_id, count in db.execute(people)}  # noqa: C416 - a result has keys()
        groups: dict[str, list[str]] = {}
        links = select(ResourceGroupProject).where(ResourceGroupProject.project_id.in_(ids)).order_by(ResourceGroupProject.resource_group)
        for link in db.scalars(links):
            groups.setdefault(link.project_id, []).append(link.resource_group)
        return [
            {**values, "member_count": counts.get(row.id, 0), "resource_groups": tuple(groups.get(row.id, ()))}
            for row, values in zip(rows, super().values_of(db, rows), strict=True)
        ]

    def make_row(self, db: Session, actor: Actor, data: Mapping[str, Any]) -> Any:
        return super().make_row(db, actor, data if actor.is_superadmin else {"domain": actor.domain, **data})

    def check(self, db: Session, actor: Actor, values: Mapping[str, Any], row: Any | None) -> list[Violation]:
        before = self._record(db, row).values if row is not None else {}
        domain = row.domain if row is not None else values["domain"]
        found = check_references(db, "domain", [domain], Domain.name)
        if row is None and not actor.is_superadmin and domain != actor.domain:
            found = [Violation(N_("You administer the domain %(name)s only."), {"name": actor.domain}, "domain", "other-domain")]
        if row is None and not found and db.scalar(select(Project.id).where(Project.domain == domain, Project.name == values["name"])):
            key = f"{domain}/{values['name']}"
            raise AlreadyExists(N_("There is already a %(one)s %(key)s."), one="project", key=key)
        if policy := values.get("resource_policy"):
            found += check_references(db, "resource_policy", [policy], ProjectResourcePolicy.name)
        elif "resource_policy" in values:
            found.append(Violation(N_("This must be filled in."), {}, "resource_policy", "required"))
        found += _check_members(db, domain, values.get("members", ()))
        found += check_references(db, "allowed_vfolder_hosts", list(values.get("allowed_vfolder_hosts", ())), StorageHost.name)
        found += check_references(db, "resource_groups", values.get("resource_groups", ()), ResourceGroup.name)
        if not actor.is_superadmin:
            found += check_superadmin_only(_in_order(before), _in_order(values), _SUPERADMINS)
        return found

    def link(self, db: Session, actor: Actor, row: Any, values: Mapping[str, Any]) -> None:  # noqa: ARG002
        if "members" in values:
            wanted = set(db.scalars(select(User.id).where(User.name.in_(values["members"]), User.domain == row.domain)))
            there = set(db.scalars(select(ProjectMember.user_id).where(ProjectMember.project_id == row.id)))
            if left := there - wanted:
                db.execute(delete(ProjectMember).where(ProjectMember.project_id == row.id, ProjectMember.user_id.in_(left)))
            db.add_all(ProjectMember(user_id=user_id, project_id=row.id) for user_id in sorted(wanted - there))
        if "resource_groups" in values:
            db.execute(delete(ResourceGroupProject).where(ResourceGroupProject.project_id == row.id))
            db.add_all(ResourceGroupProject(resource_group=name, project_id=row.id) for name in values["resource_groups"])
        db.flush()

    def count_people(self, db: Session, row: Any) -> int:
        return db.scalar(select(func.count()).where(ProjectMember.project_id == row.id)) or 0

    def check_removal(self, db: Session, actor: Actor, row: Any) -> None:  # noqa: ARG002
        used = select(ComputeSession.id).where(ComputeSession.domain == row.domain, ComputeSession.project == row.name).limit(1)
        if db.scalar(used):
            message = N_("Sessions were run in the project %(name)s, and their usage stays accounted for. Make it inactive instead.")
            raise Conflict(message, name=row.name)
        if count := db.scalar(select(func.count()).where(VFolder.project_id == row.id)):
            message = N_("The project %(name)s has %(count)s folders, those in the trash included. Delete them for good first.")
            raise Conflict(message, name=row.name, count=count)

    def delete(self, db: Session, row: Any) -> None:
        """Its limits on the storage hosts go with it."""
        vfolder_quotas.forget_scopes(db, scope_id=quota_scope_of(OwnershipType.PROJECT, row.id))
        super().delete(db, row)

    def _record(self, db: Session, row: Any) -> Record:
        query = select(User.name).join(ProjectMember, ProjectMember.user_id == User.id).where(ProjectMember.project_id == row.id)
        return Record(row.id, {**self.values_of(db, [row])[0], "members": tuple(db.scalars(query.order_by(User.name)))})

    def _find_row(self, db: Session, actor: Actor, key: str, *, lock: bool = False) -> Any:
        """Files and the command line may say ``domain/name``."""
        if "/" in key:
            domain, _, name = key.partition("/")
            key = db.scalar(select(Project.id).where(Project.domain == domain, Project.name == name)) or key
        return super()._find_row(db, actor, key, lock=lock)


def _check_members(db: Session, domain: str, names: Sequence[str]) -> list[Violation]:
    known = set(db.scalars(select(User.name).where(User.name.in_(names), User.domain == domain))) if names else set()
    message = N_("There is nobody %(name)s in the domain %(domain)s.")
    return [Violation(message, {"name": name, "domain": domain}, "members", "unknown") for name in names if name not in known]


def _in_order(values: Mapping[str, Any]) -> dict[str, Any]:
    """With groups and permissions in one order, however a form or the database has them."""
    found = dict(values)
    if "resource_groups" in found:
        found["resource_groups"] = tuple(sorted(found["resource_groups"]))
    if "allowed_vfolder_hosts" in found:
        found["allowed_vfolder_hosts"] = {host: sorted(permissions) for host, permissions in found["allowed_vfolder_hosts"].items()}
    return found
