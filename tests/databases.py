"""Fixtures: a migrated database of our own per test, on SQLite and on PostgreSQL.

The code under test commits from several threads and processes, so a test cannot live in one rolled-back transaction: on SQLite it
gets its own copy of a migrated file, on PostgreSQL a database made for this run, emptied before each test.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import create_engine, insert, make_url, text

from jupyterhub_backendai.store.database import Database, upgrade
from jupyterhub_backendai.store.models import (
    DEFAULT_POLICY,
    Base,
    KeypairResourcePolicy,
    ProjectResourcePolicy,
    UserResourcePolicy,
)
from tests.lab import POSTGRES_URL

DATABASES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("database") / "template.sqlite"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """An empty database of this run, migrated; dropped at the end."""
    name = f"backendai_run_{uuid.uuid4().hex[:12]}"
    server = create_engine(POSTGRES_URL, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(POSTGRES_URL).set(database=name).render_as_string(hide_password=False)
    try:
        upgrade(url)
        yield url
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        server.dispose()


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a migrated database without rows."""
    if request.param == "sqlite":
        path = tmp_path / "backendai.sqlite"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    url = request.getfixturevalue("postgres_url")
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(Base.metadata.tables)} CASCADE"))
        for policy in (KeypairResourcePolicy, UserResourcePolicy, ProjectResourcePolicy):  # as the migration leaves them
            connection.execute(insert(policy).values(name=DEFAULT_POLICY))
    engine.dispose()
    return str(url)


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The database itself, on SQLite and on PostgreSQL."""
    opened = Database(database_url)
    yield opened
    await opened.close()
