"""The waiting line of a queue in the database: one look at it, the places that follow, and where a session is.

A look (:func:`look`) reads the line without locking anybody and writes down why each one waits. Each place that it found is then
given in a transaction of its own (:func:`give_place`) under the locks of an admission, in the same order: owner, queue. So nobody
ever holds a queue while waiting for a person.

A session in line counts for the limits of waiting sessions only; it holds slots from :func:`give_place` on, and so the quotas are
checked there again, exactly. The look asks them first: who is over a quota keeps nobody else back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.orm import Session

from ..core import policies
from ..core.policies import Holding
from ..core.queues import Queue
from ..core.quota import Ask, Scope, Standing, Usage, check_quota
from ..core.scheduling import Anywhere, Dependency, Gate, Node, Pending, Placement, Round, Wait, choose
from ..core.sessions import OVER, SessionStatus
from ..core.slots import CUDA_DEVICE
from ..core.waiting import GAVE_UP, PENDING_TIMEOUT, Place, wait_from_json, wait_to_json
from ..errors import BackendAIError, NotFound
from . import circumstances, sessions
from .admissions import describe_admission
from .lines import WAITING, is_waiting
from .models import ComputeSession, Domain, User, UserStatus, now
from .standing import load_standing

NODE = "127.0.0.1"
_COLUMNS = [
    "id",
    "user_id",
    "domain",
    "project",
    "access_key",
    "slots",
    "created_at",
    "starts_at",
    "depends_on",
    "retries",
    "waiting_for",
    "patience_s",
]


def list_waiting_queues(db: Session) -> frozenset[str]:
    """The queues in whose lines somebody waits."""
    return frozenset(db.scalars(select(ComputeSession.queue).where(WAITING).distinct()))


def look(db: Session, queue: Queue, at: datetime) -> tuple[Round, list[str]]:
    """Decide who gets a place now, note why the others wait, and cancel those that waited too long.

    Returns also the ids of those of whom something else is to be told than before.
    """
    rows = _read_line(db, queue)
    held = _read_held(db, queue)
    nodes = [_make_node(queue, [holding for _, holding in held])]
    pending = [_pending(row) for row in rows]
    found = choose(queue, pending, held, nodes, _read_dependencies(db, rows), at.timestamp(), QuotaGate(db, rows))
    changed = _note(db, rows, found)
    timed_out = sorted(_lock_free(db, found.timed_out))
    wishes = {row.id for row in rows if row.patience_s and row.patience_s <= (queue.pending_timeout_s or row.patience_s)}
    for session_id in timed_out:
        sessions.release(db, session_id, GAVE_UP if session_id in wishes else PENDING_TIMEOUT)
    return found, [*changed, *timed_out]


def note_closed(db: Session, queue: str) -> list[str]:
    """Tell those that wait in a queue that nobody may use at the moment; the ids of those who did not know."""
    closed = wait_to_json(Wait("closed"))
    rows = db.scalars(select(ComputeSession).where(ComputeSession.queue == queue, WAITING))
    news = [row for row in rows if row.waiting_for != closed]
    for row in news:
        row.waiting_for = closed
    return [row.id for row in news]


def give_place(db: Session, queue: Queue, placement: Placement) -> bool:
    """Give a waiting session its place, if it still fits; use it exclusively. False: it is not waiting any more, or waits on."""
    owner = db.execute(
        select(User.name).join(ComputeSession, ComputeSession.user_id == User.id).where(ComputeSession.id == placement.session_id)
    ).scalar()
    if owner is None:
        return False
    try:
        user = circumstances.lock_owner(db, owner)
    except BackendAIError:
        return False  # who was made inactive meanwhile waits on; the reconciler and the pending timeout see to the rest
    project = db.scalar(select(ComputeSession.project).where(ComputeSession.id == placement.session_id)) or ""
    standing = circumstances.lock_standing(db, user, project)
    held = circumstances.lock_queue(db, queue)
    row = db.get(ComputeSession, placement.session_id, with_for_update=True, populate_existing=True)
    if row is None or not is_waiting(row) or policies.check_capacity(queue, row.slots, held):
        return False
    if check_quota(Ask(row.slots), standing):
        return False
    row.devices = list(policies.choose_devices(queue, int(row.slots.amount(CUDA_DEVICE)), held))
    # An engine with a scheduler lets it wait in its own line now.
    row.status = SessionStatus.SCHEDULED if queue.engine in policies.COUNTED_ENGINES else SessionStatus.PENDING
    row.scheduled_at, row.waiting_for = now(), {}
    return True


def get_place(db: Session, session_id: str, find_queue: Callable[[str], Queue | None]) -> Place:
    """Where a session is. Raises NotFound."""
    row = db.get(ComputeSession, session_id)
    if row is None:
        raise NotFound
    if row.released_at is not None or row.status in OVER:
        return Place(reason=row.status_reason, is_over=True)
    if row.status is SessionStatus.TERMINATING:
        return Place(reason=row.status_reason)
    if is_waiting(row):
        return Place(wait=wait_from_json(row.waiting_for))
    queue = find_queue(row.queue)
    user = db.get(User, row.user_id)
    if queue is None or user is None:
        raise NotFound
    return Place(admission=describe_admission(db, row, queue, user))


class QuotaGate(Gate):
    """Asks the quotas of those who come to the head of a line, counting also what the same look has given out."""

    def __init__(self, db: Session, rows: Sequence[Row[Any]]) -> None:
        self._db, self._rows = db, {row.id: row for row in rows}
        self._standings: dict[tuple[str, str], Standing | None] = {}
        self._given: dict[tuple[Scope, str], Usage] = {}

    def check(self, session: Pending) -> Wait | None:
        row = self._rows[session.session_id]
        standing = self._standing(row)
        if standing is None:
            return Wait("owner", message=circumstances.INACTIVE)
        shares = tuple(
            replace(share, usage=share.usage + self._given.get((share.limit.scope, owner), Usage()))
            for share, owner in ((share, _owner(row, share.limit.scope)) for share in standing.shares)
        )
        found = check_quota(Ask(session.slots), replace(standing, shares=shares))
        return Wait("quota", message=found[0].message, params=found[0].params) if found else None

    def let_in(self, session: Pending) -> None:
        row = self._rows[session.session_id]
        for scope in Scope:
            key = scope, _owner(row, scope)
            self._given[key] = self._given.get(key, Usage()) + Usage(1, session.slots)

    def _standing(self, row: Row[Any]) -> Standing | None:
        """None for somebody who may not start anything."""
        key = row.user_id, row.project
        if key not in self._standings:
            query = select(User.name).join(Domain, Domain.name == User.domain).where(User.id == row.user_id)
            name = self._db.scalar(query.where(User.status == UserStatus.ACTIVE, Domain.is_active.is_(True)))
            self._standings[key] = load_standing(self._db, name, row.project) if name else None
        return self._standings[key]


def _owner(row: Row[Any], scope: Scope) -> str:
    owners: dict[Scope, str] = {
        Scope.KEYPAIR: row.access_key,
        Scope.USER: row.user_id,
        Scope.PROJECT: f"{row.domain}/{row.project}",
        Scope.DOMAIN: row.domain,
    }
    return owners[scope]


def _read_line(db: Session, queue: Queue) -> Sequence[Row[Any]]:
    """Those that wait, oldest first. Columns, not objects: a line may be long, and it is read every second."""
    query = select(*(getattr(ComputeSession, name) for name in _COLUMNS)).where(ComputeSession.queue == queue.name, WAITING)
    return db.execute(query.order_by(ComputeSession.created_at, ComputeSession.id)).all()


def _read_held(db: Session, queue: Queue) -> list[tuple[str, Holding]]:
    columns = select(ComputeSession.access_key, ComputeSession.slots, ComputeSession.devices)
    live = columns.where(ComputeSession.queue == queue.name, ComputeSession.released_at.is_(None), ~WAITING)
    return [(access_key, Holding(slots, tuple(devices))) for access_key, slots, devices in db.execute(live)]


def _make_node(queue: Queue, held: Sequence[Holding]) -> Node:
    """The one machine of a local queue, with what is taken of it; of another engine, only that it decides itself."""
    if queue.engine not in policies.COUNTED_ENGINES:
        return Anywhere(queue.name, queue.capacity)
    node = Node(NODE, queue.capacity)
    for holding in held:
        node.used += holding.slots
        node.devices.update(holding.devices)
    return node


def _pending(row: Row[Any]) -> Pending:
    starts_at = row.starts_at.timestamp() if row.starts_at else None
    # A person without a keypair is a line of their own, not one line together with all others without.
    key = row.access_key or row.user_id
    return Pending(row.id, key, row.slots, row.created_at.timestamp(), starts_at, tuple(row.depends_on), row.retries, row.patience_s)


def _read_dependencies(db: Session, rows: Sequence[Row[Any]]) -> dict[str, Dependency]:
    wanted = sorted({session_id for row in rows for session_id in row.depends_on})
    found: dict[str, Dependency] = {}
    for start in range(0, len(wanted), 500):
        for row in db.scalars(select(ComputeSession).where(ComputeSession.id.in_(wanted[start : start + 500]))):
            is_over = row.released_at is not None or row.status in OVER
            ended = row.terminated_at or row.released_at
            name = row.name or row.server_name or row.id[:8]
            found[row.id] = Dependency(name, is_over, row.status is SessionStatus.TERMINATED, ended.timestamp() if ended else 0.0)
    return found


def _note(db: Session, rows: Sequence[Row[Any]], found: Round) -> list[str]:
    """Write down what changed, and only that: a long line changes little from one look to the next."""
    tried = set(found.tried)
    notes = {id(wait): wait_to_json(wait) for wait in found.waits.values()}
    changed: list[str] = []
    values: list[dict[str, object]] = []
    for row in rows:
        wait = found.waits.get(row.id)
        noted = notes[id(wait)] if wait else row.waiting_for
        if noted != row.waiting_for:
            changed.append(row.id)
        if noted != row.waiting_for or row.id in tried:
            values.append({"id": row.id, "waiting_for": noted, "retries": row.retries + (row.id in tried)})
    free = _lock_free(db, [str(value["id"]) for value in values])
    if values := [value for value in values if value["id"] in free]:
        db.execute(update(ComputeSession), values)
    return [session_id for session_id in changed if session_id in free]


def _lock_free(db: Session, session_ids: Sequence[str]) -> frozenset[str]:
    """Those that still wait and that nobody else is changing, locked. Never waits: a look holds many rows and must not close a circle."""
    query = select(ComputeSession.id).where(WAITING).with_for_update(skip_locked=True)
    found: set[str] = set()
    for start in range(0, len(session_ids), 5000):
        found.update(db.scalars(query.where(ComputeSession.id.in_(session_ids[start : start + 5000]))))
    return frozenset(found)
