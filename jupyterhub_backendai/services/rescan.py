"""Looking through container registries: in the background, with a progress that anybody may ask for, one service at a time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..backends.registry import RegistryClient
from ..config import BackendAI
from ..core.identity import Actor
from ..core.registries import Finding, ScannedImage
from ..errors import N_, BackendAIError, Conflict, NotFound, RegistryRefused, RegistryUnavailable
from ..store import audit, images, leases, registries
from ..store.database import Database

log = logging.getLogger("backendai")
AT_ONCE = 8  # questions to one registry
REGISTRIES_AT_ONCE = 2
LEASE_S, RENEW_S = 120.0, 30.0
# So many unanswered questions in a row, and the registry is taken for down: each costs seconds.
MAX_SILENCES = 10
MAX_IMAGES = 100_000
RUNNING, DONE, FAILED = "running", "done", "failed"


@dataclass(slots=True)
class Scan:
    """One look through a registry: how far it is, and in the end what it came to (as ``container_registries.scan_result``)."""

    registry: str
    state: str = RUNNING
    repositories: int = 0
    repositories_done: int = 0
    images: int = 0
    images_done: int = 0
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """How much of what is known by now is done, from 0 to 1. A repository counts as much as an image."""
        done, known = self.repositories_done + self.images_done, self.repositories + self.images
        return 1.0 if self.state != RUNNING else done / known if known else 0.0


class Look:
    """Reads one registry; ``scan`` is told how far it is."""

    def __init__(self, client: RegistryClient, registry: registries.Registry, scan: Scan) -> None:
        self._client, self._registry, self._scan = client, registry, scan
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._silences = 0
        self._images: list[ScannedImage] = []
        self._names: dict[str, set[str]] = {"unchanged": set(), "skipped": set(), "failed": set(), "unread": set()}

    async def read(self) -> Finding:
        """Everything that the registry has. Raises RegistryUnavailable, RegistryRefused and AddressRefused."""
        await self._client.ping()
        catalog = await self._client.list_repositories(self._registry.projects)
        self._scan.repositories = len(catalog.names)
        try:
            async with asyncio.TaskGroup() as group:
                for repository in catalog.names:
                    group.create_task(self._read_repository(group, repository))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the one that ended the others
        names = {key: frozenset(found) for key, found in self._names.items()}
        only = None if catalog.is_complete else frozenset(catalog.names)
        images = tuple(sorted(self._images, key=lambda image: (image.repository, image.tag)))
        return Finding(images, **names, projects=self._registry.projects, only=only)

    async def _read_repository(self, group: asyncio.TaskGroup, repository: str) -> None:
        async with self._turns:
            try:
                tags = await self._client.list_tags(repository)
            except (RegistryUnavailable, RegistryRefused) as exc:
                self._names["unread"].add(repository)
                self._names["failed"].add(repository)
                self._count_silence(exc)
                tags = []
        self._scan.repositories_done += 1
        self._scan.images += len(tags)
        if self._scan.images > MAX_IMAGES:
            raise RegistryRefused(N_("The registry has more images than %(most)s. Name projects of it."), most=MAX_IMAGES)
        for tag in tags:
            group.create_task(self._read_tag(repository, tag))

    async def _read_tag(self, repository: str, tag: str) -> None:
        path = f"{repository}:{tag}"
        async with self._turns:
            try:
                await self._read_image(repository, tag, path)
                self._silences = 0
            except NotFound:
                pass  # deleted while we look: as gone as if it had been a minute ago
            except (RegistryUnavailable, RegistryRefused) as exc:
                self._names["failed"].add(path)
                self._count_silence(exc)
        self._scan.images_done += 1

    async def _read_image(self, repository: str, tag: str, path: str) -> None:
        known = self._registry.known.get(path)
        if known and await self._client.get_digest(repository, tag) == known:
            self._names["unchanged"].add(path)
            return
        image = await self._client.read_image(repository, tag)
        # What has no processor is no image, but something else that people keep in registries.
        if image.architectures and (image.is_labelled or self._registry.takes_unlabelled):
            self._images.append(image)
        else:
            self._names["skipped"].add(path)

    def _count_silence(self, error: BackendAIError) -> None:
        self._silences += isinstance(error, RegistryUnavailable)
        if self._silences >= MAX_SILENCES:
            raise error


class Rescanner:
    """Starts looks through registries and remembers the last one of each."""

    def __init__(self, settings: BackendAI, db: Database) -> None:
        self._settings, self._db = settings, db
        self._holder = secrets.token_hex(8)
        self._scans: dict[str, Scan] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._turns = asyncio.Semaphore(REGISTRIES_AT_ONCE)

    async def rescan(self, actor: Actor, name: str = "") -> list[Scan]:
        """Begin to look through one registry, or through all after reading the environments of the configuration file anew.

        One that is being looked through is not begun again. Raises NotFound, and Conflict for a registry that is no server.
        """
        if name:
            await self._db.run(registries.find_registry, name)
            names = [name]
        else:
            await self._db.run_exclusive(images.sync, self._settings.list_environments())
            await self._db.run(audit.record, actor=actor.name, action="image.rescan", source=actor.source)
            names = await self._db.run(registries.list_registries)
        return [self._start(actor, item) for item in names]

    async def wait(self) -> None:
        """Return when nothing is under way."""
        while pending := [task for task in self._tasks.values() if not task.done()]:
            await asyncio.wait(pending)

    async def list_scans(self) -> list[Scan]:
        """The last look through each registry, whichever service had it; one that was never looked through has state ""."""
        found = []
        for name, result in (await self._db.run(registries.list_results)).items():
            own = self._scans.get(name)
            if own is not None and own.state == RUNNING:
                found.append(own)
                continue
            kept = {key: value for key, value in result.items() if key not in ("state", "scanned_at")}
            found.append(Scan(name, str(result.get("state", "")), result=kept))
        return found

    async def close(self) -> None:
        """End what is under way; nothing of it is kept."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _start(self, actor: Actor, name: str) -> Scan:
        task = self._tasks.get(name)
        if task is None or task.done():
            self._scans[name] = Scan(name)
            self._tasks[name] = asyncio.create_task(self._run(actor, self._scans[name]))
        return self._scans[name]

    async def _run(self, actor: Actor, scan: Scan) -> None:
        began = time.monotonic()
        try:
            async with self._turns:
                outcome = await self._look(actor, scan)
            scan.state = DONE
            log.info("The registry %s was looked through in %.1f s: %s", scan.registry, time.monotonic() - began, outcome)
        except Exception as exc:
            error = exc if isinstance(exc, BackendAIError) else BackendAIError()
            level = logging.WARNING if isinstance(exc, BackendAIError) else logging.ERROR
            log.log(level, "The registry %s cannot be looked through: %s", scan.registry, exc, exc_info=error is not exc)
            with contextlib.suppress(BackendAIError):
                await self._db.run(registries.keep_failure, actor, scan.registry, error)
            scan.state = FAILED  # only now: whoever hears that it is over finds what it came to

    async def _look(self, actor: Actor, scan: Scan) -> dict[str, int]:
        lease = f"rescan:{scan.registry}"[:64]
        if not await self._db.run_exclusive(leases.take, lease, self._holder, LEASE_S):
            raise Conflict(N_("Another service looks through this registry right now."))
        keeper = asyncio.create_task(self._keep_lease(lease))
        try:
            registry = await self._db.run(registries.find_registry, scan.registry)
            rules = self._settings.address_rules()
            login = {"user_name": registry.user_name, "password": registry.password}
            async with RegistryClient(registry.url, kind=registry.type, rules=rules, **login) as client:
                finding = await Look(client, registry, scan).read()
            outcome = await self._db.run_exclusive(registries.keep_finding, actor, registry, finding)
        finally:
            keeper.cancel()
            await self._db.run(leases.give_back, lease, self._holder)
        return {name: getattr(outcome, name) for name in ("added", "updated", "unchanged", "gone", "failed", "skipped")}

    async def _keep_lease(self, lease: str) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            with contextlib.suppress(BackendAIError):
                await self._db.run_exclusive(leases.take, lease, self._holder, LEASE_S)


def is_running(scans: Sequence[Scan]) -> bool:
    """Whether any of them goes on."""
    return any(scan.state == RUNNING for scan in scans)
