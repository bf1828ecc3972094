"""Resource groups: the configured ones, of which the file owns the definition, and those of administrators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from ...core.identity import Actor
from ...core.nouns import Page, Query, Record
from ...core.nouns.resource_groups import (
    RESOURCE_GROUPS,
    check_group,
    check_name,
    check_owned,
    list_owned_fields,
    read_definition,
    show_definition,
)
from ...core.queues import RULES, Queue, queue_from_json, queue_to_json
from ...errors import N_, Conflict, Violation
from ..models import (
    ComputeSession,
    Domain,
    Keypair,
    Project,
    ProjectMember,
    ResourceGroup,
    ResourceGroupDomain,
    ResourceGroupKeypair,
    ResourceGroupProject,
    ResourcePreset,
    User,
)
from ..resource_groups import build_queue, list_owned
from . import links
from .base import Records, check_references

# Engines that the platform brings; others are known when the configuration has a group of them, and so a launcher.
OWN_ENGINES = ("local", "slurm", "docker")


class ResourceGroupRecords(Records):
    noun = RESOURCE_GROUPS
    model = ResourceGroup

    def select(self, actor: Actor) -> Select[Any]:
        """A domain's administrator sees what the domain may use."""
        query = super().select(actor)
        if actor.is_superadmin:
            return query
        own = select(Project.id).where(Project.domain == actor.domain)
        people = select(Keypair.access_key).join(User, User.id == Keypair.user_id).where(User.domain == actor.domain)
        names = (
            select(ResourceGroupDomain.resource_group).where(ResourceGroupDomain.domain == actor.domain),
            select(ResourceGroupProject.resource_group).where(ResourceGroupProject.project_id.in_(own)),
            select(ResourceGroupKeypair.resource_group).where(ResourceGroupKeypair.access_key.in_(people)),
        )
        linked = or_(*(ResourceGroup.name.in_(part) for part in names))
        return query.where(ResourceGroup.is_public.is_(True), or_(ResourceGroup.is_open.is_(True), linked))

    def list_page(self, db: Session, actor: Actor, query: Query) -> Page:
        page = super().list_page(db, actor, query)
        return replace(page, records=tuple(_restrict(db, actor, record) for record in page.records))

    def find(self, db: Session, actor: Actor, key: str) -> Record:
        return _restrict(db, actor, super().find(db, actor, key))

    def column(self, name: str) -> Any:
        if name == "session_count":
            count = select(func.count()).where(ComputeSession.queue == ResourceGroup.name, ComputeSession.released_at.is_(None))
            return count.correlate(ResourceGroup).scalar_subquery()
        return super().column(name)

    def values_of(self, db: Session, rows: Sequence[Any]) -> list[dict[str, Any]]:
        names = [row.name for row in rows]
        linked = links.list_links(db, names)
        counts = _count_sessions(db, names)
        return [
            {
                **values,
                **show_definition(build_queue(row)),
                **{field: tuple(found.get(row.name, ())) for field, found in linked.items()},
                "configured_projects": tuple(row.definition.get("projects") or ()),
                "session_count": counts.get(row.name, 0),
            }
            for row, values in zip(rows, super().values_of(db, rows), strict=True)
        ]

    def check(self, db: Session, actor: Actor, values: Mapping[str, Any], row: Any | None) -> list[Violation]:  # noqa: ARG002
        found = check_name(values["name"]) + _check_engine(db, values["engine"]) if row is None else []
        found += check_references(db, "domains", values.get("domains", ()), Domain.name)
        found += check_references(db, "keypairs", values.get("keypairs", ()), Keypair.access_key)
        found += links.check_projects(db, values.get("projects", ()))
        if row is not None and row.is_configured:
            before = {**self.values_of(db, [row])[0]}
            found += check_owned(values, before, list_owned_fields(list_owned(row)))
        # Of what the file says, jupyterhub-backendai check has the word.
        is_own = row is None or not row.is_configured
        return found or [item for item in check_group(_preview(row, values)) if is_own or item.field in values]

    def assign(self, db: Session, row: Any, values: Mapping[str, Any]) -> None:
        names = {"name", "description", "engine", "position", *RULES}
        super().assign(db, row, {name: value for name, value in values.items() if name in names})
        if not row.is_configured:
            definition = queue_from_json(row.name, row.engine, row.definition or {})
            row.definition = queue_to_json(replace(definition, **read_definition(values)))

    def link(self, db: Session, actor: Actor, row: Any, values: Mapping[str, Any]) -> None:  # noqa: ARG002
        links.set_links(db, row.name, values)

    def count_people(self, db: Session, row: Any) -> int:
        """Those who may use it; everybody for an open one."""
        if row.is_open:
            return db.scalar(select(func.count()).select_from(User)) or 0
        domains = select(ResourceGroupDomain.domain).where(ResourceGroupDomain.resource_group == row.name)
        projects = select(ResourceGroupProject.project_id).where(ResourceGroupProject.resource_group == row.name)
        named = select(Project.id).where(Project.name.in_(row.definition.get("projects") or ()))
        keypairs = select(ResourceGroupKeypair.access_key).where(ResourceGroupKeypair.resource_group == row.name)
        members = select(ProjectMember.user_id).where(or_(ProjectMember.project_id.in_(projects), ProjectMember.project_id.in_(named)))
        owners = select(Keypair.user_id).where(Keypair.access_key.in_(keypairs))
        people = select(func.count()).select_from(User).where(or_(User.domain.in_(domains), User.id.in_(members), User.id.in_(owners)))
        return db.scalar(people) or 0

    def check_removal(self, db: Session, actor: Actor, row: Any) -> None:  # noqa: ARG002
        if row.is_configured:
            message = N_("The resource group %(name)s is set in jupyterhub_config.py. Take it out there, or make it inactive here.")
            raise Conflict(message, name=row.name)
        if count := _count_sessions(db, [row.name]).get(row.name, 0):
            message = N_("%(count)s sessions live in the resource group %(name)s. Make it inactive, and remove it when they are over.")
            raise Conflict(message, name=row.name, count=count)
        if count := db.scalar(select(func.count()).where(ResourcePreset.resource_group == row.name)) or 0:
            message = N_("%(count)s resource presets are bound to the resource group %(name)s. Change or remove them first.")
            raise Conflict(message, name=row.name, count=count)


