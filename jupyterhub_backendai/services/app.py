"""The service: one process, two listeners. ``python -m jupyterhub_backendai.services.app --config jupyterhub_config.py``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tornado.httpserver import HTTPServer
from tornado.web import Application, HTTPError, StaticFileHandler

from .. import backends, identity
from ..backends.base import Backend
from ..config import BackendAI, load_settings
from ..errors import BackendAIError, NotFound
from ..identity.local import hash_password
from ..identity.mail import NoMailer, make_mailer
from ..store.crypt import Crypt
from ..store.database import Database
from ..store.safe import Safe
from ..templating import STATIC, make_environment
from . import accounts, discovery, folder_parts, metrics
from .auth import make_hub_auth
from .base import JSONHandler, PageHandler, PrivateHandler
from .batch_runner import BatchRunner
from .billing import Biller
from .bulk_imports import BulkImporter
from .end_mails import EndMails
from .factors import connect_factor
from .folder_parts import FolderParts
from .groups import ResourceGroups
from .health import Health
from .hub import HubClient
from .idle import IdleChecker
from .nodes import NodesReader
from .process import PidFile, close_private, die_with_parent, open_private, open_public, socket_inode
from .queues import FiguresReader
from .rate import RateLimiter
from .reconcile import Reconciler
from .rescan import Rescanner
from .schedule import Scheduler
from .slot_types import SlotLearner
from .wait_mails import WaitMails
from .waits import WaitsReader

log = logging.getLogger("backendai")
MAX_BODY = 4 * 1024 * 1024  # a file of ten thousand people
RESTART_S = 5
# Every module with routes; each ends with `default_handlers` (public, beneath the prefix) or `private_handlers`, or both.
MODULES = (
    "account",
    "accounts",
    "active_logins",
    "admin",
    "announcements",
    "auth",
    "bills",
    "data",
    "health",
    "history",
    "language",
    "launch",
    "login",
    "nodes",
    "queues",
    "schedule",
    "session_page",
    "sessions",
    "summary",
    "wait_page",
    "waits",
    "rest.account",
    "rest.queues",
    "rest.nodes",
    "rest.batch",
    "rest.bills",
    "rest.own_sessions",
    "rest.otp",
    "rest.quota_scopes",
    "rest.admin",
    "rest.announcements",
    "rest.configuration",
    "explorer",
    "explorer_acts",
    "explorer_views",
    "rest.folder_files",
    "rest.check_presets",
    "rest.recalculate",
    "rest.rescan",
    "rest.resource_presets",
    "rest.settings",
    "rest.standing",
    "rest.vfolder_sharing",
    "rest.statistics",
    "rest.vfolders",
    "rest.waits",
    "storage.downloads",
    "storage.listings",
    "storage.plain",
    "storage.tus",
)


def join_handlers(name: str) -> list[tuple[Any, ...]]:
    """The routes of one kind of all modules."""
    modules = [importlib.import_module(f"{__package__}.{module}") for module in MODULES]
    return [route for module in modules for route in getattr(module, name, ())]


class NotFoundPage(PageHandler):
    """Every address beneath the prefix that is nothing."""

    async def prepare(self) -> None:
        await super().prepare()
        raise HTTPError(404)


class NotFoundPrivate(PrivateHandler):
    """The same on the private listener."""

    async def prepare(self) -> None:
        await super().prepare()
        raise HTTPError(404)


class Static(StaticFileHandler):
    """Our style sheets and scripts, open to all; an address with ``?v=`` never changes."""

    def set_extra_headers(self, path: str) -> None:  # noqa: ARG002 - tornado's signature
        self.set_header("X-Content-Type-Options", "nosniff")


def make_app(settings: BackendAI, db: Database, **parts: Any) -> Application:
    """The public application, on a database that can keep secrets from now on.

    ``parts``: ``hub``, ``hub_auth``, ``figures``, ``backends``, ``people``, ``factor``, ``mail``, ``health``.
    """
    _add_missing(parts, settings, db)
    parts.setdefault("rate_limiter", RateLimiter(db))
    parts.setdefault("importer", BulkImporter(db))
    hub_auth = parts["hub_auth"]
    prefix = hub_auth.base_url
    routes = [(prefix + path, *rest) for path, *rest in join_handlers("default_handlers")]
    return Application(
        [
            *routes,
            (f"{prefix}static/(.*)", Static, {"path": str(STATIC)}),
            (f"{prefix.rstrip('/')}", _AddSlash),
            (r".*", NotFoundPage),
        ],
        settings=settings,
        db=db,
        jinja=make_environment(),
        cookie_secret=settings.read_secret("cookie"),
        log_function=log_request,
        **parts,
    )


def make_private_app(settings: BackendAI, db: Database, **parts: Any) -> Application:
    """The application of the private listener: the hub's calls, and nothing of the public one."""
    _add_missing(parts, settings, db)
    return Application(
        [*join_handlers("private_handlers"), (r".*", NotFoundPrivate)],
        settings=settings,
        db=db,
        private_secret=settings.read_secret("private"),
        log_function=log_request,
        **parts,
    )


