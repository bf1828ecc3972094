"""Compute sessions: what may be asked for, the words for where one is, and how an engine's words map to them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from ..errors import N_, InvalidParameters, Violation
from .clusters import pick_figures
from .fields import Fields, format_duration
from .identity import PosixAccount
from .policies import has_line, join_violations
from .queues import DEFAULT_TIME_S, SESSION_TYPES, Queue, QueueFigures
from .scheduler_check import check_scheduler
from .scheduler_choice import SchedulerChoice, read_choice
from .scheduler_limits import longest_s
from .slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM, ResourceSlots, format_bytes
from .vfolder_mounts import MOST_NEIGHBOURS, Mount, MountRequest, format_mounts, read_mounts

INTERFACES = ("lab", "notebook")
YES, NO = "yes", "no"
# A notebook server of the hub's, or commands that run by themselves to their end.
INTERACTIVE, BATCH = SESSION_TYPES


class SessionStatus(enum.Enum):
    """A subset of Backend.AI's words."""

    PENDING = "PENDING"
    SCHEDULED = "SCHEDULED"
    PREPARING = "PREPARING"
    RUNNING = "RUNNING"
    TERMINATING = "TERMINATING"
    TERMINATED = "TERMINATED"
    CANCELLED = "CANCELLED"
    ERROR = "ERROR"


OVER = frozenset({SessionStatus.TERMINATED, SessionStatus.CANCELLED, SessionStatus.ERROR})


class JobState(enum.Enum):
    """Where a job is, in an engine's own small vocabulary. GONE needs positive proof; UNKNOWN is never dead."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    GONE = "GONE"
    UNKNOWN = "UNKNOWN"


JOB_OVER = frozenset({JobState.DONE, JobState.FAILED, JobState.GONE})


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job as its engine describes it.

    ``detail`` is the engine's own state word (``TIMEOUT``), ``reason`` its own reason; ``start_at`` the expected start (Unix
    seconds) of a waiting one; ``position`` counts from 1 among the waiting jobs of its queue. Of a job that is over, as far as the
    engine's accounting says: ``exit_code``, the ``signal`` that ended it, and ``ended_by``, the uid that cancelled it. ``user`` is
    the Unix name that the job runs under.
    """

    job_id: str
    state: JobState
    detail: str = ""
    reason: str = ""
    node: str = ""
    start_at: float | None = None
    position: int | None = None
    exit_code: int | None = None
    signal: int = 0
    ended_by: int | None = None
    user: str = ""


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """What somebody asks for, every field of a known form; whether it fits a queue is :func:`check_request`.

    ``starts_at`` is an ISO time in UTC or, as ``+7200``, seconds from admission on (:func:`start_moment`); ``depends_on`` are ids or
    names of sessions of one's own that must have ended well before. ``command`` is what a batch session's shell runs, "" otherwise.
    After ``patience_s`` in the queue it is given up (0: as long as the queue lets it wait); with ``wants_mail`` its owner is written to
    once it is ready, or never will be. ``mounts`` are the folders that were asked for; those that mount by themselves are no part of it.
    """

    queue: str
    environment: str = "default"
    interface: str = "lab"
    project: str = ""
    slots: ResourceSlots = field(default_factory=ResourceSlots)
    gpu_type: str = ""
    time_s: int = 0
    name: str = ""
    starts_at: str = ""
    depends_on: tuple[str, ...] = ()
    session_type: str = INTERACTIVE
    command: str = ""
    choice: SchedulerChoice = field(default_factory=SchedulerChoice)
    patience_s: int = 0
    wants_mail: bool = False
    mounts: tuple[MountRequest, ...] = ()

    def to_options(self) -> dict[str, str]:
        """The request as ``user_options``; :func:`parse_request` is the inverse."""
        later = {"starts_at": self.starts_at, "depends_on": ",".join(self.depends_on)}
        if self.session_type == BATCH:
            later |= {"session_type": BATCH, "command": self.command}
        if self.slots.amount(CUDA_SHARES):
            later["shares"] = format(self.slots.amount(CUDA_SHARES), "f")
        later |= {"patience": str(self.patience_s) if self.patience_s else "", "mail": YES if self.wants_mail else ""}
        later["mounts"] = format_mounts(self.mounts)
        return {
            "queue": self.queue,
            "environment": self.environment,
            "interface": self.interface,
            "project": self.project,
            "cpu": format(self.slots.amount(CPU), "f"),
            "mem": format(self.slots.amount(MEM), "f"),
            "gpu": format(self.slots.amount(CUDA_DEVICE), "f"),
            "gpu_type": self.gpu_type,
            "time": str(self.time_s) if self.time_s else "",
            "name": self.name,
            **{name: text for name, text in later.items() if text},
            **self.choice.to_options(),
        }


