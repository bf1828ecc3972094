"""The launch page: how busy the queues are, what to start, and the one POST that asks the hub to start it."""

from __future__ import annotations

import contextlib
import re
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, urlencode

from tornado.httputil import url_concat

from .. import i18n
from ..core.policies import build_refusal
from ..core.queues import Figures
from ..core.sessions import INTERFACES, LaunchRequest, check_request, format_duration, parse_request, parse_time
from ..core.slots import format_bytes, parse_bytes
from ..errors import N_, BackendAIError, BackendUnavailable, Forbidden, InvalidParameters, Unauthenticated, Violation
from .auth import authenticated, refuse_write
from .base import PageHandler
from .metrics import REFUSALS
from .queues import list_page_rows
from .sessions import check_environment, find_queue, list_rules

FIELDS = ("project", "name", "queue", "environment", "interface", "cpu", "mem", "gpu", "gpu_type", "time")
DEFAULTS = {"interface": "lab", "cpu": "1", "mem": "1 GiB", "gpu": "0"}
MAX_VALUE = 256
MAX_SERVER_NAME = 30
_PLAIN_NUMBER = re.compile(r"[1-9][0-9]{1,17}", re.ASCII)
_NOT_PLAIN = re.compile(r"[^a-z0-9]+")
_SERVER = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)
NOT_STARTED = N_("JupyterHub refused to start the session: %(reason)s")


@dataclass(frozen=True, slots=True)
class Form:
    """What stands in the form: the text of every field, and where the session shall run and lead to."""

    values: Mapping[str, str]
    server: str | None = None
    next_url: str = ""

    def to_query(self) -> str:
        """The form as the query of a link to it."""
        pairs = [(f"opt-{name}", value[:MAX_VALUE]) for name, value in self.values.items() if value]
        return urlencode(
            [*pairs, *([("server", self.server)] if self.server else []), *([("next", self.next_url)] if self.next_url else [])]
        )


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is there already, instead of the one that somebody wanted to start."""

    title: str
    url: str
    is_ready: bool


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a POST started nothing: by field, and all together with links to the fields."""

    by_field: Mapping[str, str] = field(default_factory=dict)
    summary: Sequence[tuple[str, str]] = ()
    status: int = 400


def read_form(arguments: Mapping[str, Sequence[bytes]]) -> Form:
    """The fields of a form or of a link, ``opt-`` or not. What is no text is shown as it can be, and refused later."""
    texts = {name: values[-1].decode("utf-8", "replace") for name, values in arguments.items() if values}
    values = {name: texts.get(f"opt-{name}", texts.get(name, ""))[: 4 * MAX_VALUE] for name in FIELDS}
    server, next_url = texts.get("server"), texts.get("next", "")
    is_local = next_url.startswith("/") and not next_url.startswith(("//", "/\\")) and len(next_url) < 1000
    return Form(values, server if server and _SERVER.fullmatch(server) and len(server) <= 255 else None, next_url if is_local else "")


def soften(form: Form) -> Form:
    """Plain bytes and seconds, as a session's options have them, in the words of people."""
    values = dict(form.values)
    for name, write, read in (("mem", format_bytes, parse_bytes), ("time", format_duration, parse_time)):
        if _PLAIN_NUMBER.fullmatch(values[name]):
            text = write(int(values[name]))
            with contextlib.suppress(ValueError):  # what no field would take stays as it came, and is refused later
                values[name] = text if read(text) == int(values[name]) else values[name]
    return replace(form, values=values)


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


def collect(error: BackendAIError, language: str) -> Refusal:
    """An error as the page shows it."""
    if not error.violations:
        return Refusal(summary=[("", i18n.explain(language, error))], status=error.status)
    texts = [(violation.field, i18n.explain(language, violation)) for violation in error.violations]
    by_field: dict[str, str] = {}
    for name, text in texts:
        by_field[name] = f"{by_field[name]} {text}" if name in by_field else text
    return Refusal(by_field, texts, error.status)


def list_environments(entries: Mapping[str, Mapping[str, Any]], language: str) -> list[tuple[str, str]]:
    """Names and labels of the site's environments."""
    found = []
    for name, entry in entries.items():
        labels = entry.get("labels") or {}
        found.append((name, labels.get(language) or labels.get("en") or name))
    return found


