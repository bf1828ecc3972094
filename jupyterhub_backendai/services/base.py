"""What all handlers share: who may call, how an error is answered, and the headers of a page.

This is the only place that turns an error into a status. Pages get the error page, programs ``application/problem+json``, the
hub (private listener) the error itself.
"""

from __future__ import annotations

import hmac
import http.client
import json
import logging
import secrets
from typing import TYPE_CHECKING, Any, cast

from jupyterhub.services.auth import HubOAuthenticated, UserNotAllowed
from tornado.web import HTTPError, RequestHandler

from .. import i18n
from ..core.throttle import find_source
from ..errors import N_, BackendAIError, BackendUnavailable, Forbidden, InvalidParameters, NotFound, TooManyRequests, Unauthenticated
from ..store.calls import WINDOW_S
from ..templating import new_nonce, page_policy
from .parts import Parts

if TYPE_CHECKING:
    from ..core.identity import Actor, Identity

log = logging.getLogger("backendai")
XSRF_REFUSED = N_("This form is too old, or was opened in another window. Go back, reload the page and try again.")
_BY_STATUS: dict[int, type[BackendAIError]] = {
    400: InvalidParameters,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    429: TooManyRequests,
    503: BackendUnavailable,
}
MAX_TEXT = 1024


class WrongMethod(BackendAIError):
    status = 405
    code = "backendai_generic_method-not-allowed"
    default_message = N_("This address does not understand that kind of request.")


def check_text(value: object, longest: int = MAX_TEXT) -> str:
    """A program's text as it is, if it is one, of a sane length and can be written down. Raises InvalidParameters."""
    if not isinstance(value, str) or len(value) > longest or "\x00" in value:  # which PostgreSQL does not keep
        raise InvalidParameters(N_("The request could not be read."))
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise InvalidParameters(N_("The request could not be read.")) from exc
    return value


def find_error(exc: BaseException | None) -> BackendAIError:
    """Any exception as the error that its caller may see; what is not ours becomes a plain 500."""
    if isinstance(exc, BackendAIError):
        return exc
    if isinstance(exc, HTTPError):
        if exc.status_code == 405:
            return WrongMethod()
        cls = _BY_STATUS.get(exc.status_code, InvalidParameters if exc.status_code < 500 else BackendAIError)
        is_xsrf = exc.status_code == 403 and "xsrf" in str(exc.log_message or "").lower()
        error = cls(XSRF_REFUSED) if is_xsrf else cls(N_("The request could not be read.") if cls is InvalidParameters else "")
        error.status = exc.status_code
        return error
    return BackendAIError()


class BaseHandler(Parts, RequestHandler):
    """Errors and headers. ``error_id`` joins what a person sees with the log."""

    is_cacheable = False
    error_id = ""

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
        if not self.is_cacheable:
            self.set_header("Cache-Control", "no-store")

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        if isinstance(value, BackendAIError):
            level = logging.WARNING if value.status >= 500 else logging.INFO
            log.log(level, "%s %s: %s (%s)", self.request.method, self.request.path, value, value.code)
        elif isinstance(value, HTTPError):
            super().log_exception(typ, value, tb)
        else:
            self.error_id = secrets.token_hex(4)
            log.error("%s %s failed, id %s", self.request.method, self.request.path, self.error_id, exc_info=(typ, value, tb))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = find_error(kwargs["exc_info"][1]) if "exc_info" in kwargs else find_error(HTTPError(status_code))
        self.set_status(error.status, http.client.responses.get(error.status, "Error"))
        if error.status == 503:
            self.set_header("Retry-After", "5")
        elif error.status == 429 and "seconds" in error.params:
            self.set_header("Retry-After", str(error.params["seconds"]))
        self.write_problem(error)

    def write_problem(self, error: BackendAIError) -> None:
        """Answer with an error; its status is set already."""
        raise NotImplementedError

    @property
    def language(self) -> str:
        return i18n.choose_language(cookie=self.get_cookie(i18n.COOKIE) or "", accept=self.request.headers.get("Accept-Language", "")[:500])


class JSONHandler(BaseHandler):
    """JSON in, JSON out."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Content-Type", "application/json; charset=utf-8")

    def read_body(self) -> dict[str, Any]:
        """The request's JSON object. Raises InvalidParameters for anything else."""
        try:
            body = json.loads(self.request.body or b"{}")
        except (ValueError, RecursionError) as exc:
            raise InvalidParameters(N_("The body is not JSON.")) from exc
        if not isinstance(body, dict):
            raise InvalidParameters(N_("The body must be a JSON object."))
        return body

    def answer(self, data: Any, status: int = 200) -> None:
        self.set_status(status)
        self.finish(json.dumps(data, ensure_ascii=False, default=str))


class PrivateHandler(JSONHandler):
    """A call of the hub (or of the command line) over the private listener, with the shared secret."""

    async def prepare(self) -> None:
        expected = "Bearer " + self.application.settings["private_secret"]
        given = self.request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), expected.encode()):
            raise Unauthenticated
        if self.trouble:
            raise BackendUnavailable

    def check_xsrf_cookie(self) -> None:
        """No cookies here: the secret is the authentication."""

    def write_problem(self, error: BackendAIError) -> None:
        self.finish(json.dumps({**error.to_problem(), "error_id": self.error_id}, ensure_ascii=False, default=str))


