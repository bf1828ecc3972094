"""All sessions of one's own: what runs and what is over, with use, cost and reason, in pages and by filters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from .. import i18n
from ..core.prices import Currency, cost
from ..core.queues import SESSION_TYPES
from ..core.sessions import SessionStatus
from ..errors import N_, InvalidParameters, Violation
from ..store.history import ENDED, FAILED, LIVE, PAGE_SIZE, STATES, Bill, HistoryQuery, Past, list_page
from .auth import authenticated
from .base import PageHandler
from .own_sessions import Use, explain_why, measure_use
from .summary import describe_slots, label_queue

MAX_TEXT, MAX_PAGE = 64, 1_000_000
STATE_WORDS = {LIVE: N_("live"), ENDED: N_("ended well or stopped"), FAILED: N_("failed")}
TYPE_WORDS = {"interactive": N_("notebooks"), "batch": N_("batch")}
WORDS = {
    SessionStatus.RUNNING: ("run", "idle", N_("running")),
    SessionStatus.TERMINATING: ("down", "down", N_("stopping")),
    SessionStatus.TERMINATED: ("run", "idle", N_("ended")),
    SessionStatus.CANCELLED: ("down", "down", N_("cancelled")),
    SessionStatus.ERROR: ("down", "down", N_("failed")),
}
WAITING = ("wait", "wait", N_("waiting"))


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the page."""

    id: str
    title: str
    is_batch: bool
    is_live: bool
    state: tuple[str, str, str]
    queue: str
    slots: str
    created_at: str
    elapsed_s: int | None
    use: str
    cost: str
    reason: str


def read_query(read: Callable[[str], str]) -> HistoryQuery:
    """The filters of an address. Raises InvalidParameters, with a violation per field, for what cannot be."""
    violations: list[Violation] = []

    def choose(name: str, choices: tuple[str, ...]) -> str:
        value = read(name)
        if value and value not in choices:
            message = N_("Choose one of: %(choices)s.")
            violations.append(Violation(message, {"choices": ", ".join(choices)}, name, "invalid"))
        return value

    def number(name: str, standard: int) -> int:
        text = read(name)
        if not text:
            return standard
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_PAGE):
            violations.append(Violation(N_("Give a whole number from 1 on."), {}, name, "invalid"))
            return standard
        return int(text[:9])

    def day(name: str, later: int = 0) -> datetime | None:
        text = read(name)
        try:
            return datetime.combine(date.fromisoformat(text) + timedelta(days=later), datetime.min.time(), UTC) if text else None
        except (ValueError, OverflowError):
            violations.append(Violation(N_("Give a day, such as 2026-11-21."), {}, name, "invalid"))
            return None

    state, session_type = choose("state", STATES), choose("session_type", SESSION_TYPES)
    since, until = day("from"), day("to", 1)
    query = HistoryQuery(
        state=state,
        queue=read("queue")[:MAX_TEXT],
        project=read("project")[:MAX_TEXT],
        session_type=session_type,
        text=read("q")[:MAX_TEXT].replace("\0", ""),
        since=since,
        until=until,
        page=number("page", 1),
        size=number("size", PAGE_SIZE),
    )
    if violations:
        raise InvalidParameters(violations=violations)
    return query


class HistoryHandler(PageHandler):
    """GET lists; filters and page stand in the address."""

    @authenticated
    async def get(self) -> None:
        wrong: list[Violation] = []
        try:
            query = read_query(self._read)
        except InvalidParameters as exc:
            query, wrong = HistoryQuery(), list(exc.violations)
            self.set_status(exc.status)
        found = await self.db.run(list_page, self.identity.name, query)
        currency, now = self.config.make_billing().currency, datetime.now(UTC)
        filters = {name: self._read(name) for name in ("q", "state", "queue", "session_type", "from", "to")}
        self.render_page(
            "history.html",
            lines=[self._describe(past, currency, now) for past in found.sessions],
            has_costs=any(past.bill for past in found.sessions),
            total=found.total,
            page=found.page,
            pages=found.pages,
            filters=filters,
            is_filtered=any(filters.values()),
            queues=[(name, label_queue(self.groups.queues(), name, self.language)) for name in found.queues],
            states=STATE_WORDS,
            types=TYPE_WORDS,
            wrong={violation.field: i18n.explain(self.language, violation) for violation in wrong},
            link_to=lambda number: f"{self.request.path}?{urlencode({**_filled(filters), 'page': number})}",
        )

    def _read(self, name: str) -> str:
        return self.get_query_argument(name, "").strip()

    def _describe(self, past: Past, currency: Currency, now: datetime) -> Line:
        session = past.session
        use = measure_use(session, past.course, now)
        return Line(
            id=session.id,
            title=session.name or ("" if session.is_batch else session.server_name),
            is_batch=session.is_batch,
            is_live=session.is_live,
            state=WORDS.get(session.status, WAITING),
            queue=label_queue(self.groups.queues(), session.queue, self.language),
            slots=describe_slots(session, self.language),
            created_at=session.created_at.isoformat(timespec="seconds"),
            elapsed_s=use.elapsed_s,
            use=describe_use(use, self.language),
            cost=describe_cost(past.bill, use, currency, self.language),
            reason=explain_why(session, past.course, self.language),
        )


def describe_use(use: Use, language: str) -> str:
    """CPU hours, and GPU hours where there are any, for people."""
    if use.elapsed_s is None:
        return ""
    parts = [i18n.translate(language, N_("%(n)s CPU h"), {"n": show_hours(use.cpu_hours)})]
    if use.gpu_hours:
        parts.append(i18n.translate(language, N_("%(n)s GPU h"), {"n": show_hours(use.gpu_hours)}))
    return " · ".join(parts)


def describe_cost(bill: Bill | None, use: Use, currency: Currency, language: str) -> str:
    """What was charged, or what it comes to by now, for people; "" on a free queue."""
    if bill is None:
        return ""
    if bill.charged is not None:
        return currency.format(bill.charged)
    so_far = min(cost(bill.rate, use.elapsed_s or 0, currency), bill.most)
    return i18n.translate(language, N_("%(cost)s so far"), {"cost": currency.format(so_far)})


def show_hours(hours: Decimal) -> str:
    """Hours with as many digits as say something."""
    return f"{hours:,.1f}" if hours >= 10 else f"{hours:.2f}"


def _filled(filters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in filters.items() if value}


default_handlers = [(r"sessions", HistoryHandler)]
