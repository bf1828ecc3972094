"""What people change of themselves: profile, SSH key and keypairs. Each change leaves its audit row in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ..core.accounts import REGISTERED
from ..errors import N_, Conflict, Forbidden, InvalidParameters, NotFound, Violation
from . import audit, models
from .models import Keypair, User
from .safe import find_safe

_TOO_MANY = N_("You have %(count)s keypairs, and may have %(most)s. Make a new secret for one that you have.")
_IS_MAIN = N_("This is your main keypair: your sessions are counted under it. Make a new secret for it instead.")
_SWITCHED_OFF = N_("An administrator made this keypair inactive. Ask your centre's help desk.")


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody as the account pages show them."""

    name: str
    display_name: str
    email: str
    language: str
    domain: str
    role: str
    ssh_public_key: str
    last_login_at: datetime | None


@dataclass(frozen=True, slots=True)
class OwnKeypair:
    """A keypair as its owner sees it; never the secret."""

    access_key: str
    is_active: bool
    is_off_by_owner: bool
    is_main: bool
    resource_policy: str
    rate_limit: int
    created_at: datetime
    last_used_at: datetime | None


def find_account(db: Session, name: str) -> Account:
    """Raises NotFound."""
    row = _find(db, name)
    return Account(row.name, row.display_name, row.email, row.language, row.domain, row.role.value, row.ssh_public_key, row.last_login_at)


def update_profile(db: Session, name: str, changes: Mapping[str, str], source: str, *, is_unique: bool = False) -> bool:
    """Change ``display_name``, ``email`` or ``language``; whether anything was other. The embedded directory has the first two too.

    ``is_unique``: two accounts of the embedded directory never share an address. Raises InvalidParameters. Run it with ``run_exclusive``.
    """
    row = _find(db, name, lock=True)
    before = {key: getattr(row, key) for key, value in changes.items() if getattr(row, key) != value}
    if not before:
        return False
    if is_unique and before.get("email") is not None and changes["email"]:
        _check_address(db, name, changes["email"])
    account = db.get(models.LocalAccount, name)
    for key in before:
        setattr(row, key, changes[key])
        if account is not None and key in ("display_name", "email"):
            setattr(account, key, changes[key])
    if account is not None and "email" in before:
        account.email_verified_at = None
    _record(db, name, "profile.update", name, source, before=before, after={key: changes[key] for key in before})
    return True


def _check_address(db: Session, name: str, email: str) -> None:
    table = models.LocalAccount
    if db.scalar(select(table.name).where(func.lower(table.email) == email, table.name != name).limit(1)):
        raise InvalidParameters(violations=[Violation(REGISTERED, {}, "email", "taken")])


def set_ssh_key(db: Session, name: str, line: str, fingerprint: str, source: str) -> None:
    """Keep somebody's public key; "" takes it away."""
    row = _find(db, name, lock=True)
    if row.ssh_public_key == line:
        return
    row.ssh_public_key = line
    _record(db, name, "ssh-key.set" if line else "ssh-key.remove", name, source, **({"fingerprint": fingerprint} if line else {}))


# -- keypairs


def list_keypairs(db: Session, name: str) -> list[OwnKeypair]:
    """Somebody's keypairs: the main one, then by age."""
    rows = select(Keypair).join(User, User.id == Keypair.user_id).where(User.name == name)
    return [_keypair(row) for row in db.scalars(rows.order_by(Keypair.is_main.desc(), Keypair.created_at, Keypair.access_key))]


def add_keypair(db: Session, name: str, most: int, source: str) -> tuple[str, str]:
    """A new keypair under the rules of the main one: access key and secret. Raises Conflict when there are ``most`` already."""
    user = _find(db, name, lock=True)
    count = db.scalar(select(func.count()).where(Keypair.user_id == user.id)) or 0
    if count >= most:
        raise Conflict(_TOO_MANY, count=count, most=most)
    main = db.scalars(select(Keypair).where(Keypair.user_id == user.id, Keypair.is_main)).first()
    rules: dict[str, Any] = {"rate_limit": main.rate_limit, "resource_policy": main.resource_policy} if main else {}
    access_key, secret_key, sealed = find_safe(db).new_keypair()
    db.add(Keypair(access_key=access_key, user_id=user.id, secret_key=sealed, is_active=True, is_main=main is None, **rules))
    db.flush()
    if main is not None:
        _copy_groups(db, main.access_key, access_key)
    _record(db, name, "keypair.create", access_key, source)
    return access_key, secret_key


def _copy_groups(db: Session, old: str, new: str) -> None:
    """The resource groups that the main keypair may use."""
    table = models.ResourceGroupKeypair
    for group in db.scalars(select(table).where(table.access_key == old)).all():
        columns = {column.key: getattr(group, column.key) for column in table.__table__.columns if column.key not in ("id", "created_at")}
        db.add(table(**{**columns, "access_key": new}))
    db.flush()


def rotate_keypair(db: Session, name: str, access_key: str, source: str) -> str:
    """A new secret for an access key; the old one ends with this transaction."""
    row = _find_keypair(db, name, access_key)
    _, secret_key, _ = (safe := find_safe(db)).new_keypair()
    row.secret_key = safe.crypt.encrypt(secret_key, f"keypair:{access_key}")
    _record(db, name, "keypair.rotate", access_key, source)
    return secret_key


def set_keypair_active(db: Session, name: str, access_key: str, source: str, *, is_active: bool) -> None:
    """Switch a keypair off, or on again what was so. Raises Conflict for the main one, which sessions need; Forbidden for the others."""
    row = _find_keypair(db, name, access_key)
    if row.is_main and not is_active:
        raise Conflict(_IS_MAIN)
    if is_active and not row.is_active and not row.is_off_by_owner:
        raise Forbidden(_SWITCHED_OFF)
    if row.is_active != is_active:
        row.is_active, row.is_off_by_owner = is_active, not is_active
        _record(db, name, "keypair.update", access_key, source, before={"is_active": not is_active}, after={"is_active": is_active})


def _keypair(row: Keypair) -> OwnKeypair:
    return OwnKeypair(
        access_key=row.access_key,
        is_active=row.is_active,
        is_off_by_owner=row.is_off_by_owner,
        is_main=row.is_main,
        resource_policy=row.resource_policy,
        rate_limit=row.rate_limit,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
    )


def _find(db: Session, name: str, *, lock: bool = False) -> User:
    query = select(User).where(User.name == name)
    row = db.scalars(query.with_for_update() if lock else query).first()
    if row is None:
        raise NotFound
    return row


def _find_keypair(db: Session, name: str, access_key: str) -> Keypair:
    user = _find(db, name, lock=True)
    row = db.scalars(select(Keypair).where(Keypair.access_key == access_key, Keypair.user_id == user.id)).first()
    if row is None:
        raise NotFound
    return row


def _record(db: Session, name: str, action: str, thing: str, source: str, **details: Any) -> None:
    db.flush()
    audit.record(db, actor=name, action=action, object=thing, source=source, details=details)
