"""What happens to a start that the hub's end interrupted: it goes on, as if nothing had been.

The hub itself knows only servers that run and servers that do not. One that was still starting would be asked for its address,
waited for, and then stopped. So until the hub has checked everything, such a server shows itself as *pending spawn, without a server*:
the hub then leaves it alone, and its pending page, progress, Stop and port report work as in any start.

A session that ran when the hub ended is hidden in the same way: the hub would stop one that does not answer within ``http_timeout``,
but a scheduler may have suspended it, or its node may be out of reach for a while. Only its engine says that it is over.

Private names of the hub are touched here and nowhere else; tests/spawner has a test for each.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.spawner import Spawner
from jupyterhub.utils import hash_token

if TYPE_CHECKING:
    from jupyterhub.spawner import Spawner as _Base

    from .launchers.base import Launcher
else:
    _Base = object  # every subclass of Spawner must be able to start, which this part cannot

STARTING = frozenset({"waiting", "submitting", "pending"})


class Adoption(_Base):
    """The part of the policy spawner that adopts an interrupted start."""

    phase: str
    _is_resuming = False
    _spawn_future: asyncio.Future[None] | None = None
    _keeping: asyncio.Future[None] | None = None

    if TYPE_CHECKING:

        @property
        def launcher(self) -> Launcher: ...
        def save(self, phase: str) -> None: ...
        async def resume(self) -> str: ...

    def adopt(self) -> None:
        """Go on with the start that the saved state tells of. Called while the hub loads its servers."""
        self._is_resuming = True
        self._spawn_pending = True
        self._spawn_future = asyncio.ensure_future(self._adopt())
        self._spawn_future.add_done_callback(self._adopted)

    def keep(self) -> None:
        """Look after a session that ran when the hub ended. Called while the hub loads its servers."""
        self._is_resuming = True
        self._keeping = asyncio.ensure_future(self._keep())

    async def _keep(self) -> None:
        while self._check_pending:
            await asyncio.sleep(0.02)
        self._is_resuming = False
        if self.server is None or self._stop_pending:
            return
        if self.user.name in self.authenticator.blocked_users:
            self.log.warning("Stopping the server of a blocked user: %s", self._log_name)
            await self.user.stop(self.name)
        elif await self.poll() is None:
            self.log.info("%s still running", self._log_name)
            self.add_poll_callback(self._ended_by_itself)
            self.start_polling()
        else:
            self.log.warning("%s ended while the hub was away", self._log_name)
            await self._ended_by_itself()

    def _get_server(self) -> Any:
        if self._is_resuming and self._check_pending:
            return None
        return Spawner.server.fget(self)

    def _set_server(self, server: Any) -> None:
        Spawner.server.fset(self, server)

    server = property(_get_server, _set_server)

    async def _adopt(self) -> None:
        while self._check_pending:  # the hub's flag; it has no event
            await asyncio.sleep(0.02)
        self._is_resuming = False
        self.log.info("Going on with the start of %s", self._log_name)
        try:
            if self.user.name in self.authenticator.blocked_users:
                raise RuntimeError(f"{self.user.name} is blocked")
            url = urlsplit(await self.resume())
            self.server.proto, self.server.ip, self.server.port = url.scheme, url.hostname, url.port
            self.save("running")
            self._waiting_for_response = True
            await self.user._wait_up(self)
            self._proxy_pending = True
            try:
                await JupyterHub.instance().proxy.add_user(self.user, self.name)
            finally:
                self._proxy_pending = False
            self.add_poll_callback(self._ended_by_itself)
            self.start_polling()
        except Exception:
            if self.phase:  # else the hub has stopped it already
                await self.user.stop(self.name)
            raise

    def renew_token(self, token_id: int | None) -> int | None:
        """A new token for the server in place of one whose text only an earlier hub process knew; its id."""
        old = self.user.db.get(orm.APIToken, token_id) if token_id else None
        if old is None or old.user is not self.user.orm_user:
            return None
        self.api_token = self.user.new_api_token(note=old.note, scopes=list(old.scopes))
        if self.orm_spawner.oauth_client:
            self.orm_spawner.oauth_client.secret = hash_token(self.api_token)
        self.user.db.delete(old)
        self.user.db.commit()
        new = orm.APIToken.find(self.user.db, self.api_token)
        return new.id if new else None

    def _adopted(self, future: asyncio.Future[None]) -> None:
        """What the hub does at the end of a start; an exception stays, because the pages show it."""
        self._is_resuming = False
        self._spawn_pending = False
        if future.cancelled() or future.exception() is None:
            self._spawn_future = None
        else:
            self.log.error("The adopted start of %s failed: %s", self._log_name, future.exception())

    async def _ended_by_itself(self) -> None:
        await JupyterHub.instance().proxy.delete_user(self.user, self.name)
        await self.user.stop(self.name)
