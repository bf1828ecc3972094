"""The command line against a real private listener, and against the public one with a token."""

from __future__ import annotations

import asyncio
import io
import shutil
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket

from jupyterhub_backendai.cli.main import main
from jupyterhub_backendai.config import load_settings
from jupyterhub_backendai.services.app import make_private_app
from jupyterhub_backendai.store.database import Database
from tests.factories import add_user


@pytest_asyncio.fixture
async def database(site, sqlite_template) -> AsyncIterator[Database]:
    shutil.copy(sqlite_template, site / "backendai.sqlite")
    opened = Database(f"sqlite:///{site}/backendai.sqlite")
    await opened.run(add_user)
    yield opened
    await opened.close()


@pytest.fixture
def parts(database) -> dict:
    """The parts of the service that a test brings itself."""
    return {}


@pytest_asyncio.fixture
async def run(site, database, parts, capsys, monkeypatch):
    """Run one command in a thread of its own, as the program would in a process of its own."""
    settings = load_settings(site / "jupyterhub_config.py")
    server = HTTPServer(make_private_app(settings, database, **parts))
    server.add_socket(bind_unix_socket(str(site / "private.sock"), 0o600))
    for name in ("BACKENDAI_URL", "BACKENDAI_TOKEN", "BACKENDAI_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)

    def work(arguments):
        try:
            return main(["--config", str(site / "jupyterhub_config.py"), *arguments])
        except SystemExit as exc:
            return exc.code

    async def run(*arguments, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin) if isinstance(stdin, str) else stdin)
        status = await asyncio.to_thread(work, arguments)
        return status, *capsys.readouterr()

    yield run
    server.stop()
    await server.close_all_connections()
