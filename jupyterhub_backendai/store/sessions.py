"""Compute sessions in the database: admission, where each one is, and what the live ones hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import cast

from sqlalchemy import Select, Table, func, insert, select
from sqlalchemy.orm import Session

from ..core import policies
from ..core.clusters import pick_figures
from ..core.identity import PosixAccount
from ..core.images import check_image
from ..core.queues import Queue, QueueFigures
from ..core.quota import Ask, Standing, check_quota, shorten
from ..core.scheduler_choice import SchedulerChoice
from ..core.scheduler_fit import find_gres
from ..core.scheduling import Wait
from ..core.sessions import BATCH, INTERACTIVE, OVER, Admission, LaunchRequest, SessionSpec, SessionStatus, check_request, time_limit_s
from ..core.slots import CUDA_DEVICE, ResourceSlots
from ..core.waiting import wait_from_json
from ..errors import N_, BackendUnavailable, Conflict, NoPosixAccount, NotFound, Violation
from . import ledger, lines, resource_groups, session_mounts
from .admissions import build_admission, build_row, waits_since
from .circumstances import Circumstances, Owner, load_circumstances, lock_owner, lock_queue, lock_standing, read_posix
from .models import ComputeSession, Project, ProjectMember, User, now

# Engines whose jobs run under the person's own Unix account.
POSIX_ENGINES = frozenset({"slurm", "docker"})
FROZEN = N_("New sessions are not possible at the moment: the platform is under maintenance. Running sessions go on.")
# A late report (they are retried) never takes a session back.
_ORDER = [*(status for status in SessionStatus if status not in OVER), *sorted(OVER, key=lambda status: status.value)]
_COLUMNS = frozenset(column.key for column in ComputeSession.__table__.c)
_INSERT = insert(cast(Table, ComputeSession.__table__))


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A row of the sessions, and its owner's name and Unix account; ``wait`` says why, while it waits in a line of ours."""

    id: str
    user: str
    domain: str
    project: str
    name: str
    server_name: str
    queue: str
    engine: str
    environment: str
    interface: str
    status: SessionStatus
    status_reason: str
    slots: ResourceSlots
    gpu_type: str
    devices: tuple[int, ...]
    time_limit_s: int
    job_id: str
    node: str
    posix: PosixAccount | None
    created_at: datetime
    started_at: datetime | None
    terminated_at: datetime | None
    released_at: datetime | None
    wait: Wait | None = None
    session_type: str = INTERACTIVE
    exit_code: int | None = None
    choice: SchedulerChoice = field(default_factory=SchedulerChoice)
    waits_since: datetime | None = None
    patience_s: int | None = None
    wants_mail: bool = False

    @property
    def is_batch(self) -> bool:
        """Whether it is a job that runs commands, and no server of the hub's."""
        return self.session_type == BATCH

    @property
    def is_live(self) -> bool:
        """Whether it still holds its slots."""
        return self.released_at is None


@dataclass(frozen=True, slots=True)
class Usage:
    """What the live sessions of a queue hold together; those that wait in its line hold nothing."""

    sessions: int = 0
    slots: ResourceSlots = field(default_factory=ResourceSlots)
    devices: tuple[int, ...] = ()
    waiting: int = 0


