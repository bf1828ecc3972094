"""Resource groups in the database: those of the configuration file are kept as it says, administrators add others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select, text, union
from sqlalchemy.orm import Session

from ..core.identity import Role
from ..core.queues import RULES, Queue, queue_from_json, queue_to_json
from ..errors import N_, Violation
from . import audit
from .circumstances import Group, Owner
from .models import Keypair, Project, ResourceGroup, ResourceGroupDomain, ResourceGroupKeypair, ResourceGroupProject, User

SYSTEM = "system"


def sync(db: Session, queues: Mapping[str, Queue]) -> None:
    """Make the configured groups as the file says (use it exclusively); twice changes nothing.

    What the file does not say of a group stays as administrators left it. A group that the file no longer has becomes inactive and
    is then theirs; an administrators' group that the file names becomes the file's.
    """
    if db.get_bind().dialect.name == "postgresql":
        # Two services that start at once make each row once.
        db.execute(text("SELECT pg_advisory_xact_lock(hashtext('backendai-groups'))"))
    rows = {row.name: row for row in db.scalars(select(ResourceGroup))}
    for position, queue in enumerate(queues.values()):
        row = rows.get(queue.name)
        before = _describe(row) if row else None
        if row is None:
            row = ResourceGroup(name=queue.name, engine=queue.engine, is_open=queue.projects is None, definition={})
            db.add(row)
        _write(row, queue, position)
        if before and _describe(row) != before:
            _record(db, row, before)
    for name in set(rows) - set(queues):
        if rows[name].is_configured:
            before = _describe(rows[name])
            rows[name].is_configured = rows[name].is_active = False
            _record(db, rows[name], before)
    db.flush()


def list_queues(db: Session) -> dict[str, Queue]:
    """The active groups as queues, by name, in their order. Who may use one is :func:`list_usable`: ``projects`` is None here."""
    query = select(ResourceGroup).where(ResourceGroup.is_active.is_(True))
    return {row.name: build_queue(row) for row in db.scalars(query.order_by(ResourceGroup.position, ResourceGroup.name))}


def list_usable(db: Session, user_id: str, projects: Sequence[str], role: Role = Role.USER) -> frozenset[str]:
    """The names of the active groups that somebody may use for any of these projects (names of projects of the person's domain).

    The union over domain, projects and the person's active keypairs, and of what is open to everybody or, in the configuration
    file, to one of the projects. Private groups are superadmins' only, who need no link to them.
    """
    domain = select(User.domain).where(User.id == user_id).scalar_subquery()
    project_ids = select(Project.id).where(Project.domain == domain, Project.name.in_(projects))
    keypairs = select(Keypair.access_key).where(Keypair.user_id == user_id, Keypair.is_active.is_(True))
    linked = union(
        select(ResourceGroupDomain.resource_group).where(ResourceGroupDomain.domain == domain),
        select(ResourceGroupProject.resource_group).where(ResourceGroupProject.project_id.in_(project_ids)),
        select(ResourceGroupKeypair.resource_group).where(ResourceGroupKeypair.access_key.in_(keypairs)),
    )
    names = set(db.scalars(linked))
    columns = (ResourceGroup.name, ResourceGroup.is_public, ResourceGroup.is_open, ResourceGroup.definition)
    found = set()
    for name, is_public, is_open, definition in db.execute(select(*columns).where(ResourceGroup.is_active.is_(True))):
        is_named = bool(set(definition.get("projects") or ()) & set(projects))
        if (is_public and (is_open or is_named or name in names)) or (not is_public and role is Role.SUPERADMIN):
            found.add(name)
    return frozenset(found)


def list_usable_by(db: Session, user: str, projects: Sequence[str], role: Role) -> frozenset[str]:
    """:func:`list_usable` for a person's name; nothing for one who is not known."""
    user_id = db.scalar(select(User.id).where(User.name == user))
    return list_usable(db, user_id, projects, role) if user_id else frozenset()


def check_usable(db: Session, queue: Queue, group: Group | None, owner: Owner, project: str) -> list[Violation]:
    """Whether somebody may use a group for a project; of one that the database does not have ``queue.projects`` says it."""
    if group is None:
        return []
    if not group.is_active:
        return [Violation(N_("The queue %(queue)s is closed at the moment."), {"queue": queue.name}, "queue", "closed")]
    # Most groups are open to everybody: that needs no look at the links.
    if (group.is_public and group.is_open) or queue.name in list_usable(db, owner.id, [project], owner.role):
        return []
    message = N_("The queue %(queue)s is not open to the project %(project)s.")
    return [Violation(message, {"queue": queue.name, "project": project}, "queue", "queue")]


def build_queue(row: ResourceGroup) -> Queue:
    """A row as a queue."""
    queue = queue_from_json(row.name, row.engine, row.definition)
    rules = {name: _plain(getattr(row, name)) for name in RULES}
    return replace(queue, projects=None, **rules)


def list_owned(row: ResourceGroup) -> frozenset[str]:
    """Which rules of a configured group the file names, so that they cannot be changed here; whom it names, it does not open."""
    if not row.is_configured:
        return frozenset()
    return frozenset(name for name in RULES if name in row.definition or (name == "is_open" and "projects" in row.definition))


def _write(row: ResourceGroup, queue: Queue, position: int) -> None:
    """What the file says; opening what it no longer restricts, activating what it has again."""
    definition = queue_to_json(queue)
    was_restricted = "projects" in (row.definition or {})
    if row.is_configured is False:
        row.is_active = True
    row.engine, row.position, row.is_configured = queue.engine, position, True
    if queue.projects is not None:
        row.is_open = False
    elif was_restricted:
        row.is_open = True
    row.definition = definition
    for name in RULES:
        if name in definition and name != "is_open":
            setattr(row, name, definition[name])
    if definition.get("is_open") is False:
        row.is_open = False


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _describe(row: ResourceGroup) -> dict[str, Any]:
    names = ("engine", "position", "definition", "is_configured", *RULES)
    return {name: getattr(row, name) for name in names}


def _record(db: Session, row: ResourceGroup, before: dict[str, Any]) -> None:
    """The file changed what was there; that it names a group for the first time is no act of anybody here."""
    after = _describe(row)
    names = [name for name in after if after[name] != before[name]]
    details = {"before": {name: before[name] for name in names}, "after": {name: after[name] for name in names}}
    audit.record(db, actor=SYSTEM, action="resource_group.sync", object=row.name, source="jupyterhub_config.py", details=details)
