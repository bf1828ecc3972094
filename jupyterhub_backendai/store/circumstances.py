"""What an admission must know, under the locks that keep it true until the transaction ends, in as few statements as can be.

Locks are taken in the order person, project, domain, queue. Statements are made once: building one costs more than running it.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, Text, and_, bindparam, cast, exists, func, literal_column, select, text, union_all
from sqlalchemy.orm import Session

from ..core import policies
from ..core.identity import PosixAccount, Role
from ..core.images import Image
from ..core.nouns.settings import DEFAULTS, STATUS
from ..core.queues import Queue
from ..core.quota import Limit, Scope, Share, Standing, Usage
from ..core.sessions import SessionSpec
from ..core.slots import ResourceSlots
from ..errors import N_, Forbidden
from .lines import PENDING, WAITING
from .models import (
    DEFAULT_POLICY,
    ComputeSession,
    Domain,
    Keypair,
    KeypairResourcePolicy,
    Project,
    ResourceGroup,
    Setting,
    User,
    UserStatus,
)
from .models import Image as ImageRow

INACTIVE = N_("Your account is not active. Ask your centre's help desk.")
# Tables, not entities: nothing that is read here is changed.
_SESSION, _USER, _DOMAIN, _PROJECT = ComputeSession.__table__, User.__table__, Domain.__table__, Project.__table__
_KEYPAIR, _POLICY, _GROUP, _IMAGE = Keypair.__table__, KeypairResourcePolicy.__table__, ResourceGroup.__table__, ImageRow.__table__


@dataclass(frozen=True, slots=True)
class Owner:
    """The person who starts a session."""

    id: str
    name: str
    domain: str
    role: Role
    posix_name: str | None
    posix: PosixAccount | None


@dataclass(frozen=True, slots=True)
class Group:
    """Who may use a resource group, in short."""

    is_active: bool
    is_public: bool
    is_open: bool


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What holds for one start. ``is_known``: the session has a row; ``has_older``: another of the same server is live."""

    is_known: bool
    has_older: bool
    is_frozen: bool
    group: Group | None
    image: Image | None
    row: Row[Any]
    project_id: str = ""


def lock_owner(db: Session, name: str) -> Owner:
    """The person, whose row nobody else changes before this transaction ends. Raises Forbidden for one who may not start anything."""
    row = db.execute(_OWNER, {"name": name}).first()
    if row is None:
        raise Forbidden(N_("The platform does not know you yet. Log out and log in again."))
    if row.status is not UserStatus.ACTIVE or not row.domain_is_active:
        raise Forbidden(INACTIVE)
    return Owner(row.id, row.name, row.domain, row.role, row.posix_name, read_posix(row))


def read_posix(row: Any) -> PosixAccount | None:
    """The Unix account of somebody's row, None without one."""
    if row.posix_name is None or row.posix_uid is None or row.posix_gid is None:
        return None
    return PosixAccount(row.posix_name, row.posix_uid, row.posix_gid, row.posix_home or "")


def load_circumstances(db: Session, owner: Owner, project: str, queue: str = "", spec: SessionSpec | None = None) -> Circumstances:
    """What a start in a project meets. Call it under :func:`lock_owner`."""
    wanted = {"session_id": "", "server_name": "", "environment": ""}
    if spec is not None:
        wanted = {"session_id": spec.session_id, "server_name": spec.server_name, "environment": spec.request.environment}
    row = db.execute(_CIRCUMSTANCES, {"user_id": owner.id, "project": project, "queue": queue, **wanted}).one()
    return Circumstances(
        is_known=row.is_known,
        has_older=row.has_older,
        is_frozen={**DEFAULTS[STATUS], **(row.status or {})}["value"] == "frozen",
        group=None if row.group_name is None else Group(row.is_active, row.is_public, row.is_open),
        image=None if row.image is None else Image(row.image, row.labels, row.min_slots, row.max_slots),
        row=row,
        project_id=row.project_id or "",
    )


