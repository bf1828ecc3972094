"""The nodes as they are now: one reading for everybody who looks, and the acts of taking one out and giving it back."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlencode

from .. import i18n
from ..backends.base import Backend
from ..core.identity import Actor
from ..core.nodes import Node, NodeState
from ..core.policies import COUNTED_ENGINES
from ..core.slots import CPU, CUDA_DEVICE, MEM, format_bytes
from ..errors import N_, BackendAIError, InvalidParameters, NotFound, Violation
from ..store import audit
from ..store.database import Database
from ..store.nodes import NodeUse, list_node_use
from .admin.base import AdminHandler
from .auth import administrative

log = logging.getLogger("backendai")
MAX_AGE_S, NOW_S = 10.0, 1.0
PAGE_SIZE = 100
_REASON = re.compile(r"[^\W_][\w .,:;!?()/#+-]{0,199}")
ENGINE_FAILED = N_("The nodes of %(engine)s cannot be read right now; these are the last that it told.")
# State → (mark, colour, words)
STATES = {
    NodeState.IDLE: ("idle", "run", N_("idle")),
    NodeState.BUSY: ("alloc", "alloc", N_("in use")),
    NodeState.DRAINING: ("wait", "wait", N_("draining")),
    NodeState.DRAINED: ("wait", "wait", N_("drained")),
    NodeState.DOWN: ("down", "down", N_("down")),
    NodeState.UNKNOWN: ("down", "down", N_("unknown")),
}


@dataclass(frozen=True, slots=True)
class Reading:
    """The nodes as read at ``read_at`` (Unix seconds); ``failed`` are engines that did not answer, whose nodes are older."""

    nodes: tuple[Node, ...] = ()
    read_at: float | None = None
    failed: tuple[str, ...] = ()

    def find(self, name: str) -> Node:
        """The node of that name. Raises NotFound."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise NotFound(N_("There is no node %(node)s."), node=name)


class NodesReader:
    """Asks the engines at most every few seconds, however many look."""

    def __init__(self, db: Database, backends: Mapping[str, Backend]) -> None:
        self._db, self._backends = db, backends
        self._reading = Reading()
        self._lock = asyncio.Lock()

    async def look(self, max_age_s: float = MAX_AGE_S) -> Reading:
        """The nodes, read anew when they are older than that. Raises BackendUnavailable without the database."""
        async with self._lock:
            if self._reading.read_at is None or time.time() - self._reading.read_at > max_age_s:
                self._reading = await self._read()
        return self._reading

    async def change(self, actor: Actor, name: str, reason: str | None) -> Node:
        """Drain a node with a reason, or (None) use it again; kept in the audit log whatever comes of it."""
        node = (await self.look()).find(name)
        verb, result = "node.resume" if reason is None else "node.drain", "ok"
        try:
            backend = self._backends[node.engine]
            await (backend.resume(name) if reason is None else backend.drain(name, reason))
        except BackendAIError:
            result = "refused"
            raise
        finally:
            details = {"engine": node.engine, "before": {"state": node.state.value, "reason": node.reason}, "after": {"reason": reason}}
            await self._db.run(
                audit.record, actor=actor.name, action=verb, object=name, source=actor.source, result=result, details=details
            )
        return (await self.look(0)).find(name)

    async def _read(self) -> Reading:
        engines = list(self._backends)
        answers = await asyncio.gather(*(self._backends[name].nodes() for name in engines), return_exceptions=True)
        use = await self._db.run(list_node_use)
        nodes: list[Node] = []
        failed = []
        for engine, answer in zip(engines, answers, strict=True):
            if isinstance(answer, BaseException):
                log.warning("The nodes of %s cannot be read: %s", engine, answer, exc_info=not isinstance(answer, BackendAIError))
                failed.append(engine)
                nodes += [node for node in self._reading.nodes if node.engine == engine]
            else:
                nodes += [join(node, use) for node in answer]
        return Reading(tuple(nodes), time.time(), tuple(failed))


def join(node: Node, use: Mapping[tuple[str, str], NodeUse]) -> Node:
    """A node with our sessions there. All local sessions are on this machine, whatever they call it."""
    parts = [part for (engine, name), part in use.items() if engine == node.engine and (engine in COUNTED_ENGINES or name == node.name)]
    sessions = sum(part.sessions for part in parts)
    slots = sum((part.slots for part in parts), NodeUse().slots)
    state = NodeState.BUSY if node.engine in COUNTED_ENGINES and sessions and node.state is NodeState.IDLE else node.state
    return replace(node, sessions=sessions, session_slots=slots, state=state)


def parse_reason(text: Any) -> str:
    """Why a node is taken out. Raises InvalidParameters: whoever finds the node drained must learn why."""
    reason = " ".join(text.split()) if isinstance(text, str) else ""
    if not _REASON.fullmatch(reason):
        message = N_("Say why in at most 200 letters, digits and common marks, beginning with a letter or a digit.")
        raise InvalidParameters(violations=[Violation(message, {}, "reason", "invalid")])
    return reason


@dataclass(frozen=True, slots=True)
class Amount:
    """One bar: how much of a slot is used."""

    label: str
    used: str
    total: str
    value: float
    most: float


