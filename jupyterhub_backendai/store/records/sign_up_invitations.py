"""Invitations to make an account. The word itself is told once and kept as a hash."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core.accounts import fold_email, fold_invitation, hash_word
from ...core.identity import Actor
from ...core.nouns.sign_up_invitations import SIGN_UP_INVITATIONS
from ...errors import N_, Violation
from ..models import Domain, Project, SignUpInvitation
from .base import Records, check_references

# Without those that people take for one another.
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_GROUPS, _GROUP = 4, 4


def new_invitation() -> str:
    """A word of 80 bits that can be read out."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))


class SignUpInvitationRecords(Records):
    noun = SIGN_UP_INVITATIONS
    model = SignUpInvitation
    domain_column = "domain"

    def make_row(self, db: Session, actor: Actor, data: Mapping[str, Any]) -> Any:
        return super().make_row(db, actor, data if actor.is_superadmin else {"domain": actor.domain, **data})

    def check(self, db: Session, actor: Actor, values: Mapping[str, Any], row: Any | None) -> list[Violation]:
        domain = row.domain if row is not None else values["domain"]
        if row is None and not actor.is_superadmin and domain != actor.domain:
            return [Violation(N_("You administer the domain %(name)s only."), {"name": actor.domain}, "domain", "other-domain")]
        found = check_references(db, "domain", [domain], Domain.name)
        names = values.get("projects", ())
        known = set(db.scalars(select(Project.name).where(Project.domain == domain, Project.name.in_(names)))) if names else set()
        message = N_("The domain %(domain)s has no project %(name)s.")
        return found + [
            Violation(message, {"domain": domain, "name": name}, "projects", "unknown") for name in names if name not in known and not found
        ]

    def assign(self, db: Session, row: Any, values: Mapping[str, Any]) -> None:
        folded = {"email": fold_email(values["email"])} if "email" in values else {}
        super().assign(db, row, {**values, **folded})

    def build(self, db: Session, actor: Actor, values: Mapping[str, Any]) -> Any:
        word = new_invitation()
        row = SignUpInvitation(token_hash=hash_word(fold_invitation(word)), created_by=actor.name)
        self.assign(db, row, values)
        db.add(row)
        db.flush()
        vars(row)["extras"] = {"invitation": word}
        return row

    def list_extras(self, row: Any) -> Mapping[str, Any]:
        return dict(getattr(row, "extras", {}))
