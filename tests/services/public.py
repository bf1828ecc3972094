"""The public listener as a browser or a program meets it: the real application on a free port, a small fake hub behind it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio
from bs4 import BeautifulSoup
from cryptography.fernet import Fernet
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.queues import GPUFigures, QueueFigures
from jupyterhub_backendai.services.app import make_app
from jupyterhub_backendai.services.auth import make_hub_auth
from jupyterhub_backendai.services.health import Health
from jupyterhub_backendai.services.hub import HubClient
from jupyterhub_backendai.services.queues import FiguresReader
from jupyterhub_backendai.store.database import Database
from tests.factories import GIB, add_user, make_slots
from tests.fakes import ACCESS, FakeEngine, FakeHub

PREFIX = "/services/backendai/"
QUEUES = [
    {"name": "small", "engine": "local", "labels": {"en": "Small", "ko": "작은 큐"}, "capacity": {"cpu": 4, "mem": 8 * GIB}},
    {"name": "v100", "engine": "slurm", "partition": "cas_v100", "is_free": False, "default_time_s": 1800},
    {"name": "vip", "engine": "local", "capacity": {"cpu": 4, "mem": 8 * GIB}, "projects": ["vips"]},
]
V100 = QueueFigures(
    "cas_v100",
    1,
    2,
    3,
    6,
    (GPUFigures("v100", 12, 5, 2),),
    waiting=7,
    is_exclusive=True,
    max_time_s=7200,
    max_slots=make_slots(8, 64 * GIB, 2),
)


@dataclass
class Site:
    """The running service, and what stands behind it."""

    url: str
    hub: FakeHub
    engine: FakeEngine
    figures: FiguresReader
    settings: BackendAI
    db: Database
    health: Health
    application: Any

    @property
    def launch(self) -> str:
        return f"{self.url}launch"


class Browser:
    """Cookies, no following of redirects, and the headers that a browser sends."""

    def __init__(self, site: Site, language: str = "en") -> None:
        self.site = site
        self.http = aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True), headers={"User-Agent": "test", "Accept-Language": language}
        )

    async def get(self, path: str = "launch", **kwargs: Any) -> tuple[aiohttp.ClientResponse, BeautifulSoup]:
        return await self._ask("GET", path, **kwargs)

    async def post(self, path: str, data: Any, **kwargs: Any) -> tuple[aiohttp.ClientResponse, BeautifulSoup]:
        headers = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin", **kwargs.pop("headers", {})}
        return await self._ask("POST", path, data=data, headers=headers, **kwargs)

    async def log_in(self, token: str) -> None:
        response, _ = await self.get("launch")
        assert response.status == 302
        state = parse_qs(urlsplit(response.headers["Location"]).query)["state"][0]
        response, _ = await self.get("oauth_callback", params={"code": token, "state": state})
        assert response.status == 302, await response.text()

    async def form(self, query: str = "") -> dict[str, str]:
        """Every field of the launch form as the page came."""
        response, page = await self.get(f"launch{query}")
        assert response.status in (200, 400), response.status
        return read_form(page)

    async def _ask(self, method: str, path: str, **kwargs: Any) -> tuple[aiohttp.ClientResponse, BeautifulSoup]:
        async with self.http.request(method, self.site.url + path, allow_redirects=False, **kwargs) as response:
            return response, BeautifulSoup(await response.text(), "html.parser")


async def rest(site: Site, method: str, path: str, body: Any = None, user: str = "kim01") -> tuple[int, Any]:
    """(status, answer) of a call of our REST, as somebody or ``nobody``."""
    headers = {"Authorization": f"token {site.hub.let_in(user)}"} if user != "nobody" else {}
    async with Browser(site).http as http, http.request(method, f"{site.url}rest/v1/{path}", json=body, headers=headers) as answer:
        is_json = "json" in answer.headers.get("Content-Type", "")
        return answer.status, await answer.json(content_type=None) if is_json else await answer.text()


def read_form(page: BeautifulSoup) -> dict[str, str]:
    form = page.find("form", id="launch")
    fields = {}
    for field in form.find_all(["input", "select"]):
        if field.name == "select":
            options = field.find_all("option")
            chosen = next((option for option in options if option.has_attr("selected")), options[0])
            fields[field["name"]] = chosen.get("value", chosen.text)
        elif field.get("type") != "radio" or field.has_attr("checked"):
            fields[field["name"]] = field.get("value", "")
    return fields


@pytest.fixture
def settings(tmp_path: Path, sqlite_template: Path) -> BackendAI:
    secrets = {"private": "s" * 32, "cookie": "c" * 32, "crypt": Fernet.generate_key().decode(), "oauth_state": "o" * 32}
    (tmp_path / "secrets.json").write_text(json.dumps(secrets))
    (tmp_path / "secrets.json").chmod(0o600)
    shutil.copy(sqlite_template, tmp_path / "backendai.sqlite")
    return BackendAI(state_dir=str(tmp_path), queues=QUEUES, helper_socket=str(tmp_path / "helper.sock"))


@pytest_asyncio.fixture
async def site(settings: BackendAI) -> AsyncIterator[Site]:
    """kim01 owns, lee01 is in two projects, guest has a hub login but no row here."""
    hub, engine, db = FakeHub(), FakeEngine({"cas_v100": V100}), Database(settings.database_url)
    runner = await hub.start()
    await db.run(add_user, "kim01")
    await db.run(add_user, "lee01", "alpha", "vips", posix=False)
    site = await open_site(settings, hub, engine, db)
    yield site
    await close_site(site)
    await db.close()
    await runner.cleanup()


async def open_site(settings: BackendAI, hub: FakeHub, engine: FakeEngine, db: Database) -> Site:
    health = Health(db.check)
    await health.look()
    client = HubClient(hub.url, hub.let_in("backendai", "service-token", kind="service"))
    figures = FiguresReader(settings, db, {"slurm": engine})
    hub_auth = make_hub_auth(
        settings,
        api_token="service-token",
        api_url=hub.url,
        base_url=PREFIX,
        hub_prefix="/hub/",
        oauth_client_id="service-backendai",
        oauth_redirect_uri=f"{PREFIX}oauth_callback",
        access_scopes={ACCESS},
    )
    app = make_app(settings, db, hub=client, hub_auth=hub_auth, figures=figures, backends={}, people=None, health=health)
    socket, port = bind_unused_port()
    server = HTTPServer(app)
    server.add_socket(socket)
    app.settings["server"] = server
    return Site(f"http://127.0.0.1:{port}{PREFIX}", hub, engine, figures, settings, db, health, app)


async def close_site(site: Site) -> None:
    site.application.settings["server"].stop()
    await site.application.settings["server"].close_all_connections()
    await site.application.settings["hub"].close()


@pytest_asyncio.fixture
async def browser(site: Site) -> AsyncIterator[Browser]:
    """kim01's browser, logged in."""
    browser = Browser(site)
    await browser.log_in(site.hub.let_in("kim01"))
    yield browser
    await browser.http.close()


@pytest_asyncio.fixture
async def nobody(site: Site) -> AsyncIterator[Browser]:
    """A browser without a login."""
    browser = Browser(site)
    yield browser
    await browser.http.close()


def age_of(site: Site) -> float:
    return time.time() - (site.figures.figures().read_at or 0)
