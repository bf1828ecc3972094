"""Stand-ins with names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from jupyterhub_backendai.backends.base import Backend, JobRequest
from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.core.queues import QueueFigures
from jupyterhub_backendai.core.sessions import JobStatus
from jupyterhub_backendai.identity.mail import Mail

ACCESS = "access:services!service=backendai"


class Postbox:
    """A mailer that keeps what it is given."""

    is_on = True

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    def post(self, mail: Mail) -> None:
        self.mails.append(mail)


@dataclass
class FakeHub:
    """As much of JupyterHub as the service sees: who has a token, people's servers, and starts that are accepted or refused.

    A token is valid while it is in ``tokens``; an OAuth code is the token that it buys.
    """

    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    servers: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    starts: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    stops: list[tuple[str, str]] = field(default_factory=list)
    stop_answer: int = 204
    refusal: tuple[int, dict[str, Any]] | None = None
    trouble: int = 0  # the status with which it answers questions about a person's servers
    url: str = ""
    questions: int = 0
    forgotten: list[dict[str, Any]] = field(default_factory=list)  # logins that the service said are over

    def let_in(self, name: str, token: str = "", *scopes: str, kind: str = "user") -> str:
        token = token or f"token-of-{name}"
        self.tokens[token] = {"name": name, "kind": kind, "groups": [], "scopes": [*(scopes or (ACCESS,))]}
        return token

    async def start(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_get("/hub/api/user", self._whoami)
        app.router.add_post("/hub/api/oauth2/token", self._token)
        app.router.add_get("/hub/api/users", self._users)
        app.router.add_get("/hub/api/users/{name}", self._user)
        app.router.add_post("/hub/api/users/{name}/server", self._start)
        app.router.add_post("/hub/api/users/{name}/servers/{server}", self._start)
        app.router.add_delete("/hub/api/users/{name}/server", self._stop)
        app.router.add_delete("/hub/api/users/{name}/servers/{server}", self._stop)
        app.router.add_post("/hub/api/backendai/logins/forget", self._forget)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hub/api"
        return runner

    def _who(self, request: web.Request) -> dict[str, Any]:
        model = self.tokens.get(request.headers.get("Authorization", "").partition(" ")[2])
        if model is None:
            raise web.HTTPForbidden(text='{"status": 403, "message": "Forbidden"}', content_type="application/json")
        return model

    async def _whoami(self, request: web.Request) -> web.Response:
        self.questions += 1
        return web.json_response(self._who(request))

    async def _token(self, request: web.Request) -> web.Response:
        body = await request.post()
        return web.json_response({"access_token": body["code"], "token_type": "Bearer"})

    async def _forget(self, request: web.Request) -> web.Response:
        self._who(request)
        self.forgotten.append(await request.json())
        return web.json_response({})

    async def _users(self, request: web.Request) -> web.Response:
        return web.json_response([])

    async def _user(self, request: web.Request) -> web.Response:
        model = self._who(request)
        if self.trouble:
            return web.json_response({}, status=self.trouble)
        return web.json_response({"name": model["name"], "servers": self.servers.get(request.match_info["name"], {})})

    async def _start(self, request: web.Request) -> web.Response:
        self._who(request)
        if self.refusal:
            status, body = self.refusal
            return web.json_response(body, status=status)
        body = await request.json()
        self.starts.append((request.match_info["name"], request.match_info.get("server", ""), body))
        return web.Response(status=202)

    async def _stop(self, request: web.Request) -> web.Response:
        self._who(request)
        self.stops.append((request.match_info["name"], request.match_info.get("server", "")))
        return web.Response(status=self.stop_answer)


@dataclass
class FakeEngine(Backend):
    """An engine that shows the rows that a test gave it, or fails."""

    rows: dict[str, QueueFigures] = field(default_factory=dict)
    error: Exception | None = None
    reads: int = 0
    name: str = "slurm"

    async def capacity(self) -> Mapping[str, QueueFigures]:
        self.reads += 1
        if self.error:
            raise self.error
        return self.rows

    async def submit(self, job: JobRequest) -> str:
        raise NotImplementedError

    async def cancel(self, job_id: str, posix: PosixAccount | None) -> None:
        raise NotImplementedError

    async def status(self, session_id: str, job_id: str, posix: PosixAccount | None) -> JobStatus:
        raise NotImplementedError

    async def statuses(self) -> Mapping[str, JobStatus]:
        return {}

    async def read_log(self, job_id: str, posix: PosixAccount | None, session_id: str = "") -> str:
        return ""
