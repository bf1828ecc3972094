"""Sessions on the private listener: the hub asks to admit a start, reports where it is, and releases it."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..core.policies import RIGHTS
from ..core.queues import Queue, QueueFigures
from ..core.sessions import BATCH, SessionSpec, SessionStatus
from ..errors import N_, BackendAIError, Forbidden, InvalidParameters, NotFound, SchedulerUnavailable, Violation
from ..store import audit, ends, sessions
from .base import PrivateHandler
from .metrics import REFUSALS
from .own_parts import make_own_parts

# Engines whose figures say what a queue has; without them a request cannot be checked.
MEASURED_ENGINES = frozenset({"slurm"})
STALE_AFTER_S = 120
NO_SERVER = N_("A batch session is no server. Start it on the launch page, or with the REST interface of the service.")
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


def parse_spec(body: Mapping[str, Any]) -> SessionSpec:
    """What the hub wants admitted. Raises InvalidParameters, with a violation per field of the user's that cannot be read."""
    try:
        spec = SessionSpec.from_json(body)
    except (KeyError, TypeError, AttributeError) as exc:
        raise InvalidParameters(N_("The request could not be read.")) from exc
    if not _ID.fullmatch(spec.session_id) or len(spec.server_name) > 255:
        raise InvalidParameters(N_("The request could not be read."))
    return spec


def find_queue(queues: Mapping[str, Queue], name: str) -> Queue:
    """The queue of that name. Raises InvalidParameters that lists the queues."""
    if name not in queues:
        params = {"queue": name, "queues": ", ".join(queues) or "-"}
        raise InvalidParameters(violations=[Violation(N_("There is no queue %(queue)s. Choose one of: %(queues)s."), params, "queue")])
    return queues[name]


def check_environment(environments: Mapping[str, Any], name: str) -> None:
    """Raises InvalidParameters, listing the environments, for one that the site does not have."""
    if name not in environments:
        params = {"environment": name, "environments": ", ".join(environments)}
        message = N_("There is no environment %(environment)s. Choose one of: %(environments)s.")
        raise InvalidParameters(violations=[Violation(message, params, "environment")])


def find_figures(queue: Queue, row: QueueFigures | None, at: float) -> QueueFigures | None:
    """The figures to check a request with. Raises SchedulerUnavailable when the engine has not answered for a while."""
    if queue.engine not in MEASURED_ENGINES:
        # Its size is in the configuration; what is free is counted inside the admission.
        return None
    if row is None or row.read_at is None or (row.error and at - row.read_at > STALE_AFTER_S):
        raise SchedulerUnavailable
    return row


def list_rules(error: BackendAIError) -> set[str]:
    """The stable words by which a refusal is counted."""
    return {violation.rule for violation in error.violations} or {error.code.rpartition("_")[2]}


class AdmitHandler(PrivateHandler):
    """``POST /private/sessions``: reserve a session's slots."""

    async def post(self) -> None:
        body = self.read_body()
        try:
            spec = parse_spec(body)
            if spec.request.session_type == BATCH:
                raise InvalidParameters(violations=[Violation(NO_SERVER, {}, "session_type", "session-type")])
            await self.groups.ready()
            queue = find_queue(self.groups.queues(), spec.request.queue)
            check_environment(self.groups.images(), spec.request.environment)
            figures = find_figures(queue, self.figures.figures().queues.get(queue.name), time.time())
            expected = await self.waits.expect(queue.name, spec.request.slots)
            spec = replace(spec, told=expected.to_json() if expected else {})
            admission = await self.db.run_exclusive(sessions.admit, spec, queue, figures)
        except BackendAIError as exc:
            await self._count(exc, body)
            raise
        admission = await make_own_parts(self, admission, spec.user)
        if admission.is_waiting:
            self.scheduler.wake()
        self.answer(admission.to_json())

    async def _count(self, exc: BackendAIError, body: Mapping[str, Any]) -> None:
        rules = list_rules(exc)
        for rule in rules:
            REFUSALS.labels(rule).inc()
        # Asking for too much is everyday; asking for what is somebody else's is for the record.
        if isinstance(exc, Forbidden) or rules & RIGHTS:
            details = {"rules": sorted(rules), "session": str(body.get("session_id"))[:64]}
            user = str(body.get("user", ""))
            await self.db.run(audit.record, actor=user, action="session.start", object=exc.code, result="refused", details=details)


class ReportHandler(PrivateHandler):
    """``POST /private/sessions/<id>/report``: where a session is."""

    async def post(self, session_id: str) -> None:
        body = self.read_body()
        try:
            status = SessionStatus(body.get("status"))
        except ValueError as exc:
            choices = ", ".join(status.value for status in SessionStatus)
            raise InvalidParameters(N_("Choose one of: %(choices)s."), choices=choices) from exc
        job_id, node, reason = (str(body.get(name) or "") for name in ("job_id", "node", "reason"))
        if len(job_id) > 64 or len(node) > 255:
            raise InvalidParameters(N_("The request could not be read."))
        await self.db.run(ends.report, session_id, status, reason[:4000].replace("\0", ""), job_id, node, body.get("why"))
        if status is SessionStatus.RUNNING:
            self.wait_mails.wake()
        self.answer({})


class ReleaseHandler(PrivateHandler):
    """``POST /private/sessions/<id>/release``: free what a session holds."""

    async def post(self, session_id: str) -> None:
        body = self.read_body()
        reason = str(body.get("reason") or "")[:4000].replace("\0", "")
        released = await self.db.run_exclusive(ends.release, session_id, reason, body.get("why"))
        if released:
            self.scheduler.wake(session_id)
            self.wait_mails.wake()
        self.answer({"released": released})


class LimitHandler(PrivateHandler):
    """``GET /private/sessions/<id>/limit``: the session's time limit as it is now, for engines whose processes the hub ends."""

    async def get(self, session_id: str) -> None:
        session = await self.db.run(sessions.get, session_id)
        if session is None:
            raise NotFound(N_("There is no session %(id)s."), id=session_id)
        self.answer({"time_limit_s": session.time_limit_s})


private_handlers = [
    (r"/private/sessions", AdmitHandler),
    (r"/private/sessions/([0-9a-f]{32})/report", ReportHandler),
    (r"/private/sessions/([0-9a-f]{32})/release", ReleaseHandler),
    (r"/private/sessions/([0-9a-f]{32})/limit", LimitHandler),
]