def _add_missing(parts: dict[str, Any], settings: BackendAI, db: Database) -> None:
    """What both applications work with, where nobody gave it; and how the database keeps secrets."""
    db.info["safe"] = make_safe(settings)
    db.info["billing"] = settings.make_billing()
    parts.setdefault("groups", ResourceGroups(settings, db))
    parts.setdefault("nodes", NodesReader(db, parts.get("backends", {})))
    folder_parts.add_missing(parts, settings, db)
    parts.setdefault("scheduler", Scheduler(db, parts["groups"]))
    parts.setdefault("batch_runner", BatchRunner(settings, db, parts["groups"], parts.get("backends", {}), parts["scheduler"]))
    parts.setdefault("rescanner", Rescanner(settings, db))
    parts.setdefault("waits", WaitsReader(db))
    parts.setdefault("wait_mails", WaitMails(settings, db, parts.get("mail") or NoMailer()))


def make_safe(settings: BackendAI) -> Safe:
    """How secrets are kept here; passwords only with the embedded directory."""
    return Safe(Crypt(settings.read_secret("crypt")), hash_password if settings.directory == "local" else None)


class _AddSlash(JSONHandler):
    async def get(self) -> None:
        self.redirect(self.request.path + "/", permanent=True)


def log_request(handler: Any) -> None:
    """Count every request; write down those that are worth a look. Never the query: it may hold what somebody typed."""
    status = handler.get_status()
    metrics.REQUESTS.labels(type(handler).__name__, str(status)).observe(handler.request.request_time())
    level = logging.WARNING if status >= 500 else logging.DEBUG
    log.log(level, "%s %s %s %.0f ms", status, handler.request.method, handler.request.path, 1000 * handler.request.request_time())