def admit(db: Session, spec: SessionSpec, queue: Queue, figures: QueueFigures | None) -> Admission:
    """Reserve what a session needs, in one transaction (use it exclusively).

    The same ``session_id`` again gives the same answer. Raises Forbidden (NoPosixAccount), InvalidParameters, QuotaExceeded with
    every violation, or Conflict for a session that is over already.
    """
    owner = lock_owner(db, spec.user)
    projects = list_projects(db, owner.id)
    project = spec.request.project or next(iter(projects), "")
    found = load_circumstances(db, owner, project, queue.name, spec)
    if found.is_known:
        return _admit_again(db, owner, spec, queue)
    if found.is_frozen:
        raise BackendUnavailable(FROZEN)
    if queue.engine in POSIX_ENGINES and owner.posix is None:
        raise NoPosixAccount
    request = spec.request
    figures = pick_figures(queue, figures, request.choice.cluster)
    violations = _check_asked(db, request, queue, figures, owner, projects, found)
    if found.has_older:
        _release_older(db, owner, spec.server_name)
    depends_on, unknown = lines.find_dependencies(db, owner.id, request.depends_on)
    violations += unknown
    plan = session_mounts.plan(db, owner, found.project_id, project, queue.engine, request.mounts)
    violations += plan.violations
    standing = lock_standing(db, owner, project, found)
    ask = _ask(request, queue)
    held = lock_queue(db, queue) if policies.is_counted(queue) else []
    lacking = policies.check_capacity(queue, request.slots, held)
    is_waiting = _must_wait(db, request, queue, bool(depends_on), bool(lacking), bool(check_quota(ask, standing)))
    violations = policies.join_violations(violations, [] if is_waiting else lacking)
    violations += check_quota(replace(ask, is_waiting=True, is_pending=True) if is_waiting else ask, standing)
    limit_s = _find_limit_s(request, queue, figures, project, owner, standing)
    payer = ledger.Payer(owner.id, owner.name, owner.domain, project, found.project_id)
    offer = ledger.prepare(db, payer, queue, figures, request.slots, request.gpu_type, limit_s)
    violations = policies.join_violations(violations, offer.violations if offer else ())
    if violations:
        raise policies.build_refusal(violations)
    devices = () if is_waiting else policies.choose_devices(queue, int(request.slots.amount(CUDA_DEVICE)), held)
    row = build_row(spec, queue, owner, project, devices, limit_s)
    row.access_key, row.gres = standing.access_key, find_gres(request, queue, figures)
    if is_waiting:
        lines.join(row, request, depends_on)
    _insert(db, row)
    if offer:
        ledger.hold(db, row.id, payer, offer, queue.name, row.name, row.created_at)
    return build_admission(row, queue, owner.posix, session_mounts.keep(db, row, plan))


def report(db: Session, session_id: str, status: SessionStatus, reason: str = "", job_id: str = "", node: str = "") -> None:
    """Keep where a session is. Raises NotFound; a session that is over stays as it is."""
    row = db.get(ComputeSession, session_id, with_for_update=True)
    if row is None:
        raise NotFound(N_("There is no session %(id)s."), id=session_id)
    if row.status in OVER:
        return
    row.job_id, row.node = job_id or row.job_id, node or row.node
    if _ORDER.index(status) >= _ORDER.index(row.status):
        # Whoever had it ended said why; the hub only knows that it was asked to.
        row.status_reason = row.status_reason if row.status is SessionStatus.TERMINATING else reason or row.status_reason
        row.status = status
    if status in {SessionStatus.PREPARING, SessionStatus.RUNNING}:
        row.began_at = row.began_at or now()
    if status is SessionStatus.RUNNING:
        row.started_at = row.started_at or now()
    if status in OVER:
        row.terminated_at = now()


def release(db: Session, session_id: str, reason: str = "") -> bool:
    """Free what a session holds; True the one time that it did. A session that was never admitted holds nothing."""
    row = db.get(ComputeSession, session_id, with_for_update=True)
    if row is None or row.released_at is not None:
        return False
    _release(row, reason)
    return True


def revive(db: Session, session_id: str) -> bool:
    """Mark a session live again whose server turned out to be up; False when another one of that server is live by now."""
    row = db.get(ComputeSession, session_id, with_for_update=True)
    if row is None:
        return False
    same_server = (ComputeSession.user_id == row.user_id, ComputeSession.server_name == row.server_name)
    if db.scalar(select(ComputeSession.id).where(*same_server, ComputeSession.released_at.is_(None), ComputeSession.id != row.id)):
        return False
    row.status, row.status_reason = SessionStatus.RUNNING, ""
    row.started_at, row.terminated_at, row.released_at = row.started_at or now(), None, None
    ledger.reopen(db, session_id)
    return True


def get(db: Session, session_id: str) -> SessionInfo | None:
    """One session, or None."""
    found = db.execute(_select().where(ComputeSession.id == session_id)).first()
    return _info(*found) if found else None


