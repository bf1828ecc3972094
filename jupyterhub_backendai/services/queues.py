"""The live table of the queues: one reader for everybody who looks, and who gets to see it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from .. import i18n
from ..backends.base import Backend
from ..config import BackendAI
from ..core.clusters import find_figures
from ..core.fields import format_duration
from ..core.identity import PosixAccount
from ..core.partitions import NodeShape
from ..core.policies import COUNTED_ENGINES
from ..core.prices import Currency, is_priced
from ..core.queues import Figures, GPUFigures, Queue, QueueFigures
from ..core.scheduler_offers import Offer, find_offer
from ..core.sessions import default_time_s, limits, max_time_s
from ..core.slots import CPU, CUDA_DEVICE, MEM, ResourceSlots, format_bytes
from ..errors import N_, BackendAIError
from ..store.database import Database
from ..store.sessions import Usage, list_usage
from . import discovery, metrics
from .auth import authenticated
from .base import PageHandler
from .groups import ResourceGroups
from .launch_nodes import count_shares
from .launch_quote import describe_prices
from .queue_tables import DrawnTables
from .waits import add_wait_words

log = logging.getLogger("backendai")
LOOKING_S = 60
FIRST_WAIT_S = 3
REFRESH_S = 1.0  # Refresh reads anew what is older than this, however often it is pressed
ENGINE_FAILED = N_("The scheduler does not answer; these are the last figures it gave.")
FAILED = N_("The figures of this queue cannot be read right now.")


class FiguresReader:
    """Reads every engine in one pass, every few seconds while somebody looks. What cannot be read keeps its last row, marked."""

    def __init__(self, settings: BackendAI, db: Database, backends: Mapping[str, Backend], groups: ResourceGroups | None = None) -> None:
        self._settings, self._db, self._backends = settings, db, backends
        self._groups = groups or ResourceGroups(settings, db)
        self._discovery = discovery.Discovery(settings, db, self._groups)
        self._figures = Figures()
        self._pass: asyncio.Task[None] | None = None
        self._read_names: set[str] = set()
        self._looked_at = 0.0
        self._tried_at: float | None = None
        self._wake = asyncio.Event()

    def figures(self) -> Figures:
        """What was read last, without waiting."""
        return self._figures

    def touch(self) -> None:
        """Somebody looks: read at the shorter interval for a minute, and now when the last figures are older than that."""
        self._looked_at = time.monotonic()
        if self._age_s() > self._settings.figures_interval_s:
            self._wake.set()

    async def look(self, max_age_s: float | None = None) -> Figures:
        """The figures, read now when they are older than ``max_age_s`` or were never read; waits a few seconds at most."""
        self.touch()
        is_new = self._read_names != set(self._groups.queues())  # somebody added a group
        if is_new or self._figures.read_at is None or (max_age_s is not None and self._age_s() > max_age_s):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self.read()), FIRST_WAIT_S)
        return self._figures

    def read(self) -> asyncio.Task[None]:
        """One pass over the engines; whoever asks while it goes on joins it."""
        if self._pass is None or self._pass.done():
            self._pass = asyncio.create_task(self._read())
        return self._pass

    async def run(self) -> None:
        """Read for ever; cancelled when the service stops."""
        while True:
            await self.read()
            self._wake.clear()  # who came while it was read has what they came for
            is_looked_at = time.monotonic() - self._looked_at < LOOKING_S
            pause_s = self._settings.figures_interval_s if is_looked_at else self._settings.figures_idle_interval_s
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause_s)

    def _age_s(self) -> float:
        return time.time() - self._tried_at if self._tried_at else float("inf")

    async def _read(self) -> None:
        await self._read_once()
        if self._read_names != set(self._groups.queues()):  # partitions that became groups
            await self._read_once()

    async def _read_once(self) -> None:
        queues = self._groups.queues()
        self._read_names = set(queues)
        engines = sorted(
            {queue.engine for queue in queues.values()} | ({discovery.ENGINE} if discovery.is_wanted(self._settings) else set())
        )
        rows: dict[str, QueueFigures] = {}
        for found in await asyncio.gather(*(self._read_engine(engine, queues) for engine in engines)):
            rows.update(found)
        errors = [row.error for row in rows.values() if row.error]
        self._tried_at = time.time() if rows else None
        # The age that people are told is that of the oldest row: what could not be read now is no news.
        read_at = min((row.read_at for row in rows.values() if row.read_at), default=None)
        self._figures = Figures({name: rows[name] for name in queues if name in rows}, read_at, errors[0] if errors else "")

    async def _read_engine(self, engine: str, all_queues: Mapping[str, Queue]) -> dict[str, QueueFigures]:
        queues = [queue for queue in all_queues.values() if queue.engine == engine]
        try:
            rows = await self._read_local(queues) if engine in COUNTED_ENGINES else await self._read_backend(engine, queues)
        except Exception as exc:
            level = logging.WARNING if isinstance(exc, BackendAIError) else logging.ERROR
            log.log(level, "The figures of %s cannot be read: %s", engine, exc, exc_info=not isinstance(exc, BackendAIError))
            metrics.COMMANDS.labels(engine, "failed").inc()
            return self._keep(queues)
        metrics.COMMANDS.labels(engine, "ok").inc()
        # a row of a cluster that is away while others answer is older, and says so
        return {name: replace(row, read_at=row.read_at or time.time(), error=row.error and ENGINE_FAILED) for name, row in rows.items()}

    def _keep(self, queues: list[Queue]) -> dict[str, QueueFigures]:
        old = self._figures.queues
        return {queue.name: replace(old[queue.name], error=ENGINE_FAILED) for queue in queues if queue.name in old}

    async def _read_backend(self, engine: str, queues: list[Queue]) -> dict[str, QueueFigures]:
        rows = await self._backends[engine].capacity()
        if engine == discovery.ENGINE:
            await self._discovery.discover(rows)
        first = next(iter(self._settings.slurm_clusters), "")
        found = {queue.name: find_figures(queue, queue.partition or queue.name, rows, first) for queue in queues}
        # an answering cluster without the partition: it was taken away, and is closed rather than unknown
        gone = {name: QueueFigures(name, is_open=False) for name, row in found.items() if not row and rows and not first}
        return {**gone, **{name: replace(row, name=name) for name, row in found.items() if row}}

    async def _read_local(self, queues: list[Queue]) -> dict[str, QueueFigures]:
        usage = await self._db.run(list_usage)
        return {queue.name: measure_local(queue, usage.get(queue.name)) for queue in queues}


def measure_local(queue: Queue, usage: Usage | None) -> QueueFigures:
    """The row of a pretend queue: one node of the configured size, of which the live sessions hold their slots."""
    used = usage or Usage()
    gpu_total, gpu_used = int(queue.capacity.amount(CUDA_DEVICE)), int(used.slots.amount(CUDA_DEVICE))
    is_full = any(used.slots.amount(slot) >= queue.capacity[slot] for slot in (CPU, MEM) if slot in queue.capacity)
    gpus = (GPUFigures(queue.gpu_type or "gpu", gpu_total, max(0, gpu_total - gpu_used), gpu_total),) if gpu_total else ()
    return QueueFigures(
        name=queue.name,
        nodes_alloc=int(is_full),
        nodes_idle=int(not is_full),
        nodes_total=1,
        gpus=gpus,
        running=used.sessions,
        waiting=used.waiting,
        is_exclusive=bool(queue.is_exclusive),
        max_time_s=queue.max_time_s,
        max_slots=queue.capacity,
    )


def describe(queue: Queue, row: QueueFigures | None, language: str, posix: PosixAccount | None = None) -> dict[str, Any]:
    """One line of the table, for a page and for REST: configuration and figures joined, texts in the reader's language.

    ``choices`` are those of the person with this Unix account.
    """
    most, longest = limits(queue, row), max_time_s(queue, row)
    is_exclusive = queue.is_exclusive if queue.is_exclusive is not None else bool(row and row.is_exclusive)
    return {
        "name": queue.name,
        "label": queue.label(language),
        "description": queue.descriptions.get(language) or queue.descriptions.get("en", ""),
        "engine": queue.engine,
        "is_free": queue.is_free,
        "is_exclusive": is_exclusive,
        "is_open": row.is_open if row else True,
        "nodes": {"alloc": row.nodes_alloc, "idle": row.nodes_idle, "down": row.nodes_down, "total": row.nodes_total} if row else None,
        "gpus": [{"type": gpu.type, "total": gpu.total, "free": gpu.free, "per_node": gpu.per_node} for gpu in row.gpus] if row else [],
        "waiting": row.waiting if row else None,
        "running": row.running if row else None,
        "max_time_s": longest,
        "default_time_s": default_time_s(queue, row),
        "max_slots": most.to_json(),
        "prices": queue.prices.to_json() if is_priced(queue) else {},
        "shares": [asdict(share) for share in row.shares] if row else [],
        "shapes": [describe_shape(shape) for shape in row.shapes] if row else [],
        "choices": describe_choices(find_offer(queue, row, posix)),
        "read_at": row.read_at if row else None,
        "error": i18n.translate(language, (row.error if row else FAILED)),
    }


def describe_shape(shape: NodeShape) -> dict[str, Any]:
    """Nodes that are alike, for a page and for REST."""
    counts = {"count": shape.count, "up": shape.up, "idle": shape.idle}
    gpus = {"gpus": dict(shape.gpus), "shards": dict(shape.shards)}
    return {**counts, "cpu": shape.cpus, "mem": shape.mem_bytes, **gpus, "features": list(shape.features)}


def describe_choices(offer: Offer) -> dict[str, Any]:
    """What a person may choose, for a page and for REST."""
    reservations = [{"name": kept.name, "starts_at": kept.starts_at, "ends_at": kept.ends_at} for kept in offer.reservations]
    return {
        "accounts": [{**asdict(account), "qos": list(account.qos)} for account in offer.accounts],
        "qos": list(offer.qos),
        "reservations": reservations,
        "features": list(offer.features),
        "clusters": list(offer.clusters),
        "is_known": offer.is_known,
    }


class QueuesHandler(PageHandler):
    """The table alone, for Refresh: the same part of the page, drawn anew."""

    @authenticated
    async def get(self) -> None:
        figures = await self.figures.look(max_age_s=REFRESH_S if self.get_query_argument("now", "") else None)
        queues, groups = await self.groups.list_lately_usable(self.identity), self.groups.queues()
        chosen = self.get_query_argument("queue", "")[:64]
        tables: DrawnTables = self.application.settings.setdefault("drawn_tables", DrawnTables())
        key = (self.language, chosen if chosen in queues else "", tuple(queues))
        table = tables.find(figures, groups, key)
        if table is None:
            rows = list_page_rows(queues, figures, self.language, currency=self.config.make_billing().currency)
            await add_wait_words(self, rows)
            table = self.render_part("queues.html", rows=rows, figures=figures, chosen=chosen)
            tables.keep(figures, groups, key, table)
        self.finish(table)


def list_rows(queues: Mapping[str, Queue], figures: Figures, language: str, posix: PosixAccount | None = None) -> list[dict[str, Any]]:
    """The lines of the table, of the queues that somebody may use (``groups.list_usable``), with what this person may choose."""
    return [describe(queue, figures.queues.get(queue.name), language, posix) for queue in queues.values()]


def list_page_rows(
    queues: Mapping[str, Queue], figures: Figures, language: str, posix: PosixAccount | None = None, currency: Currency | None = None
) -> list[dict[str, Any]]:
    """The lines as a page shows them: with the most of a session, shares of GPUs and prices in words."""
    rows = list_rows(queues, figures, language, posix)
    return [
        {**row, "most": describe_most(language, row), "shared": count_shares(row["shares"])}
        | {"price_words": describe_prices(queues[row["name"]], currency or Currency(), language, list_gpu_types(row))}
        for row in rows
    ]


def list_gpu_types(row: Mapping[str, Any]) -> list[str] | None:
    """The types of GPUs of a line; None while its figures cannot be read."""
    return [gpu["type"] for gpu in row["gpus"]] if row["nodes"] else None


def describe_most(language: str, row: Mapping[str, Any]) -> dict[str, str]:
    """The most of a queue in the words of a form: only what is limited."""
    slots = ResourceSlots.from_json(row["max_slots"])
    words = {
        "cpu": str(int(slots.amount(CPU))) if CPU in slots else "",
        "mem": format_bytes(int(slots.amount(MEM))) if MEM in slots else "",
    }
    words["gpu"] = str(int(slots.amount(CUDA_DEVICE))) if CUDA_DEVICE in slots or row["nodes"] else ""
    words["time"] = i18n.format_span(language, row["max_time_s"]) if row["max_time_s"] else ""
    words["default_time"] = i18n.format_span(language, row["default_time_s"])
    words["default_clock"] = format_duration(row["default_time_s"])
    return words


default_handlers = [(r"queues", QueuesHandler)]
