"""Where a job that slurmrestd submitted gets its session, and hands back the end of its log: on the hub's API, which nodes reach.

    POST /hub/api/backendai/sessions/<id>/ticket   {"ticket", "asker"}  what the session must know, once
    POST /hub/api/backendai/sessions/<id>/log      {"key", "log"}

No cookie and no token of the hub's counts here: the ticket, and the key that belongs to it, do.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from jupyterhub import apihandlers
from jupyterhub.apihandlers.base import APIHandler
from tornado import web

from ..backends.slurm_rest import find_tickets
from ..backends.tickets import LOG_BYTES, Tickets
from ..config import BackendAI
from ..errors import BackendAIError

SESSION = r"/api/backendai/sessions/([0-9a-f]{32})"
_MAX_TEXT = 256
_MOST_BYTES = 8 * LOG_BYTES  # a character of a log takes six at most


class _TicketBase(APIHandler):
    def check_xsrf_cookie(self) -> None:
        """No cookie is believed here, so there is nothing to forge."""

    @property
    def tickets(self) -> Tickets:
        return find_tickets(BackendAI(config=self.config))

    def read_fields(self, *names: str, longest: int = _MAX_TEXT) -> list[str]:
        """The fields of the body, all of them text. Raises HTTPError."""
        if len(self.request.body) > _MOST_BYTES:  # anybody may ask here: nothing large is read
            raise web.HTTPError(413)
        body = self.get_json_body()
        values = [body.get(name) for name in names] if isinstance(body, dict) else []
        if not values or not all(isinstance(value, str) and len(value) <= longest for value in values):
            raise web.HTTPError(400, "These are not the fields of this call.")
        return [str(value) for value in values]

    async def run(self, method: Any, *arguments: str) -> Any:
        """A method of the tickets', off the loop; their errors become the hub's."""
        try:
            return await asyncio.to_thread(method, *arguments)
        except BackendAIError as exc:
            raise web.HTTPError(exc.status, str(exc)) from exc


class TicketHandler(_TicketBase):
    """What a session must know, for its ticket."""

    async def post(self, session_id: str) -> None:
        ticket, asker = self.read_fields("ticket", "asker")
        content = await self.run(self.tickets.redeem, session_id, ticket, asker)
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(content))


class LogHandler(_TicketBase):
    """The end of a session's log, from its job."""

    async def post(self, session_id: str) -> None:
        key, text = self.read_fields("key", "log", longest=LOG_BYTES)
        await self.run(self.tickets.keep_log, session_id, key, text)
        self.finish(json.dumps({}))


def install() -> None:
    """Put our handlers into the very list that the hub reads. Twice does no harm."""
    ours = [(SESSION + "/ticket", TicketHandler), (SESSION + "/log", LogHandler)]
    apihandlers.default_handlers[:] = [h for h in apihandlers.default_handlers if h[1] not in {TicketHandler, LogHandler}] + ours
