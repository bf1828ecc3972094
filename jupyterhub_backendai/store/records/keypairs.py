"""Keypairs: several per person, of which exactly one is the main one. The secret is told once, when a keypair is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from ...core.identity import Actor, Role
from ...core.nouns import Change
from ...core.nouns.keypairs import KEYPAIRS
from ...core.nouns.users import ONLY_SUPERADMINS, check_superadmin_only
from ...errors import N_, Conflict, Violation
from ..models import ComputeSession, Keypair, KeypairResourcePolicy, User
from ..safe import find_safe
from .base import Records, check_references, in_order

_COLUMNS = ("is_active", "is_main", "rate_limit", "resource_policy")
_OF_OWNER = {"user": User.name, "domain": User.domain}


class KeypairRecords(Records):
    noun = KEYPAIRS
    model = Keypair

    def select(self, actor: Actor) -> Select[Any]:
        """A domain's administrator sees those of the domain's people, but none of a superadmin."""
        query = super().select(actor).join(User, User.id == Keypair.user_id)
        return query if actor.is_superadmin else query.where(User.domain == actor.domain, User.role != Role.SUPERADMIN)

    def column(self, name: str) -> Any:
        return _OF_OWNER[name] if name in _OF_OWNER else super().column(name)

    def values_of(self, db: Session, rows: Sequence[Any]) -> list[dict[str, Any]]:
        people = db.execute(select(User.id, User.name, User.domain).where(User.id.in_({row.user_id for row in rows})))
        owners = {row.id: {"user": row.name, "domain": row.domain} for row in people}
        return [{**values, **owners[row.user_id]} for row, values in zip(rows, super().values_of(db, rows), strict=True)]

    @in_order
    def update(self, db: Session, actor: Actor, key: str, data: Mapping[str, Any], etag: str = "") -> Change:
        if self.noun.may(actor, "update"):
            # The owner before any keypair of theirs: two that become the main one at a time wait for each other in one order.
            owner = self.select(actor).where(Keypair.access_key == key).with_only_columns(Keypair.user_id, maintain_column_froms=True)
            _lock_owner(db, db.scalar(owner))
        return super().update(db, actor, key, data, etag)

    def check(self, db: Session, actor: Actor, values: Mapping[str, Any], row: Any | None) -> list[Violation]:
        before = None if row is None else {name: getattr(row, name) for name in _COLUMNS}
        found = _check_owner(db, actor, values["user"]) if row is None else []
        if "resource_policy" in values:
            found += check_references(db, "resource_policy", [values["resource_policy"]], KeypairResourcePolicy.name)
        if not actor.is_superadmin:
            found += check_superadmin_only(before or {}, values, {"resource_policy": "default"})
        return found + _check_main(before or {}, values)

    def build(self, db: Session, actor: Actor, values: Mapping[str, Any]) -> Any:  # noqa: ARG002
        user_id = _lock_owner(db, db.scalar(select(User.id).where(User.name == values["user"])))
        main = select(Keypair.access_key).where(Keypair.user_id == user_id, Keypair.is_main)
        access_key, secret_key, sealed = find_safe(db).new_keypair()
        columns = {name: values[name] for name in _COLUMNS}
        # Whoever has no main keypair gets one with the first that can be it.
        columns["is_main"] |= columns["is_active"] and db.scalar(main.limit(1)) is None
        row = Keypair(access_key=access_key, user_id=user_id, secret_key=sealed, **columns)
        db.add(row)
        db.flush()
        vars(row)["extras"] = {"secret_key": secret_key}
        return row

    def assign(self, db: Session, row: Any, values: Mapping[str, Any]) -> None:
        if values.get("is_active", row.is_active) != row.is_active:
            row.is_off_by_owner = False
        super().assign(db, row, values)

    def list_extras(self, row: Any) -> Mapping[str, Any]:
        return dict(getattr(row, "extras", {}))

    def link(self, db: Session, actor: Actor, row: Any, values: Mapping[str, Any]) -> None:  # noqa: ARG002
        """There is one main keypair: the others of the person are it no more, with an audit row each."""
        if not row.is_main:
            return
        others = select(Keypair).where(Keypair.user_id == row.user_id, Keypair.is_main, Keypair.access_key != row.access_key)
        for other in db.scalars(others).all():
            before = self._record(db, other)
            other.is_main = False
            db.flush()
            self._record_act(db, actor, "update", before, self._record(db, other))

    def count_people(self, db: Session, row: Any) -> int:  # noqa: ARG002
        return 1

    def check_removal(self, db: Session, actor: Actor, row: Any) -> None:  # noqa: ARG002
        if row.is_main:
            raise Conflict(N_("The keypair %(key)s is its owner's main one. Make another one the main one first."), key=row.access_key)
        if row.is_active:
            raise Conflict(N_("The keypair %(key)s is active. Make it inactive first."), key=row.access_key)
        live = select(func.count()).where(ComputeSession.access_key == row.access_key, ComputeSession.released_at.is_(None))
        # Live sessions are few, and those of one person fewer.
        if count := db.scalar(live.where(ComputeSession.user_id == row.user_id)) or 0:
            message = N_("%(count)s live sessions run with the keypair %(key)s. Remove it when they are over.")
            raise Conflict(message, count=count, key=row.access_key)


def _lock_owner(db: Session, user_id: str | None) -> str | None:
    return db.scalar(select(User.id).where(User.id == user_id).with_for_update()) if user_id else None


def _check_owner(db: Session, actor: Actor, name: str) -> list[Violation]:
    owner = db.execute(select(User.domain, User.role).where(User.name == name)).first()
    if owner is None or not (actor.is_superadmin or owner.domain == actor.domain):
        return [Violation(N_("There is no %(name)s."), {"name": name}, "user", "unknown")]
    if owner.role is Role.SUPERADMIN and not actor.is_superadmin:
        return [Violation(ONLY_SUPERADMINS, {}, "user", "superadmin")]
    return []


def _check_main(before: Mapping[str, Any], values: Mapping[str, Any]) -> list[Violation]:
    """What would leave somebody without a main keypair, or with one that cannot be used."""
    is_main, is_active = (values.get(name, before.get(name)) for name in ("is_main", "is_active"))
    if before.get("is_main") and not is_main:
        message = N_("This is the person's only main keypair. Make another one the main one instead.")
        return [Violation(message, {}, "is_main", "last-main")]
    if is_main and not is_active:
        where = "is_active" if before.get("is_main") else "is_main"
        return [Violation(N_("A main keypair must be active."), {}, where, "inactive-main")]
    return []
