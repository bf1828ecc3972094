"""People: their rows, memberships and first keypair, and the accounts of the embedded directory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, inspect, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from ..core.identity import Identity, LocalAccount, PosixAccount
from ..errors import NotFound
from . import active_logins, models
from .models import Base, Domain, Keypair, Project, ProjectMember, Role, User, UserStatus


def insert_missing(db: Session, table: type[Base], **values: Any) -> bool:
    """Insert a row unless one with the same key is there, however many processes do it at once; whether this call did."""
    insert = postgresql.insert if db.get_bind().dialect.name == "postgresql" else sqlite.insert
    # Asked back by RETURNING, because not every driver counts the rows of such a statement.
    statement = insert(table).values(**values).on_conflict_do_nothing().returning(*inspect(table).primary_key)
    return db.execute(statement).first() is not None


# -- people


def get_identity(db: Session, name: str) -> Identity | None:
    """Who this is, closed people too (``is_active``); None when the person never logged in."""
    user = db.scalar(select(User).where(User.name == name))
    return _identity(db, user) if user else None


def find_identity(db: Session, name: str) -> Identity:
    """Who this is. Raises NotFound."""
    identity = get_identity(db, name)
    if identity is None:
        raise NotFound
    return identity


def _identity(db: Session, user: User) -> Identity:
    projects = db.scalars(
        select(Project.name).join(ProjectMember).where(ProjectMember.user_id == user.id, Project.is_active).order_by(Project.name)
    )
    access_key = db.scalar(
        select(Keypair.access_key).where(Keypair.user_id == user.id, Keypair.is_main, Keypair.is_active).order_by(Keypair.created_at)
    )
    domain_is_active = db.scalar(select(Domain.is_active).where(Domain.name == user.domain))
    return Identity(
        name=user.name,
        display_name=user.display_name,
        email=user.email,
        domain=user.domain,
        projects=tuple(projects),
        is_admin=user.role is Role.SUPERADMIN,
        is_active=user.status is UserStatus.ACTIVE and bool(domain_is_active),
        access_key=access_key or "",
        posix=_posix(user),
        language=user.language,
        role=user.role,
    )


def _posix(row: User | models.LocalAccount) -> PosixAccount | None:
    if row.posix_name is None or row.posix_uid is None or row.posix_gid is None:
        return None
    return PosixAccount(row.posix_name, row.posix_uid, row.posix_gid, row.posix_home or "/")


def posix_columns(posix: PosixAccount | None) -> dict[str, Any]:
    """A Unix account, or none, as the columns of a row."""
    if posix is None:
        return dict.fromkeys(("posix_name", "posix_uid", "posix_gid", "posix_home"))
    return {"posix_name": posix.name, "posix_uid": posix.uid, "posix_gid": posix.gid, "posix_home": posix.home}


def set_status(db: Session, name: str, status: UserStatus) -> None:
    """Close somebody's account here, which ends all their logins, or open it again. Raises NotFound."""
    if status is not UserStatus.ACTIVE:
        active_logins.end_other_logins(db, name)
    if not db.execute(update(User).where(User.name == name).values(status=status)).rowcount:  # type: ignore[attr-defined]
        raise NotFound


# -- the embedded directory


def get_local_account(db: Session, name: str) -> LocalAccount | None:
    """Somebody of the embedded directory."""
    row = db.get(models.LocalAccount, name)
    return _account(row) if row else None


def _account(row: models.LocalAccount) -> LocalAccount:
    return LocalAccount(
        row.name,
        row.password_hash,
        row.display_name,
        row.email,
        tuple(row.groups),
        _posix(row),
        is_active=row.is_active,
        must_change_password=row.must_change_password,
        has_signed_up=row.signed_up_at is not None,
    )


def set_local_account(
    db: Session,
    name: str,
    password_hash: str,
    display_name: str = "",
    email: str = "",
    groups: Sequence[str] = (),
    posix: PosixAccount | None = None,
) -> None:
    """Make somebody of the embedded directory, or change all of them. ``name`` is folded (``core.names.fold_name``) already."""
    insert_missing(
        db,
        models.LocalAccount,
        name=name,
        password_hash=password_hash,
        display_name="",
        email="",
        groups=[],
        is_active=True,
        created_at=models.now(),
    )
    row = db.get_one(models.LocalAccount, name, populate_existing=True)
    row.password_hash, row.display_name, row.email, row.groups, row.is_active = password_hash, display_name, email, list(groups), True
    for column, value in posix_columns(posix).items():
        setattr(row, column, value)
    db.flush()


def set_password_hash(db: Session, name: str, password_hash: str, *, before: str | None = None) -> bool:
    """Keep a new password, which need not be changed any more; whether there was anybody to keep it for.

    With ``before``, only while that hash is still the current one: of two who change it at once, one does.
    """
    found = update(models.LocalAccount).where(models.LocalAccount.name == name)
    if before is not None:
        found = found.where(models.LocalAccount.password_hash == before)
    values = {"password_hash": password_hash, "must_change_password": False, "password_changed_at": models.now()}
    return bool(db.execute(found.values(**values).execution_options(synchronize_session=False)).rowcount)  # type: ignore[attr-defined]


def remove_local_account(db: Session, name: str) -> bool:
    """Take somebody out of the embedded directory; whether there was anybody."""
    return bool(db.execute(delete(models.LocalAccount).where(models.LocalAccount.name == name)).rowcount)  # type: ignore[attr-defined]
