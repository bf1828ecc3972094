"""The page of one session of one's own, live or over, and what can be done there: look at its log, give it more time, keep it, end it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

from .. import i18n
from ..core.logs import clean_log
from ..core.prices import Currency, most_cost
from ..core.queues import Queue
from ..core.sessions import SessionStatus
from ..core.vfolder_mounts import LINKING_ENGINES
from ..errors import N_, BackendAIError, BackendUnavailable, Unauthenticated
from ..store import ends, session_mounts
from ..store.batch import read_command
from ..store.ends import Course, find_session_end
from ..store.history import Bill, load_bills
from ..store.sessions import SessionInfo
from . import batch, extensions
from .auth import authenticated
from .base import PageHandler, PrivateHandler
from .history import describe_cost, describe_use
from .launch_mounts import describe_mounted
from .own_sessions import (
    describe_end,
    explain_why,
    extend_own,
    find_own,
    find_url,
    is_running,
    keep_own,
    list_now,
    list_steps,
    load_recent_log,
    measure_use,
    read_log,
)
from .servers import list_servers
from .summary import describe_slots, find_state, label_queue
from .wait_page import load_wait

BATCH_STATES = batch.STATES
ENDED = ("run", "idle", N_("ended"))


class SessionHandler(PageHandler):
    """GET shows one session of the caller's."""

    @authenticated
    async def get(self, session_id: str) -> None:
        await self.show(await find_own(self, session_id))

    async def show(self, session: SessionInfo, refusal: str = "", asked: str = "") -> None:
        """The page; ``refusal`` says why what was ``asked`` for on it was not done."""
        course = await self.db.run(ends.load_course, session.id)
        bill = (await self.db.run(load_bills, [session.id])).get(session.id)
        queue = self.groups.queues().get(session.queue)
        servers = await self._load_servers(session)
        url, is_ready = find_url(self, session, servers) if servers is not None else ("", False)
        server = (servers or {}).get(session.server_name)
        use = measure_use(session, course, datetime.now(UTC))
        currency = self.config.make_billing().currency
        offer_s = await extensions.offer_s(self, session) if is_running(session) else 0
        self.render_page(
            "session.html",
            session=session,
            course=course,
            wait=await load_wait(self, session),
            command=await self.db.run(read_command, session.id) if session.is_batch else "",
            state=self._find_state(session, server),
            queue=label_queue(self.groups.queues(), session.queue, self.language),
            slots=describe_slots(session, self.language),
            mounts=describe_mounted(await self.db.run(session_mounts.load, session.id)),
            has_links=session.engine in LINKING_ENGINES,
            reason=explain_why(session, course, self.language),
            delay=await batch.explain_delay(self, session, self.language) if session.is_live and session.is_batch else "",
            end=describe_end(find_session_end(session, course), self.language, self.config.warn_before_s, time.time()),
            steps=self._price_steps(session, bill, list_steps(offer_s), currency),
            policy=describe_policy(queue, course, self.language),
            refusal=refusal,
            asked=asked,
            log=await read_log(self, session),
            use=describe_use(use, self.language),
            elapsed_s=use.elapsed_s,
            cost=describe_cost(bill, use, currency, self.language),
            at_most=currency.format(bill.most) if bill and bill.charged is None else "",
            url=url,
            is_ready=is_ready,
            can_end=session.is_live and session.status is not SessionStatus.TERMINATING,
            hub_is_away=servers is None,
        )

    async def _load_servers(self, session: SessionInfo) -> dict[str, Any] | None:
        """The caller's servers; None while the hub does not say."""
        if session.is_batch or not session.is_live:
            return {}
        try:
            return await list_servers(self)
        except (BackendUnavailable, Unauthenticated):
            return None

    @staticmethod
    def _find_state(session: SessionInfo, server: dict[str, Any] | None) -> tuple[str, str, str]:
        if session.is_batch or not session.is_live:
            state = BATCH_STATES.get(session.status, BATCH_STATES[SessionStatus.SCHEDULED])
            return state if session.is_batch or session.status is not SessionStatus.TERMINATED else ENDED
        return find_state(session, server)

    def _price_steps(self, session: SessionInfo, bill: Bill | None, steps: list[int], currency: Currency) -> list[tuple[int, str]]:
        """What can be added at once, in words, with the most that it costs."""
        found = []
        for step in steps:
            words = i18n.format_span(self.language, step)
            if bill is not None:
                more = most_cost(bill.rate, session.time_limit_s + step, currency) - bill.most
                params = {"time": words, "cost": currency.format(more)}
                words = i18n.translate(self.language, N_("%(time)s, at most %(cost)s more"), params)
            found.append((step, words))
        return found


