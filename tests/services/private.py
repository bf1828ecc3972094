"""The private listener as the hub meets it: the real application on a unix socket, asked by the real client."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography.fernet import Fernet
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket

from jupyterhub_backendai.client import ServiceClient
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.queues import Figures, QueueFigures
from jupyterhub_backendai.services.app import make_private_app
from jupyterhub_backendai.store.database import Database
from tests.factories import GIB, add_user, make_slots

SECRET = "s" * 32
QUEUES = [
    {"name": "local-cpu", "engine": "local", "capacity": {"cpu": 4, "mem": 8 * GIB, "cuda.device": 2}, "default_time_s": 1800},
    {"name": "batch", "engine": "slurm", "partition": "jupyter", "accounts": {"*": "free"}},
    {"name": "vip", "engine": "local", "capacity": {"cpu": 4}, "projects": ["vips"]},
]


@dataclass
class FixedFigures:
    """Figures as a test sets them."""

    rows: dict[str, QueueFigures] = field(default_factory=dict)
    touched: int = 0

    def figures(self) -> Figures:
        return Figures(self.rows, time.time())

    def touch(self) -> None:
        self.touched += 1

    def set_row(self, name: str, age_s: float = 0, **fields: Any) -> None:
        fields = {"max_slots": make_slots(8, 64 * GIB, 2), "max_time_s": 7200, **fields}
        self.rows[name] = QueueFigures(name=name, read_at=time.time() - age_s, **fields)


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> BackendAI:
    secrets = {"private": SECRET, "cookie": "c" * 32, "crypt": Fernet.generate_key().decode()}
    (tmp_path / "secrets.json").write_text(json.dumps(secrets))
    (tmp_path / "secrets.json").chmod(0o600)
    return BackendAI(state_dir=str(tmp_path), database_url=database_url, queues=QUEUES)


@pytest.fixture
def figures() -> FixedFigures:
    return FixedFigures()


@pytest_asyncio.fixture
async def people(database: Database) -> Database:
    """kim01 (Unix account, project default), lee01 (none, projects alpha and beta)."""
    await database.run(add_user, "kim01")
    await database.run(add_user, "lee01", "alpha", "beta", posix=False)
    return database


@pytest_asyncio.fixture
async def service(settings: BackendAI, people: Database, figures: FixedFigures) -> AsyncIterator[ServiceClient]:
    """A client of the running private listener."""
    server = HTTPServer(make_private_app(settings, people, figures=figures))
    server.add_socket(bind_unix_socket(str(Path(settings.state_dir, "private.sock")), 0o600))
    client = ServiceClient(settings.private_url, SECRET)
    yield client
    await client.close()
    server.stop()
    await server.close_all_connections()
