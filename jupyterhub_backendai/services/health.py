"""Whether the service can work: the watch on its database, ``/health``, ``/metrics`` and the maintenance page."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable

from ..errors import BackendUnavailable
from ..store.sessions import count_live
from . import metrics
from .base import ApiHandler, JSONHandler, PageHandler

log = logging.getLogger("backendai")
METRICS_SCOPE = "custom:backendai:read:metrics"
CHECK_S, RECHECK_S, ANSWER_S = 5.0, 1.0, 10.0
ONE_PERSON = "There is no helper: all sessions run as the account of the hub. This is for one person or a first look."
ONE_ACCOUNT = "There is no helper: the files of all virtual folders belong to the account of the service, uid %s. This serves one person."


class Health:
    """Asks the database every few seconds whether it can be used; ``trouble`` says why not."""

    def __init__(self, check: Callable[[], Awaitable[str]]) -> None:
        self._check = check
        self.trouble = "Starting"
        self.recovered = asyncio.Event()

    async def look(self) -> str:
        """Ask now."""
        try:
            trouble = await asyncio.wait_for(self._check(), ANSWER_S)
        except TimeoutError:
            trouble = "The database does not answer."
        except Exception as exc:  # noqa: BLE001 - whatever it is, the service must go on listening and say so
            trouble = f"The database cannot be used: {exc}"
        if trouble != self.trouble:
            log.log(logging.ERROR if trouble else logging.INFO, "%s", trouble or "The database can be used")
        self.trouble = trouble
        if not trouble:
            self.recovered.set()
        return trouble

    async def run(self) -> None:
        """Ask for ever; cancelled when the service stops."""
        while True:
            await self.look()
            await asyncio.sleep(RECHECK_S if self.trouble else CHECK_S)


class HealthHandler(JSONHandler):
    """For load balancers and people on call; open to all, and tells nothing of anybody."""

    async def get(self) -> None:
        if self.trouble:
            self.set_header("Retry-After", "5")
            self.answer({"status": "unavailable", "reason": self.trouble}, 503)
            return
        figures = self.figures.figures()
        age = round(time.time() - figures.read_at, 1) if figures.read_at else None
        notes = [ONE_PERSON] if runs_as_one_person(self.config.slurm_submit, self.config.helper_socket) else []
        if getattr(self.application.settings.get("storage"), "is_single_user", False):
            notes.append(ONE_ACCOUNT % os.getuid())
        self.answer({"status": "ok", "figures_age_s": age, "figures_error": figures.error, "notes": notes})


class MetricsHandler(ApiHandler):
    """For Prometheus, with a token that holds the scope."""

    hub_scopes = frozenset({METRICS_SCOPE})

    async def get(self) -> None:
        _ = self.user_model
        counts = {}
        with contextlib.suppress(BackendUnavailable):
            counts = dict(await self.db.run(count_live))
        ages: dict[str, float | None] = {}
        queues = self.groups.queues()
        for name, row in self.figures.figures().queues.items():
            if name in queues:
                ages[queues[name].engine] = row.read_at
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        await self.finish(metrics.render(counts, ages))


class RootHandler(PageHandler):
    """The prefix itself: on to the launch page; while the database is away a page that says so, with 200 for the hub's sake."""

    works_in_trouble = True

    async def prepare(self) -> None:
        """Nobody is identified here: the hub itself asks this address before it answers anybody."""
        self._hub_auth_user_cache = None

    async def get(self) -> None:
        if not self.trouble:
            self.redirect(f"{self.request.path}launch")
            return
        self.set_header("Retry-After", "5")
        self.set_header("Refresh", "5")
        self.render_page("maintenance.html")


def runs_as_one_person(slurm_submit: str, helper_socket: str) -> bool:
    """Whether nothing here could run jobs as their owners: no helper, and no other way to submit."""
    return slurm_submit == "helper" and not os.path.exists(helper_socket)  # noqa: PTH110 - one stat, no object


default_handlers = [(r"", RootHandler), (r"health", HealthHandler), (r"metrics", MetricsHandler)]
