"""One platform per engine for all tests that can share it; starting one takes seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.e2e.stack import Client, Door, Stack, postgres_behind_a_door, running

# Ends from outside are noticed, and the service's outage is over, within seconds instead of the defaults' minute
QUICK = """
c.BackendAI.starting_interval_s, c.BackendAI.steady_interval_s = 1.0, 2.0
c.Spawner.poll_interval = 2
"""


@pytest.fixture(scope="session")
def local(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The embedded default, on SQLite."""
    with running("local", QUICK, lambda: request.session.testsfailed) as stack:
        yield stack


@pytest.fixture(scope="session")
def database() -> Iterator[tuple[str, Door]]:
    """A PostgreSQL database of the stack on the lab, and the door to it."""
    with postgres_behind_a_door() as (url, door):
        yield url, door


@pytest.fixture(scope="session")
def directory() -> Iterator[Door]:
    """The door to the lab's LDAP."""
    door = Door("127.0.0.1", 3890)
    yield door
    door.end()


@pytest.fixture(scope="session")
def slurm(request: pytest.FixtureRequest, database: tuple[str, Door], directory: Door) -> Iterator[Stack]:
    """On the lab's Slurm and LDAP, on PostgreSQL."""
    lines = [QUICK, f"c.BackendAI.database_url = {database[0]!r}", f"c.BackendAI.ldap_servers = ['ldap://127.0.0.1:{directory.port}']"]
    with running("lab", "\n".join(lines), lambda: request.session.testsfailed) as stack:
        yield stack


class People:
    """Those who are logged in at one stack, once each for the whole run."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.clients: dict[str, Client] = {}

    async def __call__(self, name: str, language: str = "en") -> Client:
        key = f"{name} {language}"
        if key not in self.clients:
            client = self.stack.client(name, language)
            page = await client.enter()
            assert "/hub/login" not in page.url, page.read_message()
            self.clients[key] = client
        return self.clients[key]

    async def close(self) -> None:
        for client in self.clients.values():
            await client.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def people(local: Stack) -> AsyncIterator[People]:
    """Log in at the embedded default: ``await people("user1")``."""
    found = People(local)
    yield found
    await found.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def researchers(slurm: Stack) -> AsyncIterator[People]:
    """Log in at the lab: ``await researchers("kim01")``."""
    found = People(slurm)
    yield found
    await found.close()
