"""The reconciler: hub servers × engine jobs × our rows, at start-up and every minute. Only one service does it at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from ..backends.base import Backend
from ..config import BackendAI
from ..core.policies import COUNTED_ENGINES
from ..core.reconcile import NO_SERVER, Cancel, Plan, Row, Server, decide
from ..core.sessions import JobStatus
from ..errors import N_, BackendAIError, BackendUnavailable
from ..store import sessions
from ..store.database import Database
from ..store.sessions import SessionInfo
from .hub import HubClient
from .lease import Lease

log = logging.getLogger("backendai")
INTERVAL_S = 60.0
LEASE = "reconcile"


class Reconciler:
    """Frees what leaked and ends what nobody can reach. It never acts on what it could not read."""

    def __init__(
        self, settings: BackendAI, db: Database, hub: HubClient, backends: Mapping[str, Backend], *, interval_s: float = INTERVAL_S
    ) -> None:
        self._settings, self._db, self._hub, self._backends, self._interval_s = settings, db, hub, backends, interval_s
        self._lease = Lease(db, LEASE, 3 * interval_s)
        self._suspects: Mapping[str, float] = {}
        self._known_strangers: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Reconcile for ever; cancelled when the service stops."""
        try:
            while True:
                try:
                    await self.reconcile()
                except BackendAIError as exc:
                    # What was seen before an outage counts for nothing after it.
                    self._suspects = {}
                    log.info("Nothing was reconciled: %s", exc)
                await asyncio.sleep(self._interval_s)
        finally:
            await self._lease.give_back()

    async def reconcile(self, at: float | None = None) -> Plan | None:
        """One pass; what was done, or None while another service does it. Raises BackendUnavailable when hub or database are away."""
        at = time.time() if at is None else at
        if not await self._lease.take():
            self._suspects = {}
            return None
        # In this order: a start that happens meanwhile is in what is read last, and too young to be touched.
        # An engine without a scheduler has no jobs of its own: its sessions are seen through the hub only.
        engines = {engine: backend for engine, backend in self._backends.items() if engine not in COUNTED_ENGINES}
        jobs = {engine: await self._read_jobs(engine, backend) for engine, backend in engines.items()}
        servers = list(parse_servers(await self._hub.list_users("active")))
        infos = await self._db.run(_list_rows, [(server.user, server.name) for server in servers], _list_session_ids(jobs))
        plan = decide(servers, _drop_foreign(jobs, infos), [_row(info) for info in infos.values()], self._suspects, at)
        self._suspects = plan.suspects
        await self._act(plan, infos)
        return plan

    async def _read_jobs(self, engine: str, backend: Backend) -> Mapping[str, JobStatus] | None:
        try:
            return await backend.statuses()
        except BackendAIError as exc:
            log.info("The jobs of %s cannot be read, so none is touched: %s", engine, exc)
            return None

    async def _act(self, plan: Plan, infos: Mapping[str, SessionInfo]) -> None:
        failed = {cancel.session_id for cancel in plan.cancel if not await self._cancel(cancel, infos[cancel.session_id])}
        for session_id in plan.release:
            if session_id not in failed and await self._is_gone(infos[session_id]):
                await self._db.run_exclusive(sessions.release, session_id, NO_SERVER)
                log.warning("Session %s of %s had no server: released", session_id, infos[session_id].user)
        for session_id in plan.revive:
            if await self._db.run_exclusive(sessions.revive, session_id):
                log.warning("Session %s of %s was over but its server is up: live again", session_id, infos[session_id].user)
        strangers = frozenset(plan.strangers)
        if strangers - self._known_strangers:
            log.warning("Jobs under the name %s that the database does not know: %s", self._settings.job_name, ", ".join(plan.strangers))
        self._known_strangers = strangers

    async def _cancel(self, cancel: Cancel, info: SessionInfo) -> bool:
        if info.is_live and not await self._is_gone(info):
            return False
        try:
            await self._backends[cancel.engine].cancel(cancel.job_id, info.posix)
        except BackendAIError as exc:
            log.warning("The orphaned job %s of session %s cannot be ended: %s", cancel.job_id, cancel.session_id, exc)
            return False
        log.warning("Ended the orphaned job %s of session %s of %s", cancel.job_id, cancel.session_id, info.user)
        return True

    async def _is_gone(self, info: SessionInfo) -> bool:
        """Ask the hub about this one server: a list in pages can miss a server while others start and stop."""
        status, model = await self._hub.request("GET", f"/users/{quote(info.user, safe='')}")
        if status == 404:
            return True
        return status == 200 and (info.user, info.server_name) not in {(server.user, server.name) for server in parse_servers([model])}


def parse_servers(users: list[dict[str, Any]]) -> Iterator[Server]:
    """The servers that are up, or start or stop right now, in the hub's models of users.

    Raises BackendUnavailable when the hub does not show them to us (a role without ``read:servers``): no server seen is not no server.
    """
    for user in users:
        if not isinstance(user.get("servers"), dict):
            raise BackendUnavailable(N_("The hub does not show its servers to the service; its role needs the scope read:servers."))
        for name, server in user["servers"].items():
            if not server.get("stopped"):
                yield Server(str(user["name"]), str(name), bool(server.get("ready")), bool(server.get("pending")))


def _drop_foreign(
    jobs: Mapping[str, Mapping[str, JobStatus] | None], infos: Mapping[str, SessionInfo]
) -> dict[str, dict[str, JobStatus] | None]:
    """The jobs without those of other accounts: anybody may give a job of theirs our name and somebody's session id."""

    def is_own(session_id: str, job: JobStatus) -> bool:
        info = infos.get(session_id)
        return info is None or not job.user or (info.posix is not None and info.posix.name == job.user)

    return {
        engine: None if found is None else {session_id: job for session_id, job in found.items() if is_own(session_id, job)}
        for engine, found in jobs.items()
    }


def _list_session_ids(jobs: Mapping[str, Mapping[str, JobStatus] | None]) -> list[str]:
    return [session_id for found in jobs.values() if found for session_id in found]


def _list_rows(db: Any, servers: list[tuple[str, str]], session_ids: list[str]) -> dict[str, SessionInfo]:
    """All live sessions, those of the jobs, and the newest of each server that has no live one."""
    found = {info.id: info for info in sessions.list_live(db)}
    taken = {(info.user, info.server_name) for info in found.values()}
    latest = sessions.list_latest(db, [server for server in servers if server not in taken])
    found.update({info.id: info for info in latest.values()})
    return {**sessions.list_by_id(db, session_ids), **found}


def _row(info: SessionInfo) -> Row:
    changed_at = info.released_at or info.created_at
    return Row(info.id, info.user, info.server_name, info.engine, info.is_live, changed_at.timestamp(), info.is_batch)
