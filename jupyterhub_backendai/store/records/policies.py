"""The three kinds of policy. One that somebody has cannot be taken away, and ``default`` never."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from ...core.identity import Actor
from ...core.nouns.policies import KEYPAIR_RESOURCE_POLICIES, PROJECT_RESOURCE_POLICIES, USER_RESOURCE_POLICIES, check_amounts
from ...core.slots import ResourceSlots
from ...errors import N_, Conflict, Violation
from ..models import (
    DEFAULT_POLICY,
    Keypair,
    KeypairResourcePolicy,
    Project,
    ProjectMember,
    ProjectResourcePolicy,
    StorageHost,
    User,
    UserResourcePolicy,
)
from .base import Records, check_references

_SLOTS = ("total_resource_slots", "max_pending_session_resource_slots")


class PolicyRecords(Records):
    """What the kinds share. ``owner`` is who has such a policy, ``counted`` the field that says how many do."""

    owner: ClassVar[type[Keypair | User | Project]]
    counted: ClassVar[str]
    in_use: ClassVar[str]

    def select_people(self, name: str) -> Select[Any]:
        """The ids of the people whom the policy governs."""
        raise NotImplementedError

    def column(self, name: str) -> Any:
        if name == self.counted:
            model: Any = self.model
            return select(func.count()).where(self.owner.resource_policy == model.name).correlate(model).scalar_subquery()
        return super().column(name)

    def values_of(self, db: Session, rows: Sequence[Any]) -> list[dict[str, Any]]:
        policy = self.owner.resource_policy
        found = db.execute(select(policy, func.count()).where(policy.in_([row.name for row in rows])).group_by(policy))
        counts = {name: count for name, count in found}  # noqa: C416 - a result has keys() and would be taken for a mapping
        return [{**values, self.counted: counts.get(values["name"], 0)} for values in super().values_of(db, rows)]

    def count_people(self, db: Session, row: Any) -> int:
        return db.scalar(select(func.count()).select_from(self.select_people(row.name).distinct().subquery())) or 0

    def check_removal(self, db: Session, actor: Actor, row: Any) -> None:  # noqa: ARG002
        if row.name == DEFAULT_POLICY:
            raise Conflict(N_("The policy %(name)s is for everybody who has no other, so it stays."), name=row.name)
        count = db.scalar(select(func.count()).where(self.owner.resource_policy == row.name)) or 0
        if count:
            raise Conflict(self.in_use, name=row.name, count=count)


class KeypairPolicyRecords(PolicyRecords):
    noun = KEYPAIR_RESOURCE_POLICIES
    model = KeypairResourcePolicy
    owner = Keypair
    counted = "keypair_count"
    in_use = N_("The policy %(name)s is in use by %(count)s keypairs. Give them another one first.")

    def select_people(self, name: str) -> Select[Any]:
        return select(Keypair.user_id).where(Keypair.resource_policy == name)

    def values_of(self, db: Session, rows: Sequence[Any]) -> list[dict[str, Any]]:
        # No amounts at all and no row of amounts are the same: nothing is limited.
        return [
            {**values, "max_pending_session_resource_slots": values["max_pending_session_resource_slots"] or ResourceSlots()}
            for values in super().values_of(db, rows)
        ]

    def check(self, db: Session, actor: Actor, values: Mapping[str, Any], row: Any | None) -> list[Violation]:  # noqa: ARG002
        found = [violation for name in _SLOTS if name in values for violation in check_amounts(name, values[name])]
        return found + check_references(db, "allowed_vfolder_hosts", list(values.get("allowed_vfolder_hosts", ())), StorageHost.name)


class UserPolicyRecords(PolicyRecords):
    noun = USER_RESOURCE_POLICIES
    model = UserResourcePolicy
    owner = User
    counted = "user_count"
    in_use = N_("The policy %(name)s is in use by %(count)s people. Give them another one first.")

    def select_people(self, name: str) -> Select[Any]:
        return select(User.id).where(User.resource_policy == name)


class ProjectPolicyRecords(PolicyRecords):
    noun = PROJECT_RESOURCE_POLICIES
    model = ProjectResourcePolicy
    owner = Project
    counted = "project_count"
    in_use = N_("The policy %(name)s is in use by %(count)s projects. Give them another one first.")

    def select_people(self, name: str) -> Select[Any]:
        return select(ProjectMember.user_id).join(Project, Project.id == ProjectMember.project_id).where(Project.resource_policy == name)
