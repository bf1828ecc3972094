"""Storage hosts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ...core.identity import Actor
from ...core.nouns.storage import STORAGE_HOSTS, check_host
from ...errors import N_, Conflict, Violation
from .. import vfolder_quotas
from ..models import Domain, KeypairResourcePolicy, Project, StorageHost, VFolder
from .base import Records

# what the configuration file says of its hosts
_OWNED = ("path", "description", "quota_driver")


class StorageHostRecords(Records):
    noun = STORAGE_HOSTS
    model = StorageHost

    def check(self, db: Session, actor: Actor, values: Mapping[str, Any], row: Any | None) -> list[Violation]:  # noqa: ARG002
        found = check_host(values.get("name") if row is None else None, values.get("path"))
        if row is not None and row.is_configured:
            changed = [name for name in _OWNED if values.get(name, getattr(row, name)) != getattr(row, name)]
            found += [Violation(N_("The configuration file says this; change it there."), {}, name, "configured") for name in changed]
        elif row is not None and values.get("path", row.path) != row.path and (count := _count_folders(db, row.name)):
            message = N_("There are %(count)s folders in this directory, and nothing moves them.")
            found.append(Violation(message, {"count": count}, "path", "in-use"))
        return found

    def column(self, name: str) -> Any:
        if name == "folder_count":
            return select(func.count()).where(VFolder.host == StorageHost.name).correlate(StorageHost).scalar_subquery()
        return super().column(name)

    def values_of(self, db: Session, rows: Sequence[Any]) -> list[dict[str, Any]]:
        found = db.execute(select(VFolder.host, func.count()).where(VFolder.host.in_([row.name for row in rows])).group_by(VFolder.host))
        counts = {name: count for name, count in found}  # noqa: C416 - a result has keys() and would be taken for a mapping
        return [{**values, "folder_count": counts.get(values["name"], 0)} for values in super().values_of(db, rows)]

    def check_removal(self, db: Session, actor: Actor, row: Any) -> None:  # noqa: ARG002
        if row.is_configured:
            message = N_("The storage host %(name)s is in the configuration file. Take it out there, or make it inactive here.")
            raise Conflict(message, name=row.name)
        if count := _count_folders(db, row.name):
            raise Conflict(
                N_("There are %(count)s folders on the storage host %(name)s, those in the trash included."), name=row.name, count=count
            )
        policies, domains, projects = (_count(db, model, row.name) for model in (KeypairResourcePolicy, Domain, Project))
        if policies or domains or projects:
            message = N_("The storage host %(name)s is named by %(policies)s policies, %(domains)s domains and %(projects)s projects.")
            raise Conflict(message, name=row.name, policies=policies, domains=domains, projects=projects)

    def delete(self, db: Session, row: Any) -> None:
        """The limits of its owners go with it."""
        vfolder_quotas.forget_scopes(db, host=row.name)
        super().delete(db, row)


def _count_folders(db: Session, host: str) -> int:
    return db.scalar(select(func.count()).where(VFolder.host == host)) or 0


def _count(db: Session, model: type[KeypairResourcePolicy | Domain | Project], host: str) -> int:
    return sum(host in hosts for hosts in db.scalars(select(model.allowed_vfolder_hosts)))
