"""The browsers that somebody is logged in on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ...core.logins import describe_agent, hash_session
from ...errors import InvalidParameters, NotFound
from ...store import active_logins
from ...store.models import now
from ..active_logins import end_logins, end_other_logins
from ..base import HubUserHandler
from .base import AccountPage

_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


def this_login(handler: HubUserHandler) -> str:
    """The login that a request comes from; "" for a program's."""
    return hash_session(handler.hub_auth.get_session_id(handler) or "")


async def list_own_logins(handler: HubUserHandler) -> list[dict[str, Any]]:
    """One's logins as pages and programs show them, this browser's first."""
    here = this_login(handler)
    found = await handler.db.run(active_logins.list_logins, handler.identity.name, now())
    rows = []
    for login in sorted(found, key=lambda login: login.id != here):
        browser, system = describe_agent(login.agent)
        times = {name: getattr(login, name).isoformat(timespec="seconds") for name in ("created_at", "seen_at", "expires_at")}
        rows.append({"id": login.id, "source": login.source, "browser": browser, "system": system, **times, "is_this": login.id == here})
    return rows


async def end_own_login(handler: HubUserHandler, login_id: str) -> None:
    """End one of one's logins. Raises NotFound for one that is nobody's or somebody else's."""
    is_id = bool(_ID.fullmatch(login_id))
    if not is_id or not await end_logins(handler, handler.identity.name, [login_id], handler.request.remote_ip or ""):
        raise NotFound


async def end_own_other_logins(handler: HubUserHandler) -> int:
    """End all but this one; how many. A program has none of its own, so that all end."""
    return await end_other_logins(handler, handler.identity.name, this_login(handler), source=handler.request.remote_ip or "")


class LoginsPage(AccountPage):
    """``account/logins``."""

    part = "logins"

    async def load(self) -> dict[str, Any]:
        return {"logins": await list_own_logins(self)}

    async def act(self, fields: Mapping[str, str]) -> str:
        if "others" in fields:
            await end_own_other_logins(self)
            return "others-ended"
        if "id" not in fields:
            raise InvalidParameters
        await end_own_login(self, fields["id"])
        return "ended"


default_handlers = [(r"account/logins", LoginsPage)]