def _preview(row: ResourceGroup | None, values: Mapping[str, Any]) -> Queue:
    """The group as it would be."""
    queue = build_queue(row) if row is not None else Queue(values["name"], values["engine"])
    return replace(queue, **read_definition(values), **{name: values[name] for name in RULES if name in values})


def _check_engine(db: Session, engine: str) -> list[Violation]:
    configured = select(ResourceGroup.engine).where(ResourceGroup.is_configured.is_(True)).distinct()
    known = sorted({*OWN_ENGINES, *db.scalars(configured)})
    if engine in known:
        return []
    message = N_("Nothing here runs sessions of the engine %(engine)s. Choose one of: %(engines)s.")
    return [Violation(message, {"engine": engine, "engines": ", ".join(known)}, "engine", "engine")]


def _count_sessions(db: Session, names: Sequence[str]) -> dict[str, int]:
    query = select(ComputeSession.queue, func.count()).where(ComputeSession.queue.in_(names), ComputeSession.released_at.is_(None))
    return {name: count for name, count in db.execute(query.group_by(ComputeSession.queue))}  # noqa: C416 - a result has keys()


def _restrict(db: Session, actor: Actor, record: Record) -> Record:
    """Without the domains, projects and keypairs of other domains."""
    if actor.is_superadmin:
        return record
    keys = select(Keypair.access_key).join(User, User.id == Keypair.user_id)
    own = set(db.scalars(keys.where(User.domain == actor.domain, Keypair.access_key.in_(record.values["keypairs"]))))
    seen = {
        "domains": tuple(name for name in record.values["domains"] if name == actor.domain),
        "projects": tuple(name for name in record.values["projects"] if name.startswith(f"{actor.domain}/")),
        "keypairs": tuple(key for key in record.values["keypairs"] if key in own),
    }
    return Record(record.key, {**record.values, **seen})
