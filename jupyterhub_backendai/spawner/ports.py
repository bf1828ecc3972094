"""Where a session's own program tells the hub its port: ``POST /hub/api/batchspawner`` with ``{"port": 12345}``.

batchspawner's handler of that path sets any attribute of the spawner to any value, so that a user could run code as the hub. It is
taken out of the hub's list, whoever imported batchspawner first, and ours stands in its place. A hub that merely has this package
installed gets it too, so it takes the port (and nothing else) for batchspawner's own spawners as well.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable
from typing import Any, Protocol

from batchspawner import BatchSpawnerBase
from batchspawner.api import BatchSpawnerAPIHandler
from jupyterhub import apihandlers
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.app import JupyterHub
from tornado import web

PATH = r"/api/batchspawner"
_CHECKED: set[int] = set()


class Reportable(Protocol):
    """A spawner that waits for the report of its session."""

    token_id: int | None

    def receive_port(self, port: int) -> bool:
        """Take the port; False when none is expected, or another was taken before."""


class PortHandler(APIHandler):
    """Takes one port from the program that holds the server's token, while that server starts."""

    def check_xsrf_cookie(self) -> None:
        """No cookie is believed here, so there is nothing to forge."""

    async def post(self) -> None:
        token = self.get_token()
        if token is None or token.user is None:
            raise web.HTTPError(403, "The token of a server is needed.")
        port = self._read_port()
        for spawner in list(self.users[token.user].spawners.values()):
            if getattr(spawner, "token_id", None) == token.id:
                if not spawner.receive_port(port):
                    raise web.HTTPError(409, "This server does not wait for a port.")
                break
            if isinstance(spawner, BatchSpawnerBase) and self._is_token_of(spawner):
                spawner.port = port
                break
        else:
            raise web.HTTPError(404, "No server has this token.")
        self.set_status(201)
        self.finish(json.dumps({"message": "The port is known."}))

    def _is_token_of(self, spawner: BatchSpawnerBase) -> bool:
        return bool(spawner.api_token) and hmac.compare_digest(spawner.api_token.encode(), self.get_auth_token().encode())

    def _read_port(self) -> int:
        body = self.get_json_body()
        port = body.get("port") if isinstance(body, dict) else None
        if type(port) is not int or not 1024 <= port <= 65535:  # True is an int to isinstance
            raise web.HTTPError(400, "port must be a whole number from 1024 to 65535.")
        return port


def install() -> None:
    """Put our handler in the place of batchspawner's, in the very list that the hub reads. Twice does no harm."""
    ours = (PATH, PortHandler)
    apihandlers.default_handlers[:] = [h for h in apihandlers.default_handlers if h[1] not in {BatchSpawnerAPIHandler, PortHandler}]
    apihandlers.default_handlers.append(ours)


def check_hub() -> None:
    """Refuse to work on a hub that serves somebody else's port handler; looked at once for each hub of this process."""
    if JupyterHub.initialized():
        app = JupyterHub.instance()
        if id(app) not in _CHECKED and getattr(app, "handlers", None):
            check_routes(app.handlers)
            _CHECKED.add(id(app))


def check_routes(routes: Iterable[tuple[Any, ...]]) -> None:
    """Raise RuntimeError unless the hub's routes have that path once, with our handler."""
    found = [route[1] for route in routes if isinstance(route[0], str) and route[0].endswith(PATH)]
    if found != [PortHandler]:
        names = ", ".join(getattr(handler, "__name__", str(handler)) for handler in found) or "nothing"
        raise RuntimeError(
            f"{PATH} must be served by jupyterhub_backendai alone, but it is served by {names}. Remove what registers another handler: "
            "batchspawner's own lets users run code as the hub."
        )