def list_by_id(db: Session, session_ids: list[str]) -> dict[str, SessionInfo]:
    """The sessions among these ids that are known, by id."""
    found: dict[str, SessionInfo] = {}
    # In pieces: databases have a limit of parameters per statement.
    for start in range(0, len(session_ids), 500):
        rows = db.execute(_select().where(ComputeSession.id.in_(session_ids[start : start + 500])))
        found.update({row.id: _info(row, user) for row, user in rows})
    return found


def list_live(db: Session, user: str = "", session_type: str = "") -> tuple[SessionInfo, ...]:
    """The sessions that hold slots, oldest first: everybody's, or one person's; of all kinds, or of one."""
    query = _select().where(ComputeSession.released_at.is_(None)).order_by(ComputeSession.created_at, ComputeSession.id)
    query = query.where(ComputeSession.session_type == session_type) if session_type else query
    return tuple(_info(row, owner) for row, owner in db.execute(query.where(User.name == user) if user else query))


def list_recent(db: Session, user: str, limit: int = 100) -> tuple[SessionInfo, ...]:
    """One person's sessions, live or over, newest first."""
    query = _select().where(User.name == user).order_by(ComputeSession.created_at.desc(), ComputeSession.id)
    return tuple(_info(row, owner) for row, owner in db.execute(query.limit(limit)))


def list_latest(db: Session, servers: list[tuple[str, str]]) -> dict[tuple[str, str], SessionInfo]:
    """The newest session of each of these (user, server name), where there is one."""
    found: dict[tuple[str, str], SessionInfo] = {}
    for user, server_name in servers:
        query = _select().where(User.name == user, ComputeSession.server_name == server_name)
        row = db.execute(query.order_by(ComputeSession.created_at.desc()).limit(1)).first()
        if row:
            found[user, server_name] = _info(*row)
    return found


def list_usage(db: Session) -> Mapping[str, Usage]:
    """What is held in each queue that has live sessions, by queue name."""
    found: dict[str, Usage] = {}
    live = select(ComputeSession.queue, ComputeSession.slots, ComputeSession.devices, lines.WAITING).where(
        ComputeSession.released_at.is_(None)
    )
    for queue, slots, devices, is_waiting in db.execute(live):
        before = found.get(queue, Usage())
        if is_waiting:
            found[queue] = replace(before, waiting=before.waiting + 1)
            continue
        found[queue] = Usage(before.sessions + 1, before.slots + slots, (*before.devices, *devices), before.waiting)
    return found


def count_live(db: Session) -> dict[tuple[str, str, str], int]:
    """How many live sessions there are by (status, queue, engine)."""
    columns = (ComputeSession.status, ComputeSession.queue, ComputeSession.engine)
    query = select(*columns, func.count()).where(ComputeSession.released_at.is_(None)).group_by(*columns)
    return {(status.value, queue, engine): count for status, queue, engine, count in db.execute(query)}


def list_projects(db: Session, user_id: str) -> tuple[str, ...]:
    """The names of a user's active projects; the first is the default. The same order as ``Identity.projects``."""
    query = select(Project.name).join(ProjectMember, ProjectMember.project_id == Project.id).where(ProjectMember.user_id == user_id)
    return tuple(db.scalars(query.where(Project.is_active.is_(True)).order_by(Project.name)))


def _check_asked(
    db: Session,
    request: LaunchRequest,
    queue: Queue,
    figures: QueueFigures | None,
    owner: Owner,
    projects: tuple[str, ...],
    found: Circumstances,
) -> list[Violation]:
    """What is wrong with the request itself, whatever is held at the moment."""
    project = request.project or next(iter(projects), "")
    violations = check_request(request, queue, figures, projects, owner.posix)
    violations += resource_groups.check_usable(db, queue, found.group, owner, project)
    if found.image:
        violations = policies.join_violations(violations, check_image(found.image, request.slots))
    if request.slots.amount(CUDA_DEVICE):
        violations += policies.check_gpu_type(queue, request.gpu_type)
    return violations


