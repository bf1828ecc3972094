"""Who calls: the hub's OAuth without anything kept in memory, and the hub's user as an Identity of ours."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from cryptography.fernet import Fernet, InvalidToken
from jupyterhub.services.auth import HubOAuth, HubOAuthCallbackHandler
from tornado.web import HTTPError

from ..config import BackendAI
from ..core.identity import Actor, Identity
from ..errors import N_, Forbidden, NotFound, Unauthenticated
from ..store import users
from .base import XSRF_REFUSED, BaseHandler, HubUserHandler

Handler = TypeVar("Handler", bound=HubUserHandler)
CACHE_S = 30
MAX_NEXT = 1200


class StatelessHubOAuth(HubOAuth):
    """OAuth whose state travels with the browser, encrypted: it survives a restart, and any of several processes may finish it."""

    def __init__(self, *, state_secret: str, **traits: Any) -> None:
        super().__init__(**traits)
        self._fernet = Fernet(base64.urlsafe_b64encode(hashlib.sha256(state_secret.encode()).digest()))

    def generate_state(self, next_url: str | None = None, **extra_state: Any) -> str:
        """What the base class would remember, as a token. A very long address is shortened to its path: a cookie has 4 kB."""
        if next_url and len(next_url) > MAX_NEXT:
            next_url = next_url.partition("?")[0]
        return self._fernet.encrypt(json.dumps({"next_url": next_url, **extra_state}).encode()).decode()

    def _decode_state(self, state_id: str, /) -> dict[str, Any]:
        try:
            state = json.loads(self._fernet.decrypt(state_id.encode(), ttl=self.oauth_state_max_age))
        except (InvalidToken, ValueError, UnicodeError):
            return {}
        return state if isinstance(state, dict) else {}

    def clear_oauth_state(self, state_id: str) -> None:
        """Nothing is kept; the browser's cookie is what makes a state usable once."""


def make_hub_auth(settings: BackendAI, **traits: Any) -> StatelessHubOAuth:
    """The service's OAuth client; what the hub gives in the environment fills every trait that is not named."""
    auth = StatelessHubOAuth(state_secret=settings.read_secret("oauth_state"), cache_max_age=CACHE_S, **traits)
    auth.cookie_options = {"samesite": "Lax", **auth.cookie_options}
    return auth


class CallbackHandler(HubOAuthCallbackHandler, BaseHandler):
    """Where the hub sends a browser back to after it has said who it is."""

    def initialize(self) -> None:
        self._hub_auth = self.application.settings["hub_auth"]

    async def prepare(self) -> None:
        """Fill the cache of who this is, for the case that somebody comes back twice."""
        await self.hub_auth.get_user(self, sync=False)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """A state that is too old or of another browser is no error of anybody's: begin again."""
        if status_code in (400, 403) and not self.get_argument("error", ""):
            self.clear_header("Content-Type")
            self.set_status(302)
            self.set_header("Location", self.hub_auth.base_url)
            self.finish()
            return
        super().write_error(status_code, **kwargs)

    def write_problem(self, error: Any) -> None:
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(str(error))


async def find_identity(handler: HubUserHandler) -> Identity:
    """The person who calls, by the hub's word and our row of them. Raises Unauthenticated and Forbidden."""
    model = handler.user_model
    if model.get("kind", "user") != "user":
        raise Forbidden(N_("This is for people, not for services."))
    cache: dict[str, tuple[float, Identity]] = handler.application.settings.setdefault("identities", {})
    known = cache.get(model["name"])
    if known and time.monotonic() - known[0] < CACHE_S:
        return known[1]
    identity = await handler.db.run(users.get_identity, model["name"])
    if identity is None or not identity.is_active:
        raise Forbidden(N_("Your account is not active here. Log out and in again, or ask your administrator."))
    if len(cache) > 10_000:
        cache.clear()
    cache[model["name"]] = (time.monotonic(), identity)
    return identity


def authenticated(method: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """A page or call for people who are logged in; ``self.identity`` is who. Browsers are sent to the login by GET."""

    @functools.wraps(method)
    async def wrapper(self: HubUserHandler, *args: Any, **kwargs: Any) -> None:
        if not self.current_user:
            if self.request.method not in ("GET", "HEAD"):
                await refuse_write(self)
            self.redirect(self.get_login_url())
            return
        self.identity = await find_identity(self)
        await self.count_call()
        await method(self, *args, **kwargs)

    return wrapper


def administrative(method: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """A page or call for administrators; ``self.actor`` is who acts. For everybody else there is nothing at this address."""

    @authenticated
    @functools.wraps(method)
    async def wrapper(self: HubUserHandler, *args: Any, **kwargs: Any) -> None:
        # Read anew: a role that was taken away is gone at once.
        identity = await self.db.run(users.get_identity, self.identity.name)
        if identity is None or not identity.is_active:
            raise NotFound
        self.identity = identity
        self.actor = Actor(identity.name, identity.role, identity.domain, self.request.remote_ip or "")
        if not self.actor.is_admin:
            raise NotFound
        await method(self, *args, **kwargs)

    return wrapper


async def refuse_write(handler: HubUserHandler) -> None:
    """Say why a write without a user was refused: Forbidden for a bad XSRF token, Unauthenticated for a login that is over."""
    cookie = handler.hub_auth._get_token_cookie(handler)  # noqa: SLF001 - the base class has no public name for it
    if cookie:
        try:
            model = await handler.hub_auth.user_for_token(cookie, session_id=handler.hub_auth.get_session_id(handler), sync=False)
        except HTTPError:
            model = None
        if model:
            raise Forbidden(XSRF_REFUSED)
    raise Unauthenticated


default_handlers = [(r"oauth_callback", CallbackHandler)]
