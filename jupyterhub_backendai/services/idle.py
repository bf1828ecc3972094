"""The idle checker: ends sessions that nobody uses, or that live longer than their keypair's policy allows. Every minute, one service."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..core.ends import is_same
from ..core.idle import IDLE, Watched, check_end, find_warning, foresee
from ..errors import BackendAIError
from ..store import ends, idle
from ..store.database import Database
from .hub import HubClient
from .lease import Lease

log = logging.getLogger("backendai")
INTERVAL_S = 60.0
WARN_BEFORE_S = 900
LEASE = "idle"
STOPPING = frozenset({202, 204})


class IdleChecker:
    """Acts only on what the hub has just said of a server; an outage of the hub starts the count anew."""

    def __init__(self, db: Database, hub: HubClient, *, interval_s: float = INTERVAL_S, warn_before_s: int = WARN_BEFORE_S) -> None:
        self._db, self._hub, self._interval_s, self._warn_before_s = db, hub, interval_s, warn_before_s
        self._lease = Lease(db, LEASE, 3 * interval_s)
        self._heard_since: float | None = None

    async def run(self) -> None:
        """Check for ever; cancelled when the service stops."""
        await self._lease.repeat(self.check, self._interval_s, "No session was looked at")

    async def check(self, at: float | None = None) -> list[str]:
        """One look at all running sessions; the ids of those that the hub was asked to end."""
        at = time.time() if at is None else at
        if not await self._lease.take():
            self._heard_since = None
            return []
        watched = await self._db.run(idle.list_watched)
        try:
            users = {str(user["name"]): user for user in await self._hub.list_users("active")}
        except BackendAIError:
            self._heard_since = None
            raise
        self._heard_since = self._heard_since or at
        due = [session for session in watched if self._decide(session, users.get(session.user), at)]
        for session in watched:
            await self._announce(session, users.get(session.user), at)
        return [session.session_id for session in due if await self._end(session, at)]

    def _decide(self, session: Watched, user: Mapping[str, Any] | None, at: float) -> str:
        """Why a session is to end, "" when it is not, or when the hub does not show a server that is up."""
        server = _find_server(session, user)
        return check_end(session, _parse(server.get("last_activity")), self._heard_since, at) if server else ""

    async def _announce(self, session: Watched, user: Mapping[str, Any] | None, at: float) -> None:
        """Keep the end that is near, for the pages that warn of it; forget one that is not any more."""
        server = _find_server(session, user)
        end = foresee(session, _parse(server.get("last_activity")), self._heard_since, at) if server else None
        warning = find_warning(session, end, at, self._warn_before_s)
        if not is_same(warning, session.policy_ends_at):
            moment = datetime.fromtimestamp(warning, UTC) if warning is not None else None
            await self._db.run_exclusive(ends.foresee, session.session_id, moment, end.kind if end else "")

    async def _end(self, session: Watched, at: float) -> bool:
        """Ask the hub once more about this one, keep the reason, and have it ended."""
        reason = self._decide(session, await self._hub.get_user(session.user), at)
        action = "session.end-idle" if reason == IDLE else "session.end-lifetime"
        if not reason or not await self._db.run_exclusive(idle.tell_to_end, session.session_id, reason, action):
            return False
        try:
            status, _ = await self._hub.stop_server(session.user, session.server_name)
        except BackendAIError:
            status = 503
        if status in STOPPING:
            log.info("Session %s of %s is ended: %s", session.session_id, session.user, reason)
            return True
        log.warning("The hub did not end session %s of %s (status %s)", session.session_id, session.user, status)
        await self._db.run_exclusive(idle.take_back, session.session_id)
        return False


def _find_server(session: Watched, user: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The session's server in the hub's model of its owner, if it is up."""
    servers = user.get("servers") if user else None
    server = servers.get(session.server_name) if isinstance(servers, dict) else None
    return server if isinstance(server, dict) and server.get("ready") and not server.get("pending") else None


def _parse(text: Any) -> float | None:
    """The hub's time as Unix seconds, None for what is none."""
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None
