"""What a scheduler says of its queues, people and reservations, as the rules need it. Pure; times are seconds, moments Unix seconds.

None is "no limit", and of a set of names "everybody".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from .slots import CPU, CUDA_DEVICE, MEM, ResourceSlots


@dataclass(frozen=True, slots=True)
class NodeShape:
    """Nodes of a queue that are alike. ``gpus`` by type; ``shards`` by type of GPU ("" when the scheduler names none).

    ``count`` are all of them, ``up`` those that take work, ``idle`` those that are free as a whole.
    """

    cpus: int
    mem_bytes: int
    gpus: Mapping[str, int] = field(default_factory=dict)
    shards: Mapping[str, int] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    count: int = 1
    up: int = 0
    idle: int = 0

    def slots(self) -> ResourceSlots:
        """The whole node."""
        return ResourceSlots({CPU: self.cpus, MEM: self.mem_bytes, CUDA_DEVICE: sum(self.gpus.values())})


@dataclass(frozen=True, slots=True)
class ShareFigures:
    """Parts of GPUs of one type on nodes that are up: ``per_gpu`` parts make one GPU's worth (``cuda.shares`` 1).

    ``kind`` is the scheduler's word, shard or mps. ``total`` and ``free`` count parts; ``most`` is what one session can have. ``type``
    is "" when the scheduler does not name the type of GPU that the parts are of.
    """

    type: str
    kind: str
    per_gpu: int
    total: int
    free: int
    most: int


@dataclass(frozen=True, slots=True)
class UnixGroup:
    """A Unix group that may use a queue."""

    name: str
    gid: int
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class PartitionRules:
    """Who may use a partition, and what it adds to a request. ``qos`` is the partition's own; ``groups`` None says nothing."""

    allow_accounts: frozenset[str] | None = None
    deny_accounts: frozenset[str] = frozenset()
    allow_qos: frozenset[str] | None = None
    deny_qos: frozenset[str] = frozenset()
    allow_groups: tuple[str, ...] = ()
    groups: tuple[UnixGroup, ...] | None = None
    alloc_nodes: str = ""
    qos: str = ""
    default_time_s: int | None = None
    min_nodes: int = 0
    max_nodes: int | None = None
    max_cpus_per_node: int | None = None
    max_mem_bytes: int | None = None
    max_mem_per_cpu_bytes: int | None = None
    def_mem_per_cpu_bytes: int | None = None
    def_mem_bytes: int | None = None
    def_cpus_per_gpu: int | None = None
    billing: Mapping[str, Decimal] = field(default_factory=dict)
    is_hidden: bool = False
    is_default: bool = False
    is_root_only: bool = False
    needs_reservation: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of an association or of a quality of service: of one job, of all jobs of a person, and of all jobs together.

    Amounts are by the scheduler's names of what it counts: cpu, mem (bytes), node, gres/gpu, gres/gpu:a100, gres/shard.
    """

    max_wall_s: int | None = None
    per_job: Mapping[str, int] = field(default_factory=dict)
    per_node: Mapping[str, int] = field(default_factory=dict)
    per_user: Mapping[str, int] = field(default_factory=dict)
    per_account: Mapping[str, int] = field(default_factory=dict)
    together: Mapping[str, int] = field(default_factory=dict)
    at_least: Mapping[str, int] = field(default_factory=dict)
    max_jobs: int | None = None
    max_submitted: int | None = None


@dataclass(frozen=True, slots=True)
class Qos:
    """A quality of service. ``flags`` are the scheduler's words (DenyOnLimit, OverPartQOS, PartitionTimeLimit …)."""

    name: str
    limits: Limits = field(default_factory=Limits)
    flags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Association:
    """That somebody may charge an account, perhaps in one partition only. ``qos`` None: not told which."""

    account: str
    partition: str = ""
    qos: tuple[str, ...] | None = None
    default_qos: str = ""
    is_default: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Nodes that are kept for some people. ``users`` and ``accounts`` None: not limited by them; names in ``not_…`` are kept out.

    ``nodes`` are names; ``partition`` is "" for any.
    """

    name: str
    starts_at: float | None
    ends_at: float | None
    partition: str = ""
    users: frozenset[str] | None = None
    accounts: frozenset[str] | None = None
    not_users: frozenset[str] = frozenset()
    not_accounts: frozenset[str] = frozenset()
    groups: tuple[str, ...] = ()
    nodes: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    is_active: bool = False


@dataclass(frozen=True, slots=True)
class SchedulerFacts:
    """What holds for all partitions of a cluster.

    ``associations`` by Unix name; None when the scheduler keeps none or does not tell. ``accounts`` are the limits of the accounts
    above a person's association, nearest first. ``enforces`` are the words of AccountingStorageEnforce. ``site_qos`` is what the site
    has sessions submitted with whose owner chose none; ``features`` are those of all nodes of the cluster.
    """

    cluster: str = ""
    associations: Mapping[str, tuple[Association, ...]] | None = None
    accounts: Mapping[str, tuple[Limits, ...]] = field(default_factory=dict)
    qos: Mapping[str, Qos] | None = None
    reservations: tuple[Reservation, ...] = ()
    enforces: frozenset[str] = frozenset()
    site_qos: str = ""
    features: frozenset[str] = frozenset()
