"""The summary page: my sessions now, my limits and what I use of them, news, what ended, and how busy the queues are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from .. import i18n
from ..core.ends import shown_s
from ..core.prices import is_priced
from ..core.queues import Queue
from ..core.quota import Standing
from ..core.sessions import SessionStatus
from ..core.slots import CPU, CUDA_DEVICE, KNOWN_SLOTS, MEM
from ..errors import N_, BackendUnavailable, Unauthenticated
from ..identity.clock import is_clock_kept
from ..store import summary
from ..store.ends import Course, find_session_end, load_courses
from ..store.sessions import SessionInfo
from ..store.vfolder_invitations import list_received
from . import limits
from .admin.show import show_slots
from .announcements import load_news
from .auth import authenticated
from .base import PageHandler
from .data.show import PERMISSIONS
from .own_sessions import explain_why
from .presets import list_starts
from .queues import list_page_rows
from .servers import is_active, list_servers

MAX_SERVER = 255
# Words and marks of a session that lives; a state is a word, a colour and a shape (backendai.css).
STATES = {
    SessionStatus.RUNNING: ("run", "idle", N_("running")),
    SessionStatus.TERMINATING: ("down", "down", N_("stopping")),
}
STARTING = ("wait", "wait", N_("starting"))
WAITING = ("wait", "wait", N_("waiting"))


@dataclass(frozen=True, slots=True)
class Card:
    """A session that lives: what the hub says of its server and what we wrote down of it. Times are seconds, None unknown."""

    server: str
    title: str
    queue: str
    slots: str
    state: tuple[str, str, str]
    url: str
    is_ready: bool
    started_at: str = ""
    age_s: int | None = None
    asked_s: int | None = None
    batch: str = ""
    left_s: int | None = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """A session that is over: when, why, and what it was started with."""

    title: str
    server: str
    ended_at: str
    reason: str
    state: str
    options: Mapping[str, str]
    batch: str = ""
    id: str = ""


class SummaryHandler(PageHandler):
    """GET only looks."""

    @authenticated
    async def get(self) -> None:
        figures = await self.figures.look()
        queues, projects = await self.groups.list_usable(self.identity), self.identity.projects
        project, group = self._choice("project", projects) or next(iter(projects), ""), self._choice("resource_group", queues)
        found = await self.db.run(summary.load_overview, self.identity.name, project, group)
        courses = await self.db.run(load_courses, [session.id for session in (*found.live, *found.ended)])
        trouble, servers = "", None
        try:
            servers = await list_servers(self)
        except BackendUnavailable as exc:
            trouble = i18n.explain(self.language, exc)
        except Unauthenticated:
            self.hub_auth.cache.clear()
            self.redirect(self.get_login_url())
            return
        rows = list_page_rows(queues, figures, self.language, currency=self.config.make_billing().currency)
        self.render_page(
            "summary.html",
            cards=self._list_cards(found.live, servers, courses),
            ended=[describe_ended(session, courses.get(session.id, Course()), self.language) for session in found.ended],
            trouble=trouble,
            has_bills=any(is_priced(queue) for queue in self.groups.queues().values()),
            rows=rows,
            figures=figures,
            chosen="",
            news=await load_news(self),
            invitations=await self.db.run(list_received, self.identity.name),
            permissions=PERMISSIONS,
            starts=await list_starts(self, queues),
            projects=projects,
            project=project,
            groups=[(name, queue.label(self.language)) for name, queue in queues.items()],
            group=group,
            is_clock_off=self.identity.is_admin and self._uses_clock() and is_clock_kept() is False,
            **self._describe_standing(found.standing, queues.get(group)),
        )

    def _uses_clock(self) -> bool:
        """Whether one-time passwords are checked on this machine; a server of the centre has a clock of its own."""
        return self.config.otp_required and self.config.otp_backend == "local"

    def _choice(self, name: str, choices: Collection[str]) -> str:
        """A choice in the address, "" when it is none that there is (any more)."""
        value = self.get_query_argument(name, "")
        return value if value in choices else ""

    def _describe_standing(self, standing: Standing, queue: Queue | None) -> dict[str, Any]:
        return {
            "bars": limits.list_bars(standing, self.language),
            "limit_heads": limits.list_heads(standing, self.language),
            "limit_lines": limits.list_lines(standing, self.language),
            "group_bars": limits.list_group_bars(standing, queue, self.language) if queue else [],
            "by_project": limits.list_uses(standing.by_project, self.language),
            "by_group": limits.list_uses(standing.by_resource_group, self.language),
        }

    def _list_cards(self, live: Sequence[SessionInfo], servers: Mapping[str, Any] | None, courses: Mapping[str, Course]) -> list[Card]:
        """Every session that lives by either's word; without the hub's (None) by ours alone."""
        ours = {session.server_name: session for session in live}  # a batch session's is nobody else's
        theirs = {name: server for name, server in (servers or {}).items() if is_active(server)}
        names = [*ours, *(name for name in theirs if name not in ours)]
        by_name = {name: courses.get(session.id, Course()) for name, session in ours.items()}
        return [self._build_card(name, ours.get(name), theirs.get(name), by_name.get(name, Course())) for name in names]

    def _build_card(self, name: str, session: SessionInfo | None, server: Mapping[str, Any] | None, course: Course) -> Card:
        now = datetime.now(UTC)
        end = find_session_end(session, course) if session else None
        is_batch = session is not None and session.is_batch
        is_ready = bool(server and server.get("ready"))
        path = f"{quote(self.user_model['name'], safe='@')}" + (f"/{quote(name)}" if name else "")
        started = session.started_at if session else None
        age_s = int((now - started).total_seconds()) if started else None
        title = (session.name if session else "") or str((server or {}).get("display_name") or "") or ("" if is_batch else name)
        url = str((server or {}).get("url") or "") if is_ready else f"{self.hub_auth.hub_prefix}spawn-pending/{path}"
        return Card(
            server=name,
            title=title,
            queue=label_queue(self.groups.queues(), session.queue, self.language) if session else "",
            slots=describe_slots(session, self.language) if session else "",
            state=find_state(session, server),
            url=f"{self.hub_auth.base_url}sessions/{session.id}" if session and is_batch else url,
            batch=session.id if session and is_batch else "",
            is_ready=is_ready,
            started_at=started.isoformat(timespec="seconds") if started else "",
            age_s=age_s,
            asked_s=int((now - session.created_at).total_seconds()) if session and age_s is None else None,
            left_s=shown_s(end.left_s(now.timestamp())) if end else None,
            id=session.id if session else "",
        )


class StopHandler(PageHandler):
    """POST stops one of the caller's own sessions, in the caller's name; the hub decides."""

    @authenticated
    async def post(self) -> None:
        server = self.get_body_argument("server", "")[:MAX_SERVER]
        status, _ = await self.hub.stop_server(self.user_model["name"], server, token=self.hub_auth.get_token(self))
        if status == 401:
            raise Unauthenticated
        if status not in (202, 204, 404):  # 404: it is over already, which is what was wanted
            raise BackendUnavailable(N_("It could not be stopped right now. Try again in a minute."))
        self.redirect(f"{self.hub_auth.base_url}summary", status=303)


def find_state(session: SessionInfo | None, server: Mapping[str, Any] | None) -> tuple[str, str, str]:
    """The state in a word: the hub's word about its server goes before what was reported to us."""
    if server and server.get("pending") == "stop":
        return STATES[SessionStatus.TERMINATING]
    if server and server.get("ready"):
        return STATES[SessionStatus.RUNNING]
    if session is not None and session.status is SessionStatus.PENDING:
        return WAITING
    if session is not None and session.is_batch:
        return STATES.get(session.status, STARTING)
    return STARTING if server or session is None else STATES.get(session.status, STARTING)


