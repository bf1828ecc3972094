"""People: their rows, projects, first keypair, and their password where the embedded directory keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from ...core.identity import Actor, Role, UserStatus
from ...core.nouns import Change
from ...core.nouns.users import USERS, Surroundings, check_person, last_superadmin, leaves_superadmins
from ...errors import N_, Violation
from .. import active_logins, users
from ..models import Domain, Keypair, LocalAccount, OTPToken, Project, ProjectMember, User, UserResourcePolicy, now
from ..safe import find_safe, get_safe
from .base import Records, in_order
from .memory import remembered

_CHECKED = ("name", "domain", "domain_source", "role", "role_source", "status", "resource_policy")
# What the embedded directory would say at the next login.
_TOLD = ("display_name", "email", "must_change_password")


class UserRecords(Records):
    noun = USERS
    model = User
    domain_column = "domain"

    def filter(self, name: str, text: str) -> ColumnElement[bool]:
        if name != "projects":
            return super().filter(name, text)
        domain, slash, project = text.rpartition("/")
        members = select(ProjectMember.user_id).join(Project, Project.id == ProjectMember.project_id).where(Project.name == project)
        return User.id.in_(members.where(Project.domain == domain) if slash else members)

    def values_of(self, db: Session, rows: Sequence[Any]) -> list[dict[str, Any]]:
        ids = [row.id for row in rows]
        projects: dict[str, list[str]] = {}
        links = select(ProjectMember.user_id, Project.name).join(Project, Project.id == ProjectMember.project_id)
        for user_id, name in db.execute(links.where(ProjectMember.user_id.in_(ids)).order_by(Project.name)):
            projects.setdefault(user_id, []).append(name)
        keys = select(Keypair.user_id, Keypair.access_key, Keypair.resource_policy).where(Keypair.user_id.in_(ids), Keypair.is_main)
        # Of several the oldest comes last and stays.
        main = {row.user_id: row for row in db.execute(keys.order_by(Keypair.created_at.desc()))}
        login = select(User.id, OTPToken.user_name.label("token"), LocalAccount.must_change_password).where(User.id.in_(ids))
        login = login.outerjoin(OTPToken, OTPToken.user_name == User.name).outerjoin(LocalAccount, LocalAccount.name == User.name)
        logins = {row.id: row for row in db.execute(login)}
        return [
            {
                **values,
                "projects": tuple(projects.get(row.id, ())),
                "main_access_key": main[row.id].access_key if row.id in main else "",
                "keypair_resource_policy": main[row.id].resource_policy if row.id in main else "",
                "must_change_password": bool(logins[row.id].must_change_password),
                "has_otp": logins[row.id].token is not None,
            }
            for row, values in zip(rows, super().values_of(db, rows), strict=True)
        ]

    def make_row(self, db: Session, actor: Actor, data: Mapping[str, Any]) -> Any:
        # Whoever sets somebody's password must not get a superadmin by a name that the configuration has.
        is_given = data.get("role", Role.USER.value) != Role.USER.value and "role_source" not in data
        if self.noun.may(actor, "create") and (is_given or not actor.is_superadmin):
            data = {**data, "role_source": "site"}
        return super().make_row(db, actor, data)

    @in_order
    def update(self, db: Session, actor: Actor, key: str, data: Mapping[str, Any], etag: str = "") -> Change:
        if self.noun.may(actor, "update") and {"role", "status"} & set(data):
            self._lock_superadmins(db)  # before anybody's own row, so that two at a time wait for each other in one order
        return super().update(db, actor, key, {name: value for name, value in data.items() if name != "password" or value != ""}, etag)

    def check(self, db: Session, actor: Actor, values: Mapping[str, Any], row: Any | None) -> list[Violation]:
        before = None if row is None else {name: getattr(getattr(row, name), "value", getattr(row, name)) for name in _CHECKED}
        key = (before and before["domain"], *(str(values.get(name)) for name in ("domain", "projects", "resource_policy")))
        found = check_person(actor, before, values, remembered(db, key, lambda: _look_around(db, before, values)))
        if row is None and not actor.is_superadmin and users.get_local_account(db, values["name"]):
            # Whoever may log in by it is not of this domain yet, and its password would be this administrator's to set.
            found.append(Violation(N_("There is an account of that name already. Ask a superadmin to make the user."), {}, "name", "taken"))
        if not found and leaves_superadmins(before, values) and not set(self._lock_superadmins(db)) - {row.id if row else ""}:
            found.append(last_superadmin(values))
        if row is not None and not found:
            self._take_over_role(actor, row, values)
        return found

    def build(self, db: Session, actor: Actor, values: Mapping[str, Any]) -> Any:
        row = super().build(db, actor, values)
        access_key, secret_key, sealed = find_safe(db).new_keypair()
        db.add(Keypair(access_key=access_key, user_id=row.id, secret_key=sealed, is_active=True, is_main=True))
        db.flush()
        row.extras = {"access_key": access_key, "secret_key": secret_key}
        return row

    def list_extras(self, row: Any) -> Mapping[str, Any]:
        return dict(getattr(row, "extras", {}))

    def assign(self, db: Session, row: Any, values: Mapping[str, Any]) -> None:
        kinds = {"role": Role, "status": UserStatus}
        if values.get("domain", row.domain) != row.domain and "domain_source" not in values:
            row.domain_source = "site"
        # Whoever is closed, and whoever knows the old password only, is out on every browser, and stays so when it is opened again.
        if values.get("password") or values.get("status", UserStatus.ACTIVE.value) != UserStatus.ACTIVE.value:
            active_logins.end_other_logins(db, row.name)
        super().assign(db, row, {name: kinds[name](value) if name in kinds else value for name, value in values.items()})

    def link(self, db: Session, actor: Actor, row: Any, values: Mapping[str, Any]) -> None:  # noqa: ARG002
        if "domain" in values or "projects" in values:
            _set_projects(db, row, values.get("projects"))
        _set_account(db, row, values)

    def count_people(self, db: Session, row: Any) -> int:  # noqa: ARG002
        return 1

    # -- inside

    def _lock_superadmins(self, db: Session) -> Sequence[str]:
        """The ids of the active ones in active domains, who stay so until the end of this transaction."""
        found = select(User.id).join(Domain, Domain.name == User.domain)
        found = found.where(User.role == Role.SUPERADMIN, User.status == UserStatus.ACTIVE, Domain.is_active)
        return db.scalars(found.order_by(User.id).with_for_update(of=User)).all()

    def _take_over_role(self, actor: Actor, row: Any, values: Mapping[str, Any]) -> None:
        """A role that an administrator sets is the site's from then on, unless they say otherwise.

        So is that of somebody whose password a domain's administrator sets: it would be theirs, whatever the directory makes of it.
        """
        is_changed = values.get("role", row.role.value) != row.role.value
        if "role_source" not in values and (is_changed or (values.get("password") and not actor.is_superadmin)):
            row.role_source = "site"


def _look_around(db: Session, before: Mapping[str, Any] | None, values: Mapping[str, Any]) -> Surroundings:
    """What these values refer to, as far as it is there."""
    domain = values.get("domain", before["domain"] if before else "")
    names = values.get("projects", ())
    domains = db.execute(select(Domain.name, Domain.is_active).where(Domain.name == domain))
    policies = select(UserResourcePolicy.name).where(UserResourcePolicy.name == values.get("resource_policy"))
    projects = select(Project.domain, Project.name, Project.id).where(Project.domain == domain, Project.name.in_(names))
    safe = get_safe(db)
    return Surroundings(
        domains={row.name: row.is_active for row in domains},
        policies=frozenset(db.scalars(policies)) if "resource_policy" in values else frozenset(),
        projects={(row.domain, row.name): row.id for row in db.execute(projects)} if names else {},
        keeps_passwords=safe is not None and safe.hash_password is not None,
    )


def _set_projects(db: Session, row: User, names: Sequence[str] | None) -> None:
    """Make somebody a member of these projects of their domain (None: as they are), and of none elsewhere."""
    here = select(Project.id).where(Project.domain == row.domain)
    wanted = set(db.scalars(here if names is None else here.where(Project.name.in_(names))))
    known = set(db.scalars(select(ProjectMember.project_id).where(ProjectMember.user_id == row.id)))
    if ended := known - wanted:
        db.execute(delete(ProjectMember).where(ProjectMember.user_id == row.id, ProjectMember.project_id.in_(ended)))
    if names is not None:
        db.add_all(ProjectMember(user_id=row.id, project_id=project_id) for project_id in sorted(wanted - known))
    db.flush()


def _set_account(db: Session, row: User, values: Mapping[str, Any]) -> None:
    """The account of the embedded directory: made with the first password, and saying what stands here."""
    safe = get_safe(db)
    if safe is None or safe.hash_password is None:
        return
    password = values.get("password")
    account = db.get(LocalAccount, row.name) if password or any(name in values for name in _TOLD) else None
    if account is None and password:
        users.set_local_account(db, row.name, safe.hash_password(password), row.display_name, row.email)
    elif account is not None and password:
        account.password_hash, account.password_changed_at = safe.hash_password(password), now()
    if account := account or db.get(LocalAccount, row.name):
        account.display_name, account.email = row.display_name, row.email
        account.must_change_password = values.get("must_change_password", account.must_change_password)
    db.flush()
