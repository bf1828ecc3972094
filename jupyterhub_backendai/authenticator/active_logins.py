"""Each login on its own. The hub's cookie says who somebody is; whether the login of this browser lives is asked of the service.

The hub refreshes people; here their browsers are, each once per refresh age. So one login can be ended while the others go on, for
its browser and for the tokens that came of it.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from jupyterhub import orm
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.handlers.base import SESSION_COOKIE_NAME
from jupyterhub.handlers.login import LogoutHandler
from jupyterhub.utils import new_token
from tornado import web

from ..client import ServiceClient
from ..core.logins import hash_session
from ..errors import N_, BackendAIError
from .source import source_of

SERVICE = "backendai"
TIMEOUT_S = 8.0
AGAIN_S = 30.0  # after the service did not answer
MOST_PEOPLE = 20_000
PERSON = ""  # in the place of a login: when the person was last asked about
Refresh = Callable[[Any, Any], Awaitable[bool | dict[str, Any]]]


class ActiveLogins:
    """What the hub knows of living logins and their people: when it last asked about each. ``age_s`` is how long an answer is good."""

    def __init__(self, age_s: float) -> None:
        self.age_s = age_s
        self._asked: dict[str, dict[str, float]] = {}
        self._turn = 0

    async def open(self, service: ServiceClient, handler: Any, name: str) -> None:
        """Begin a login on the browser of this request, under a session id of its own. Call it before ``login_user``."""
        # Without this hub's own cookie the session id may be of another hub on the same host name: that login goes on.
        before = (handler.get_session_cookie() or "") if handler.get_cookie(handler.hub.cookie_name) else ""
        days = handler.cookie_max_age_days or 14
        session = handler._session_id = secrets.token_hex(16)  # noqa: SLF001 - where the hub itself keeps a new one
        domain = {"domain": handler.domain} if handler.subdomain_host else {}
        # As long as the hub's own cookie: a browser that was closed and opened again is still the same login.
        handler._set_cookie(  # noqa: SLF001 - the hub's way
            SESSION_COOKIE_NAME, session, encrypted=False, path=handler.base_url, expires_days=days, **domain
        )
        fields = {"session": session, "before": before, "agent": handler.request.headers.get("User-Agent", "")}
        try:
            ended = await service.open_login(name, source=source_of(handler), days=days, **fields)
        except BackendAIError as exc:
            handler.log.warning("The login of %s could not be written down: %s", name, exc)
            return
        self.forget(handler, name, ended)
        for key in (hash_session(session), PERSON):
            self._keep(name, key, time.monotonic(), self._turn)

    async def refresh(self, service: ServiceClient, user: Any, handler: Any, refresh: Refresh) -> bool | dict[str, Any]:
        """The hub's ``refresh_user`` for every request: ask about login and person where the answer is too old; False when one is over."""
        session, at, turn = session_of(user, handler), time.monotonic(), self._turn
        login = hash_session(session)
        if session and not self._is_fresh(user.name, login, at):
            try:
                lives = await asyncio.wait_for(service.look_at_login(user.name, session, self._source(handler)), TIMEOUT_S)
            except (BackendAIError, TimeoutError):
                # An outage logs nobody out; nor is every request to wait for it.
                self._keep(user.name, login, at - self.age_s + min(AGAIN_S, self.age_s), turn)
                return True
            if not lives:
                self.forget(handler, user.name, [login])
                if _has_token(handler):
                    raise web.HTTPError(403, "This login was ended.")
                return False
            self._keep(user.name, login, at, turn)
        if self._is_fresh(user.name, PERSON, at):
            return True
        answer = await refresh(user, handler)
        if answer:
            self._keep(user.name, PERSON, at, turn)
        return answer

    @staticmethod
    def _source(handler: Any) -> str:
        """Where a browser is; a service that comes with a browser's token is somewhere else."""
        return "" if _has_token(handler) else source_of(handler)

    def forget(self, handler: Any, name: str, ids: Collection[str], *, is_all: bool = False) -> None:
        """Ask anew about a person's logins (everybody's, without a name), and take the tokens back that came of ``ids``.

        With ``is_all``, of all of the person's, and the cookies too.
        """
        self._turn += 1
        if name:
            self._asked.pop(name, None)
        else:
            self._asked.clear()
        user = handler.db.query(orm.User).filter_by(name=name).first() if ids or is_all else None
        if user is None:
            return
        for token in handler.db.query(orm.APIToken).filter_by(user_id=user.id):
            if token.session_id and (is_all or hash_session(token.session_id) in ids):
                handler.db.delete(token)
        if is_all:
            user.cookie_id = new_token()
        handler.db.commit()

    def _is_fresh(self, name: str, login: str, at: float) -> bool:
        return at - self._asked.get(name, {}).get(login, float("-inf")) < self.age_s

    def _keep(self, name: str, login: str, at: float, turn: int) -> None:
        """Remember an answer, unless something was said to be over since the question."""
        if turn != self._turn:
            return
        if len(self._asked) > MOST_PEOPLE:
            self._asked.clear()
        logins = self._asked.setdefault(name, {})
        for old in [key for key, asked_at in logins.items() if at - asked_at > self.age_s]:
            del logins[old]
        logins[login] = at