def describe_slots(session: SessionInfo, language: str) -> str:
    """What a session holds, without the slots that it has nothing of."""
    return show_slots(language, {name: amount for name, amount in session.slots.items() if amount}, KNOWN_SLOTS)


def label_queue(queues: Mapping[str, Queue], name: str, language: str) -> str:
    """A queue as people call it, also one that is gone."""
    return queues[name].label(language) if name in queues else name


def describe_ended(session: SessionInfo, course: Course, language: str) -> Ended:
    """A session that is over, in the reader's language."""
    at = session.terminated_at or session.released_at or session.created_at
    words = {SessionStatus.ERROR: N_("failed"), SessionStatus.CANCELLED: N_("cancelled")}
    return Ended(
        title=session.name or ("" if session.is_batch else session.server_name),
        server=session.server_name,
        batch=session.id if session.is_batch else "",
        id=session.id,
        ended_at=at.isoformat(timespec="seconds"),
        reason=explain_why(session, course, language),
        state=words.get(session.status, N_("ended")),
        options={
            "queue": session.queue,
            "environment": session.environment,
            "interface": session.interface,
            "project": session.project,
            "cpu": format(session.slots.amount(CPU), "f"),
            "mem": format(session.slots.amount(MEM), "f"),
            "gpu": format(session.slots.amount(CUDA_DEVICE), "f"),
            "gpu_type": session.gpu_type,
            "time": str(session.time_limit_s),
            "name": session.name,
        },
    )


default_handlers = [(r"summary", SummaryHandler), (r"summary/stop", StopHandler)]
