"""The hub's authenticator: it asks the service, and keeps nothing but the languages of those who are here."""

from __future__ import annotations

import asyncio
from typing import Any

from jupyterhub.auth import Authenticator
from traitlets import default

from .. import client, i18n
from ..config import BackendAI
from ..core.identity import Identity
from ..core.names import fold_name
from ..errors import BackendAIError
from . import accounts, active_logins, ends, pages, spawn_redirect, steps, wishes
from .active_logins import ActiveLogins
from .pages import Decided
from .source import source_of

REFRESH_TIMEOUT_S = 8.0


class BackendAIAuthenticator(Authenticator):
    """Directory and one-time password, decided by the service in one call; projects become hub groups."""

    @default("request_otp")
    def _request_otp(self) -> bool:
        return bool(self.settings.otp_required)

    @default("manage_groups")
    def _manage_groups(self) -> bool:
        return True

    @default("auth_refresh_strict")
    def _auth_refresh_strict(self) -> bool:
        # Whoever is closed or gone is so for their programs' tokens too. An outage is no refusal here, so strictness costs nobody.
        return True

    @default("any_allow_config")
    def _any_allow_config(self) -> bool:
        # Who may come in is the service's decision (c.BackendAI.allowed_groups); the hub need not warn.
        return True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._languages: dict[str, str] = {}
        self.logins = ActiveLogins(float(self.auth_refresh_age or 300))
        # The hub asks at every request (no age is below this one); how old an answer may be is decided for each login.
        self.set_trait("auth_refresh_age", -1)

    @property
    def settings(self) -> BackendAI:
        """Our settings, as the hub's configuration has them."""
        if not hasattr(self, "_settings"):
            self._settings = BackendAI(parent=self)
        return self._settings

    @property
    def form(self) -> dict[str, Any]:
        """What the login form asks for beside name and password."""
        is_asked = self.settings.otp_required and self.settings.otp_form == "one-page"
        return {"asks_code": is_asked, "codes_are_ours": self.settings.otp_backend == "local"}

    @property
    def trusted_proxies(self) -> tuple[str, ...]:
        """Who may say where a request comes from."""
        return tuple(self.settings.trusted_proxies)

    @property
    def service(self) -> client.ServiceClient:
        """The service."""
        return client.connect(self.settings)

    # -- what the hub asks

    def normalize_username(self, username: str) -> str:
        """One spelling for each person, the same as the service's."""
        return fold_name(username)

    def check_allowed(self, username: str, authentication: Any = None) -> bool:  # noqa: ARG002 - the hub's signature
        """The service has decided already; a site's ``allowed_users`` narrows that down."""
        return not self.allowed_users or username in self.allowed_users

    async def authenticate(self, handler: Any, data: Any) -> dict[str, Any] | None:
        """A decision of our login pages; or, for the hub's REST interface, a name, a password and a code."""
        decided = data.get("decided") if isinstance(data, dict) else None
        if isinstance(decided, Decided):
            return self.model_of(decided.identity)
        fields = [data.get(name, "") for name in ("username", "password", "otp")] if isinstance(data, dict) else []
        if not fields or not all(isinstance(field, str) for field in fields) or not fields[0] or not fields[1]:
            return None
        try:
            answer = await self.service.login(*fields, source=source_of(handler), next_url="")
        except BackendAIError as exc:
            self.log.warning("Nobody can log in by REST: %s", exc)
            return None
        return self.model_of(Identity.from_json(answer["identity"])) if answer["outcome"] == "ok" else None

    async def refresh_user(self, user: Any, handler: Any = None) -> bool | dict[str, Any]:
        """Whether this login lives, and when that was last asked long enough ago, who this is now."""
        return await self.logins.refresh(self.service, user, handler, self._refresh)

    async def _refresh(self, user: Any, handler: Any) -> bool | dict[str, Any]:
        """Bring groups and rights up to date; whoever is closed is logged out. While the service is away everybody stays."""
        # programs that use somebody's token, a notebook among them, say no language
        if handler is not None and (handler.get_cookie(i18n.COOKIE) or "Accept-Language" in handler.request.headers):
            self.remember_language(user.name, pages.language_of(handler))
        try:
            identity = await asyncio.wait_for(self.service.refresh_identity(user.name), REFRESH_TIMEOUT_S)
        except (BackendAIError, TimeoutError) as exc:
            self.log.warning("%s could not be refreshed and stays as is: %s", user.name, exc)
            return True
        if identity is None:
            self.log.warning("%s is no longer active", user.name)
            return False
        return self.model_of(identity)

    def get_handlers(self, app: Any) -> list[tuple[Any, ...]]:  # noqa: ARG002 - the hub's signature
        """Our pages, before the hub's own of the same address."""
        modules = (pages, steps, accounts, active_logins, spawn_redirect, wishes, ends)
        return [handler for module in modules for handler in module.default_handlers]

    # -- what our pages and the spawner ask

    def model_of(self, identity: Identity) -> dict[str, Any]:
        """The hub's model of somebody."""
        own = identity.domain == self.settings.default_domain
        groups = [project if own else f"{identity.domain}:{project}" for project in identity.projects]
        if identity.language:
            self._languages.setdefault(identity.name, identity.language)
        return {"name": identity.name, "admin": identity.is_admin or identity.name in self.admin_users, "groups": groups}

    def remember_language(self, name: str, language: str) -> None:
        """Keep in which language somebody reads, for messages that no request of theirs asks for."""
        self._languages[name] = language

    def language_of(self, name: str) -> str:
        """In which language somebody reads."""
        return self._languages.get(name, i18n.DEFAULT_LANGUAGE)

    async def log_in_emergency(self, username: str, password: str, source: str) -> Decided | None:
        """The administrator of ``emergency_admin_file``, for the time that the service does not answer; None for anybody else."""
        from .emergency import check

        path = self.settings.emergency_admin_file
        if not path or not await check(path, username, password, source):
            return None
        self.log.warning("The emergency administrator %s logs in: the service does not answer", fold_name(username))
        name, domain = fold_name(username), self.settings.default_domain
        return Decided(Identity(name, name, "", domain, (), is_admin=True, is_active=True, access_key=""))
