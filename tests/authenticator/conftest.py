"""A real hub in a process of its own, and the service's private listener in this one."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from bs4 import BeautifulSoup
from cryptography.fernet import Fernet
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket
from yarl import URL

from jupyterhub_backendai import identity
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core import otp
from jupyterhub_backendai.identity.local import hash_password
from jupyterhub_backendai.services.app import make_private_app
from jupyterhub_backendai.store import otp as tokens
from jupyterhub_backendai.store import users
from jupyterhub_backendai.store.crypt import Crypt
from jupyterhub_backendai.store.database import Database
from tests.databases import sqlite_template  # noqa: F401 - a fixture

CONFIG = Path(__file__).with_name("hub_config.py")
PASSWORD = "a right long password"
EMERGENCY_PASSWORD = "only in an emergency"


@dataclass
class Hub:
    """A hub that runs, and where."""

    url: str
    state: Path
    token: str
    log: Path


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    with run_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@contextlib.contextmanager
def run_hub(state: Path, secrets_from: Path | None = None, **changes: str) -> Iterator[Hub]:
    """A hub with its state in a directory of its own; ``changes`` are of its environment."""
    names = ("private", "cookie", "proxy", "oauth_state")
    secret_values = {**{name: secrets.token_hex(32) for name in names}, "crypt": Fernet.generate_key().decode()}
    (state / "secrets.json").write_text(secrets_from.read_text() if secrets_from else json.dumps(secret_values))
    (state / "emergency").write_text(f"rescue:{hash_password(EMERGENCY_PASSWORD)}\n")
    for name in ("secrets.json", "emergency"):
        (state / name).chmod(0o600)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    environment = {**os.environ, "TEST_STATE": str(state), "TEST_PORT": str(port), "TEST_TOKEN": token, **changes}
    with (state / "hub.log").open("wb") as out:
        command = [sys.executable, "-m", "jupyterhub", "-f", str(CONFIG)]
        process = subprocess.Popen(command, env=environment, cwd=state, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    running = Hub(f"http://127.0.0.1:{port}", state, token, state / "hub.log")
    try:
        _wait_until_up(process, running, port)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_until_up(process: subprocess.Popen[bytes], running: Hub, port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if "JupyterHub is now running" in running.log.read_text():
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        time.sleep(0.05)
    pytest.fail(f"the hub did not start:\n{running.log.read_text()[-4000:]}")


@dataclass
class Service:
    """The private listener, which can go away and come back, with its database and a directory."""

    settings: BackendAI
    db: Database
    people: Any
    crypt: Crypt
    server: HTTPServer | None = None

    def start(self) -> None:
        app = make_private_app(self.settings, self.db, people=self.people)
        self.server = HTTPServer(app)
        self.server.add_socket(bind_unix_socket(self.settings.private_url.removeprefix("unix://"), mode=0o600))

    async def stop(self) -> None:
        if self.server:
            self.server.stop()
            await self.server.close_all_connections()
            self.server = None
            Path(self.settings.private_url.removeprefix("unix://")).unlink(missing_ok=True)

    async def add_person(self, name: str, *, groups: tuple[str, ...] = (), with_token: bool = True) -> bytes:
        """Somebody of the embedded directory; returns the key of their one-time password."""
        secret = secrets.token_bytes(20)
        await self.db.run(users.set_local_account, name, _hash_once(), f"{name} 님", f"{name}@example.org", groups)
        if with_token:
            encrypted = self.crypt.encrypt(otp.format_secret(secret), tokens.purpose(name))
            await self.db.run(tokens.set_confirmed, name, encrypted)
        return secret


_HASHES: list[str] = []


def _hash_once() -> str:
    if not _HASHES:
        _HASHES.append(hash_password(PASSWORD))
    return _HASHES[0]


def code_of(secret: bytes, ahead: int = 0) -> str:
    return otp.code_at(secret, otp.step_of(time.time()) + ahead)


@pytest_asyncio.fixture
async def start_service(hub: Hub, sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Callable[..., Service]]:  # noqa: F811
    """A function that starts a service of the hub's, with a database of its own and these settings."""
    made: list[Service] = []

    def start(**fields: Any) -> Service:
        database = tmp_path / "backendai.sqlite"
        shutil.copy(sqlite_template, database)
        settings = BackendAI(**{"state_dir": str(hub.state), "database_url": f"sqlite:///{database}", "login_pace_s": 0, **fields})
        service = Service(settings, Database(settings.database_url), identity.connect(settings), Crypt(settings.read_secret("crypt")))
        service.start()
        made.append(service)
        return service

    yield start
    for service in made:
        await service.stop()
        await service.people.close()
        await service.db.close()


@pytest_asyncio.fixture
async def service(start_service: Callable[..., Service]) -> Service:
    return start_service(site_name="Test site", local_posix=False, project_groups={"physics": "quarks"}, admin_users=["boss"])


@dataclass
class Browser:
    """As much of a browser as logging in needs: cookies, redirects one by one, and forms."""

    hub: Hub
    http: aiohttp.ClientSession
    status: int = 0
    headers: Any = None
    text: str = ""
    history: list[str] = field(default_factory=list)

    async def open(self, path: str, method: str = "GET", **options: Any) -> BeautifulSoup:
        headers = {"Sec-Fetch-Mode": "navigate", **options.pop("headers", {})}
        async with self.http.request(
            method, URL(self.hub.url + path, encoded=True), allow_redirects=False, headers=headers, **options
        ) as response:
            self.status, self.headers, self.text = response.status, response.headers, await response.text()
        self.history.append(f"{method} {path} {self.status}")
        return self.page

    @property
    def page(self) -> BeautifulSoup:
        return BeautifulSoup(self.text, "html.parser")

    @property
    def location(self) -> str:
        return self.headers.get("Location", "")

    @property
    def error(self) -> str:
        found = self.page.select_one("[role=alert]")
        return " ".join(found.get_text().split()) if found else ""

    async def submit(self, has_field: str, **fields: str) -> None:
        """Submit the form of this page that has a field of that name, as it stands but for ``fields``."""
        for form in self.page.select("form[method=post]"):
            if form.select_one(f"[name={has_field}]"):
                break
        else:
            raise AssertionError(f"no form with {has_field}: {self.text[:2000]}")
        values = {item["name"]: item.get("value", "") for item in form.select("input[name]")}
        await self.open(form["action"], "POST", data={**values, **fields})

    def cookies(self) -> dict[str, str]:
        return {cookie.key: cookie.value for cookie in self.http.cookie_jar}

    async def is_logged_in(self) -> bool:
        await self.open("/hub/home")
        return self.status == 200

    async def login(self, username: str, password: str = PASSWORD, code: str = "", query: str = "") -> None:
        await self.open(f"/hub/login{query}")
        assert self.status == 200, self.text
        await self.submit("username", username=username, password=password, otp=code)


@pytest_asyncio.fixture
async def browser(hub: Hub) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), headers={"Accept-Language": "en"}) as http:
        yield Browser(hub, http)


async def hub_api(hub: Hub, path: str) -> Any:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"token {hub.token}"}) as http,
        http.get(f"{hub.url}/hub/api{path}") as found,
    ):
        return await found.json() if found.status == 200 else None
