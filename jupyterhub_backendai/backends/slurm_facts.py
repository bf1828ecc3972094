"""What a Slurm cluster says of itself, each part asked as often as it changes, however many look.

Nodes and jobs are read each time; partitions and reservations every minute, people and their limits every five minutes and
beside the rest, for accounting can take its time: without it nothing is said of people, and nothing can be chosen.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from ..config import BackendAI
from ..core.partitions import Association, Limits, PartitionRules, Qos, Reservation, SchedulerFacts, UnixGroup
from ..core.queues import QueueFigures
from ..errors import BackendAIError, SchedulerUnavailable
from . import slurm_figures as figures
from . import slurm_rules as rules

log = logging.getLogger(__name__)

PARTITIONS_S, PEOPLE_S, GROUPS_S, RETRY_S = 60.0, 300.0, 300.0, 60.0
FIRST_WAIT_S = 2.0

Ask = Callable[[Sequence[str]], Awaitable[str]]
Clock = Callable[[], float]


class SlurmFacts:
    """Everything about queues, from one cluster."""

    def __init__(
        self,
        ask: Ask,
        slurm_bin: str,
        *,
        site_qos: str = "",
        clock: Clock = time.monotonic,
        first_wait_s: float = FIRST_WAIT_S,
        find_group: Callable[[str], UnixGroup | None] | None = None,
    ) -> None:
        self._ask, self._slurm_bin, self._clock, self._find_group = ask, slurm_bin, clock, find_group or find_unix_group
        self._partitions: list[figures.Partition] = []
        self._partitions_at: float | None = None
        self._groups: dict[str, tuple[float, UnixGroup | None]] = {}
        self._people = People(ask, slurm_bin, clock, first_wait_s)
        self._reservations: tuple[Reservation, ...] = ()
        self._site_qos = site_qos

    async def capacity(self) -> Mapping[str, QueueFigures]:
        """Every partition's row. Raises SchedulerUnavailable."""
        _, ask_nodes, ask_jobs = figures.build_commands(self._slurm_bin)
        await self._read_partitions()
        nodes, jobs = await self._ask(ask_nodes), await self._ask(ask_jobs)
        if "NodeName=" not in nodes:
            raise SchedulerUnavailable from RuntimeError(f"scontrol: no node in {nodes[:200]!r}")
        await self._people.freshen()
        facts = self._people.describe(self._reservations, self._site_qos)
        return await asyncio.to_thread(measure, self._partitions, nodes, jobs, facts)

    async def close(self) -> None:
        """Stop what still asks."""
        await self._people.close()

    async def _read_partitions(self) -> None:
        now = self._clock()
        if self._partitions_at is not None and now - self._partitions_at < PARTITIONS_S:
            return
        found = figures.parse_partitions(await self._ask(figures.build_commands(self._slurm_bin)[0]))
        if not found:  # a cluster without a queue is an answer that was garbled
            raise SchedulerUnavailable
        with contextlib.suppress(BackendAIError):  # yesterday's reservations are better than none: Slurm itself looks again
            self._reservations = rules.parse_reservations(await self._ask(rules.build_reservations(self._slurm_bin)))
        self._partitions = [replace(partition, rules=await self._add_groups(partition.rules, now)) for partition in found]
        self._partitions_at = now

    async def _add_groups(self, own: PartitionRules, now: float) -> PartitionRules:
        """The members of the groups that may use a partition, as this machine knows them; None when it does not know one."""
        if not own.allow_groups:
            return own
        for name in own.allow_groups:
            if name not in self._groups or now - self._groups[name][0] > GROUPS_S:
                self._groups[name] = (now, await asyncio.to_thread(self._find_group, name))
        known = [self._groups[name][1] for name in own.allow_groups]
        return replace(own, groups=None if None in known else tuple(group for group in known if group))


def measure(partitions: list[figures.Partition], nodes: str, jobs: str, facts: SchedulerFacts) -> dict[str, QueueFigures]:
    """The rows, each with the facts, of whose reservations it has those with nodes of its own."""
    parsed = figures.parse_nodes(nodes)
    rows = figures.measure(partitions, parsed, jobs)
    facts = replace(facts, features=frozenset(feature for row in rows.values() for feature in row.features))
    kept = {name for reservation in facts.reservations for name in reservation.nodes}
    where = {node.name: node.partitions for node in parsed if node.name in kept}
    return {name: replace(row, scheduler=replace(facts, reservations=_choose(facts, name, where))) for name, row in rows.items()}