@dataclass(frozen=True, slots=True)
class SessionSpec:
    """A start that the hub asks the service to admit. ``session_id`` (uuid4 hex) makes asking twice harmless.

    ``told`` is how long the service expects it to wait, kept to see later how good that was; it is no part of the question.
    """

    session_id: str
    user: str
    server_name: str
    request: LaunchRequest
    told: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "session_id": self.session_id,
            "user": self.user,
            "server_name": self.server_name,
            "options": self.request.to_options(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SessionSpec:
        return cls(str(data["session_id"]), str(data["user"]), str(data["server_name"]), parse_request(data["options"]))


@dataclass(frozen=True, slots=True)
class Admission:
    """A start that was admitted: everything the launcher needs, nothing of it from the user unchecked.

    ``account`` is the one to submit with, whoever chose it; the rest of ``choice`` is what the person chose. ``devices`` are GPU
    numbers given to this session alone (engines that do not give devices themselves). ``gres`` is what shares of GPUs are in the
    engine's words. With ``is_waiting`` it has only a place in
    the line of its queue: the launcher waits for another admission without. Its wait counts from ``waits_since``; if
    its job still waits at ``give_up_at`` (Unix seconds), it is cancelled: by the owner's wish, or because the queue lets nobody wait
    longer. ``mounts`` are all of its folders; ``neighbours`` the other live sessions of its owner that have some, as of now, on an
    engine whose sessions share a home directory. It was admitted at ``admitted_at`` (Unix seconds).
    """

    session_id: str
    engine: str
    queue: str
    partition: str
    account: str
    project: str
    environment: str
    interface: str
    slots: ResourceSlots
    gpu_type: str
    time_s: int
    devices: tuple[int, ...] = ()
    posix: PosixAccount | None = None
    is_waiting: bool = False
    choice: SchedulerChoice = field(default_factory=SchedulerChoice)
    waits_since: float | None = None
    give_up_at: float | None = None
    gives_up_by_wish: bool = False
    wants_mail: bool = False
    gres: str = ""
    mounts: tuple[Mount, ...] = ()
    neighbours: tuple[str, ...] = ()
    admitted_at: float = 0.0

    def describe_links(self) -> dict[str, Any]:
        """What the session's own program is told of its folders, on an engine where they are links; nothing of an older admission."""
        if not self.admitted_at:
            return {}
        items = [{"source": mount.source, "target": mount.target, "is_own_part": mount.is_own_part} for mount in self.mounts]
        # with so many neighbours nothing of theirs is looked for: as if they all had been admitted later
        live, admitted_at = (self.neighbours, self.admitted_at) if len(self.neighbours) <= MOST_NEIGHBOURS else ((), 0.0)
        return {"session_id": self.session_id, "admitted_at": admitted_at, "live": list(live), "items": items}

    def to_json(self) -> dict[str, Any]:
        mounts = [mount.to_json() for mount in self.mounts]
        return {**asdict(self), "slots": self.slots.to_json(), "devices": list(self.devices), "mounts": mounts}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Admission:
        posix = data.get("posix")
        return cls(
            **{
                **data,
                "slots": ResourceSlots.from_json(data["slots"]),
                "devices": tuple(data["devices"]),
                "posix": PosixAccount(**posix) if posix else None,
                "choice": SchedulerChoice.from_json(data.get("choice") or {}),
                "mounts": tuple(Mount.from_json(mount) for mount in data.get("mounts") or ()),
                "neighbours": tuple(data.get("neighbours") or ()),
            }
        )


def parse_request(options: Mapping[str, Any]) -> LaunchRequest:
    """A request from a form, a link or REST (values are text, numbers, or lists of one of them).

    Raises :class:`InvalidParameters` with one violation for every field that cannot be read.
    """
    fields = Fields(options)
    request = LaunchRequest(
        queue=fields.word("queue", N_("Choose a queue.")),
        environment=fields.word("environment", N_("Choose an environment."), "default"),
        interface=fields.one_of("interface", INTERFACES, "lab"),
        project=fields.project("project"),
        slots=_read_slots(fields),
        gpu_type=fields.word("gpu_type", N_("That GPU type is no name."), ""),
        time_s=fields.time("time"),
        name=fields.title("name"),
        starts_at=fields.moment("starts_at"),
        depends_on=fields.names("depends_on"),
        session_type=(kind := fields.one_of("session_type", SESSION_TYPES, INTERACTIVE)),
        # a form sends what was typed for the other kind too
        command=fields.script("command") if kind == BATCH else "",
        choice=read_choice(fields),
        patience_s=fields.time("patience"),
        wants_mail=fields.one_of("mail", (YES, NO), NO) == YES,
        mounts=read_mounts(fields),
    )
    if fields.violations:
        raise InvalidParameters(violations=fields.violations)
    return request


def _read_slots(fields: Fields) -> ResourceSlots:
    amounts = {CPU: fields.count("cpu", 1, 1), MEM: fields.mem("mem"), CUDA_DEVICE: fields.count("gpu", 0, 0)}
    shares = fields.fraction("shares")
    return ResourceSlots({**amounts, **({CUDA_SHARES: shares} if shares else {})})


def start_moment(text: str, at: float) -> float | None:
    """When a request wants to start (Unix seconds), None for at once; ``at`` is when it was admitted."""
    if text.startswith("+"):
        return at + int(text[1:])
    return datetime.fromisoformat(text).timestamp() if text else None


def check_request(
    request: LaunchRequest,
    queue: Queue,
    figures: QueueFigures | None,
    projects: tuple[str, ...],
    posix: PosixAccount | None = None,
) -> list[Violation]:
    """Every reason why the request does not fit the queue, whatever is free at the moment.

    ``figures`` None means that the engine has not been read: then only the site's own limits are checked. ``projects`` are the
    names of the projects that the person is a member of, ``posix`` is the account that a scheduler knows them by.
    """
    found: list[Violation] = []
    figures = pick_figures(queue, figures, request.choice.cluster)
    project = request.project or (projects[0] if projects else "")
    if project not in projects:
        found.append(Violation(N_("You are not a member of the project %(project)s."), {"project": project}, "project", "project"))
    elif queue.projects is not None and project not in queue.projects:
        found.append(
            Violation(
                N_("The queue %(queue)s is not open to the project %(project)s."),
                {"queue": queue.name, "project": project},
                "queue",
                "queue",
            )
        )
    if figures and not figures.is_open:
        found.append(Violation(N_("The queue %(queue)s is closed at the moment."), {"queue": queue.name}, "queue", "closed"))
    if request.session_type not in queue.allowed_session_types:
        found.append(Violation(_REFUSED_TYPES[request.session_type], {"queue": queue.name}, "queue", "session-type"))
    found += _check_amounts(request, queue, figures)
    found += _check_time(request, queue, figures)
    found = join_violations(found, check_scheduler(request, queue, figures, project, posix))
    if not has_line(queue) and request.session_type == INTERACTIVE:
        fields = [name for name, value in (("starts_at", request.starts_at), ("depends_on", request.depends_on)) if value]
        message = N_("The queue %(queue)s has no waiting line of its own, so a session there cannot wait for a time or another session.")
        found += [Violation(message, {"queue": queue.name}, name, "queue-limit") for name in fields]
    return found


_REFUSED_TYPES = {
    INTERACTIVE: N_("The queue %(queue)s takes no interactive sessions."),
    BATCH: N_("The queue %(queue)s takes no batch sessions."),
}


def limits(queue: Queue, figures: QueueFigures | None) -> ResourceSlots:
    """The most of each slot that one session may have: the smaller of the site's limit and what the largest node has."""
    most = dict(figures.max_slots) if figures else dict(queue.capacity)
    for name, amount in queue.max_slots.items():
        most[name] = min(amount, most.get(name, amount))
    return ResourceSlots(most)


def max_time_s(queue: Queue, figures: QueueFigures | None) -> int | None:
    """The longest time of a session in seconds, None when nobody set one."""
    times = [time_s for time_s in (queue.max_time_s, figures.max_time_s if figures else None) if time_s]
    return min(times, default=None)


def default_time_s(queue: Queue, figures: QueueFigures | None) -> int:
    """What a session gets that asks for no time: as the site says, else as the engine does; never more than the longest."""
    own = queue.default_time_s
    if own == DEFAULT_TIME_S and figures and figures.default_time_s:
        own = figures.default_time_s
    return min(own, max_time_s(queue, figures) or own)


def time_limit_s(
    request: LaunchRequest, queue: Queue, figures: QueueFigures | None, project: str = "", posix: PosixAccount | None = None
) -> int:
    """The time that the session gets: what was asked, else the queue's default, never more than its longest for this person."""
    usual, own = default_time_s(queue, figures), longest_s(request, queue, figures, project, posix)
    return request.time_s or max(60, min(usual, own[1] if own else usual))


def _check_amounts(request: LaunchRequest, queue: Queue, figures: QueueFigures | None) -> list[Violation]:
    found = []
    most = limits(queue, figures)
    is_known = figures is not None or bool(queue.capacity)
    messages = {
        CPU: ("cpu", N_("At most %(most)s CPUs in the queue %(queue)s; you asked for %(asked)s.")),
        MEM: ("mem", N_("At most %(most)s of memory in the queue %(queue)s; you asked for %(asked)s.")),
        CUDA_DEVICE: ("gpu", N_("At most %(most)s GPUs in the queue %(queue)s; you asked for %(asked)s.")),
    }
    for slot, (name, message) in messages.items():
        asked = request.slots.amount(slot)
        # GPUs that nobody names do not exist; CPUs and memory that nobody names are not limited
        if asked and asked > most.get(slot, 0 if slot == CUDA_DEVICE and is_known else asked):
            show = format_bytes if slot == MEM else int
            found.append(
                Violation(
                    message, {"queue": queue.name, "most": show(int(most.amount(slot))), "asked": show(int(asked))}, name, "queue-limit"
                )
            )
    if request.gpu_type and request.slots.amount(CUDA_DEVICE) and figures:
        gpus = {gpu.type: gpu for gpu in figures.gpus}
        gpu = gpus.get(request.gpu_type)
        if gpu is None:
            params = {"queue": queue.name, "type": request.gpu_type, "types": ", ".join(gpus) or "-"}
            found.append(
                Violation(N_("The queue %(queue)s has no GPU of type %(type)s; it has: %(types)s."), params, "gpu_type", "queue-limit")
            )
        elif request.slots.amount(CUDA_DEVICE) > gpu.per_node and not any(violation.field == "gpu" for violation in found):
            gpu_params = {"queue": queue.name, "most": gpu.per_node, "asked": int(request.slots.amount(CUDA_DEVICE))}
            found.append(Violation(messages[CUDA_DEVICE][1], gpu_params, "gpu", "queue-limit"))
    return found


def _check_time(request: LaunchRequest, queue: Queue, figures: QueueFigures | None) -> list[Violation]:
    longest = max_time_s(queue, figures)
    if longest and request.time_s > longest:
        params = {"queue": queue.name, "most": format_duration(longest), "asked": format_duration(request.time_s)}
        return [Violation(N_("At most %(most)s in the queue %(queue)s; you asked for %(asked)s."), params, "time", "queue-limit")]
    return []