def lock_standing(db: Session, owner: Owner, project: str, found: Circumstances | None = None) -> Standing:
    """Where the person stands, exactly: nobody else adds to what is counted before this transaction ends.

    Call it under :func:`lock_owner` and before :func:`lock_queue`. Only a project and a domain that have limits are locked and
    counted, so what is said to be used of the others is nothing.
    """
    row = (found or load_circumstances(db, owner, project)).row
    limits = list(limit_keypair(row)) if row.policy is not None else []
    is_locking = db.get_bind().dialect.name == "postgresql"
    for scope, name, slots, lock in (
        (Scope.PROJECT, project, row.project_slots, _LOCK_PROJECT),
        (Scope.DOMAIN, owner.domain, row.domain_slots, _LOCK_DOMAIN),
    ):
        if slots and _is_finite(slots):
            # read again: whoever held the lock may have changed it
            values = {"domain": owner.domain, "project": project}
            limits.append(Limit(scope, name, db.execute(lock, values).scalar_one() if is_locking else slots))
    used = _measure(db, owner, project, row.access_key or "", {limit.scope for limit in limits})
    shares = tuple(Share(limit, used.get(limit.scope, Usage())) for limit in limits)
    return Standing(user=owner.name, domain=owner.domain, project=project, access_key=row.access_key or "", shares=shares)


def limit_keypair(row: Any) -> tuple[Limit, Limit]:
    """The limits of a keypair, and of its person over all keypairs. A row has the policy's name in ``policy``."""
    name = row.name if isinstance(row, KeypairResourcePolicy) else row.policy
    slots, is_limited = row.total_resource_slots, row.default_for_unspecified == "limited"
    keypair = Limit(
        Scope.KEYPAIR,
        name,
        slots,
        is_limited,
        sessions=row.max_concurrent_sessions,
        pending_sessions=row.max_pending_session_count,
        pending_slots=row.max_pending_session_resource_slots,
        lifetime_s=row.max_session_lifetime_s or None,
        containers=row.max_containers_per_session,
    )
    return keypair, Limit(Scope.USER, name, slots, is_limited)


def lock_queue(db: Session, queue: Queue) -> list[policies.Holding]:
    """What is held in the queue; nobody else is admitted to it before this transaction ends."""
    if db.get_bind().dialect.name == "postgresql":
        # Queues live in the configuration: there is no row to lock. The owner's row is always locked first, so nothing deadlocks.
        db.execute(_LOCK_QUEUE, {"name": f"backendai-queue:{queue.name}"})
    held: list[policies.Holding] = []
    for slots, devices, count in db.execute(_HOLDINGS, {"queue": queue.name}):
        held += [policies.Holding(slots, tuple(json.loads(devices)))] * count
    return held


def _is_finite(slots: ResourceSlots) -> bool:
    return any(amount.is_finite() for amount in slots.values())


def _measure(db: Session, owner: Owner, project: str, access_key: str, scopes: set[Scope]) -> dict[Scope, Usage]:
    counted = tuple(scope for scope in _MEASURES if scope in scopes)
    if not counted:
        return {}
    found: dict[Scope, Usage] = {}
    values = {"user_id": owner.id, "domain": owner.domain, "project": project}
    for scope_name, key, slots, is_pending, is_waiting, count in db.execute(_count(counted), values):
        amounts = slots if count == 1 else ResourceSlots({name: amount * count for name, amount in slots.items()})
        usage = Usage() if is_waiting else Usage(count, amounts)
        if is_pending:
            usage += Usage(0, ResourceSlots(), count, amounts)
        of = Scope(scope_name)
        for scope in (of, Scope.KEYPAIR) if of is Scope.USER and key == access_key else (of,):
            found[scope] = found[scope] + usage if scope in found else usage
    return found


@functools.cache
def _count(scopes: tuple[Scope, ...]) -> Any:
    return union_all(*(_MEASURES[scope] for scope in scopes))


def _measure_by(scope: Scope, *conditions: Any) -> Select[Any]:
    # Grouped by amounts: a thousand sessions are a handful of rows.
    key = _SESSION.c.access_key if scope is Scope.USER else literal_column("''").label("access_key")
    rows = (
        select(key, _SESSION.c.slots, PENDING.label("is_pending"), WAITING.label("is_waiting"))
        .where(_SESSION.c.released_at.is_(None), *conditions)
        .subquery()
    )
    return select(literal_column(f"'{scope.value}'").label("scope"), *rows.c, func.count().label("count")).group_by(*rows.c)