def list_amounts(language: str, node: Node) -> list[Amount]:
    """The bars of a node."""
    shows: tuple[tuple[str, str, Callable[[int], object]], ...] = (
        (CPU, N_("CPUs"), int),
        (MEM, N_("Memory"), format_bytes),
    )
    found = [_amount(i18n.translate(language, label), node, slot, show) for slot, label, show in shows]
    if node.gpus:
        found += [Amount(f"GPU {kind}", str(used), str(total), float(used), float(total)) for kind, (total, used) in node.gpus.items()]
    elif node.slots.amount(CUDA_DEVICE):
        found.append(_amount("GPU", node, CUDA_DEVICE, int))
    return found


def _amount(label: str, node: Node, slot: str, show: Callable[[int], object]) -> Amount:
    used, total = int(node.used.amount(slot)), int(node.slots.amount(slot))
    return Amount(label, str(show(used)), str(show(total)), float(used), float(total))


@dataclass(frozen=True, slots=True)
class NodeQuery:
    """Which nodes are shown: text in the name, partition or reason; a state; and the page, from 1."""

    search: str = ""
    state: str = ""
    page: int = 1

    def select(self, nodes: Sequence[Node]) -> list[Node]:
        """The nodes of all pages."""
        text = self.search.casefold()
        return [
            node
            for node in nodes
            if (not self.state or node.state.value == self.state)
            and (not text or any(text in word.casefold() for word in (node.name, node.reason, *node.partitions)))
        ]

    def to_query(self, **changes: Any) -> str:
        """The query as a part of an address."""
        values = {"q": self.search, "state": self.state, "page": self.page, **changes}
        return urlencode({name: value for name, value in values.items() if value and (name, value) != ("page", 1)})


class NodesPage(AdminHandler):
    """The table; superadministrators only."""

    def read_query(self) -> NodeQuery:
        """What the address asks for; what it cannot mean is ignored."""
        state, page = self.get_query_argument("state", ""), self.get_query_argument("page", "1")
        is_state = state in {item.value for item in NodeState}
        is_page = page.isascii() and page.isdigit() and 0 < len(page) < 7 and int(page) > 0
        return NodeQuery(self.get_query_argument("q", "")[:256].strip(), state if is_state else "", int(page) if is_page else 1)

    @administrative
    async def get(self) -> None:
        self.require_superadmin()
        await self.show()

    async def show(self, error: BackendAIError | None = None, chosen: str = "", reason: str = "") -> None:
        """The page, with what was refused of one node's form."""
        refusal = self.explain_all(error)[1] if error else []
        values = await self.load(NOW_S if self.get_query_argument("now", "") else MAX_AGE_S)
        status = error.status if error else 200
        self.render_admin("admin/nodes.html", "nodes", status=status, refusal=refusal, chosen=chosen, reason=reason, **values)

    async def load(self, max_age_s: float) -> dict[str, Any]:
        """What the table shows."""
        reading, query = await self.nodes.look(max_age_s), self.read_query()
        found = query.select(reading.nodes)
        pages = max(1, -(-len(found) // PAGE_SIZE))
        query = replace(query, page=min(query.page, pages))
        rows = [
            {
                "node": node,
                "mark": STATES[node.state],
                "amounts": list_amounts(self.language, node),
                "url": f"{self.base}nodes/{quote(node.name, safe='')}",
                "can_drain": node.engine not in COUNTED_ENGINES and node.state not in (NodeState.DRAINING, NodeState.DRAINED),
                "can_resume": node.engine not in COUNTED_ENGINES and node.state in (NodeState.DRAINING, NodeState.DRAINED, NodeState.DOWN),
            }
            for node in found[(query.page - 1) * PAGE_SIZE : query.page * PAGE_SIZE]
        ]
        failed = [i18n.translate(self.language, ENGINE_FAILED) % {"engine": engine} for engine in reading.failed]
        counts = Counter(node.state for node in reading.nodes)
        states = [(state.value, STATES[state], counts[state]) for state in NodeState if counts[state]]
        return {"rows": rows, "failed": failed, "query": query, "total": len(found), "pages": pages, "states": states}


class NodesTable(NodesPage):
    """The table alone, drawn anew in place."""

    @administrative
    async def get(self) -> None:
        self.require_superadmin()
        values = await self.load(NOW_S if self.get_query_argument("now", "") else MAX_AGE_S)
        self.render_page("admin/nodes_table.html", chosen="", reason="", refusal=[], **values)


class NodeActPage(NodesPage):
    """Take one node out, or use it again."""

    @administrative
    async def post(self, name: str, verb: str) -> None:
        self.require_superadmin()
        text = self.get_body_argument("reason", "")[:1000]
        try:
            await self.nodes.change(self.actor, name, parse_reason(text) if verb == "drain" else None)
        except NotFound:
            raise
        except BackendAIError as exc:
            await self.show(exc, name, text)
            return
        self.redirect(f"{self.base}nodes?notice={'drained' if verb == 'drain' else 'resumed'}", status=303)


default_handlers = [
    (r"admin/nodes", NodesPage),
    (r"admin/nodes-table", NodesTable),
    (r"admin/nodes/([^/]+)/(drain|resume)", NodeActPage),
]
