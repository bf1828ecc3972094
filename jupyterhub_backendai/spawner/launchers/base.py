"""What our launchers have in common: from a job that exists to a server that answers, and why it ended.

A launcher is a JupyterHub spawner with this mixin in front. It starts, asks and stops one admitted session; policy, admission and
what happens after a restart of the hub are :mod:`..spawner`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from jupyterhub.spawner import Spawner
from jupyterhub.utils import url_path_join, wait_for_http_server
from traitlets import default

from ...config import BackendAI
from ...core.reasons import Explanation
from ...core.sessions import JOB_OVER, Admission, JobState, JobStatus, SessionStatus
from ...core.waiting import explain_give_up
from ...errors import N_, BackendAIError, BackendUnavailable, InvalidParameters, StartFailed, Violation
from ...i18n import explain, translate

_ending: set[asyncio.Future[None]] = set()  # the loop itself keeps weak references only


@dataclass(frozen=True, slots=True)
class Stage:
    """Where a start is, as the pending page shows it. ``name`` is submitting, waiting, starting or connecting.

    ``start_at`` is what the scheduler (or the owner) says, ``expected`` what follows from that and the past of the queue
    (``core.waits.Expectation`` with its moments); nothing follows for a wait that is not ``is_foreseeable``. ``since``: it waits.
    """

    name: str = "submitting"
    progress: int = 5
    message: Violation = field(default_factory=lambda: Violation(N_("Handing your session to the queue.")))
    position: int | None = None
    reason: Explanation | None = None
    start_at: float | None = None
    is_foreseeable: bool = True
    expected: Mapping[str, Any] | None = None
    since: float | None = None

    def to_event(self, language: str) -> dict[str, Any]:
        """The stage as one event of the hub's progress stream."""
        return {
            "progress": self.progress,
            "stage": self.name,
            "message": explain(language, self.message),
            "position": self.position,
            "reason": _explain(language, self.reason) if self.reason else "",
            "start_at": self.start_at,
            "expected": self.expected,
            "since": self.since,
        }


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session ended: the word for the service, what happened and what to do for people."""

    status: SessionStatus
    why: Explanation

    def to_json(self) -> dict[str, Any]:
        return {"status": self.status.value, "why": asdict(self.why)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Ending:
        return cls(SessionStatus(data["status"]), Explanation(**data["why"]))

    def explain(self, language: str) -> str:
        """What happened and what to do, in a language."""
        return _explain(language, self.why)


def _explain(language: str, why: Explanation) -> str:
    return " ".join(translate(language, text, why.params) for text in (why.message, why.advice) if text)


class Launcher(Spawner):
    """One admitted session on one engine. Subclasses say how to submit, ask, cancel and read the log."""

    admission: Admission
    settings: BackendAI
    #: called after each change that must survive the hub; set by the policy spawner
    save: Callable[[], None] = staticmethod(lambda: None)
    #: adds the expected start to a stage; set by the policy spawner
    expect: Callable[[Stage], Awaitable[Stage]] | None = None
    #: called when the session has ended by itself and the hub should look; set by the policy spawner
    notify: Callable[[], None] = staticmethod(lambda: None)
    #: asks for the time limit of now and moves the deadline; set by the policy spawner
    renew_limit: Callable[[Launcher], Awaitable[None]] | None = None

    job_id = ""
    node = ""
    reported_port = 0
    ending: Ending | None = None
    stage = Stage()
    interval_s = 1.0

    @default("poll_interval")
    def _poll_interval(self) -> int:
        return 10  # asking costs nothing here, and an end from outside should be noticed soon

    @default("http_timeout")
    def _http_timeout(self) -> int:
        return 120  # shared file systems are slow when many start at once

    def attach(self, settings: BackendAI, admission: Admission, save: Callable[[], None]) -> None:
        """Give the launcher its session; before start, resume, poll and stop."""
        self.settings, self.admission, self.save = settings, admission, save

    # -- for subclasses

    async def ask(self) -> JobStatus:
        """Where the job is now. Never raises."""
        raise NotImplementedError

    async def submit(self) -> str:
        """Hand the job to the engine and return its id."""
        raise NotImplementedError

    async def refresh(self) -> None:
        """Make the next :meth:`ask` answer with what is so now."""

    async def cancel(self, now: bool) -> None:
        """End the job and everything it started; return when it is over. No error when it is already."""
        raise NotImplementedError

    async def address(self, node: str) -> str:
        """Where hub and proxy reach a server on that node."""
        raise NotImplementedError

    async def read_log(self) -> str:
        """The end of the session's log, "" when there is none."""
        raise NotImplementedError

    def explain_end(self, status: JobStatus) -> Ending:
        """What to tell people about a job that is over."""
        raise NotImplementedError

    def move_deadline(self, seconds: float) -> None:
        """The session has so much more (or less) time; engines that end their sessions themselves know it already."""

    def waiting_stage(self, status: JobStatus) -> Stage:  # noqa: ARG002 - for subclasses
        """What to show while the job waits; engines without a queue of their own never do."""
        return self.stage

    def environment_command(self) -> list[str]:
        """The argument list that runs the interpreter of the session's environment."""
        environment = self.settings.list_environments().get(self.admission.environment)
        if environment is None:
            raise InvalidParameters(N_("Choose an environment."))
        return [str(argument) for argument in environment["command"]]

    def session_env(self) -> dict[str, str]:
        """What a session's server is told on top of the hub's own variables."""
        return {
            "JUPYTERHUB_DEFAULT_URL": self.default_url or ("/tree" if self.admission.interface == "notebook" else "/lab"),
            "BACKENDAI_SESSION_ID": self.admission.session_id,
        }

    # -- state that survives a restart of the hub

    def get_state(self) -> dict[str, Any]:
        return {"job_id": self.job_id, "node": self.node, "port": self.reported_port}

    def load_state(self, state: dict[str, Any]) -> None:
        self.job_id = str(state.get("job_id", ""))
        self.node = str(state.get("node", ""))
        self.reported_port = int(state.get("port", 0))

    # -- starting

    async def start(self) -> str:
        """Submit, wait for the job, the port and the first answer; return the server's address."""
        # A start that is cancelled must not lose the job: the submission goes on, and stop() waits for it.
        self._submission = asyncio.ensure_future(self._submit())
        await asyncio.shield(self._submission)
        return await self.until_serving()

    async def resume(self) -> str:
        """Go on with a start that an earlier hub process began."""
        return await self.until_serving()

    _submission: asyncio.Future[None] | None = None

    async def _submit(self) -> None:
        self.job_id = await self.submit()
        self.save()

    def receive_port(self, port: int) -> None:
        """The port that the session's own program reported; only the first counts."""
        self.reported_port = port
        self.save()
        self._wake.set()

    @property
    def _wake(self) -> asyncio.Event:
        event: asyncio.Event = self.__dict__.setdefault("_wake_event", asyncio.Event())
        return event

    async def until_serving(self) -> str:
        """The address of the server once it answers. Raises StartFailed when the job ends before, or takes too long."""
        base = await self._until_port()
        self.show(Stage("connecting", 80, Violation(N_("Connecting to your notebook."))))
        if not self.internal_ssl:
            await self._until_answer(base)
        return base

    async def _until_port(self) -> str:
        loop = asyncio.get_running_loop()
        deadline = 0.0
        while True:
            status = await self._look()
            if status.state is JobState.RUNNING:
                deadline = deadline or loop.time() + self.start_timeout
                if self.reported_port:
                    with contextlib.suppress(BackendUnavailable):  # an engine that does not answer now does so later
                        host = await self.address(self.node)
                        return f"http://{f'[{host}]' if ':' in host else host}:{self.reported_port}"
            if status.state is JobState.PENDING and self.admission.give_up_at and time.time() >= self.admission.give_up_at:
                self.ending = Ending(SessionStatus.CANCELLED, explain_give_up(by_wish=self.admission.gives_up_by_wish))
                raise StartFailed(self.ending.why.message)
            if deadline and not self.reported_port and loop.time() > deadline:
                message = N_("The notebook server was started but did not report within %(seconds)s seconds.")
                raise StartFailed(message, seconds=self.start_timeout)
            await self._pause()

    async def _pause(self) -> None:
        """Wait for the next look, or for the port if it comes first."""
        if self.reported_port:
            await asyncio.sleep(0.1)
            await self.refresh()
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), self.interval_s)

    async def _until_answer(self, base: str) -> None:
        """Wait for the first answer of the server, but no longer than its job lives."""
        url = url_path_join(base, self.server.base_url if self.server else "/", "api")
        answer = asyncio.ensure_future(wait_for_http_server(url, timeout=self.http_timeout))
        try:
            while not answer.done():
                await asyncio.wait({answer}, timeout=self.interval_s)
                if not answer.done():
                    await self._look()
        finally:
            answer.cancel()
        if answer.exception():
            raise StartFailed(N_("The notebook server did not answer within %(seconds)s seconds."), seconds=self.http_timeout)

    async def _look(self) -> JobStatus:
        """Ask once while starting, and show what was learnt. Raises StartFailed for a job that is over."""
        status = await self.ask()
        self._learn(status)
        if status.state in JOB_OVER:
            self.ending = self.ending or self.explain_end(status)
            raise StartFailed(self.ending.why.message, **self.ending.why.params)
        if status.state is JobState.RUNNING and self.stage.name != "connecting":
            self.show(Stage("starting", 50, Violation(N_("Starting on %(node)s."), {"node": self.node or "-"})))
        elif status.state in {JobState.PENDING, JobState.UNKNOWN}:
            waiting = self.waiting_stage(status)
            self.show(await self.expect(waiting) if self.expect else waiting)
        return status

    def _learn(self, status: JobStatus) -> None:
        known = self.job_id, self.node
        self.job_id = status.job_id or self.job_id
        if status.state is JobState.RUNNING:
            self.node = status.node or self.node
        if known != (self.job_id, self.node):
            self.save()

    # -- afterwards

    async def stop(self, now: bool = False) -> None:
        """End the session, also one whose submission is still under way."""
        if self._submission:
            await asyncio.wait({self._submission})
            error = None if self._submission.cancelled() else self._submission.exception()
            if isinstance(error, BackendAIError) and not error.transient:
                return  # it was refused: there is no job
            if error:
                self._end_later(now)  # nobody knows whether there is a job; the user is not kept waiting for the answer
                return
        await self.cancel(now)

    def _end_later(self, now: bool) -> None:
        task = asyncio.ensure_future(self.cancel(now))
        _ending.add(task)
        task.add_done_callback(self._ended_later)

    def _ended_later(self, task: asyncio.Future[None]) -> None:
        _ending.discard(task)
        if not task.cancelled() and task.exception():
            self.log.error("Session %s may have left a job: %s", self.admission.session_id, task.exception())

    async def poll(self) -> int | None:
        """None while the job lives or nobody can say; otherwise why it ended is kept, the first time."""
        status = await self.ask()
        if status.state not in JOB_OVER:
            return None
        self.ending = self.ending or self.explain_end(status)
        return 0 if status.state is JobState.DONE else 1

    # -- progress

    def show(self, stage: Stage) -> None:
        """Make this the stage that the pending page shows."""
        if stage != self.stage:
            self.stage = stage
            shown = self.__dict__.pop("_shown", None)
            if shown:
                shown.set()

    async def stages(self) -> AsyncIterator[Stage]:
        """The stage now, then each that is different; as many readers as like may listen, and come back."""
        last: Stage | None = None
        while True:
            changed = self.__dict__.setdefault("_shown", asyncio.Event())
            if self.stage != last:
                last = replace(self.stage)
                yield last
            else:
                await changed.wait()