class HubUserHandler(HubOAuthenticated, BaseHandler):
    """Somebody whom the hub knows: a browser with the cookie of our OAuth, or a program with a token of the hub."""

    works_in_trouble = False
    identity: Identity
    actor: Actor

    async def count_call(self) -> None:
        """Called once who calls is known."""

    def initialize(self) -> None:
        self._hub_auth = self.application.settings["hub_auth"]

    async def prepare(self) -> None:
        if self.trouble and not self.works_in_trouble:
            raise BackendUnavailable
        self.request.remote_ip = self._find_source()
        await self._identify()

    def _find_source(self) -> str:
        """Where the request comes from, for the audit log: by the site's proxies only, never by ``X-Real-Ip``, which anybody may send."""
        # The server has put a header's address in the place of the peer's already; this is the peer's.
        context = getattr(self.request.connection, "context", None)
        peer = getattr(context, "_orig_remote_ip", None) or self.request.remote_ip or ""
        return find_source(peer, ",".join(self.request.headers.get_list("X-Forwarded-For")), self.config.trusted_proxies)

    async def _identify(self) -> None:
        """Ask the hub without stopping the loop; get_current_user() of the base class would wait for the answer."""
        self._hub_auth_user_cache = None
        try:
            model = await self.hub_auth.get_user(self, sync=False)
        except HTTPError as exc:
            raise BackendUnavailable(N_("JupyterHub does not answer right now. Try again in a minute.")) from exc
        if model:
            try:
                self._hub_auth_user_cache = self.check_hub_user(model)
            except UserNotAllowed as exc:
                raise Forbidden from exc

    @property
    def user_model(self) -> dict[str, Any]:
        """The hub's model of who calls. Raises Unauthenticated."""
        if not self.current_user:
            raise Unauthenticated
        return cast("dict[str, Any]", self.current_user)

    @property
    def language(self) -> str:
        # The choice made in this browser, as on the hub's pages; that of the account; the browser's own.
        cookie, accept = self.get_cookie(i18n.COOKIE) or "", self.request.headers.get("Accept-Language", "")[:500]
        identity = getattr(self, "identity", None)
        return i18n.choose_language(cookie=cookie or (identity.language if identity else ""), accept=accept)


class ApiHandler(HubUserHandler, JSONHandler):
    """A call of our REST interface: errors are JSON, and a missing login is 401, never a redirect."""

    def get_login_url(self) -> str:
        raise Unauthenticated

    async def count_call(self) -> None:
        """Raises RateLimitExceeded for somebody whose keypair allows no more calls now."""
        pack = await self.application.settings["rate_limiter"].take(self.identity.name)
        self.set_header("X-RateLimit-Limit", str(pack.grant.limit))
        self.set_header("X-RateLimit-Remaining", str(pack.remaining))
        self.set_header("X-RateLimit-Window", str(WINDOW_S))

    def write_problem(self, error: BackendAIError) -> None:
        self.set_header("Content-Type", "application/problem+json; charset=utf-8")
        if error.status == 401:
            self.set_header("WWW-Authenticate", "token")
        title = i18n.explain(self.language, error)
        violations = [{"field": item.field, "rule": item.rule, "message": i18n.explain(self.language, item)} for item in error.violations]
        problem = {"type": "about:blank", "title": title, "msg": title, "data": None, "error_code": error.code, "violations": violations}
        self.finish(json.dumps({**problem, "error_id": self.error_id}, ensure_ascii=False))


class PageHandler(HubUserHandler):
    """A page in the hub's clothes."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.nonce = new_nonce()
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", page_policy(self.nonce))

    def write_problem(self, error: BackendAIError) -> None:
        title = i18n.translate(self.language, titles.get(error.status, titles[500]))
        page = {"status_code": error.status, "status_message": title, "message": i18n.explain(self.language, error)}
        self.render_page("error.html", error_id=self.error_id, **page)

    def render_page(self, template: str, **values: Any) -> None:
        """Answer with a template of ours, given everything that the hub's ``page.html`` wants."""
        self.finish(self.render_part(template, **values))

    def render_part(self, template: str, **values: Any) -> str:
        environment = self.application.settings["jinja"]
        return str(environment.get_template(template).render(**self._namespace(), **values))

    @property
    def _is_admin(self) -> bool:
        """Whether there is something that who looks at this page may administer here."""
        identity = getattr(self, "identity", None)
        return identity is not None and identity.role.value != "user"

    def _namespace(self) -> dict[str, Any]:
        model, prefix = getattr(self, "_hub_auth_user_cache", None), self.hub_auth.hub_prefix.removesuffix("hub/")
        hub_url = self.hub_auth.hub_host + self.hub_auth.hub_prefix
        user = {"name": model["name"], "json_escaped_name": json.dumps(model["name"])[1:-1]} if model else None
        return {
            "base_url": hub_url,
            "prefix": prefix,
            "user": user,
            "login_url": f"{hub_url}login",
            "logout_url": f"{hub_url}logout",
            "static_url": lambda path, include_version=True: f"{hub_url}static/{path}",  # noqa: ARG005 - the hub's signature
            "version_hash": "",
            "services": [],
            # our OAuth token has fewer scopes than its owner; the link of the navigation depends on the owner's
            "parsed_scopes": [*model.get("scopes", ()), *(["admin-ui"] if model.get("admin") else [])] if model else (),
            "no_spawner_check": True,
            "administration_url": f"{self.hub_auth.base_url}admin/" if self._is_admin else "",
            "xsrf_token": self.xsrf_token.decode("ascii") if model else "",
            "language": self.language,
            "nonce": self.nonce,
            "site": self.config.site_name,
            "here": self.request.uri if self.request.method == "GET" else self.request.path,
            "language_url": f"{self.hub_auth.base_url}language",
        }


titles = {
    400: N_("That did not work"),
    401: N_("Log in first"),
    403: N_("Not allowed"),
    404: N_("Not found"),
    405: N_("That did not work"),
    412: N_("Not possible now"),
    429: N_("Too many requests"),
    500: N_("Something went wrong"),
    503: N_("Not possible right now"),
}
