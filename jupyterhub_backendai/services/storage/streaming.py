"""Requests whose body goes to a disk as it comes, and never into memory."""

from __future__ import annotations

import asyncio
import logging

from tornado.web import stream_request_body

from ...core.vfolders import HostPermission
from ...errors import BackendAIError, TooLarge
from ..auth import find_identity, refuse_write
from ..base import HubUserHandler
from ..folder_files import OpenFolder, open_folder
from .uploads import Uploads

log = logging.getLogger("backendai")
IDLE_S = 60.0
MAX_DRAIN = 64 * 1024 * 1024
_LOOK_S = 5.0


@stream_request_body
class StreamedHandler(HubUserHandler):
    """A body that is taken piece by piece: :meth:`begin`, :meth:`take` …, then the method; :meth:`interrupt` when it breaks off.

    Whatever is refused on the way is answered when the rest of the body has come (to a limit), because a client that is cut off while
    it sends never reads why.
    """

    max_bytes = MAX_DRAIN
    _refusal: BaseException | None = None
    _watch: asyncio.Task[None] | None = None
    _has_begun = False
    _arrived = _seen = 0

    async def prepare(self) -> None:
        try:
            await super().prepare()
            if not self.current_user:
                await refuse_write(self)
            self.identity = await find_identity(self)
            await self.begin()
            self._has_begun = True
        except Exception as exc:  # noqa: BLE001 - raised again by check() when the body has come
            self._refuse(exc)
        length = self.length
        limit = MAX_DRAIN if self._refusal else max(self.max_bytes, MAX_DRAIN)
        if length is not None and length > limit:
            if self._refusal is None:
                await self._interrupt_once()
                self._refusal = TooLarge()
            raise self._refusal  # at once: nobody waits for so much that is not wanted
        self.request.connection.set_max_body_size(limit)  # type: ignore[union-attr] # tornado's own server
        self._watch = asyncio.create_task(self._watch_idle())

    @property
    def length(self) -> int | None:
        """What the client says that it sends; None where it does not say."""
        text = self.request.headers.get("Content-Length", "")
        return int(text) if text.isascii() and text.isdigit() else None

    async def begin(self) -> None:
        """Before the first byte: who may, and where to."""

    async def take(self, data: bytes) -> None:
        """A piece of the body."""

    async def interrupt(self) -> None:
        """The body broke off, or something was refused: put away what :meth:`begin` opened."""

    async def data_received(self, chunk: bytes) -> None:
        self._arrived += len(chunk)
        if self._refusal is not None:
            return
        try:
            await self.take(chunk)
        except Exception as exc:  # noqa: BLE001 - raised again by check() when the rest has come
            self._refuse(exc)
            await self._interrupt_once()

    def check(self) -> None:
        """Call it first in the method: raises what was refused on the way."""
        if self._watch is not None:
            self._watch.cancel()
        if self._refusal is not None:
            raise self._refusal

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self._end_early()

    def on_finish(self) -> None:
        super().on_finish()
        self._end_early()

    def _end_early(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if self._has_begun:
            self.uploads.keep(self._interrupt_once())

    async def _interrupt_once(self) -> None:
        if self._has_begun:
            self._has_begun = False
            await self.interrupt()

    def _refuse(self, exc: BaseException) -> None:
        if not isinstance(exc, BackendAIError):
            log.debug("%s %s is refused: %r", self.request.method, self.request.path, exc)
        self._refusal = exc

    async def _watch_idle(self) -> None:
        """Cut off who sends nothing: it would hold an upload that it goes on with on another connection."""
        idle_s = 0.0
        while idle_s < IDLE_S:
            await asyncio.sleep(_LOOK_S)
            idle_s = idle_s + _LOOK_S if self._seen == self._arrived else 0.0
            self._seen = self._arrived
        stream = getattr(self.request.connection, "stream", None)
        if stream is not None:
            stream.close()

    @property
    def uploads(self) -> Uploads:
        found: Uploads = self.application.settings["uploads"]
        return found

    async def open_folder(self) -> OpenFolder:
        """The folder of this address, for somebody who may upload into it."""
        return await open_folder(self, self.path_args[0], HostPermission.UPLOAD)
