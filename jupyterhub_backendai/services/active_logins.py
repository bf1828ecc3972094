"""Which browsers are logged in: the hub says when one logs in, asks whether it still is, and is told when one is not any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from ..core.logins import hash_session
from ..errors import N_, BackendUnavailable, InvalidParameters
from ..store import active_logins, audit
from ..store.active_logins import BrowserLogin
from ..store.models import now
from .base import PrivateHandler
from .hub import HubClient
from .parts import Parts

log = logging.getLogger("backendai")
LONGEST_DAYS = 366
HUB_TIMEOUT_S = 5.0


class OpenHandler(PrivateHandler):
    """``POST /private/active-logins``: somebody logged in. ``name``, ``session``, ``before`` (the browser's last session id),
    ``source``, ``agent``, ``days`` (how long the hub's cookie lives).
    """

    async def post(self) -> None:
        body = self.read_body()
        name, session, before, source, agent = (str(body.get(key, "")) for key in ("name", "session", "before", "source", "agent"))
        days = body.get("days", 14)
        if not name or not session or not isinstance(days, int | float) or not 0 < days <= LONGEST_DAYS:
            raise InvalidParameters(N_("The request could not be read."))
        at = now()
        login = BrowserLogin(hash_session(session), name, source, agent, at, at, at + timedelta(days=days))
        self.answer({"ended": await self.db.run(active_logins.open_login, login, hash_session(before))})


class LookHandler(PrivateHandler):
    """``POST /private/active-logins/look``: whether the login of ``name`` with this ``session`` lives, used from ``source``."""

    async def post(self) -> None:
        body = self.read_body()
        name, session, source = (str(body.get(key, "")) for key in ("name", "session", "source"))
        self.answer({"lives": await self.db.run(active_logins.look_at, name, hash_session(session), source, now())})


class CloseHandler(PrivateHandler):
    """``POST /private/active-logins/close``: somebody logged out."""

    async def post(self) -> None:
        body = self.read_body()
        ids = [hash_session(str(body.get("session", "")))]
        self.answer({"ended": await self.db.run(active_logins.end_logins, str(body.get("name", "")), ids)})


async def end_logins(parts: Parts, name: str, ids: Collection[str], source: str = "") -> int:
    """End some of a person's logins, here and at the hub; how many lived."""
    ended = await parts.db.run(_end, name, name, source, ids)
    await forget(parts, name, ended)
    return len(ended)


async def end_other_logins(parts: Parts, name: str, but: str = "", *, actor: str = "", source: str = "") -> int:
    """End all of a person's logins but one; all of them without it, and then even those that nobody wrote down."""
    ended = await parts.db.run(_end, name, actor or name, source, None, but)
    await forget(parts, name, ended, is_all=not but)
    return len(ended)


def _end(db: Session, name: str, actor: str, source: str, ids: Collection[str] | None, but: str = "") -> list[str]:
    ended = active_logins.end_other_logins(db, name, but) if ids is None else active_logins.end_logins(db, name, ids)
    if ended:
        audit.record(db, actor=actor, action="end-login", object=name, source=source, details={"count": len(ended)})
    return ended


async def forget(parts: Parts, name: str, ids: Collection[str], *, is_all: bool = False) -> None:
    """Tell the hub that logins are over, so that it takes their tokens back now and not at its next look."""
    if ids or is_all:
        await _tell_hub(parts.application.settings, {"name": name, "ids": list(ids), "all": is_all})


async def look_anew(settings: Mapping[str, Any]) -> None:
    """Something about people changed: the hub asks about everybody's login at their next request."""
    await _tell_hub(settings, {"name": "", "ids": [], "all": False})


async def _tell_hub(settings: Mapping[str, Any], body: dict[str, Any]) -> None:
    if hub_auth := settings.get("hub_auth"):
        hub_auth.cache.clear()
    hub: HubClient | None = settings.get("hub")
    if hub is None:
        return
    try:
        status, _ = await asyncio.wait_for(hub.request("POST", "/backendai/logins/forget", body), HUB_TIMEOUT_S)
    except (BackendUnavailable, TimeoutError):
        status = 503
    if status != 200:
        log.warning("The hub could not be told that logins may be over (%s): it asks by itself within its refresh age", status)


private_handlers = [
    (r"/private/active-logins", OpenHandler),
    (r"/private/active-logins/look", LookHandler),
    (r"/private/active-logins/close", CloseHandler),
]
