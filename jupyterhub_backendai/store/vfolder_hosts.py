"""Storage hosts as people meet them: which there are, and what somebody may do on each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ..core.identity import Role
from ..core.quota import merge_host_permissions
from ..core.storage_hosts import ConfiguredHost
from ..core.vfolders import HostPermission
from ..errors import N_, Forbidden, NotFound
from . import audit
from .models import DEFAULT_POLICY, Domain, Keypair, KeypairResourcePolicy, Project, ProjectMember, StorageHost, User

SYSTEM = "system"
ALL = frozenset(HostPermission)
_WORDS = {
    HostPermission.CREATE: N_("You may not make folders on the storage host %(host)s (%(permission)s)."),
    HostPermission.MODIFY: N_("You may not change folders on the storage host %(host)s (%(permission)s)."),
    HostPermission.DELETE: N_("You may not delete folders on the storage host %(host)s (%(permission)s)."),
    HostPermission.MOUNT: N_("You may not use folders of the storage host %(host)s in sessions (%(permission)s)."),
    HostPermission.UPLOAD: N_("You may not upload files to the storage host %(host)s (%(permission)s)."),
    HostPermission.DOWNLOAD: N_("You may not download files from the storage host %(host)s (%(permission)s)."),
    HostPermission.INVITE: N_("You may not invite others to folders on the storage host %(host)s (%(permission)s)."),
    HostPermission.SET_USER_PERMISSION: N_(
        "You may not change what others may do with folders on the storage host %(host)s (%(permission)s)."
    ),
}


# those of the file first: the others may be known to nobody who can make a directory there
_ORDER = (StorageHost.is_configured.desc(), StorageHost.position, StorageHost.name)


@dataclass(frozen=True, slots=True)
class Host:
    """A storage host. ``path`` is its directory on this machine and on the nodes."""

    name: str
    path: str
    description: str
    quota_driver: str
    is_active: bool


def list_hosts(db: Session, *, is_active: bool | None = True) -> list[Host]:
    """The storage hosts in their order; the active ones unless asked otherwise (None: all)."""
    query = select(StorageHost).order_by(*_ORDER)
    if is_active is not None:
        query = query.where(StorageHost.is_active.is_(is_active))
    return [_read(row) for row in db.scalars(query)]


def find_host(db: Session, name: str) -> Host:
    """An active host that has a directory. Raises NotFound."""
    row = db.get(StorageHost, name)
    if row is None or not row.is_active or not row.path:
        raise NotFound(N_("There is no storage host %(host)s."), host=name)
    return _read(row)


def allowed_hosts(db: Session, user: str, project: str | None = None) -> dict[str, frozenset[HostPermission]]:
    """What somebody (by the hub's name) may do on each active host: the union over domain, projects and active keypairs' policies.

    ``project`` is the id of the one project that counts; None: every active project of the person. Superadmins may do everything.
    """
    person = db.scalar(select(User).where(User.name == user))
    if person is None:
        return {}
    names = db.scalars(select(StorageHost.name).where(StorageHost.is_active.is_(True)).order_by(*_ORDER)).all()
    if person.role is Role.SUPERADMIN:
        return dict.fromkeys(names, ALL)
    granted = merge_host_permissions(*_list_granted(db, person, project))
    known = {item.value for item in HostPermission}
    found = {name: frozenset(map(HostPermission, granted.get(name, frozenset()) & known)) for name in names}
    return {name: permissions for name, permissions in found.items() if permissions}


def check_host(db: Session, user: str, host: str, permission: HostPermission, project: str | None = None) -> None:
    """Raises Forbidden, naming permission and host, where :func:`allowed_hosts` does not have it."""
    check_permission(allowed_hosts(db, user, project or None).get(host, frozenset()), host, permission)


def check_permission(permissions: Collection[HostPermission], host: str, permission: HostPermission) -> None:
    """The same for who knows already what is allowed on the host."""
    if permission not in permissions:
        raise Forbidden(_WORDS[permission], host=host, permission=permission.value)


def sync(db: Session, hosts: Mapping[str, ConfiguredHost]) -> None:
    """Make the configured hosts as the file says (use it exclusively); twice changes nothing.

    A host that the file no longer has becomes inactive and is then the administrators'; one of theirs that the file names becomes
    the file's. What people may do on a new one is given to the default keypair policy once, and is then the administrators' to change.
    """
    if db.get_bind().dialect.name == "postgresql":
        # Two services that start at once make each row once.
        db.execute(text("SELECT pg_advisory_xact_lock(hashtext('backendai-storage-hosts'))"))
    rows = {row.name: row for row in db.scalars(select(StorageHost))}
    for position, host in enumerate(hosts.values()):
        row = rows.get(host.name)
        if row is None:
            row = StorageHost(name=host.name)
            db.add(row)
            if host.is_granted:
                _grant_all(db, host.name)
        elif not row.is_configured:
            row.is_active = True
        row.path, row.description, row.quota_driver = host.path, host.description, host.quota_driver
        row.position, row.is_configured = position, True
    for name in set(rows) - set(hosts):
        if rows[name].is_configured:
            rows[name].is_configured = rows[name].is_active = False
            audit.record(db, actor=SYSTEM, action="storage_host.close", object=name)
    db.flush()


def _grant_all(db: Session, host: str) -> None:
    policy = db.get(KeypairResourcePolicy, DEFAULT_POLICY, with_for_update=True)
    if policy is not None and host not in policy.allowed_vfolder_hosts:
        policy.allowed_vfolder_hosts = {**policy.allowed_vfolder_hosts, host: [item.value for item in HostPermission]}
        audit.record(db, actor=SYSTEM, action="storage_host.grant", object=host, details={"policy": DEFAULT_POLICY})


def _list_granted(db: Session, person: User, project: str | None) -> list[dict[str, list[str]]]:
    keypairs = db.scalars(select(Keypair.resource_policy).where(Keypair.user_id == person.id, Keypair.is_active.is_(True))).all()
    # who has no keypair starts sessions under the default policy, and has folders under it
    policies = select(KeypairResourcePolicy.allowed_vfolder_hosts).where(KeypairResourcePolicy.name.in_(set(keypairs) or {DEFAULT_POLICY}))
    projects = select(Project.allowed_vfolder_hosts).where(Project.is_active.is_(True))
    if project is None:
        projects = projects.join(ProjectMember, ProjectMember.project_id == Project.id).where(ProjectMember.user_id == person.id)
    else:
        projects = projects.where(Project.id == project)
    domain = select(Domain.allowed_vfolder_hosts).where(Domain.name == person.domain, Domain.is_active.is_(True))
    return [*db.scalars(domain), *db.scalars(projects), *db.scalars(policies)]


def _read(row: StorageHost) -> Host:
    return Host(row.name, row.path, row.description, row.quota_driver, row.is_active)
