"""A real hub in a process of its own, a fake of our service in this one, and nothing else: no proxy, no browser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import aiohttp
from aiohttp import web

from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.core.sessions import Admission, SessionSpec
from jupyterhub_backendai.core.waiting import Place
from jupyterhub_backendai.core.waits import History
from jupyterhub_backendai.errors import BackendAIError

NOBODY = 65534
ADMIN_TOKEN = secrets.token_hex(16)

CONFIG = """
import json, os
from jupyterhub.auth import DummyAuthenticator
from jupyterhub.proxy import Proxy

class NoProxy(Proxy):
    routes = {}
    def _table(self):
        return dict(self.routes)
    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}
    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)
    async def get_all_routes(self):
        return self._table()

class People(DummyAuthenticator):
    def get_handlers(self, app):
        from jupyterhub_backendai.authenticator.spawn_redirect import default_handlers
        return [*default_handlers, *super().get_handlers(app)]
    def language_of(self, name):
        return "ko" if name.startswith("ko") else "en"

options = json.load(open(OPTIONS))
c.JupyterHub.bind_url = f"http://127.0.0.1:{options['public_port']}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{options['hub_port']}"
c.JupyterHub.proxy_class = NoProxy
c.Proxy.should_start = False
c.JupyterHub.authenticator_class = People
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "backendai"
c.JupyterHub.allow_named_servers = True
c.JupyterHub.cleanup_servers = False
c.JupyterHub.concurrent_spawn_limit = 0
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 1}
c.JupyterHub.db_url = f"sqlite:///{options['dir']}/hub.sqlite"
c.JupyterHub.cookie_secret_file = f"{options['dir']}/cookie"
c.JupyterHub.services = [{"name": "tester", "api_token": options["token"]}]
c.JupyterHub.load_roles = [{"name": "tester", "scopes": ["admin:users", "admin:servers", "tokens"], "services": ["tester"]}]
c.Spawner.poll_interval = 1
for name, value in options["settings"].items():
    setattr(c.BackendAI, name, value)
