"""Storage hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ...core.identity import Actor
from ...core.nouns.storage import STORAGE_HOSTS, check_host
from ...errors import N_, Conflict, Violation
from ..models import Domain, KeypairResourcePolicy, Project, StorageHost
from .base import Records


class StorageHostRecords(Records):
    noun = STORAGE_HOSTS
    model = StorageHost

    def check(self, db: Session, actor: Actor, values: Mapping[str, Any], row: Any | None) -> list[Violation]:  # noqa: ARG002
        return check_host(values.get("name") if row is None else None, values.get("path"))

    def check_removal(self, db: Session, actor: Actor, row: Any) -> None:  # noqa: ARG002
        policies, domains, projects = (_count(db, model, row.name) for model in (KeypairResourcePolicy, Domain, Project))
        if policies or domains or projects:
            message = N_("The storage host %(name)s is named by %(policies)s policies, %(domains)s domains and %(projects)s projects.")
            raise Conflict(message, name=row.name, policies=policies, domains=domains, projects=projects)


def _count(db: Session, model: type[KeypairResourcePolicy | Domain | Project], host: str) -> int:
    return sum(host in hosts for hosts in db.scalars(select(model.allowed_vfolder_hosts)))
