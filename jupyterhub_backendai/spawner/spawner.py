"""The spawner of the platform: policy, admission and adoption around the launcher of the queue's engine.

The hub talks to this object; the launcher (a spawner of its own, made for one start) does the work. What belongs to the hub goes
down to it by one fixed list, never up.
"""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict
from functools import partial
from html import escape
from typing import Any

from jupyterhub.spawner import Spawner
from jupyterhub.utils import maybe_future, url_path_join
from traitlets import Dict, Integer, Unicode, observe, validate

from .. import client
from ..config import BackendAI
from ..core.reasons import Explanation
from ..core.sessions import Admission, SessionSpec, SessionStatus, parse_request
from ..errors import N_, BackendAIError, StartFailed
from ..i18n import DEFAULT_LANGUAGE, translate
from . import failures, ports, ticket_routes, tokens
from .adoption import STARTING, Adoption
from .launchers.base import Ending, Launcher
from .launchers.choice import find_engine, load_launcher
from .limits import renew_limit
from .reports import Reports
from .rounds import Rounds
from .waiting import Waiting

TEN_YEARS_S = 10 * 365 * 24 * 3600
RELEASE_PATIENCE_S, REFUSAL_PATIENCE_S, SLOW_ADMISSION_S = 5.0, 0.3, 0.05
HUB_OWNED = (
    "user orm_spawner hub authenticator _deprecated_db_session api_token oauth_client_id admin_access cert_paths handler "
    "cookie_options cookie_host_prefix_enabled public_url public_hub_url trusted_alt_names proxy_spec internal_ssl "
    "internal_trust_bundles internal_certs_location"
).split()

ports.install()
ticket_routes.install()


