"""Folders in sessions: settled when a session is admitted, kept as long as it is known, asked for whenever a folder is to change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from ..core.vfolder_mount_plans import NOT_READY, RULE, Plan, Surroundings, plan_mounts, refresh_mounts
from ..core.vfolder_mounts import LINKING_ENGINES, Mount, MountRequest
from ..core.vfolders import UPDATABLE, Access, HostPermission
from ..errors import Violation
from . import vfolder_hosts, vfolders
from .circumstances import Owner
from .models import ComputeSession, SessionMount, VFolder, now


@dataclass(frozen=True, slots=True)
class Folders:
    """What a session has of folders, and which other live sessions of its owner have some in the same home directory."""

    mounts: tuple[Mount, ...] = ()
    neighbours: tuple[str, ...] = ()


NO_FOLDERS = Folders()


def plan(db: Session, owner: Owner, project_id: str, project: str, engine: str, requests: Sequence[MountRequest]) -> Plan:
    """Which folders a session that is being admitted gets. Locks them: none of them goes into the trash before the transaction ends."""
    accesses = list_accesses(db, owner.name, requests)
    if not accesses and not requests:
        return Plan()
    around = find_surroundings(db, owner.id, owner.name, project_id, project, engine)
    return _lock(db, plan_mounts(requests, accesses, around))


def list_accesses(db: Session, user: str, requests: Iterable[MountRequest]) -> list[Access]:
    """Those of a person's folders that a plan for these requests must know."""
    named = {text for request in requests for text in (request.folder, request.target) if text}
    return vfolders.list_mountable(db, user, named)


def find_surroundings(db: Session, user_id: str, user: str, project_id: str, project: str, engine: str) -> Surroundings:
    """What a plan for a person (by id and the hub's name), a project and an engine is made in."""
    hosts = vfolder_hosts.list_hosts(db)
    allowed = vfolder_hosts.allowed_hosts(db, user, project_id or None)
    return Surroundings(
        engine=engine,
        project=project_id,
        project_name=project,
        user_id=user_id,
        paths={host.name: host.path.rstrip("/") for host in hosts},
        mountable=frozenset(name for name, permissions in allowed.items() if HostPermission.MOUNT in permissions),
        taken=_list_taken(db, user_id, engine) if engine in LINKING_ENGINES else {},
    )


def keep(db: Session, row: ComputeSession, settled: Plan) -> Folders:
    """Write down the folders of a session that was just admitted; they were used now."""
    if not settled.mounts:
        return Folders(neighbours=_list_neighbours(db, row)) if row.engine in LINKING_ENGINES else NO_FOLDERS
    db.execute(insert(SessionMount), [_describe(row.id, mount) for mount in settled.mounts])
    used = {mount.folder_id for mount in settled.mounts}
    db.execute(update(VFolder).where(VFolder.id.in_(used)).values(last_used_at=now()).execution_options(synchronize_session=False))
    return Folders(settled.mounts, _list_neighbours(db, row))


def load(db: Session, session_id: str) -> tuple[Mount, ...]:
    """The folders of a session, by where they appear."""
    rows = db.scalars(select(SessionMount).where(SessionMount.session_id == session_id).order_by(SessionMount.target))
    return tuple(map(_read, rows))


def load_current(db: Session, row: ComputeSession, user: str) -> Folders:
    """The same of a session that is about to begin, which may have waited long: what its owner has lost meanwhile is taken out."""
    settled = load(db, row.id)
    if not settled:
        return Folders(neighbours=_list_neighbours(db, row))
    accesses = {access.folder.id: access for access in vfolders.list_mountable(db, user, {mount.folder_id for mount in settled})}
    current = refresh_mounts(settled, accesses)
    if len(current) < len(settled):
        gone = {mount.target for mount in settled} - {mount.target for mount in current}
        db.execute(delete(SessionMount).where(SessionMount.session_id == row.id, SessionMount.target.in_(gone)))
    return Folders(tuple(current), _list_neighbours(db, row))


def drop(db: Session, session_id: str, targets: Iterable[str]) -> None:
    """A session does without what was to appear there."""
    db.execute(delete(SessionMount).where(SessionMount.session_id == session_id, SessionMount.target.in_(list(targets))))


def _lock(db: Session, settled: Plan) -> Plan:
    """The plan with the folders as they are under their locks."""
    wanted = {mount.folder_id for mount in settled.mounts}
    if not wanted:
        return settled
    rows = select(VFolder.id, VFolder.status).where(VFolder.id.in_(wanted)).order_by(VFolder.id).with_for_update(key_share=True)
    ready = {folder_id for folder_id, status in db.execute(rows) if status in UPDATABLE}
    if ready == wanted:
        return settled
    lost = [mount for mount in settled.mounts if mount.folder_id not in ready and not mount.is_automatic]
    violations = [Violation(NOT_READY, {"folder": mount.name}, "mounts", RULE) for mount in lost]
    mounts = tuple(mount for mount in settled.mounts if mount.folder_id in ready)
    return replace(settled, mounts=mounts, violations=(*settled.violations, *violations))


def _list_taken(db: Session, user_id: str, engine: str) -> dict[str, tuple[str, str]]:
    query = (
        select(SessionMount.target, SessionMount.source, ComputeSession.name, ComputeSession.id)
        .join(ComputeSession, ComputeSession.id == SessionMount.session_id)
        .where(ComputeSession.user_id == user_id, ComputeSession.engine == engine, ComputeSession.released_at.is_(None))
    )
    return {target: (source, name or session_id[:8]) for target, source, name, session_id in db.execute(query)}


def _list_neighbours(db: Session, row: ComputeSession) -> tuple[str, ...]:
    query = (
        select(SessionMount.session_id)
        .join(ComputeSession, ComputeSession.id == SessionMount.session_id)
        .where(ComputeSession.user_id == row.user_id, ComputeSession.engine == row.engine, ComputeSession.released_at.is_(None))
        .where(ComputeSession.id != row.id)
    )
    return tuple(db.scalars(query.distinct().order_by(SessionMount.session_id)))


def _describe(session_id: str, mount: Mount) -> dict[str, object]:
    return {
        "session_id": session_id,
        "target": mount.target,
        "vfolder_id": mount.folder_id,
        "name": mount.name,
        "subpath": mount.subpath,
        "source": mount.source,
        "is_read_only": mount.is_read_only,
        "is_automatic": mount.is_automatic,
    }


def _read(row: SessionMount) -> Mount:
    return Mount(row.vfolder_id, row.name, row.source, row.target, row.is_read_only, row.subpath, row.is_automatic)