def _choose(facts: SchedulerFacts, partition: str, where: Mapping[str, Sequence[str]]) -> tuple[Reservation, ...]:
    return tuple(
        one
        for one in facts.reservations
        if one.partition in {"", partition} and (not one.nodes or any(partition in where.get(node, ()) for node in one.nodes))
    )


def find_unix_group(name: str) -> UnixGroup | None:
    """A group with its members; None for one that this machine does not know, or whose members it does not tell.

    A directory may be set to name none (``ignore_group_members``): an empty group would keep everybody out.
    """
    try:
        found = grp.getgrnam(name)
    except (KeyError, OSError):
        return None
    return UnixGroup(name, found.gr_gid, frozenset(found.gr_mem)) if found.gr_mem else None


def find_site_qos(settings: BackendAI) -> str:
    """What the configuration file has jobs submitted with (``c.SlurmSpawner.req_qos``); the hub and the service read the same file."""
    for name in ("SlurmLauncher", "SlurmSpawner", "BatchSpawnerBase"):
        if name in settings.config and isinstance(qos := settings.config[name].get("req_qos"), str) and qos:
            return qos
    return ""


class People:
    """Accounts, associations and qualities of service, read beside everything else."""

    def __init__(self, ask: Ask, slurm_bin: str, clock: Clock, first_wait_s: float) -> None:
        self._ask, self._slurm_bin, self._clock, self._first_wait_s = ask, slurm_bin, clock, first_wait_s
        self._config: dict[str, str] = {}
        self._associations: dict[str, tuple[Association, ...]] | None = None
        self._accounts: dict[str, tuple[Limits, ...]] = {}
        self._qos: dict[str, Qos] | None = None
        self._due_at: float | None = None
        self._task: asyncio.Task[None] | None = None

    def describe(self, reservations: tuple[Reservation, ...], site_qos: str) -> SchedulerFacts:
        """What is known now."""
        return SchedulerFacts(
            cluster=self._config.get("ClusterName", ""),
            associations=self._associations,
            accounts=self._accounts,
            qos=self._qos,
            reservations=reservations,
            enforces=rules.parse_enforces(self._config),
            site_qos=site_qos,
        )

    async def freshen(self) -> None:
        """See to it that somebody reads when it is time; waits only the first time, and then not long."""
        if self._task is not None and not self._task.done():
            return
        if self._due_at is None or self._clock() >= self._due_at:
            is_first = self._due_at is None
            self._task = asyncio.create_task(self._read())
            if is_first:
                await asyncio.wait([self._task], timeout=self._first_wait_s)

    async def close(self) -> None:
        """Stop what still asks."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _read(self) -> None:
        self._due_at = self._clock() + RETRY_S
        try:
            config = rules.parse_config(await self._ask(rules.build_config(self._slurm_bin)))
            if not {"AccountingStorageType", "ClusterName"} <= config.keys():
                raise SchedulerUnavailable from RuntimeError("scontrol: no configuration")
            self._config = config
            if "slurmdbd" in self._config.get("AccountingStorageType", ""):
                await self._read_accounting()
            else:
                self._associations, self._qos, self._accounts = None, None, {}
        except BackendAIError as exc:
            log.warning("Slurm's accounts cannot be read: %s", exc.__cause__ or exc)
        except Exception:
            log.exception("Reading Slurm's accounts failed")
        else:
            self._due_at = self._clock() + PEOPLE_S

    async def _read_accounting(self) -> None:
        qos = rules.parse_qos(await self._ask_table(rules.build_qos(self._slurm_bin)))
        defaults = rules.parse_users(await self._ask_table(rules.build_users(self._slurm_bin)))
        text = await self._ask_table(rules.build_associations(self._slurm_bin, self._config["ClusterName"]))
        people, accounts = await asyncio.to_thread(rules.parse_associations, text, defaults)
        # nothing at all is no answer: there is always one of root
        if people and qos:
            self._associations, self._qos, self._accounts = people, qos, accounts

    async def _ask_table(self, command: Sequence[str]) -> str:
        """The answer of sacctmgr. One that lost a part would take accounts from people that they have: it is none."""
        answer = await self._ask(command)
        if not rules.is_whole(answer, command[-1].removeprefix("format=")):
            raise SchedulerUnavailable from RuntimeError(f"sacctmgr: {answer[-200:]!r}")
        return answer