class BackendAISpawner(Waiting, Adoption, Spawner):
    """One server: parsed and admitted here, run by a launcher."""

    launchers = Dict(
        default_value={
            "slurm": "jupyterhub_backendai.spawner.launchers.slurm.SlurmLauncher",
            "local": "jupyterhub_backendai.spawner.launchers.local.LocalLauncher",
            "docker": "jupyterhub_backendai.spawner.launchers.docker.DockerLauncher",
        },
        value_trait=Unicode(),
        config=True,
        help="Engine → class of its launcher. A queue's engine must be one of these.",
    )
    start_timeout = Integer(
        TEN_YEARS_S, config=True, help="Not used here: waiting in a queue has no limit. The launcher's own is from running to ready."
    )

    phase = session_id = ""
    end_reason = ""  # why whoever stops it does; set by our logout
    token_id: int | None = None
    admission: Admission | None = None
    ending: Ending | None = None
    _has_failed = _is_stopping = False
    _launcher: Launcher | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.settings = BackendAI(parent=self)
        self.reports = Reports(self.log)
        self._late_hooks: list[Callable[[Launcher], Awaitable[None]]] = []
        ports.check_hub()

    @validate("start_timeout")
    def _keep_start_timeout(self, _proposal: Any) -> int:
        return TEN_YEARS_S  # c.Spawner.start_timeout means the launcher's

    @property
    def service(self) -> client.ServiceClient:
        return client.connect(self.settings)

    @property
    def language(self) -> str:
        """The language of this server's owner."""
        find = getattr(self.authenticator, "language_of", None)
        return str(find(self.user.name)) if find else DEFAULT_LANGUAGE

    # -- the launcher

    @property
    def launcher(self) -> Launcher:
        """The launcher of the admitted queue's engine; before admission, of the queue that was asked for."""
        engine = self.admission.engine if self.admission else find_engine(self.settings, self.user_options)
        if self._launcher is None or self._engine != engine:
            self._launcher, self._engine = self._build_launcher(engine), engine
        if self.admission:
            self._launcher.attach(self.settings, self.admission, self._launcher_saved)
            self._launcher.expect = self.expect_start
            self._launcher.notify = self._look_now
            self._launcher.renew_limit = partial(renew_limit, self)
        return self._launcher

    _engine = ""

    def _build_launcher(self, engine: str) -> Launcher:
        cls = load_launcher(self.launchers, engine)
        launcher = cls(parent=self, user_options={}, **{name: getattr(self, name) for name in HUB_OWNED if self.has_trait(name)})
        self.http_timeout, self.poll_interval = launcher.http_timeout, launcher.poll_interval
        return launcher

    @observe(*HUB_OWNED)
    def _hand_down(self, change: Any) -> None:
        if self._launcher is not None:
            setattr(self._launcher, change.name, change.new)

    # -- state

    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state()
        if self.phase:
            state |= {
                "phase": self.phase,
                "session_id": self.session_id,
                "token_id": self.token_id,
                "admission": self.admission.to_json() if self.admission else None,
                "child": self._launcher.get_state() if self._launcher else {},
            }
        if self.ending:
            state["ending"] = self.ending.to_json()
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what was saved. Never raises: the hub would not start."""
        super().load_state(state)
        try:
            self._load_state(state)
        except Exception:
            self.log.exception("The saved state of %s cannot be read; its session is left to the reconciler", self._log_name)

    def _load_state(self, state: Mapping[str, Any]) -> None:
        self.phase, self.session_id = str(state.get("phase", "")), str(state.get("session_id", ""))
        self.token_id = state.get("token_id")
        self.ending = Ending.from_json(state["ending"]) if state.get("ending") else None
        self.admission = Admission.from_json(state["admission"]) if state.get("admission") else None
        if self.phase and self.admission:
            self.launcher.load_state(dict(state.get("child") or {}))
            if self.phase in STARTING and self.orm_spawner.server:
                self.adopt()
            elif self.phase == "running" and self.orm_spawner.server:
                self.keep()

    def clear_state(self) -> None:
        super().clear_state()
        self.phase, self.session_id, self.end_reason, self.token_id = "", "", "", None
        self.admission, self._launcher = None, None
        self._late_hooks.clear()
        self._has_failed = self._is_stopping = False

    def save(self, phase: str) -> None:
        """Put the state into the hub's database, now: what follows may be the end of the hub."""
        self.phase = phase
        self.orm_spawner.state = self.get_state()  # a new dict: the column does not see changes inside one
        self.user.db.commit()

    def _launcher_saved(self) -> None:
        if self.phase not in STARTING:
            return
        launcher = self.launcher
        is_new = self.phase == "submitting" and bool(launcher.job_id)
        self.save("pending" if launcher.job_id else "submitting")
        if is_new:
            self._report(SessionStatus.PENDING)
        elif launcher.node and not launcher.reported_port:
            self._report(SessionStatus.PREPARING)

    # -- before the start

    async def run_auth_state_hook(self, auth_state: Any) -> None:
        await self._with_launcher(lambda launcher: launcher.run_auth_state_hook(auth_state))

    async def apply_group_overrides(self) -> None:
        await self._with_launcher(lambda launcher: launcher.apply_group_overrides())

    async def _with_launcher(self, hook: Callable[[Launcher], Awaitable[None]]) -> None:
        """Run a hook on the launcher. Of a group that only the database has admission tells the engine: then, after that.

        A request that will be refused anyway is refused with all its faults at once.
        """
        try:
            launcher = self.launcher
        except BackendAIError:
            self._late_hooks.append(hook)
            return
        await hook(launcher)

    async def _run_apply_user_options(self, user_options: Any) -> None:
        """Parse what was asked for, by form, link or REST, and have it admitted."""
        self.ending = None
        try:
            request = parse_request(user_options if isinstance(user_options, Mapping) else {})
            self.session_id, self.token_id = uuid.uuid4().hex, tokens.find_id(self.user, self.api_token)
            self.admission = await self._admit(SessionSpec(self.session_id, self.user.name, self.name, request))
        except BackendAIError as exc:
            if not exc.transient:
                self.session_id = ""  # nothing is reserved
            raise failures.refused(self.language, exc) from exc

    async def _admit(self, spec: SessionSpec) -> Admission:
        """Ask the service. An answer that takes its time is waited for in a saved phase: should the hub end then, the next one
        releases what was asked for. An ordinary answer comes sooner than that commit, and the reconciler frees what is lost there.
        """
        self.phase = "admitting"
        asking = asyncio.ensure_future(self.service.admit(spec))
        try:
            answered, _ = await asyncio.wait({asking}, timeout=SLOW_ADMISSION_S)
        except asyncio.CancelledError:
            asking.cancel()
            raise
        if not answered:
            self.save("admitting")
        return await asking

    async def run_pre_spawn_hook(self) -> None:
        try:
            launcher = self.launcher
        except BackendAIError as exc:  # admitted, but this hub cannot run it; what was reserved goes back
            raise failures.refused(self.language, exc) from exc
        while self._late_hooks:
            await self._late_hooks.pop(0)(launcher)
        await maybe_future(launcher.run_pre_spawn_hook())
        # The hub commits between this and the first line of start(), so the phase costs no commit of its own.
        self.orm_spawner.state = {**self.get_state(), "phase": self.first_phase}

    async def create_certs(self) -> Any:
        return await self.launcher.create_certs()

    async def move_certs(self, paths: Any) -> Any:
        return await self.launcher.move_certs(paths)

    async def get_options_form(self) -> str:
        """Never empty: without a form the hub would start something at once."""
        url = url_path_join(self.hub.base_url, "..", "services/backendai/launch")
        text = translate(self.language, N_("Sessions are started on the launch page."))
        return f'<p><a href="{escape(url)}">{escape(text)}</a></p>'

    # -- running

    async def start(self) -> str:
        launcher = self.launcher
        self.phase = self.first_phase
        if self.user.db.is_modified(self.orm_spawner) or (self.orm_spawner.state or {}).get("session_id") != self.session_id:
            self.save(self.phase)
        url = await self._guard(launcher, self.begin(launcher))
        self.save("running")
        self._report(SessionStatus.RUNNING)
        return url

    async def resume(self) -> str:
        """Go on with an interrupted start; the hub's ``start`` for :class:`Adoption`."""
        launcher = self.launcher
        url = await self._guard(launcher, self.begin(launcher, again=True) if self.phase == "waiting" else launcher.resume())
        self._report(SessionStatus.RUNNING)
        return url

    async def _guard(self, launcher: Launcher, starting: Any) -> str:
        """Wait for a start; a failure becomes the hub's error in the user's language, with the end of the log."""
        try:
            return str(await starting)
        except BackendAIError as exc:
            error = exc
        except Exception:
            self.log.exception("The start of %s failed", self._log_name)
            error = StartFailed()
        self._has_failed = True
        self._note_end(launcher.ending or Ending(SessionStatus.ERROR, Explanation(error.message, params=error.params)))
        try:
            log = await launcher.read_log()
        except BackendAIError:
            log = ""
        why = launcher.ending.explain(self.language) if launcher.ending else ""
        raise failures.failed(self.language, error, why, log) from error

    def receive_port(self, port: int) -> bool:
        """The port that the session's program reported; accepted once, while starting. The same again is no error: it asked twice."""
        if self._launcher is None:
            return False
        if self._launcher.reported_port:
            return self._launcher.reported_port == port
        if self.phase not in STARTING:
            return False
        self._launcher.receive_port(port)
        return True

    async def get_url(self) -> str:
        """Never raises: the hub would not start."""
        return str(self.server.url) if self.server else ""

    def start_polling(self) -> None:
        """In rounds with all other servers, not by a timer of its own."""
        if self.poll_interval <= 0:
            return
        self.stop_polling()
        self._poll_callback = Rounds.join(self.poll_and_notify, self.poll_interval)

    async def poll(self) -> int | None:
        """None unless the session is known to be over. While it starts, the start itself finds out; stop() then always runs."""
        if self.phase in {"", "admitting"}:
            return 0
        if self.phase in STARTING or self._launcher is None:
            # Over only once stop() runs after a failure: the hub, if it asks just then, answers REST with why it failed, not with 201.
            return 1 if self._has_failed and self._is_stopping else None
        status = await self._launcher.poll()
        if self._launcher.ending:
            self._note_end(self._launcher.ending)
        return status

    def _look_now(self) -> None:
        """The launcher knows of an end: do not wait for the next poll."""
        if self.phase == "running" and not self._stop_pending:
            self._looking = asyncio.ensure_future(self.poll_and_notify())

    async def stop(self, now: bool = False) -> None:
        self._is_stopping = True
        status = SessionStatus.CANCELLED if self.phase in STARTING else SessionStatus.TERMINATED
        launcher = self._launcher
        if launcher and launcher.ending:
            self._note_end(launcher.ending)
        if self.phase == "running" and self.ending is None and (why := self.end_reason or await self.ask_why(REFUSAL_PATIENCE_S)):
            self._note_end(Ending(SessionStatus.TERMINATED, Explanation(why)))
        self._note_end(Ending(status, Explanation(N_("Stopped on request."))))
        if launcher:
            await launcher.stop(now)

    def _note_end(self, ending: Ending) -> None:
        """Keep why the session ended: the first reason, because the hub asks several times."""
        if self.ending is None:
            self.ending = ending

    @property
    def last_end(self) -> str:
        """Why the last session of this server ended, in its owner's language; "" while one runs, or before the first."""
        return self.ending.explain(self.language) if self.ending and not self.phase else ""

    async def run_post_stop_hook(self) -> None:
        """The one call that the hub makes on every way to an end: forget the token, tell the service why, give the slots back."""
        tokens.delete(self.user, self.token_id)
        if self.session_id:
            await self._release()
        hook = self._launcher.run_post_stop_hook() if self._launcher else super().run_post_stop_hook()
        if inspect.isawaitable(hook):
            await hook

    async def _release(self) -> None:
        ending = self.ending or Ending(SessionStatus.ERROR, Explanation(N_("The session did not start.")))
        reason, why = str(ending.why), asdict(ending.why)
        self._report(ending.status, reason=reason, why=why)
        task = self.reports.send(f"release of {self.session_id}", partial(self.service.release, self.session_id, reason, why))
        # The next start should find the slots free, but a service that is away must not hold up the hub; and a start that fails
        # must be over within slow_spawn_timeout (1 s), or REST answers 500 instead of what went wrong.
        await asyncio.wait({task}, timeout=RELEASE_PATIENCE_S if self.phase == "running" else REFUSAL_PATIENCE_S)

    def _report(self, status: SessionStatus, **fields: Any) -> None:
        launcher = self._launcher
        if launcher:
            fields |= {"job_id": launcher.job_id, "node": launcher.node}
        call = partial(self.service.report, self.session_id, status.value, **fields)
        self.reports.send(f"{status.value} of {self.session_id}", call)

    # -- the pending page

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """What the start is doing, an event for each change; the hub ends it when the start is over."""
        while self._launcher is None:  # not admitted yet
            await asyncio.sleep(0.1)
        async for stage in self._launcher.stages():
            yield stage.to_event(self.language)