class LaunchHandler(PageHandler):
    """GET shows the form and starts nothing, whatever its query says; POST asks the hub."""

    @authenticated
    async def get(self) -> None:
        form = soften(read_form(self.request.query_arguments))
        if "_xsrf" in self.request.query_arguments:
            # Refresh without scripts is a GET of the form: the token must not stay in the address.
            self.redirect(f"{self.request.path}?{form.to_query()}")
            return
        await self._show(form)

    async def post(self) -> None:
        form = read_form(self.request.body_arguments)
        if not self.current_user:
            await self._log_in_again(form)
            return
        await self._start(form)

    @authenticated
    async def _start(self, form: Form) -> None:
        try:
            request = parse_request({name: self._read(name) for name in FIELDS})
            self._check(request)
            server = choose_server(form, servers := await self._list_servers())
            if is_active(servers.get(server)):
                await self._show(form, running=self._describe_running(server, servers[server]), status=409)
                return
            await self._ask_hub(form, request, server)
        except Unauthenticated:
            self.hub_auth.cache.clear()
            self._redirect_to_login(form)
        except BackendAIError as exc:
            for rule in list_rules(exc):
                REFUSALS.labels(rule).inc()
            await self._show(form, collect(exc, self.language))

    def _read(self, name: str) -> str | list[str]:
        """A field as it was sent: a value given twice is refused, not guessed."""
        values = [value.decode("utf-8", "replace") for value in self.request.body_arguments.get(name, [])]
        return values[0] if len(values) == 1 else values or ""

    def _check(self, request: LaunchRequest) -> None:
        """Refuse early what the hub's side would refuse."""
        queue = find_queue(self.config.list_queues(), request.queue)
        check_environment(self.config.list_environments(), request.environment)
        row = self.figures.figures().queues.get(queue.name)
        violations = check_request(request, queue, row, self.identity.projects)
        if violations:
            raise build_refusal(violations)

    async def _list_servers(self) -> dict[str, Any]:
        """The person's servers at the hub, by name. Raises Unauthenticated when the hub no longer takes the token."""
        name = self.user_model["name"]
        status, model = await self.hub.request(
            "GET", f"/users/{quote(name, safe='')}?include_stopped_servers", token=self.hub_auth.get_token(self)
        )
        if status in (401, 403):
            raise Unauthenticated
        if status != 200 or not isinstance(model, dict):
            raise BackendUnavailable(N_("JupyterHub does not answer right now. Try again in a minute."))
        return dict(model.get("servers") or {})

    async def _ask_hub(self, form: Form, request: LaunchRequest, server: str) -> None:
        name, token = self.user_model["name"], self.hub_auth.get_token(self)
        status, answer = await self.hub.start_server(name, server, request.to_options(), request.name, token=token)
        if status in (201, 202):
            path = f"{self.hub_auth.hub_prefix}spawn-pending/{quote(name, safe='@')}" + (f"/{quote(server)}" if server else "")
            self.redirect(url_concat(self.hub_auth.hub_host + path, {"next": form.next_url} if form.next_url else {}), status=303)
            return
        if status == 401 or (status == 403 and not await self._is_token_good(token)):
            raise Unauthenticated
        reason = str(answer.get("message") or "") if isinstance(answer, dict) else ""
        if status == 403 and not reason:
            raise Forbidden
        if status >= 500 and not reason:
            raise BackendUnavailable
        error = BackendAIError(NOT_STARTED if status >= 500 else "%(reason)s", reason=reason or str(status))
        error.status = status if 400 <= status < 500 else 503
        raise error

    async def _is_token_good(self, token: str) -> bool:
        """Whether the hub knows this token now, whatever was remembered of it."""
        return bool(await self.hub_auth.user_for_token(token, use_cache=False, sync=False))

    async def _log_in_again(self, form: Form) -> None:
        try:
            await refuse_write(self)
        except Unauthenticated:
            self._redirect_to_login(form)

    def _redirect_to_login(self, form: Form) -> None:
        """Over the login and back to this form, filled in as it was; nothing is started on the way."""
        self.hub_auth.clear_cookie(self)
        self.request.uri = f"{self.request.path}?{form.to_query()}"
        self.redirect(self.get_login_url(), status=303)

    def _describe_running(self, server: str, model: Mapping[str, Any]) -> Running:
        is_ready = bool(model.get("ready"))
        path = f"{self.user_model['name']}/{server}".rstrip("/")
        url = str(model.get("url")) if is_ready else f"{self.hub_auth.hub_prefix}spawn-pending/{quote(path, safe='/@')}"
        return Running(str(model.get("display_name") or server), url, is_ready)

    async def _show(self, form: Form, refusal: Refusal | None = None, running: Running | None = None, status: int = 200) -> None:
        user, other = self.user_model["name"], self.get_query_argument("user", "")[:MAX_VALUE]
        is_refresh = bool(self.get_query_argument("refresh", ""))
        figures = await self.figures.look(max_age_s=1 if is_refresh else None)
        page = self._fill(form, figures)
        if form.server is not None and running is None and self.request.method == "GET":
            servers = await self._list_servers()
            if is_active(servers.get(form.server)):
                running = self._describe_running(form.server, servers[form.server])
        self.set_status(refusal.status if refusal else status)
        if refusal is None and (unknown := find_unknown_queue(form, [row["name"] for row in page["rows"]])):
            refusal = collect(InvalidParameters(violations=[unknown]), self.language)
        notes = {"running": running, "other": "" if other == user else other}
        self.render_page("launch.html", form=form, refusal=refusal or Refusal(), figures=figures, **notes, **page)

    def _fill(self, form: Form, figures: Figures) -> dict[str, Any]:
        """Everything that the form offers, and what is chosen in it."""
        rows = list_page_rows(self.config, figures, self.identity.projects, self.language)
        names = [row["name"] for row in rows]
        values = {name: form.values.get(name) or DEFAULTS.get(name, "") for name in FIELDS}
        if values["queue"] not in names:
            values["queue"] = next((row["name"] for row in rows if row["is_open"]), "")
        environments = list_environments(self.config.list_environments(), self.language)
        values["environment"] = values["environment"] or environments[0][0]
        values["project"] = values["project"] or (self.identity.projects[0] if self.identity.projects else "")
        chosen = next((row for row in rows if row["name"] == values["queue"]), None)
        return {
            "values": values,
            "rows": rows,
            "chosen": values["queue"],
            "chosen_row": chosen,
            "most": chosen["most"] if chosen else {},
            "environments": environments,
            "interfaces": INTERFACES,
            "projects": self.identity.projects,
            "gpu_types": sorted({gpu["type"] for row in rows for gpu in row["gpus"]} | ({values["gpu_type"]} - {""})),
        }


def find_unknown_queue(form: Form, names: Sequence[str]) -> Violation | None:
    """A link to a queue that is not there (any more) is said, not silently changed."""
    asked = form.values.get("queue", "")
    if asked and asked not in names:
        return Violation(N_("There is no queue %(queue)s for you here. Choose another one."), {"queue": asked}, "queue")
    return None


default_handlers = [(r"launch", LaunchHandler)]