class LogHandler(PageHandler):
    """GET the end of the log as plain text; with ``download`` as it is, as a file."""

    @authenticated
    async def get(self, session_id: str) -> None:
        session = await find_own(self, session_id)
        is_wanted = bool(self.get_query_argument("download", ""))
        log = await load_recent_log(self, session)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Content-Security-Policy", "default-src 'none'; sandbox")
        if is_wanted:
            self.set_header("Content-Disposition", f'attachment; filename="session-{session.id[:8]}.log"')
            self.finish(log.encode("utf-8", "replace"))
            return
        self.set_header("X-Session-Live", "yes" if session.is_live else "no")
        self.finish(clean_log(log).encode("utf-8", "replace"))


class ExtendHandler(SessionHandler):
    """POST gives one session of the caller's more time."""

    @authenticated
    async def post(self, session_id: str) -> None:
        session = await find_own(self, session_id)
        asked = self.get_body_argument("time", "")[:32]
        try:
            await extend_own(self, session, asked)
        except BackendAIError as exc:
            self.set_status(exc.status)
            texts = [i18n.explain(self.language, violation) for violation in exc.violations] or [i18n.explain(self.language, exc)]
            await self.show(session, " ".join(texts), asked)
            return
        self.redirect(f"{self.hub_auth.base_url}sessions/{session_id}", status=303)

    @authenticated
    async def get(self, session_id: str) -> None:
        """Where a reload of a refusal goes."""
        self.redirect(f"{self.hub_auth.base_url}sessions/{session_id}")


class KeepHandler(PageHandler):
    """POST keeps one session of the caller's that nobody seems to use."""

    @authenticated
    async def post(self, session_id: str) -> None:
        await keep_own(self, await find_own(self, session_id))
        self.redirect(f"{self.hub_auth.base_url}sessions/{session_id}", status=303)


class EndHandler(PageHandler):
    """POST ends one session of the caller's: a batch session's job, or the notebook by the hub and in the caller's name."""

    @authenticated
    async def post(self, session_id: str) -> None:
        session = await find_own(self, session_id)
        if session.is_batch and session.is_live:
            await batch.end(self, session)
        elif session.is_live:
            status, _ = await self.hub.stop_server(self.user_model["name"], session.server_name, token=self.hub_auth.get_token(self))
            if status == 401:
                raise Unauthenticated
            if status not in (202, 204, 404):
                raise BackendUnavailable(N_("It could not be stopped right now. Try again in a minute."))
        self.redirect(f"{self.hub_auth.base_url}sessions/{session_id}", status=303)


class NowHandler(PageHandler):
    """GET the caller's live sessions and their ends as JSON, for the pages of ours that warn."""

    @authenticated
    async def get(self) -> None:
        found = await list_now(self, self.identity.name, self.language, self.hub_auth.base_url)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps({"sessions": found, "language": self.language}, ensure_ascii=False))


class HubNowHandler(PrivateHandler):
    """``GET /private/ends``: the same for the hub's pages, whose scripts have no login at the service."""

    async def get(self) -> None:
        asked = {name: self.get_query_argument(name, "")[:256] for name in ("user", "language", "base_url")}
        language = asked["language"] if asked["language"] in i18n.LANGUAGES else i18n.DEFAULT_LANGUAGE
        await self.groups.ready()
        self.answer({"sessions": await list_now(self, asked["user"], language, asked["base_url"]), "language": language})


def describe_policy(queue: Queue | None, course: Course, language: str) -> str:
    """What a resource group permits in more time and what of that is used, "" where it permits none."""
    if queue is None or not queue.extension_time_s:
        return ""
    if queue.extension_by != "owner":
        return i18n.translate(language, N_("Here administrators give sessions more time. Ask your centre's help desk."))
    params = {"time": i18n.format_span(language, queue.extension_time_s), "count": queue.extension_count}
    message = N_("A session gets at most %(time)s more here.")
    if queue.extension_count is not None:
        message = N_("A session gets at most %(time)s more here, in at most %(count)s steps.")
    words = [i18n.translate(language, message, params)]
    if course.extensions:
        used = {"time": i18n.format_span(language, course.extended_s), "count": course.extensions}
        words.append(i18n.translate(language, N_("It was given %(time)s in %(count)s steps already."), used))
    return " ".join(words)


default_handlers = [
    (r"sessions/now", NowHandler),
    (r"sessions/([0-9a-f]{32})", SessionHandler),
    (r"sessions/([0-9a-f]{32})/log", LogHandler),
    (r"sessions/([0-9a-f]{32})/extend", ExtendHandler),
    (r"sessions/([0-9a-f]{32})/keep", KeepHandler),
    (r"sessions/([0-9a-f]{32})/end", EndHandler),
]
private_handlers = [(r"/private/ends", HubNowHandler)]