def session_of(user: Any, handler: Any) -> str:
    """The browser session that a request of this person's comes from; "" for programs, and for what is done to somebody else."""
    if handler is None or getattr(handler, "_jupyterhub_user", None) is not user:
        return ""
    if _has_token(handler):
        token = handler.get_token()
        return (token.session_id or "") if token else ""
    return handler.get_session_cookie() or ""


def _has_token(handler: Any) -> bool:
    return bool(getattr(handler, "_token_authenticated", False))


LOGGED_OUT = N_("You logged out, which ends running sessions here.")


class LogoutPage(LogoutHandler):
    """The hub's logout, which also ends the login at the service, and the person's servers where the site wants that."""

    @property
    def shutdown_on_logout(self) -> bool:
        """By the hub's own setting of that name or by ours, which are the same."""
        return bool(self.settings.get("shutdown_on_logout") or self.authenticator.settings.stop_on_logout)

    async def _shutdown_servers(self, user: Any) -> None:
        """Those that run; the reason is kept with each. What still waits or starts goes on: its owner may close the page, too.

        The hub logs out by GET, so a link on any page in the world may lead here: that ends a login, and nobody's work.
        """
        if self.request.headers.get("Sec-Fetch-Site") == "cross-site":
            self.log.warning("The servers of %s are not ended: another site led to the logout", user.name)
            return
        for spawner in user.spawners.values():
            if spawner.active and not spawner.pending:
                spawner.end_reason = LOGGED_OUT
        await super()._shutdown_servers(user)

    async def handle_logout(self) -> None:
        """The hub has cleared its cookies and tokens already."""
        user, session = self.current_user, self.get_session_cookie()
        if user is None or not session:
            return
        self.authenticator.logins.forget(self, user.name, [])
        try:
            await self.authenticator.service.close_login(user.name, session)
        except BackendAIError as exc:
            self.log.warning("The logout of %s could not be written down: %s", user.name, exc)


class ForgetHandler(APIHandler):
    """``POST /hub/api/backendai/logins/forget``: our service says which logins (``name``, ``ids``, ``all``) are over."""

    async def post(self) -> None:
        caller = self.current_user
        if not isinstance(caller, orm.Service) or caller.name != SERVICE:
            raise web.HTTPError(404)
        body = self.get_json_body() or {}
        ids = body.get("ids") if isinstance(body, dict) else None
        if not isinstance(ids, list) or not isinstance(body.get("name"), str):
            raise web.HTTPError(400)
        self.authenticator.logins.forget(self, body["name"], set(map(str, ids)), is_all=body.get("all") is True)
        self.finish(json.dumps({}))


default_handlers = [(r"/logout", LogoutPage), (r"/api/backendai/logins/forget", ForgetHandler)]
