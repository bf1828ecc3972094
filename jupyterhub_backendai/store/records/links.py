"""Which domains, projects and keypairs a resource group is linked to. A project is written as ``domain/name``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ...errors import N_, Violation
from ..models import Project, ResourceGroupDomain, ResourceGroupKeypair, ResourceGroupProject


def list_links(db: Session, groups: Sequence[str]) -> dict[str, dict[str, list[str]]]:
    """By field (``domains``, ``projects``, ``keypairs``) and group: the names, in order."""
    domains = select(ResourceGroupDomain.resource_group, ResourceGroupDomain.domain)
    keypairs = select(ResourceGroupKeypair.resource_group, ResourceGroupKeypair.access_key)
    projects = select(ResourceGroupProject.resource_group, Project.domain + "/" + Project.name)
    projects = projects.join(Project, Project.id == ResourceGroupProject.project_id)
    found: dict[str, dict[str, list[str]]] = {}
    for field, query in (("domains", domains), ("projects", projects), ("keypairs", keypairs)):
        group, name = query.selected_columns
        found[field] = {}
        for key, value in db.execute(query.where(group.in_(groups)).order_by(name)):
            found[field].setdefault(key, []).append(value)
    return found


def find_projects(db: Session, names: Iterable[str]) -> dict[str, str]:
    """The ids of those projects that there are; a name without a domain will do where it means one project only."""
    found = {}
    for text in names:
        domain, slash, name = text.rpartition("/")
        query = select(Project.id).where(Project.name == name)
        ids = db.scalars(query.where(Project.domain == domain) if slash else query).all()
        if len(ids) == 1:
            found[text] = ids[0]
    return found


def check_projects(db: Session, names: Sequence[str]) -> list[Violation]:
    """A violation for every project that there is not."""
    known = find_projects(db, names)
    message = N_("There is no project %(name)s; write it as domain/name.")
    return [Violation(message, {"name": name}, "projects", "unknown") for name in names if name not in known]


def set_links(db: Session, group: str, values: Mapping[str, Any]) -> None:
    """Make the links of one group as the values say, of the fields that they have."""
    if "domains" in values:
        db.execute(delete(ResourceGroupDomain).where(ResourceGroupDomain.resource_group == group))
        db.add_all(ResourceGroupDomain(resource_group=group, domain=name) for name in values["domains"])
    if "projects" in values:
        db.execute(delete(ResourceGroupProject).where(ResourceGroupProject.resource_group == group))
        ids = dict.fromkeys(find_projects(db, values["projects"]).values())
        db.add_all(ResourceGroupProject(resource_group=group, project_id=project_id) for project_id in ids)
    if "keypairs" in values:
        # Those that stay keep who gave them: what a login gave, a later one takes away.
        there = set(db.scalars(select(ResourceGroupKeypair.access_key).where(ResourceGroupKeypair.resource_group == group)))
        ended = there - set(values["keypairs"])
        gone = (ResourceGroupKeypair.resource_group == group, ResourceGroupKeypair.access_key.in_(ended))
        db.execute(delete(ResourceGroupKeypair).where(*gone))
        db.add_all(ResourceGroupKeypair(resource_group=group, access_key=key) for key in values["keypairs"] if key not in there)
    db.flush()
