"""The hub's login pages: the form, the steps after it, and the choice of a language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jupyterhub.handlers.base import BaseHandler
from jupyterhub.handlers.login import LoginHandler
from tornado import web

from .. import i18n
from ..core.identity import Identity
from ..errors import N_, BackendAIError, BackendUnavailable
from .source import source_of

TICKET_COOKIE = "backendai-login-ticket"
TICKET_LIFE_S = 600
MISSING = N_("Enter your user name and your password.")
UNREADABLE = N_("The request could not be read.")
TOO_OLD = N_("This form is too old. Try again.")
REFUSED = N_("The user name, the password or the one-time password is not right.")
_HUB_XSRF_MESSAGE = "Login form invalid or expired. Try again."


def language_of(handler: Any) -> str:
    """The language of a request to the hub: the cookie's, else the browser's."""
    cookie = handler.get_cookie(i18n.COOKIE) or ""
    return i18n.choose_language(cookie=cookie, accept=handler.request.headers.get("Accept-Language", "")[:500])


@dataclass(frozen=True, slots=True)
class Decided:
    """Somebody about whom the decision is made. A login form holds text only, so it can never bring one of these."""

    identity: Identity


class LoginPage(LoginHandler):
    """User name and password, and with the one-page form the one-time password."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    def render_template(self, name: str, **ns: Any) -> Any:
        """The hub shows its own errors in the form too; fields that cannot be read are an error like any other."""
        try:
            return super().render_template(name, **ns)
        except web.HTTPError:
            self.request.arguments.clear()
            self.request.body_arguments.clear()
            return self._render(login_error=UNREADABLE, username="", sync=ns.get("sync", False))

    async def post(self) -> None:
        """Ask the service; then be logged in, or go on with a step, or see the form again."""
        username = self.get_body_argument("username", "", strip=True)
        password = self.get_body_argument("password", "", strip=False)
        if not username or not password:
            await self._again(400, MISSING, username)
            return
        try:
            answer = await self.authenticator.service.login(
                username,
                password,
                self.get_body_argument("otp", "", strip=True) or self.get_body_argument("recovery", "", strip=True),
                source=source_of(self),
                next_url=self._validate_next_url(self.get_argument("next", "")),
            )
        except BackendUnavailable as exc:
            decided = await self.authenticator.log_in_emergency(username, password, self.request.remote_ip or "")
            if decided is None:
                await self._again(503, i18n.explain(language_of(self), exc), username)
                return
            await self._enter(decided.identity)
            return
        except BackendAIError as exc:
            # The service found the request itself wrong (a name of ten thousand letters) or failed at it.
            self.log.warning("Login failed: %s", exc)
            await self._again(503 if exc.status >= 500 else 403, exc.message if exc.status >= 500 else REFUSED, username)
            return
        await self._go_on(answer, username)

    async def _go_on(self, answer: dict[str, Any], username: str) -> None:
        if answer["outcome"] == "ok":
            await self._enter(Identity.from_json(answer["identity"]), answer.get("next", ""))
        elif answer["outcome"] == "step":
            self._set_ticket(answer["ticket"])
            self.redirect(f"{self.hub.base_url}login/step")
        elif answer.get("throttled"):
            self.set_header("Retry-After", str(answer["params"]["seconds"]))
            await self._refuse(answer, 429, username)
        else:
            await self._refuse(answer, 403, username)

    async def _refuse(self, answer: dict[str, Any], status: int, username: str) -> None:
        await self._again(status, i18n.translate(language_of(self), answer["message"], answer["params"]), username)

    async def _enter(self, identity: Identity, next_url: str | None = None) -> None:
        """Log somebody in whom the service let in, and send them where they were going."""
        await self.authenticator.logins.open(self.authenticator.service, self, identity.name)
        user = await self.login_user({"username": identity.name, "decided": Decided(identity)})
        if user is None:
            await self._again(403, N_("Your account may not use this site. Ask your centre's help desk."), identity.name)
            return
        self._jupyterhub_user = user
        self.authenticator.remember_language(user.name, language_of(self))
        self.clear_cookie(TICKET_COOKIE, path=f"{self.hub.base_url}login")
        self.redirect(self._validate_next_url(next_url or "") or self.get_next_url(user))

    async def _again(self, status: int, message: str, username: str) -> None:
        """The form once more, with what was wrong and all that was typed but the secrets."""
        self.set_status(status)
        if status == 503:
            self.set_header("Retry-After", "5")
        self.finish(await self._render(login_error=message, username=username[:64]))

    def _render(self, login_error: str | None = None, username: str | None = None, **ns: Any) -> Any:
        if login_error == _HUB_XSRF_MESSAGE:
            login_error = TOO_OLD
        error = i18n.translate(language_of(self), login_error) if login_error else None
        host = self.request.host.rpartition(":")[0] or self.request.host
        is_clear = self.request.protocol == "http" and host not in {"localhost", "127.0.0.1", "[::1]"}
        form = {"is_clear_text": is_clear, "here": self._here(), **self.authenticator.form}
        return super()._render(login_error=error, username=username, **{**form, **ns})

    def _here(self) -> str:
        """Where the form is, for coming back after a change of the language."""
        return f"{self.hub.base_url}login" + (f"?{self.request.query}" if self.request.query else "")

    def _set_ticket(self, ticket: str) -> None:
        options = {"path": f"{self.hub.base_url}login", "samesite": "Lax", "max_age": TICKET_LIFE_S}
        self._set_cookie(TICKET_COOKIE, ticket, encrypted=False, **options)


class LanguageHandler(BaseHandler):
    """Keep the reader's choice of a language in a cookie that the service reads too."""

    async def post(self) -> None:
        """Set it and go back to where the choice was made."""
        language = self.get_body_argument("language", "")
        if language not in i18n.LANGUAGES:
            raise web.HTTPError(400, "There is no such language.")
        self._set_cookie(i18n.COOKIE, language, encrypted=False, path=self.base_url, samesite="Lax", expires_days=365)
        if self.current_user:
            self.authenticator.remember_language(self.current_user.name, language)
        self.redirect(self._validate_next_url(self.get_body_argument("next", "")) or self.hub.base_url, status=303)


default_handlers = [
    (r"/login", LoginPage),
    (r"/language", LanguageHandler),
]
