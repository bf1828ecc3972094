"""What a directory says of people, in our rows: at each login, and each time that the hub asks who somebody is now.

What a login gave is marked (``source``), so that a later one takes it away again; what an administrator gave stays.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ..core.identity import Identity, Person
from ..core.mapping import Mapped
from ..errors import N_, Forbidden
from . import audit, models
from .models import (
    Domain,
    Keypair,
    KeypairResourcePolicy,
    Project,
    ProjectMember,
    ResourceGroup,
    ResourceGroupKeypair,
    Role,
    User,
    UserStatus,
)
from .users import find_identity, insert_missing, posix_columns

log = logging.getLogger("backendai")
DIRECTORY = "directory"
REFUSALS: Mapping[UserStatus, str] = {
    UserStatus.BEFORE_VERIFICATION: N_("Your account here is not verified yet. Ask your centre's help desk."),
    UserStatus.INACTIVE: N_("Your account here is closed. Ask your centre's help desk."),
}
"""What people are told who may not log in, once they proved who they are."""
_Changes = dict[str, tuple[Any, Any]]


def sync_login(
    db: Session,
    person: Person,
    mapped: Mapped,
    managed_projects: Iterable[str],
    keypair: tuple[str, str],
    at: datetime,
) -> Identity:
    """The rows of somebody who just logged in, made or brought up to date; run it with ``run_exclusive``.

    ``keypair`` (access key, encrypted secret key) is used only when the person has none yet. Membership of ``managed_projects`` is the
    directory's alone. Role and domain stay where the site set them. Raises Forbidden for somebody who is closed or not verified yet.
    """
    is_new = _add_missing(db, person, mapped, at)
    user = _lock(db, person.name, mapped)
    if user.status is not UserStatus.ACTIVE:
        raise Forbidden(REFUSALS[user.status])
    user.last_login_at = at
    _add_first_keypair(db, user, keypair, at)
    changes = _sync(db, user, person, mapped, set(managed_projects), at)
    if not is_new:
        _record(db, user.name, changes)
    return find_identity(db, user.name)


def sync_refresh(db: Session, person: Person, mapped: Mapped, managed_projects: Iterable[str], at: datetime) -> Identity:
    """The same for somebody who is logged in; where nothing changed, nothing is written. Raises NotFound for one who never came."""
    before = find_identity(db, person.name)
    if before.is_active:
        _record(db, person.name, _sync(db, _lock(db, person.name, mapped), person, mapped, set(managed_projects), at))
    return find_identity(db, person.name)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a login would find and do: ``changes`` of rights (before, after), and names that rules give but nothing here has."""

    identity: Identity | None
    role_source: str = DIRECTORY
    domain_source: str = DIRECTORY
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def preview_login(db: Session, person: Person, mapped: Mapped, managed_projects: Iterable[str], at: datetime) -> Preview:
    """What :func:`sync_login` would change for somebody; nothing is changed."""
    missing = tuple(_list_missing(db, mapped))
    user = db.scalars(select(User).where(User.name == person.name)).first()
    if user is None:
        return Preview(None, missing=missing)
    found = Preview(find_identity(db, user.name), user.role_source, user.domain_source, missing=missing)
    trial = db.begin_nested()
    changes = _sync(db, _lock(db, person.name, mapped), person, mapped, set(managed_projects), at)
    trial.rollback()
    return replace(found, changes=changes)


def _list_missing(db: Session, mapped: Mapped) -> Iterator[str]:
    policy = mapped.keypair_resource_policy
    if policy and db.get(KeypairResourcePolicy, policy) is None:
        yield f"keypair resource policy {policy}"
    known = set(db.scalars(select(ResourceGroup.name).where(ResourceGroup.name.in_(mapped.resource_groups))))
    yield from (f"resource group {name}" for name in mapped.resource_groups if name not in known)


def _add_missing(db: Session, person: Person, mapped: Mapped, at: datetime) -> bool:
    """The rows that everything else hangs on; whether the person is new."""
    insert_missing(db, Domain, name=mapped.domain, description="", is_active=True, created_at=at)
    return insert_missing(
        db,
        User,
        id=models.new_id(),
        name=person.name,
        display_name="",
        email="",
        domain=mapped.domain,
        role=Role.USER,
        status=UserStatus.ACTIVE,
        language="",
        created_at=at,
    )


def _lock(db: Session, name: str, mapped: Mapped) -> User:
    """Somebody's row, until the end of this transaction; before it all superadmins', in one order, where one may cease to be one."""
    role = db.scalar(select(User.role).where(User.name == name, User.role_source == DIRECTORY))
    if role is Role.SUPERADMIN and mapped.role is not Role.SUPERADMIN:
        _list_superadmins(db)
    return db.scalars(select(User).where(User.name == name).with_for_update().execution_options(populate_existing=True)).one()


def _list_superadmins(db: Session) -> Sequence[str]:
    found = select(User.id).join(Domain, Domain.name == User.domain)
    found = found.where(User.role == Role.SUPERADMIN, User.status == UserStatus.ACTIVE, Domain.is_active)
    return db.scalars(found.order_by(User.id).with_for_update(of=User)).all()


def _sync(db: Session, user: User, person: Person, mapped: Mapped, managed: set[str], at: datetime) -> _Changes:
    """Make the rows say what the directory says; what that changed of somebody's rights, before and after."""
    # What the directory does not know is what an administrator wrote here.
    user.display_name, user.email = person.display_name[:255] or user.display_name, person.email[:255] or user.email
    for column, value in posix_columns(mapped.posix or person.posix).items():
        setattr(user, column, value)
    changes: _Changes = {}
    _sync_role(db, user, mapped, changes)
    _sync_domain(db, user, mapped, at, changes)
    db.flush()
    if user.domain == mapped.domain:  # whom an administrator moved elsewhere has the projects that they were given there
        _sync_projects(db, user, mapped.projects, managed, at, changes)
    _sync_keypairs(db, user, mapped, changes)
    db.flush()
    return changes


