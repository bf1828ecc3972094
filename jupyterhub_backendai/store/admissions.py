"""An admission as a row of the database, and what a launcher is told of that row."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from ..core.clusters import complete_choice
from ..core.identity import PosixAccount
from ..core.queues import Queue
from ..core.scheduler_choice import SchedulerChoice
from ..core.sessions import BATCH, Admission, LaunchRequest, SessionSpec, SessionStatus
from ..core.slots import CUDA_DEVICE, CUDA_SHARES
from ..core.waiting import find_give_up
from . import lines, session_mounts
from .circumstances import Owner, read_posix
from .models import ComputeSession, User, now
from .session_mounts import NO_FOLDERS, Folders


def build_row(spec: SessionSpec, queue: Queue, owner: Owner, project: str, devices: tuple[int, ...], limit_s: int) -> ComputeSession:
    """The row of a session that is admitted, with the devices that it was given."""
    request: LaunchRequest = spec.request
    return ComputeSession(
        id=spec.session_id,
        user_id=owner.id,
        domain=owner.domain,
        project=project,
        name=request.name,
        server_name=spec.server_name,
        queue=queue.name,
        engine=queue.engine,
        environment=request.environment,
        interface="" if request.session_type == BATCH else request.interface,
        session_type=request.session_type,
        command=request.command,
        choice=complete_choice(request.choice, queue).to_options(),
        patience_s=request.patience_s or None,
        wants_mail=request.wants_mail,
        told=dict(spec.told),
        slots=request.slots,
        gpu_type=(request.gpu_type or queue.gpu_type) if any(request.slots.amount(slot) for slot in (CUDA_DEVICE, CUDA_SHARES)) else "",
        devices=list(devices),
        time_limit_s=limit_s,
        posix_name=owner.posix_name,
        status=SessionStatus.PENDING,
        created_at=now(),
        scheduled_at=now(),
    )


def build_admission(row: ComputeSession, queue: Queue, posix: PosixAccount | None, folders: Folders = NO_FOLDERS) -> Admission:
    """What the launcher of an admitted session needs."""
    since = waits_since(row)
    give_up_at, is_wish = find_give_up(queue, row.patience_s, since.timestamp())
    return Admission(
        session_id=row.id,
        engine=row.engine,
        queue=row.queue,
        partition=queue.partition or queue.name,
        account=row.choice.get("account") or queue.account(row.project),
        project=row.project,
        environment=row.environment,
        interface=row.interface,
        slots=row.slots,
        gpu_type=row.gpu_type,
        time_s=row.time_limit_s,
        devices=tuple(row.devices),
        posix=posix,
        is_waiting=lines.is_waiting(row),
        choice=SchedulerChoice.from_json(row.choice),
        waits_since=since.timestamp(),
        give_up_at=give_up_at,
        gives_up_by_wish=is_wish,
        wants_mail=row.wants_mail,
        gres=row.gres,
        mounts=folders.mounts,
        neighbours=folders.neighbours,
        admitted_at=row.created_at.timestamp(),
    )


def describe_admission(db: Session, row: ComputeSession, queue: Queue, user: User) -> Admission:
    """The same, of a session that is in the database already, with its folders as its owner may have them now."""
    return build_admission(row, queue, read_posix(user), session_mounts.load_current(db, row, user.name))


def waits_since(row: ComputeSession) -> datetime:
    """Since when a session waits: not the time before its own start time, nor that in which it waited for other sessions."""
    return (row.scheduled_at if row.depends_on else None) or max(row.created_at, row.starts_at or row.created_at)