def _must_wait(db: Session, request: LaunchRequest, queue: Queue, is_dependent: bool, is_lacking: bool, is_over_quota: bool) -> bool:
    """Whether it begins in a line of ours. What can never be is refused there too.

    Where there is a line, nobody is refused because others hold the queue, and nobody overtakes those who wait.
    A batch session waits for a time or for others anywhere; an engine with a scheduler is not given it before.
    """
    is_later = bool(request.starts_at) or is_dependent
    if is_later and request.session_type == BATCH:
        return True
    return policies.has_line(queue) and (is_later or is_lacking or is_over_quota or lines.is_anybody_waiting(db, queue.name))


def _find_limit_s(
    request: LaunchRequest, queue: Queue, figures: QueueFigures | None, project: str, owner: Owner, standing: Standing
) -> int:
    """How long it may run: what nobody asked for is shortened to what the policies still allow."""
    limit_s = time_limit_s(request, queue, figures, project, owner.posix)
    return limit_s if request.time_s else shorten(limit_s, standing)


def _insert(db: Session, row: ComputeSession) -> None:
    """A row at a time needs no unit of work."""
    db.execute(_INSERT, {name: value for name, value in vars(row).items() if name in _COLUMNS})


def _ask(request: LaunchRequest, queue: Queue) -> Ask:
    """What the quotas are asked. Where an engine schedules, every session begins by waiting."""
    return Ask(request.slots, request.time_s, is_pending=queue.engine not in policies.COUNTED_ENGINES)


def _release_older(db: Session, owner: Owner, server_name: str) -> None:
    """Free what an earlier session of the same server still holds.

    The hub runs one server per name and asks to start one only when it has none: a live row of that name is left over from a start
    whose end nobody reported (a killed hub). A job of it that still runs is the reconciler's to end.
    """
    live = select(ComputeSession).where(
        ComputeSession.user_id == owner.id, ComputeSession.server_name == server_name, ComputeSession.released_at.is_(None)
    )
    for row in db.scalars(live):
        _release(row, "replaced by a new session of the same server")
    db.flush()


def _release(row: ComputeSession, reason: str) -> None:
    row.released_at = now()
    row.terminated_at = row.terminated_at or row.released_at
    if row.status not in OVER:
        row.status = SessionStatus.TERMINATED if row.started_at else SessionStatus.CANCELLED
        row.status_reason = reason or row.status_reason


def _admit_again(db: Session, owner: Owner, spec: SessionSpec, queue: Queue) -> Admission:
    row = db.get_one(ComputeSession, spec.session_id)
    if row.user_id != owner.id or row.server_name != spec.server_name or row.queue != queue.name:
        raise Conflict(N_("That session id belongs to another session."))
    if row.released_at is not None:
        raise Conflict(N_("This session is over already. Start a new one."))
    return build_admission(row, queue, owner.posix, session_mounts.load_current(db, row, owner.name))


def _select() -> Select[ComputeSession, User]:
    return select(ComputeSession, User).join(User, User.id == ComputeSession.user_id)


def _info(row: ComputeSession, user: User) -> SessionInfo:
    return SessionInfo(
        id=row.id,
        user=user.name,
        domain=row.domain,
        project=row.project,
        name=row.name,
        server_name=row.server_name,
        queue=row.queue,
        engine=row.engine,
        environment=row.environment,
        interface=row.interface,
        status=row.status,
        status_reason=row.status_reason,
        slots=row.slots,
        gpu_type=row.gpu_type,
        devices=tuple(row.devices),
        time_limit_s=row.time_limit_s,
        job_id=row.job_id,
        node=row.node,
        posix=read_posix(user),
        created_at=row.created_at,
        started_at=row.started_at,
        terminated_at=row.terminated_at,
        released_at=row.released_at,
        wait=wait_from_json(row.waiting_for) if lines.is_waiting(row) else None,
        session_type=row.session_type,
        exit_code=row.exit_code,
        waits_since=waits_since(row),
        patience_s=row.patience_s,
        wants_mail=row.wants_mail,
        choice=SchedulerChoice.from_json(row.choice),
    )
