"""What somebody may choose of folders for a session, before it is asked for. Nothing here is locked: admission decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from ..core.vfolder_mount_plans import Plan, Surroundings, is_usable, plan_mounts
from ..core.vfolder_mounts import MountRequest
from ..core.vfolders import Access
from . import session_mounts, vfolders
from .models import Project, User

MOST = 100


@dataclass(frozen=True, slots=True)
class Choices:
    """Folders to choose from, at most a hundred (``is_more``: there are others), those that are named in requests, and what they give."""

    folders: tuple[Access, ...] = ()
    named: tuple[Access, ...] = ()
    is_more: bool = False
    plan: Plan = field(default_factory=Plan)


def load_choices(db: Session, user: str, project: str, engine: str, requests: Sequence[MountRequest], text: str = "") -> Choices:
    """What a session of a project (by name) on an engine can have, and what these requests come to."""
    around = _find_surroundings(db, user, project, engine)
    if around is None:
        return Choices()
    found = vfolders.list_choices(db, user, around.project, text, MOST + 1)
    usable = tuple(access for access in found[:MOST] if is_usable(access, around))
    named = session_mounts.list_accesses(db, user, requests)
    return Choices(usable, tuple(named), len(found) > MOST, plan_mounts(requests, named, around))


def preview(db: Session, user: str, project: str, engine: str, requests: Sequence[MountRequest]) -> Plan:
    """What an admission would say of these requests now."""
    around = _find_surroundings(db, user, project, engine) if requests else None
    if around is None:
        return Plan()
    return plan_mounts(requests, session_mounts.list_accesses(db, user, requests), around)


def _find_surroundings(db: Session, user: str, project: str, engine: str) -> Surroundings | None:
    me = db.scalar(select(User).where(User.name == user))
    if me is None:
        return None
    project_id = db.scalar(select(Project.id).where(Project.domain == me.domain, Project.name == project)) or ""
    return session_mounts.find_surroundings(db, me.id, me.name, project_id, project, engine)
