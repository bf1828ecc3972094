"""Who somebody is now, for the hub's refreshes: the directory is asked again, without any password.

Whom it does not have any more, or has locked or closed, loses access; whose groups changed gets what the rules make of them. A
directory that says nothing changes nothing.
"""

from __future__ import annotations

import asyncio
import logging

from ...config import BackendAI
from ...core.identity import Identity, Standing
from ...core.mapping import MappingRules, map_person
from ...errors import BackendUnavailable
from ...identity import Directory
from ...store import mapping, users
from ...store.database import Database
from ...store.models import now
from ..base import PrivateHandler
from .rules import make_rules

log = logging.getLogger("backendai")
# Less than the hub waits for the whole answer, more than one silent server of several costs.
DIRECTORY_S = 7.0


class IdentityDesk:
    """Where the hub asks who somebody is now. One per process."""

    def __init__(self, settings: BackendAI, db: Database, people: Directory) -> None:
        self._db, self._people = db, people
        self._rules: MappingRules = make_rules(settings)
        self._is_local = settings.directory == "local"
        self._asking: dict[str, asyncio.Task[Identity | None]] = {}

    async def get_identity(self, name: str) -> Identity | None:
        """Who this is now; None for somebody who is closed, here or in the directory, or never came.

        A person's browser asks for many things at once: those wait for one answer. Raises BackendUnavailable for our own database.
        """
        task = self._asking.get(name)
        if task is None:
            task = self._asking[name] = asyncio.create_task(self._look(name))
            task.add_done_callback(lambda _: self._asking.pop(name, None))
        return await asyncio.shield(task)

    async def _look(self, name: str) -> Identity | None:
        identity = await self._db.run(users.get_identity, name)
        if identity is None or not identity.is_active:
            return None
        account = await self._db.run(users.get_local_account, name) if self._is_local else None
        try:
            standing: Standing = await asyncio.wait_for(self._people.find(name, account), DIRECTORY_S)
        except (BackendUnavailable, TimeoutError):
            log.warning("%s stays as is: the directory does not answer", name)
            return identity
        if standing.person is None or standing.state:
            log.warning("%s may not work any longer: %s", name, standing.state or standing.detail or "gone")
            return None
        mapped = map_person(standing.person, self._rules)
        if not mapped.is_allowed:
            log.warning("%s may not work any longer: no rule lets them in", name)
            return None
        found = await self._db.run(mapping.sync_refresh, standing.person, mapped, self._rules.managed_projects(), now())
        return found if found.is_active else None


class IdentityHandler(PrivateHandler):
    """``GET /private/identities/<name>``: who this is, null when there is nobody who may work here."""

    async def get(self, name: str) -> None:
        parts = self.application.settings
        if "identity_desk" not in parts:
            parts["identity_desk"] = IdentityDesk(self.config, self.db, self.people)
        identity = await parts["identity_desk"].get_identity(name)
        self.answer({"identity": identity.to_json() if identity else None})