_OWNER = (
    select(
        *(_USER.c[name] for name in ("id", "name", "domain", "role", "status", "posix_name", "posix_uid", "posix_gid", "posix_home")),
        _DOMAIN.c.is_active.label("domain_is_active"),
    )
    .join(_DOMAIN, _DOMAIN.c.name == _USER.c.domain)
    .where(_USER.c.name == bindparam("name"))
    .with_for_update(of=_USER)
)

_MAIN_KEYPAIR = (
    select(_KEYPAIR.c.access_key)
    .where(_KEYPAIR.c.user_id == _USER.c.id, _KEYPAIR.c.is_active.is_(True))
    .order_by(_KEYPAIR.c.is_main.desc(), _KEYPAIR.c.created_at)
    .limit(1)
    .correlate(_USER)
    .scalar_subquery()
)
_LIVE_OF_SERVER = (
    _SESSION.c.user_id == bindparam("user_id"),
    _SESSION.c.server_name == bindparam("server_name"),
    _SESSION.c.released_at.is_(None),
)
# A person has one row here, with or without a keypair, a project, a group or an image of the name.
_CIRCUMSTANCES = (
    select(
        exists().where(_SESSION.c.id == bindparam("session_id")).label("is_known"),
        exists().where(*_LIVE_OF_SERVER).label("has_older"),
        select(Setting.__table__.c.value).where(Setting.__table__.c.name == STATUS).scalar_subquery().label("status"),
        _DOMAIN.c.total_resource_slots.label("domain_slots"),
        _PROJECT.c.total_resource_slots.label("project_slots"),
        _PROJECT.c.id.label("project_id"),
        _KEYPAIR.c.access_key,
        _POLICY.c.name.label("policy"),
        *(
            _POLICY.c[name]
            for name in (
                "total_resource_slots",
                "default_for_unspecified",
                "max_concurrent_sessions",
                "max_pending_session_count",
                "max_pending_session_resource_slots",
                "max_session_lifetime_s",
                "max_containers_per_session",
            )
        ),
        *(_GROUP.c.name.label("group_name"), _GROUP.c.is_active, _GROUP.c.is_public, _GROUP.c.is_open),
        *(_IMAGE.c.name.label("image"), _IMAGE.c.labels, _IMAGE.c.min_slots, _IMAGE.c.max_slots),
    )
    .select_from(_USER)
    .join(_DOMAIN, _DOMAIN.c.name == _USER.c.domain)
    .outerjoin(_PROJECT, and_(_PROJECT.c.domain == _USER.c.domain, _PROJECT.c.name == bindparam("project")))
    .outerjoin(_KEYPAIR, _KEYPAIR.c.access_key == _MAIN_KEYPAIR)
    .outerjoin(_POLICY, _POLICY.c.name == func.coalesce(_KEYPAIR.c.resource_policy, DEFAULT_POLICY))
    .outerjoin(_GROUP, _GROUP.c.name == bindparam("queue"))
    .outerjoin(_IMAGE, _IMAGE.c.name == bindparam("environment"))
    .where(_USER.c.id == bindparam("user_id"))
)
_LOCK_PROJECT = (
    select(_PROJECT.c.total_resource_slots)
    .where(_PROJECT.c.domain == bindparam("domain"), _PROJECT.c.name == bindparam("project"))
    .with_for_update(key_share=True)
)
_LOCK_DOMAIN = select(_DOMAIN.c.total_resource_slots).where(_DOMAIN.c.name == bindparam("domain")).with_for_update(key_share=True)
_LOCK_QUEUE = text("SELECT pg_advisory_xact_lock(hashtext(:name))")
_IN_DOMAIN = _SESSION.c.domain == bindparam("domain")
_MEASURES = {
    Scope.USER: _measure_by(Scope.USER, _SESSION.c.user_id == bindparam("user_id")),
    Scope.PROJECT: _measure_by(Scope.PROJECT, _IN_DOMAIN, _SESSION.c.project == bindparam("project")),
    Scope.DOMAIN: _measure_by(Scope.DOMAIN, _IN_DOMAIN),
}
_HELD = (
    select(_SESSION.c.slots, cast(_SESSION.c.devices, Text).label("devices"))
    .where(_SESSION.c.queue == bindparam("queue"), _SESSION.c.released_at.is_(None), ~WAITING)
    .subquery()
)
_HOLDINGS: Select[Any] = select(*_HELD.c, func.count()).group_by(*_HELD.c)
