"""The audit log, to read: nobody changes it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, and_, or_, select
from sqlalchemy.sql.elements import ColumnElement

from ...core.identity import Actor, Role
from ...core.nouns.audit_log import AUDIT_LOG
from ...core.nouns.values import parse_value
from ..models import AuditEntry, Keypair, User
from .base import Records


class AuditRecords(Records):
    noun = AUDIT_LOG
    model = AuditEntry

    def select(self, actor: Actor) -> Select[Any]:
        """A domain's administrator reads what the domain's people did and what was done to them, not what else superadmins did."""
        query = super().select(actor)
        if actor.is_superadmin:
            return query
        names = select(User.name).where(User.domain == actor.domain, User.role != Role.SUPERADMIN)
        keys = select(Keypair.access_key).join(User, User.id == Keypair.user_id)
        keys = keys.where(User.domain == actor.domain, User.role != Role.SUPERADMIN)
        # The object of an act without a noun (a login) is a person as well.
        on_person = or_(AuditEntry.action.like("user.%"), AuditEntry.action.not_like("%.%"))
        return query.where(
            or_(
                AuditEntry.actor.in_(names),
                and_(on_person, AuditEntry.object.in_(names)),
                and_(AuditEntry.action.like("keypair.%"), AuditEntry.object.in_(keys)),
            )
        )

    def filter(self, name: str, text: str) -> ColumnElement[bool]:
        if name not in {"since", "until"}:
            return super().filter(name, text)
        moment = parse_value(self.noun.field(name), text)
        return AuditEntry.at >= moment if name == "since" else AuditEntry.at <= moment  # type: ignore[no-any-return]