exec(options["extra"])
"""

QUEUES = [
    {"name": "debug", "engine": "local", "capacity": {"cpu": "4", "mem": str(8 << 30), "cuda.device": "2"}, "default_time_s": 600},
    {"name": "jupyter", "engine": "slurm", "partition": "jupyter"},
    {"name": "cas_v100_2", "engine": "slurm", "partition": "cas_v100_2", "accounts": {"*": "paid"}},
]


async def until(condition, timeout=30.0, what="the condition"):
    """Wait for a (maybe async) condition to be true, and return what it was."""
    give_up = time.monotonic() + timeout
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < give_up, f"{what} did not come true within {timeout} s"
        await asyncio.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class FakeService:
    """Speaks the private protocol. Admits everything, or raises what ``refusal`` holds; remembers every call."""

    def __init__(self, path: Path, secret: str) -> None:
        self.path, self.secret = path, secret
        self.calls: list[tuple] = []
        self.refusal: BackendAIError | None = None
        self.posix: PosixAccount | None = None
        self.time_s = 600
        self.limit_s: int | None = None  # of now, where it is another than at admission
        self.devices: tuple[int, ...] = ()
        self.is_away = False
        self.hold: asyncio.Event | None = None
        self.place: Place | None = None  # with one, admissions wait and ask for it
        self.moved = asyncio.Event()
        self.history = History()
        self.more: dict[str, object] = {}  # further fields of the admissions
        self.admissions: dict[str, Admission] = {}

    async def start(self) -> None:
        app = web.Application(middlewares=[self._guard])
        app.router.add_post("/private/sessions", self._admit)
        app.router.add_get("/private/sessions/{id}/place", self._find_place)
        app.router.add_get("/private/sessions/{id}/limit", self._find_limit)
        app.router.add_post("/private/sessions/{id}/report", self._report)
        app.router.add_post("/private/sessions/{id}/release", self._release)
        app.router.add_post("/private/sessions/{id}/wishes", self._save_wishes)
        app.router.add_get("/private/waits", self._find_history)
        self.runner = web.AppRunner(app)
        await self.runner.setup()
        self.path.unlink(missing_ok=True)
        await web.UnixSite(self.runner, str(self.path)).start()
        self.path.chmod(0o666)

    async def stop(self) -> None:
        self.moved.set()
        await self.runner.cleanup()

    def of(self, verb: str) -> list[dict]:
        return [call[1] for call in self.calls if call[0] == verb]

    def statuses(self) -> list[str]:
        return [call["status"] for call in self.of("report")]

    @web.middleware
    async def _guard(self, request, handler):
        assert request.headers["Authorization"] == f"Bearer {self.secret}"
        if self.is_away:
            return web.Response(status=502, text="gone")
        try:
            return await handler(request)
        except BackendAIError as exc:
            return web.json_response(exc.to_problem(), status=exc.status)

    async def _admit(self, request):
        spec = SessionSpec.from_json(await request.json())
        self.calls.append(("admit", {"id": spec.session_id, "user": spec.user, "server": spec.server_name}))
        if self.hold:
            await self.hold.wait()
        if self.refusal:
            raise self.refusal
        queue = next(entry for entry in QUEUES if entry["name"] == spec.request.queue)
        admission = Admission(
            spec.session_id, queue["engine"], queue["name"], queue.get("partition", ""), queue.get("accounts", {}).get("*", ""), "default", spec.request.environment,
            spec.request.interface, spec.request.slots, spec.request.gpu_type, spec.request.time_s or self.time_s, self.devices, self.posix,
        )  # fmt: skip
        self.admissions[spec.session_id] = admission
        return web.json_response(replace(admission, is_waiting=bool(self.place), **self.more).to_json())

    def move(self, place: Place | None) -> None:
        """Those that wait hear this next; None gives them their place."""
        self.place = place
        self.moved.set()

    async def _find_place(self, request):
        self.calls.append(("place", {"id": request.match_info["id"]}))
        if self.place and request.query.get("seen") == str(id(self.place)):
            self.moved.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.moved.wait(), float(request.query["wait"]))
        place = self.place or Place(admission=self.admissions[request.match_info["id"]])
        return web.json_response(place.to_json() | {"seen": str(id(self.place))})

    async def _find_limit(self, request):
        self.calls.append(("limit", {}))
        return web.json_response({"time_limit_s": self.limit_s or self.time_s})

    async def _find_history(self, request):
        self.calls.append(("waits", dict(request.query)))
        return web.json_response(self.history.to_json())

    async def _save_wishes(self, request):
        body = await request.json()
        self.calls.append(("wishes", {"id": request.match_info["id"], **body}))
        give_up_at = time.time() + body["patience_s"] if body["patience_s"] else None
        return web.json_response({"give_up_at": give_up_at, "gives_up_by_wish": bool(give_up_at), "wants_mail": body["wants_mail"]})

    async def _report(self, request):
        self.calls.append(("report", {"id": request.match_info["id"], **await request.json()}))
        return web.json_response({})

    async def _release(self, request):
        self.calls.append(("release", {"id": request.match_info["id"], **await request.json()}))
        return web.json_response({})


class Hub:
    """The hub's process and its REST."""

    def __init__(self, directory: Path, *, as_root: bool = False, extra: str = "", **settings) -> None:
        self.dir = directory
        self.as_root = as_root
        self.hub_port = free_port()
        self.url = f"http://127.0.0.1:{self.hub_port}/hub"
        secret = secrets.token_hex(16)
        self.service = FakeService(directory / "private.sock", secret)
        (directory / "secrets.json").write_text(json.dumps({"private": secret}))
        (directory / "secrets.json").chmod(0o600)
        options = {
            "dir": str(directory), "public_port": free_port(), "hub_port": self.hub_port, "token": ADMIN_TOKEN, "extra": extra,
            "settings": {"state_dir": str(directory), "queues": QUEUES, "starting_interval_s": 0.5, **settings},
        }  # fmt: skip
        (directory / "options.json").write_text(json.dumps(options))
        (directory / "config.py").write_text(CONFIG.replace("OPTIONS", repr(str(directory / "options.json"))))
        if os.geteuid() == 0 and not as_root:
            for path in (directory, *directory.iterdir()):
                os.chown(path, NOBODY, NOBODY)
        self.process: subprocess.Popen | None = None
        self.log = directory / "hub.log"

    async def start(self) -> None:
        account = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 and not self.as_root else {}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(self.dir / "config.py")],
                cwd=self.dir, stdout=log, stderr=log, env={**os.environ, "HOME": str(self.dir)}, start_new_session=True, **account,
            )  # fmt: skip
        await until(self.is_up, 60, "the start of the hub")

    async def is_up(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        try:
            async with self.http.get(self.url + "/api/") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(15)
                return
            self.process.kill()
            self.process.wait()

    async def call(self, method: str, path: str, token: str = ADMIN_TOKEN, **kwargs):
        """(status, answer) of a call of the hub's REST."""
        headers = {"Authorization": f"token {token}"} if token else {}
        async with self.http.request(method, self.url + "/api" + path, headers=headers, allow_redirects=False, **kwargs) as response:
            text = await response.text()
            try:
                return response.status, json.loads(text)
            except ValueError:
                return response.status, text

    async def launch(self, user: str, server: str = "", **options):
        await self.call("POST", f"/users/{user}")
        path = f"/users/{user}/servers/{server}" if server else f"/users/{user}/server"
        body = {"user_options": {"queue": "debug", **options}}
        return await self.call("POST", path, json=body)

    async def stop_server(self, user: str, server: str = ""):
        path = f"/users/{user}/servers/{server}" if server else f"/users/{user}/server"
        return await self.call("DELETE", path)

    async def model(self, user: str, server: str = "") -> dict:
        """What the hub says of a server, {} when it has none."""
        _, answer = await self.call("GET", f"/users/{user}?include_stopped_servers")
        return answer.get("servers", {}).get(server, {}) if isinstance(answer, dict) else {}

    async def until_ready(self, user: str, server: str = "", timeout=60) -> dict:
        async def is_ready():
            model = await self.model(user, server)
            return model if model.get("ready") else None

        return await until(is_ready, timeout, f"the readiness of {user}/{server}")

    async def until_stopped(self, user: str, server: str = "", timeout=60) -> dict:
        async def is_stopped():
            model = await self.model(user, server)
            return model if not model.get("ready") and not model.get("pending") else None

        return await until(is_stopped, timeout, f"the end of {user}/{server}")

    async def phase(self, user: str, server: str = "") -> str:
        return ((await self.model(user, server)).get("state") or {}).get("phase", "")

    async def until_phase(self, user: str, phase: str, server: str = "", timeout=60) -> None:
        async def is_there():
            return await self.phase(user, server) == phase

        await until(is_there, timeout, f"the phase {phase}")

    async def events(self, user: str, server: str = "", enough=lambda events: False) -> list[dict]:
        """The events of the progress stream, to its end or until there are enough."""
        path = f"/users/{user}/servers/{server}/progress" if server else f"/users/{user}/server/progress"
        found: list[dict] = []
        async with self.http.get(self.url + "/api" + path, headers={"Authorization": f"token {ADMIN_TOKEN}"}) as response:
            async for line in response.content:
                if line.startswith(b"data: "):
                    found.append(json.loads(line[6:]))
                    if enough(found):
                        break
        return found


@contextlib.asynccontextmanager
async def running_hub(**kwargs):
    """A hub that was started, with its fake service; everything is over afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="backendai-test-"))
    directory.chmod(0o755)
    hub = Hub(directory, **kwargs)
    async with aiohttp.ClientSession() as hub.http:
        try:
            await hub.service.start()
            await hub.start()
            yield hub
        finally:
            if hub.process and hub.process.poll() is None:
                _, users = await hub.call("GET", "/users")
                for user in users if isinstance(users, list) else []:
                    for name in user.get("servers", {}):
                        await hub.stop_server(user["name"], name)
            hub.terminate()
            await hub.service.stop()
            end_leftovers(directory)
            shutil.rmtree(directory, ignore_errors=True)


def end_leftovers(directory: Path) -> None:
    """Kill what local sessions of this hub left running: processes that name its directory."""
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if int(path.name) != os.getpid() and str(directory).encode() in (path / "cmdline").read_bytes():
                os.kill(int(path.name), signal.SIGKILL)
