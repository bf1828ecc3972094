"""Queues (resource groups): what the site configured, what the engine says now, and whether a request fits one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .partitions import NodeShape, PartitionRules, SchedulerFacts, ShareFigures
from .slots import ResourceSlots

SCHEDULERS = ("none", "fifo", "lifo", "drf")
STRATEGIES = ("dispersed", "concentrated")
SESSION_TYPES = ("interactive", "batch")
DEFAULT_TIME_S = 3600
# Who may give a session more time: its owner (administrators always may), or administrators only.
EXTENDERS = ("owner", "administrators")


@dataclass(frozen=True, slots=True)
class Queue:
    """A resource group as configured.

    ``max_slots`` are the site's own limits of one session, on top of what the engine has; ``capacity`` is the pretend size of a
    queue of an engine that has none of its own (local). ``projects`` None means every project; of a group that comes from the
    database it is always None, because ``store.resource_groups.list_usable`` says who may use it. Times are seconds.

    ``scheduler`` (none, fifo, lifo or drf) is the rule of the waiting line that we keep for an engine without one; with none, a full
    queue refuses. ``pending_timeout_s`` None: wait for ever. ``num_retries_to_skip``: after how many tries others may pass a session
    that does not fit (0: never). ``agent_selection_strategy`` dispersed or concentrated: how sessions are spread over nodes.
    ``prices`` are money per hour by slot (:mod:`.prices`).
    ``extension_time_s``: how much more time a session may be given while it runs, in all (0: none), ``extension_count`` how often
    (None: as often as you like), and ``extension_by`` whom: its owner, or administrators only (:mod:`.extensions`).
    ``clusters``: those that have the partition, where the engine has several; sessions go to the first unless another one is chosen,
    and none named is the first of all.
    ``is_open``: to every domain, also those that are not named. ``is_public`` False: only for superadmins.
    """

    name: str
    engine: str
    partition: str = ""
    clusters: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)
    is_free: bool = True
    prices: ResourceSlots = field(default_factory=ResourceSlots)
    is_exclusive: bool | None = None
    projects: tuple[str, ...] | None = None
    accounts: Mapping[str, str] = field(default_factory=dict)
    max_slots: ResourceSlots = field(default_factory=ResourceSlots)
    capacity: ResourceSlots = field(default_factory=ResourceSlots)
    max_sessions: int | None = None
    gpu_type: str = ""
    default_time_s: int = DEFAULT_TIME_S
    max_time_s: int | None = None
    extension_time_s: int = 0
    extension_count: int | None = None
    extension_by: str = "owner"
    is_active: bool = True
    is_public: bool = True
    is_open: bool = True
    scheduler: str = "none"
    pending_timeout_s: int | None = None
    num_retries_to_skip: int = 0
    agent_selection_strategy: str = "dispersed"
    allowed_session_types: tuple[str, ...] = SESSION_TYPES

    def label(self, language: str) -> str:
        """The name to show in a language; English, then the plain name, when the site gave none."""
        return self.labels.get(language) or self.labels.get("en") or self.name

    def account(self, project: str) -> str:
        """The engine's account (Slurm ``--account``) for a project, "" to leave it to the engine's default."""
        return self.accounts.get(project) or self.accounts.get("*", "")


# What the configuration file owns of a group that it names; the other fields are administrators', unless it names them too.
RULES = (
    "scheduler",
    "pending_timeout_s",
    "num_retries_to_skip",
    "agent_selection_strategy",
    "allowed_session_types",
    "is_active",
    "is_public",
    "is_open",
)
_SLOTS = ("max_slots", "capacity", "prices")
_NAMES = ("projects", "allowed_session_types", "clusters")


def queue_to_json(queue: Queue) -> dict[str, Any]:
    """What a queue's definition says beyond the defaults, without its name and engine; :func:`queue_from_json` is the inverse."""
    own: dict[str, Any] = {}
    for item in fields(Queue):
        value = getattr(queue, item.name)
        if item.name in {"name", "engine"} or value == _DEFAULT[item.name]:
            continue
        own[item.name] = value.to_json() if isinstance(value, ResourceSlots) else list(value) if isinstance(value, tuple) else value
    return own


def queue_from_json(name: str, engine: str, data: Mapping[str, Any]) -> Queue:
    """A queue from its definition. Raises TypeError for a field that there is not, ValueError for what is no amount."""
    values = dict(data)
    for key in _SLOTS:
        values[key] = ResourceSlots.from_json(values.get(key) or {})
    for key in _NAMES:
        if values.get(key) is not None:
            values[key] = tuple(values[key])
    return Queue(name=name, engine=engine, **values)


def check_queue(queue: Queue) -> None:
    """Raises ValueError for words that there are not."""
    if queue.scheduler not in SCHEDULERS:
        raise ValueError(f"scheduler is one of {', '.join(SCHEDULERS)}")
    if queue.agent_selection_strategy not in STRATEGIES:
        raise ValueError(f"agent_selection_strategy is one of {', '.join(STRATEGIES)}")
    if queue.extension_by not in EXTENDERS:
        raise ValueError(f"extension_by is one of {', '.join(EXTENDERS)}")
    if not set(queue.allowed_session_types) <= set(SESSION_TYPES):
        raise ValueError(f"allowed_session_types are of {', '.join(SESSION_TYPES)}")


_DEFAULT = {item.name: getattr(Queue("", ""), item.name) for item in fields(Queue)}


@dataclass(frozen=True, slots=True)
class GPUFigures:
    """GPUs of one type in a queue, on nodes that are up. ``per_node`` is the most that one node has."""

    type: str
    total: int
    free: int
    per_node: int


@dataclass(frozen=True, slots=True)
class QueueFigures:
    """One row of the live table. Node counts are whole nodes; ``max_slots`` is the most that one session can get (of one node).

    ``read_at`` (Unix seconds) and ``error`` are set by whoever keeps rows: an error means that the row is as old as ``read_at``.
    ``shapes`` are its kinds of nodes, largest first; ``rules`` and ``scheduler`` are None where the engine has no such thing.
    ``default_time_s`` is what a session gets that asks for no time, None when the engine does not say. ``clusters`` has the row of
    each cluster, for a queue that is on several.
    """

    name: str
    nodes_alloc: int = 0
    nodes_idle: int = 0
    nodes_down: int = 0
    nodes_total: int = 0
    gpus: tuple[GPUFigures, ...] = ()
    waiting: int = 0
    running: int = 0
    is_exclusive: bool = False
    is_open: bool = True
    max_time_s: int | None = None
    max_slots: ResourceSlots = field(default_factory=ResourceSlots)
    read_at: float | None = None
    error: str = ""
    shares: tuple[ShareFigures, ...] = ()
    shapes: tuple[NodeShape, ...] = ()
    default_time_s: int | None = None
    rules: PartitionRules | None = None
    scheduler: SchedulerFacts | None = field(default=None, compare=False, repr=False)
    clusters: Mapping[str, QueueFigures] = field(default_factory=dict)

    @property
    def features(self) -> tuple[str, ...]:
        """What nodes of the queue say of themselves, by name."""
        return tuple(sorted({feature for shape in self.shapes for feature in shape.features}))


@dataclass(frozen=True, slots=True)
class Figures:
    """All rows as read at ``read_at`` (Unix seconds). ``error`` says why a later reading failed; the rows are then stale."""

    queues: Mapping[str, QueueFigures] = field(default_factory=dict)
    read_at: float | None = None
    error: str = ""
