"""``POST sessions/<id>/extend`` and ``/keep`` for programs. Administrators give other people's sessions more time there, too."""

from __future__ import annotations

from ...core.identity import Actor
from ...errors import N_, InvalidParameters, NotFound, Violation
from ...store import sessions, users
from ...store.sessions import SessionInfo
from .. import extensions
from ..auth import authenticated
from ..base import ApiHandler
from ..own_sessions import describe_own, find_own, keep_own, parse_more


class ExtendHandler(ApiHandler):
    """``{"time": "2h"}``: so much more, on top of what the session has."""

    @authenticated
    async def post(self, session_id: str) -> None:
        body = self.read_body()
        if unknown := body.keys() - {"time"}:
            message = N_("There is no field %(field)s here.")
            raise InvalidParameters(violations=[Violation(message, {"field": name[:64]}, name[:64]) for name in sorted(unknown)])
        session, is_admin = await self._find(session_id)
        more_s = parse_more(str(body.get("time", ""))[:32])
        source = self.request.remote_ip or ""
        limit_s = await extensions.extend(self, session, more_s, self.identity.name, is_admin=is_admin, source=source)
        self.answer({"id": session.id, "added_s": more_s, "time_limit_s": limit_s})

    async def _find(self, session_id: str) -> tuple[SessionInfo, bool]:
        """The session, and whether the caller administers it. Raises NotFound for a session that is neither theirs nor administered."""
        session = await self.db.run(sessions.get, session_id)
        # Read anew: a role that was taken away is gone at once.
        identity = await self.db.run(users.get_identity, self.identity.name)
        if session is None or identity is None or not identity.is_active:
            raise NotFound(N_("There is no session %(id)s."), id=session_id)
        actor = Actor(identity.name, identity.role, identity.domain, self.request.remote_ip or "")
        is_admin = actor.is_superadmin or (actor.is_admin and session.domain == actor.domain)
        if not is_admin and session.user != identity.name:
            raise NotFound(N_("There is no session %(id)s."), id=session_id)
        return session, is_admin


class KeepHandler(ApiHandler):
    """A session of the caller's that nobody seems to use is wanted all the same; idleness counts anew."""

    @authenticated
    async def post(self, session_id: str) -> None:
        session = await find_own(self, session_id)
        await keep_own(self, session)
        self.answer(await describe_own(self, session))


default_handlers = [
    (r"rest/v1/sessions/([0-9a-f]{32})/extend", ExtendHandler),
    (r"rest/v1/sessions/([0-9a-f]{32})/keep", KeepHandler),
]
