"""A service that is killed where a test says: reads ``STEP`` a line, serves in a child until that dies, says so, and reads the next.

    python -m tests.services.storage.killed_service STATE HUB FOLDERS PORT

Imports once; a step is ``<before|after>:<what>``, or ``-`` for a service that lives until its standard input says anything.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from tornado.httpserver import HTTPServer

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.services.app import make_app
from jupyterhub_backendai.services.auth import make_hub_auth
from jupyterhub_backendai.services.health import Health
from jupyterhub_backendai.services.hub import HubClient
from jupyterhub_backendai.services.queues import FiguresReader
from jupyterhub_backendai.services.storage import writing
from jupyterhub_backendai.store import uploads
from jupyterhub_backendai.store.database import Database
from tests.fakes import ACCESS
from tests.services.public import PREFIX, QUEUES
from tests.services.storage.local_files import LocalFiles, LocalStorage

PLACES: dict[str, tuple[Any, str]] = {
    "add": (uploads, "add"),
    "make": (LocalFiles, "begin_upload"),
    "write": (writing.Writer, "_put"),
    "sync": (writing.Writer, "sync"),
    "complete": (uploads, "mark_complete"),
    "put": (LocalFiles, "finish_upload"),
    "finish": (uploads, "finish"),
    "unlock": (uploads, "unlock"),
}


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(step: str) -> None:
    when, _, what = step.partition(":")
    owner, name = PLACES[what]
    real = getattr(owner, name)

    def plain(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            die()
        real(*args, **kwargs)
        die()

    async def later(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            die()
        await real(*args, **kwargs)
        die()

    setattr(owner, name, later if asyncio.iscoroutinefunction(real) else plain)


async def serve(state: str, hub: str, folders: str, listener: socket.socket) -> None:
    settings = BackendAI(state_dir=state, queues=QUEUES)
    db = Database(settings.database_url)
    health = Health(db.check)
    await health.look()
    hub_auth = make_hub_auth(
        settings,
        api_token="service-token",
        api_url=hub,
        base_url=PREFIX,
        hub_prefix="/hub/",
        oauth_client_id="service-backendai",
        oauth_redirect_uri=f"{PREFIX}oauth_callback",
        access_scopes={ACCESS},
    )
    app = make_app(
        settings,
        db,
        hub=HubClient(hub, "service-token"),
        hub_auth=hub_auth,
        figures=FiguresReader(settings, db, {}),
        backends={},
        people=None,
        health=health,
        storage=LocalStorage(Path(folders)),
    )
    HTTPServer(app).add_socket(listener)
    print("ready", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    state, hub, folders, port = sys.argv[1:]
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            if line.strip() != "-":
                arm(line.strip())
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", int(port)))
            listener.listen(16)
            listener.setblocking(False)
            asyncio.run(serve(state, hub, folders, listener))
        if line.strip() == "-":
            sys.stdin.readline()
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main()
