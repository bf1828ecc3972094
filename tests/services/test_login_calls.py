"""The hub's calls about logging in, over the private listener as the hub makes them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy import select
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket

from jupyterhub_backendai import identity
from jupyterhub_backendai.client import ServiceClient
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core import otp
from jupyterhub_backendai.core.identity import Identity
from jupyterhub_backendai.errors import InvalidParameters, NotFound, Unauthenticated
from jupyterhub_backendai.identity.local import hash_password
from jupyterhub_backendai.services import metrics
from jupyterhub_backendai.services.app import make_private_app
from jupyterhub_backendai.store import models, users
from jupyterhub_backendai.store import otp as tokens
from jupyterhub_backendai.store.crypt import Crypt
from jupyterhub_backendai.store.database import Database
from tests.databases import database, database_url, postgres_url, sqlite_template  # noqa: F401 - fixtures

from .private import SECRET, settings  # noqa: F401 - a fixture

KEY = b"12345678901234567890"
HASH = hash_password("right")
SOURCE = {"source": "10.0.0.1", "next_url": ""}


@pytest_asyncio.fixture
async def service(settings: BackendAI, database: Database) -> AsyncIterator[ServiceClient]:  # noqa: F811
    """A client of the private listener with the embedded directory: kim01 has a token, lee01 has none."""
    settings.local_posix, settings.login_pace_s = False, 0
    crypt = Crypt(settings.read_secret("crypt"))
    for name in ("kim01", "lee01"):
        await database.run(users.set_local_account, name, HASH, name.title())
    await database.run(tokens.set_confirmed, "kim01", crypt.encrypt(otp.format_secret(KEY), tokens.purpose("kim01")))
    people = identity.connect(settings)
    server = HTTPServer(make_private_app(settings, database, people=people))
    server.add_socket(bind_unix_socket(str(Path(settings.state_dir, "private.sock")), 0o600))
    client = ServiceClient(settings.private_url, SECRET)
    yield client
    await client.close()
    server.stop()
    await server.close_all_connections()
    await people.close()


def code(ahead: int = 0) -> str:
    return otp.code_at(KEY, otp.step_of(time.time()) + ahead)


async def test_login(service: ServiceClient) -> None:
    before = metrics.LOGINS.labels("ok")._value.get()
    answer = await service.login("kim01", "right", code(), **SOURCE)
    assert answer["outcome"] == "ok"
    assert Identity.from_json(answer["identity"]).display_name == "Kim01"
    assert metrics.LOGINS.labels("ok")._value.get() == before + 1
    assert await service.refresh_identity("kim01") == Identity.from_json(answer["identity"])


async def test_refused(service: ServiceClient) -> None:
    for name in ("kim01", "nobody", "x" * 1000, "김", "\u202e"):
        answer = await service.login(name, "wrong", "123456", **SOURCE)
        assert answer["outcome"] == "refused"
        assert set(answer) == {"outcome", "message", "params"}


async def test_enrolment(service: ServiceClient) -> None:
    answer = await service.login("lee01", "right", "", source="10.0.0.1", next_url="/hub/home")
    shown = await service.login_step(answer["ticket"], "show")
    assert set(shown) == {"step", "secret", "uri", "svg", "username", "until"}
    secret = otp.parse_secret(shown["secret"])
    step = otp.step_of(time.time())
    answer = await service.login_step(answer["ticket"], "confirm", otp=otp.code_at(secret, step))
    assert (answer["outcome"], answer["step"]) == ("step", "recovery")
    assert len((await service.login_step(answer["ticket"], "show"))["codes"]) == 10
    answer = await service.login_step(answer["ticket"], "confirm")
    assert (answer["outcome"], answer["next"]) == ("ok", "/hub/home")


@pytest.mark.parametrize("name", ["nobody", "a/b", "%2e", "김 철수"])
async def test_identities_of_nobody(service: ServiceClient, name: str) -> None:
    assert await service.refresh_identity(name) is None


async def test_who_is_taken_out_of_the_directory_is_nobody(service: ServiceClient, database: Database) -> None:  # noqa: F811
    await service.login("kim01", "right", code(), **SOURCE)
    assert await service.refresh_identity("kim01")
    await database.run(users.remove_local_account, "kim01")
    assert await service.refresh_identity("kim01") is None


async def test_calls_that_cannot_be_read(service: ServiceClient) -> None:
    with pytest.raises(InvalidParameters):
        await service.login("kim01", "x" * 2000, "", **SOURCE)
    with pytest.raises(InvalidParameters):
        await service.login("kim01", "\ud800", "", **SOURCE)
    with pytest.raises(InvalidParameters):
        await service.login("kim01", ["right"], "", **SOURCE)
    with pytest.raises(InvalidParameters):
        await service.login_step("x", "destroy")
    with pytest.raises(NotFound):
        await service.login_step("x", "show")


async def test_only_the_hub_may_ask(service: ServiceClient, settings: BackendAI) -> None:  # noqa: F811
    stranger = ServiceClient(settings.private_url, "guessed")
    with pytest.raises(Unauthenticated):
        await stranger.login("kim01", "right", code(), **SOURCE)
    with pytest.raises(Unauthenticated):
        await stranger.refresh_identity("kim01")
    await stranger.close()
    connector = aiohttp.UnixConnector(settings.private_url.removeprefix("unix://"))
    async with aiohttp.ClientSession(connector=connector) as http, http.post("http://service/private/login", data="{}") as response:
        assert response.status == 401


async def test_nothing_secret_is_kept_in_clear(service: ServiceClient, database: Database) -> None:  # noqa: F811
    await service.login("lee01", "right", "", **SOURCE)
    await service.login("kim01", "right", code(), **SOURCE)
    await service.login("kim01", "a wrong password", "123456", **SOURCE)

    def read(db) -> str:
        tables = (models.AuditEntry, models.LoginTicket, models.OTPToken, models.Keypair, models.LoginFailure)
        return " ".join(str(vars(row)) for table in tables for row in db.scalars(select(table)))

    kept = await database.run(read)
    for secret in ("right'", "a wrong password", otp.format_secret(KEY), code()):
        assert secret not in kept
