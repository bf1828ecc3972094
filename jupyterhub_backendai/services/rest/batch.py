"""Batch sessions for programs: ``POST sessions`` starts one; one's own are at ``sessions/<id>``, with ``sessions/<id>/log``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...core.sessions import BATCH, parse_request
from ...errors import N_, Conflict, InvalidParameters, NotFound, Violation
from ...store import session_mounts, sessions
from ...store.batch import read_command
from ...store.history import list_page
from ...store.sessions import SessionInfo
from .. import batch
from ..auth import authenticated
from ..base import ApiHandler
from ..history import read_query
from ..own_sessions import describe_own, describe_past, find_own, load_recent_log
from .sessions import describe, describe_mount

FIELDS = frozenset(
    {
        "session_type",
        "command",
        "queue",
        "environment",
        "project",
        "cpu",
        "mem",
        "gpu",
        "gpu_type",
        "shares",
        "account",
        "qos",
        "reservation",
        "features",
        "cluster",
        "time",
        "name",
        "starts_at",
        "depends_on",
        "patience",
        "mail",
        "mounts",
    }
)


class SessionsHandler(ApiHandler):
    """``GET`` the caller's sessions, newest first, in pages and by the filters of the page; ``POST`` starts a batch session."""

    @authenticated
    async def get(self) -> None:
        query = read_query(lambda name: self.get_query_argument(name, "").strip())
        query = query if "size" in self.request.query_arguments else replace(query, size=100)
        found = await self.db.run(list_page, self.identity.name, query)
        shown = [{**describe(past.session, self.language), **describe_past(self, past)} for past in found.sessions]
        self.answer({"sessions": shown, "total": found.total, "page": found.page, "pages": found.pages})

    @authenticated
    async def post(self) -> None:
        body = self.read_body()
        wanted_id = body.pop("id", "")
        unknown = [Violation(N_("There is no field %(field)s here."), {"field": name[:64]}, name[:64]) for name in body.keys() - FIELDS]
        if not isinstance(wanted_id, str) or (wanted_id and not batch.is_id(wanted_id)):
            unknown.append(Violation(N_("An id is 32 hexadecimal digits."), {}, "id"))
        if unknown:
            raise InvalidParameters(violations=unknown)
        request = parse_request({"session_type": BATCH, **body})
        if request.session_type != BATCH:
            message = N_("Only batch sessions are started here; notebooks are started by JupyterHub.")
            raise InvalidParameters(violations=[Violation(message, {}, "session_type")])
        session_id = await batch.start(self, request, wanted_id)
        self.set_header("Location", f"{self.hub_auth.base_url}rest/v1/sessions/{session_id}")
        mounts = [describe_mount(mount) for mount in await self.db.run(session_mounts.load, session_id)]
        self.answer({**describe(await batch.find_own(self, session_id), self.language), "mounts": mounts}, 201)


class SessionHandler(ApiHandler):
    """One session of the caller's: ``GET``, and ``DELETE`` to end a batch session."""

    @authenticated
    async def get(self, session_id: str) -> None:
        session = await self._find(session_id)
        more: dict[str, Any] = {"command": await self.db.run(read_command, session_id)} if session.is_batch else {}
        more["mounts"] = [describe_mount(mount) for mount in await self.db.run(session_mounts.load, session_id)]
        self.answer({**describe(session, self.language), **await describe_own(self, session), **more})

    @authenticated
    async def delete(self, session_id: str) -> None:
        session = await self._find(session_id)
        if not session.is_batch:
            raise Conflict(N_("Only batch sessions are ended here; notebooks are ended by JupyterHub."))
        await batch.end(self, session)
        self.answer(describe(await self._find(session_id), self.language), 202)

    async def _find(self, session_id: str) -> SessionInfo:
        session = await self.db.run(sessions.get, session_id)
        if session is None or session.user != self.identity.name:
            raise NotFound(N_("There is no session %(id)s."), id=session_id)
        return session


class LogHandler(ApiHandler):
    """``GET`` the end of what a session of the caller's printed, as it is."""

    @authenticated
    async def get(self, session_id: str) -> None:
        log = await load_recent_log(self, await find_own(self, session_id))
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(log.encode("utf-8", "replace"))


default_handlers = [
    (r"rest/v1/sessions", SessionsHandler),
    (r"rest/v1/sessions/([0-9a-f]{32})", SessionHandler),
    (r"rest/v1/sessions/([0-9a-f]{32})/log", LogHandler),
]
