"""Where somebody stands: every limit that holds for them, and what live sessions use of it. Always counted, never kept."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from ..core.quota import Limit, Scope, Share, Standing, Usage
from ..core.slots import ResourceSlots
from ..errors import N_, NotFound
from .circumstances import limit_keypair
from .lines import PENDING, WAITING
from .models import ComputeSession, Domain, Keypair, KeypairResourcePolicy, Project, User
from .sessions import list_projects


def load_standing(db: Session, user_name: str, project: str = "", resource_group: str = "") -> Standing:
    """A person's limits and use for one project ("" is the first of theirs). Raises NotFound for somebody who is not known.

    ``resource_group`` asks what everybody holds in it.
    """
    user = db.scalar(select(User).where(User.name == user_name))
    if user is None:
        raise NotFound(N_("There is no user %(name)s."), name=user_name)
    projects = list_projects(db, user.id)
    chosen = project or next(iter(projects), "")
    key, policy = _find_keypair(db, user.id)
    own = _measure(db, ComputeSession.user_id == user.id, by=(ComputeSession.project, ComputeSession.queue, ComputeSession.access_key))
    return Standing(
        user=user.name,
        domain=user.domain,
        project=chosen,
        access_key=key,
        shares=tuple(_list_shares(db, user, chosen, policy, key, own)),
        projects=projects,
        by_project=_sum_by(own, 0),
        by_resource_group=_sum_by(own, 1),
        resource_group=_total(_measure(db, ComputeSession.queue == resource_group)) if resource_group else Usage(),
    )


def _list_shares(
    db: Session, user: User, project: str, policy: KeypairResourcePolicy | None, key: str, own: dict[tuple[str, ...], Usage]
) -> list[Share]:
    found = []
    if policy is not None:
        keypair, person = limit_keypair(policy)
        found += [Share(keypair, _sum_by(own, 2).get(key, Usage())), Share(person, _total(own))]
    in_domain = ComputeSession.domain == user.domain
    row = db.scalar(select(Project).where(Project.domain == user.domain, Project.name == project))
    if row is not None:
        used = _total(_measure(db, in_domain, ComputeSession.project == project))
        found.append(Share(Limit(Scope.PROJECT, project, row.total_resource_slots), used))
    domain = db.get_one(Domain, user.domain)
    found.append(Share(Limit(Scope.DOMAIN, domain.name, domain.total_resource_slots), _total(_measure(db, in_domain))))
    return found


def _find_keypair(db: Session, user_id: str) -> tuple[str, KeypairResourcePolicy | None]:
    """The keypair that sessions are started with, and its policy; of somebody without one the default policy holds."""
    query = select(Keypair).where(Keypair.user_id == user_id, Keypair.is_active.is_(True))
    keypair = db.scalar(query.order_by(Keypair.is_main.desc(), Keypair.created_at))
    policy = db.get(KeypairResourcePolicy, keypair.resource_policy if keypair else "default")
    return (keypair.access_key if keypair else ""), policy


def _measure(db: Session, *conditions: ColumnElement[bool], by: tuple[Any, ...] = ()) -> dict[tuple[str, ...], Usage]:
    """What live sessions hold, by the values of some columns. Grouped by amounts: a thousand sessions are a handful of rows."""
    columns = (*by, ComputeSession.slots.label("slots"), PENDING.label("is_pending"), WAITING.label("is_waiting"))
    live = select(*columns).where(ComputeSession.released_at.is_(None), *conditions)
    rows = live.subquery()
    found: dict[tuple[str, ...], Usage] = {}
    for *names, slots, pending, waiting, count in db.execute(select(*rows.c, func.count()).group_by(*rows.c)):
        key = tuple(names)
        amounts = ResourceSlots({name: amount * count for name, amount in slots.items()})
        held = Usage() if waiting else Usage(count, amounts)
        found[key] = found.get(key, Usage()) + held + (Usage(0, ResourceSlots(), count, amounts) if pending else Usage())
    return found


def _sum_by(usages: dict[tuple[str, ...], Usage], place: int) -> dict[str, Usage]:
    found: dict[str, Usage] = {}
    for names, usage in usages.items():
        found[names[place]] = found.get(names[place], Usage()) + usage
    return found


def _total(usages: dict[tuple[str, ...], Usage]) -> Usage:
    return sum(usages.values(), Usage())