class Service:
    """All parts, made in order and ended in reverse."""

    def __init__(self, settings: BackendAI, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self.url = environ.get("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1:10001")
        self._environ = environ
        self._tasks: list[asyncio.Task[None]] = []
        self._private_inode = 0

    async def start(self) -> None:
        """Listen first; whatever else is in trouble is then said on the maintenance page."""
        os.makedirs(self.settings.state_dir, mode=0o700, exist_ok=True)  # noqa: PTH103 - before anything else runs in this loop
        parts = self._make_parts()
        await self._listen(parts)
        self._begin_work()

    def _make_parts(self) -> dict[str, Any]:
        """Everything that works here, by the names that the applications know it by."""
        settings = self.settings
        self.db = Database(settings.database_url)
        self.health = Health(self.db.check)
        self.hub = HubClient(self._environ.get("JUPYTERHUB_API_URL", ""), self._environ.get("JUPYTERHUB_API_TOKEN", ""))
        self.backends = make_backends(settings)
        self.groups = ResourceGroups(settings, self.db, self.backends)
        self.figures = FiguresReader(settings, self.db, self.backends, self.groups)
        self.people = identity.connect(settings)
        self.factor = connect_factor(settings, self.db, self.people)
        accounts.check_settings(settings)
        self.mail = make_mailer(settings)
        self.accounts = accounts.AccountDesk(settings, self.db, self.mail)
        self.scheduler = Scheduler(self.db, self.groups)
        self.rescanner = Rescanner(settings, self.db)
        self.importer = BulkImporter(self.db)
        self.batch_runner = BatchRunner(settings, self.db, self.groups, self.backends, self.scheduler)
        self.reconciler = Reconciler(settings, self.db, self.hub, self.backends)
        self.biller = Biller(settings, self.db, self.hub, self.backends, self.batch_runner, self.mail)
        self.wait_mails = WaitMails(settings, self.db, self.mail)
        self.folders = FolderParts(settings, self.db)
        return {
            **self.folders.by_name,
            "hub": self.hub,
            "hub_auth": make_hub_auth(settings),
            "figures": self.figures,
            "groups": self.groups,
            "nodes": NodesReader(self.db, self.backends),
            "scheduler": self.scheduler,
            "batch_runner": self.batch_runner,
            "importer": self.importer,
            "reconciler": self.reconciler,
            "rescanner": self.rescanner,
            "backends": self.backends,
            "people": self.people,
            "factor": self.factor,
            "mail": self.mail,
            "waits": WaitsReader(self.db),
            "wait_mails": self.wait_mails,
            "account_desk": self.accounts,
            "health": self.health,
            "identities": {},
        }

    async def _listen(self, parts: Mapping[str, Any]) -> None:
        settings = self.settings
        public = make_app(settings, self.db, **parts)
        private = make_private_app(settings, self.db, **parts)
        self._pid_file = PidFile(Path(settings.state_dir, f"service-{urlsplit(self.url).port}.pid"))
        self._public = HTTPServer(public, xheaders=True, max_body_size=MAX_BODY, max_buffer_size=2 * MAX_BODY)
        self._private = HTTPServer(private, max_body_size=MAX_BODY, max_buffer_size=2 * MAX_BODY)
        self._public.add_sockets(await open_public(self.url, self._pid_file))
        self._private.add_sockets(open_private(settings.private_url))
        self._private_inode = socket_inode(settings.private_url)
        log.info("Listening on %s and %s", self.url, settings.private_url)

    def _begin_work(self) -> None:
        self.idle = IdleChecker(self.db, self.hub, warn_before_s=self.settings.warn_before_s)
        works = (
            self.groups.run,
            self.figures.run,
            self.reconciler.run,
            self.scheduler.run,
            self.batch_runner.run,
            self.idle.run,
            EndMails(self.settings, self.db, self.mail).run,
            self.biller.run,
            SlotLearner(self.db, self.backends, self.groups).run,
            self.accounts.run,
            self.wait_mails.run,
            *self.folders.works,
        )
        self._tasks = [asyncio.create_task(self.health.run()), *(asyncio.create_task(self._keep(work)) for work in works)]

    async def _keep(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do work that needs the database for ever; a fault of ours in it is logged and does not end it."""
        while True:
            await self.health.recovered.wait()
            try:
                await work()
            except Exception:
                log.exception("Background work failed; it begins again in %s s", RESTART_S)
            await asyncio.sleep(RESTART_S)

    async def stop(self) -> None:
        """Take no more requests, finish those that are under way, end the parts."""
        self._public.stop()
        self._private.stop()
        close_private(self.settings.private_url, self._private_inode)
        await end_tasks(self._tasks)
        for server in (self._public, self._private):
            try:
                await asyncio.wait_for(server.close_all_connections(), 3)
            except TimeoutError:
                log.warning("Requests were cut off")
        await self.folders.close()
        await self.rescanner.close()
        await self.importer.close()
        await self.hub.close()
        if self.factor:
            await self.factor.close()
        await self.people.close()
        await self.mail.close()
        await self.db.close()
        self._pid_file.remove()


async def end_tasks(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel until all are over: Python 3.11's ``wait_for`` loses a cancellation that comes together with its result."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=1)


def make_backends(settings: BackendAI) -> dict[str, Backend]:
    """The engines that the configured queues name; one that is not ours is seen through the hub only."""
    found = {}
    discovered = {discovery.ENGINE} if discovery.is_wanted(settings) else set()
    for engine in {queue.engine for queue in settings.list_queues().values()} | discovered:
        with contextlib.suppress(NotFound):
            found[engine] = backends.connect(settings, engine)
    return found


async def run(settings: BackendAI) -> None:
    """Serve until SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for kind in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(kind, stopped.set)
    service = Service(settings, os.environ)
    await service.start()
    await stopped.wait()
    log.info("Stopping")
    await service.stop()


def main(arguments: Sequence[str] | None = None) -> int:
    parent = os.getppid()
    parser = argparse.ArgumentParser(description="The service of Backend.AI on JupyterHub; JupyterHub starts it.")
    parser.add_argument("--config", default="jupyterhub_config.py", help="the hub's configuration file")
    options = parser.parse_args(arguments)
    die_with_parent(parent)
    logging.basicConfig(level=logging.INFO, format="[%(levelname).1s %(asctime)s %(name)s] %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it speaks at each look at the revision
    try:
        settings = load_settings(options.config)
        asyncio.run(run(settings))
    except BackendAIError as exc:
        print(f"backendai: {exc}", file=sys.stderr)  # noqa: T201 - a program's last word to its operator
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
