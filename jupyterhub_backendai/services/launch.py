"""The launch page: how busy the queues are, what to start, and the one POST that asks the hub to start it."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tornado.httputil import url_concat

from ..core.images import check_image
from ..core.policies import build_refusal, has_line, join_violations
from ..core.sessions import BATCH, INTERFACES, LaunchRequest, check_request, parse_request
from ..core.vfolder_mounts import format_again
from ..errors import N_, BackendAIError, BackendUnavailable, Forbidden, InvalidParameters, Unauthenticated, Violation
from ..store import session_mounts
from ..store.batch import read_command
from ..store.models import new_id
from ..store.standing import load_standing
from . import batch, presets
from .announcements import load_news
from .auth import authenticated, refuse_write
from .base import PageHandler
from .launch_form import DEFAULTS, FIELDS, MAX_VALUE, Form, Refusal, collect, find_unknown_queue, read_form, soften
from .launch_mounts import MOUNTS, SEARCH, check_mounts, load_card
from .launch_offer import offer_for
from .launch_quote import check_credit_for
from .limits import check_limits
from .metrics import REFUSALS
from .own_sessions import find_own
from .queues import list_page_rows
from .servers import Running, choose_server, describe_running, is_active, list_servers
from .sessions import check_environment, find_queue, list_rules
from .waits import add_wait_words

NOT_STARTED = N_("JupyterHub refused to start the session: %(reason)s")


class LaunchHandler(PageHandler):
    """GET shows the form and starts nothing, whatever its query says; POST asks the hub."""

    @authenticated
    async def get(self) -> None:
        form = soften(read_form(self.request.query_arguments))
        if again := self.get_query_argument("again", ""):
            await self._show(soften(await self._repeat(again)))
            return
        if name := self.get_query_argument("preset", "")[:MAX_VALUE]:
            await self._choose(form, name)
            return
        if "_xsrf" in self.request.query_arguments:
            # Refresh without scripts is a GET of the form: the token must not stay in the address.
            self.redirect(f"{self.request.path}?{form.to_query()}")
            return
        await self._show(form)

    async def _repeat(self, session_id: str) -> Form:
        """The form as a session of the caller's was asked for. Raises NotFound."""
        session = await find_own(self, session_id[:MAX_VALUE])
        mounts = await self.db.run(session_mounts.load, session.id)
        values = {**batch.describe_again(session, await self.db.run(read_command, session.id)), MOUNTS: format_again(mounts)}
        return Form({name: str(values.get(name, "")) for name in FIELDS}, None if session.is_batch else session.server_name or None)

    async def _choose(self, form: Form, name: str) -> None:
        """A link or a button with a preset: on to the form with its amounts filled in."""
        fields = await presets.find_fields(self, name)
        if fields is None:
            unknown = Violation(
                N_("There is no preset %(name)s any more. Choose another one, or type what you need."), {"name": name}, "cpu"
            )
            await self._show(form, collect(InvalidParameters(violations=[unknown]), self.language))
            return
        self.redirect(f"{self.request.path}?{presets.fill(form, fields).to_query()}")

    async def post(self) -> None:
        form = read_form(self.request.body_arguments)
        if not self.current_user:
            await self._log_in_again(form)
            return
        await self._start(form)

    @authenticated
    async def _start(self, form: Form) -> None:
        try:
            request = parse_request({**{name: self._read(name) for name in FIELDS}, MOUNTS: form.values[MOUNTS]})
            await self._check(request)
            if request.session_type == BATCH:
                session_id = await batch.start(self, request, form.new_id)
                self.redirect(f"{self.hub_auth.base_url}sessions/{session_id}", status=303)
                return
            server = choose_server(form, servers := await list_servers(self))
            if is_active(servers.get(server)):
                await self._show(form, running=describe_running(self, server, servers[server]), status=409)
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

    async def _check(self, request: LaunchRequest) -> None:
        """Refuse early what the hub's side would refuse."""
        queue = find_queue(await self.groups.list_usable(self.identity), request.queue)
        check_environment(self.groups.images(), request.environment)
        row = self.figures.figures().queues.get(queue.name)
        violations = check_request(request, queue, row, self.identity.projects, self.identity.posix)
        violations += await self.groups.check_usable(self.identity, queue, request.project)
        violations = join_violations(violations, check_image(self.groups.images()[request.environment], request.slots))
        violations += await check_mounts(self, queue, request.project, request.mounts)
        if not request.project or request.project in self.identity.projects:
            standing = await self.db.run(load_standing, self.identity.name, request.project)
            violations += check_limits(standing, queue, request.slots, request.time_s)
            violations += await check_credit_for(self, queue, row, request)
        if violations:
            raise build_refusal(violations)

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

    async def _show(self, form: Form, refusal: Refusal | None = None, running: Running | None = None, status: int = 200) -> None:
        user, other = self.user_model["name"], self.get_query_argument("user", "")[:MAX_VALUE]
        is_refresh = bool(self.get_query_argument("refresh", ""))
        figures = await self.figures.look(max_age_s=1 if is_refresh else None)
        queues = await self.groups.list_usable(self.identity)
        page = self._fill(form, list_page_rows(queues, figures, self.language, currency=self.config.make_billing().currency))
        await add_wait_words(self, page["rows"])
        page["takes_batch"] = any(batch.is_taken(self, queue) for queue in queues.values()) or form.values.get("session_type") == BATCH
        page["has_lines"] = page["takes_batch"] or any(has_line(queue) for queue in queues.values())
        page["new_id"] = new_id()
        page["sends_mail"] = bool(self.config.mail_server)
        page["offer"] = await offer_for(self, queues.get(page["chosen"]), page["values"])
        page["folders"] = await load_card(self, queues.get(page["chosen"]), page["values"], self.get_query_argument(SEARCH, "")[:64])
        page["presets"] = await presets.load_cards(self, queues.get(page["chosen"]), page["values"])
        if form.server is not None and running is None and self.request.method == "GET":
            servers = await list_servers(self)
            if is_active(servers.get(form.server)):
                running = describe_running(self, form.server, servers[form.server])
        self.set_status(refusal.status if refusal else status)
        if refusal is None and (unknown := find_unknown_queue(form, [row["name"] for row in page["rows"]])):
            refusal = collect(InvalidParameters(violations=[unknown]), self.language)
        notes = {"running": running, "other": "" if other == user else other, "news": await load_news(self)}
        self.render_page("launch.html", form=form, refusal=refusal or Refusal(), figures=figures, **notes, **page)

    def _fill(self, form: Form, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Everything that the form offers, and what is chosen in it."""
        names = [row["name"] for row in rows]
        values = {name: form.values.get(name) or DEFAULTS.get(name, "") for name in FIELDS}
        if values["queue"] not in names:
            values["queue"] = next((row["name"] for row in rows if row["is_open"]), "")
        environments = [(image.name, image.label(self.language)) for image in self.groups.images().values()]
        values["environment"] = values["environment"] or (environments[0][0] if environments else "")
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


class PresetsHandler(PageHandler):
    """The cards alone, for another queue or project: the same part of the page, drawn anew."""

    @authenticated
    async def get(self) -> None:
        form = read_form(self.request.query_arguments)
        queue = (await self.groups.list_usable(self.identity)).get(form.values["queue"])
        self.render_page("presets.html", presets=await presets.load_cards(self, queue, form.values))


class PartsHandler(PageHandler):
    """Price and choices alone, as the form stands now: the same parts of the page, drawn anew."""

    @authenticated
    async def get(self) -> None:
        form = read_form(self.request.query_arguments)
        queue = (await self.groups.list_usable(self.identity)).get(form.values["queue"])
        await self.figures.look()
        is_switched = bool(self.get_query_argument("switched", ""))
        self.render_page("launch_parts.html", offer=await offer_for(self, queue, form.values, is_switched=is_switched))


class FoldersHandler(PageHandler):
    """The folders to choose from alone, for another queue or project, or those of a name: the same part of the page, drawn anew."""

    @authenticated
    async def get(self) -> None:
        form = read_form(self.request.query_arguments)
        queue = (await self.groups.list_usable(self.identity)).get(form.values["queue"])
        text = self.get_query_argument(SEARCH, "")[:64]
        self.render_page("launch_folders.html", folders=await load_card(self, queue, form.values, text))


default_handlers = [
    (r"launch", LaunchHandler),
    (r"launch/parts", PartsHandler),
    (r"launch/folders", FoldersHandler),
    (r"presets", PresetsHandler),
]
