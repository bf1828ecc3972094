"""A person's servers at the hub: which there are, and the name of one more."""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..errors import N_, BackendUnavailable, Unauthenticated
from .base import HubUserHandler
from .launch_form import Form

MAX_SERVER_NAME = 30
_NOT_PLAIN = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is there already, instead of the one that somebody wanted to start."""

    title: str
    url: str
    is_ready: bool


def choose_server(form: Form, servers: Mapping[str, Any]) -> str:
    """The hub's name for a new session's server: the default one when it is free and no title was given, else a new name."""
    if form.server is not None:
        return form.server
    title = form.values["name"].strip()
    if not title and not is_active(servers.get("")):
        return ""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    name = _NOT_PLAIN.sub("-", plain).strip("-")
    name = (name if name[:1].isalpha() else f"s-{name}").strip("-")[: MAX_SERVER_NAME - 7].strip("-")
    if title and len(name) > 1 and not is_active(servers.get(name)):
        return name
    return f"{name if title else 'session'}-{secrets.token_hex(3)}"


def is_active(server: Any) -> bool:
    """Whether a server of the hub's model runs, or is about to start or stop."""
    return bool(server) and bool(server.get("ready") or server.get("pending"))


async def list_servers(handler: HubUserHandler) -> dict[str, Any]:
    """The person's servers at the hub, by name. Raises Unauthenticated when the hub no longer takes the token."""
    name = handler.user_model["name"]
    status, model = await handler.hub.request(
        "GET", f"/users/{quote(name, safe='')}?include_stopped_servers", token=handler.hub_auth.get_token(handler)
    )
    if status in (401, 403):
        raise Unauthenticated
    if status != 200 or not isinstance(model, dict):
        raise BackendUnavailable(N_("JupyterHub does not answer right now. Try again in a minute."))
    return dict(model.get("servers") or {})


def describe_running(handler: HubUserHandler, server: str, model: Mapping[str, Any]) -> Running:
    """A server of the hub's model as a page links to it."""
    is_ready = bool(model.get("ready"))
    path = f"{handler.user_model['name']}/{server}".rstrip("/")
    url = str(model.get("url")) if is_ready else f"{handler.hub_auth.hub_prefix}spawn-pending/{quote(path, safe='/@')}"
    return Running(str(model.get("display_name") or server), url, is_ready)