def _sync_role(db: Session, user: User, mapped: Mapped, changes: _Changes) -> None:
    if user.role_source != DIRECTORY or user.role is mapped.role:
        return
    if user.role is Role.SUPERADMIN and user.id in (left := _list_superadmins(db)) and len(left) == 1:
        log.warning("%s stays superadmin against the directory: there is no other one", user.name)
        return
    changes["role"] = (user.role.value, mapped.role.value)
    user.role = mapped.role


def _sync_domain(db: Session, user: User, mapped: Mapped, at: datetime, changes: _Changes) -> None:
    """Follow a rule into another domain. Whom the site made an administrator of one domain is not taken to be that of another."""
    if not mapped.has_domain or user.domain == mapped.domain or user.domain_source != DIRECTORY:
        return
    if user.role is Role.ADMIN and user.role_source != DIRECTORY:
        return
    insert_missing(db, Domain, name=mapped.domain, description="", is_active=True, created_at=at)
    changes["domain"] = (user.domain, mapped.domain)
    user.domain = mapped.domain
    elsewhere = select(Project.id).where(Project.domain != mapped.domain)
    db.execute(delete(ProjectMember).where(ProjectMember.user_id == user.id, ProjectMember.project_id.in_(elsewhere)))


def _sync_projects(db: Session, user: User, names: Sequence[str], managed: set[str], at: datetime, changes: _Changes) -> None:
    query = select(Project.name, Project.id, ProjectMember.source).join(ProjectMember, ProjectMember.project_id == Project.id)
    members = {row.name: row for row in db.execute(query.where(ProjectMember.user_id == user.id, Project.domain == user.domain))}
    wanted = dict.fromkeys(names)
    ended = [row for name, row in members.items() if name not in wanted and (row.source == DIRECTORY or name in managed)]
    if ended:
        ids = [row.id for row in ended]
        db.execute(delete(ProjectMember).where(ProjectMember.user_id == user.id, ProjectMember.project_id.in_(ids)))
    if joined := [name for name in wanted if name not in members]:
        _join(db, user, joined, at)
    if ended or joined:
        after = {*members, *joined} - {row.name for row in ended}
        changes["projects"] = (sorted(members), sorted(after))


def _join(db: Session, user: User, names: Sequence[str], at: datetime) -> None:
    here = select(Project.name, Project.id).where(Project.domain == user.domain, Project.name.in_(names))
    known = {row.name for row in db.execute(here)}
    for name in names:
        if name not in known:
            insert_missing(db, Project, id=models.new_id(), domain=user.domain, name=name, is_active=True, created_at=at)
    for row in db.execute(here).all():
        insert_missing(db, ProjectMember, user_id=user.id, project_id=row.id, source=DIRECTORY, created_at=at)


def _add_first_keypair(db: Session, user: User, keypair: tuple[str, str], at: datetime) -> None:
    if db.scalar(select(Keypair.access_key).where(Keypair.user_id == user.id, Keypair.is_main)) is None:
        access_key, secret_key = keypair
        db.add(Keypair(access_key=access_key, user_id=user.id, secret_key=secret_key, is_active=True, is_main=True, created_at=at))
        db.flush()


def _sync_keypairs(db: Session, user: User, mapped: Mapped, changes: _Changes) -> None:
    """The main keypair's policy where a rule gives one, and every keypair's resource groups. Unknown names give nothing."""
    keypairs = db.scalars(select(Keypair).where(Keypair.user_id == user.id).order_by(Keypair.created_at)).all()
    main = next((keypair for keypair in keypairs if keypair.is_main), None)
    policy = mapped.keypair_resource_policy
    if main is not None and policy and main.resource_policy != policy:
        if db.get(KeypairResourcePolicy, policy):
            changes["keypair_resource_policy"] = (main.resource_policy, policy)
            main.resource_policy = policy
        else:
            log.warning("A rule gives %s the keypair policy %s, which does not exist", user.name, policy)
    _sync_resource_groups(db, [keypair.access_key for keypair in keypairs], mapped.resource_groups, changes)


def _sync_resource_groups(db: Session, access_keys: Sequence[str], names: Sequence[str], changes: _Changes) -> None:
    links = db.scalars(select(ResourceGroupKeypair).where(ResourceGroupKeypair.access_key.in_(access_keys))).all()
    wanted = set(db.scalars(select(ResourceGroup.name).where(ResourceGroup.name.in_(names)))) if names else set()
    ended = [link for link in links if link.source == DIRECTORY and link.resource_group not in wanted]
    there = {(link.resource_group, link.access_key) for link in links}
    added = [(name, access_key) for name in sorted(wanted) for access_key in access_keys if (name, access_key) not in there]
    for link in ended:
        db.delete(link)
    for name, access_key in added:
        db.add(ResourceGroupKeypair(resource_group=name, access_key=access_key, source=DIRECTORY))
    if ended or added:
        left = there - {(link.resource_group, link.access_key) for link in ended} | set(added)
        changes["resource_groups"] = (sorted({name for name, _ in there}), sorted({name for name, _ in left}))


def _record(db: Session, user_name: str, changes: _Changes) -> None:
    """The directory, not a person, changed somebody's rights."""
    if changes:
        before, after = ({name: pair[side] for name, pair in changes.items()} for side in (0, 1))
        audit.record(db, actor="system", action="user.sync", object=user_name, source=DIRECTORY, details={"before": before, "after": after})
