"""Whole hubs for the benchmarks: proxy, hub and what belongs to them, as processes of their own on free ports."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import aiohttp
from bench_machine import free_port
from instance import die_with_parent

VENV = Path(sys.prefix)
SINGLEUSER = VENV / "bin" / "jupyterhub-singleuser"
PARTITION, CPUS, MEM_MB, TIME_MIN = "jupyter", 1, 2048, 60


def find_proxy() -> list[str]:
    """The command of configurable-http-proxy: the set-up's, else the one on PATH."""
    named = os.environ.get("BENCH_PROXY") or shutil.which("configurable-http-proxy")
    if not named:
        raise RuntimeError("configurable-http-proxy is not there; script/run sets it up")
    return named.split()


def basic_config(directory: Path, token: str, port: int, proxy: list[str]) -> str:
    """What both hubs have in common."""
    return f"""
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{free_port()}"
c.JupyterHub.db_url = "sqlite:///{directory}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{directory}/cookie_secret"
c.JupyterHub.pid_file = "{directory}/hub.pid"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.allow_named_servers = True
c.JupyterHub.concurrent_spawn_limit = 0
c.JupyterHub.tornado_settings = {{"slow_spawn_timeout": 1}}
c.JupyterHub.active_server_limit = 0
c.JupyterHub.last_activity_interval = 86400
c.ConfigurableHTTPProxy.command = {proxy!r}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{free_port()}"
c.ConfigurableHTTPProxy.pid_file = "{directory}/proxy.pid"
c.JupyterHub.services = [{{"name": "bench", "api_token": "{token}"}}]
c.JupyterHub.load_roles = [{{
    "name": "bench", "services": ["bench"],
    "scopes": ["admin:users", "admin:servers", "access:servers", "users:activity", "read:hub"],
}}]
c.Spawner.start_timeout = c.Spawner.http_timeout = 120
"""


def peer_config(sbatch: str) -> str:
    """batchspawner 1.3.0 with its own defaults; only what this cluster needs is set.

    Any hub loads the spawners that are installed beside it, and ours then takes over the port report: put the plain one back.
    """
    return f"""
from batchspawner.api import BatchSpawnerAPIHandler
from jupyterhub.apihandlers import default_handlers
default_handlers[:] = [route for route in default_handlers if route[0] != "/api/batchspawner"]
default_handlers.append((r"/api/batchspawner", BatchSpawnerAPIHandler))
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "batchspawner.SlurmSpawner"
c.Spawner.cmd = ["{SINGLEUSER}"]
c.SlurmSpawner.batchspawner_singleuser_cmd = "{VENV}/bin/batchspawner-singleuser"
c.SlurmSpawner.batch_submit_cmd = "{sbatch} --parsable"
c.SlurmSpawner.req_partition = "{PARTITION}"
c.SlurmSpawner.req_nprocs = "{CPUS}"
c.SlurmSpawner.req_memory = "{MEM_MB}M"
c.SlurmSpawner.req_runtime = "{TIME_MIN}"
c.SlurmSpawner.state_exechost_exp = "127.0.0.1"
"""


class RestHub:
    """A running hub as the benchmarks see it."""

    name: str
    directory: Path
    url: str
    token: str
    pid: int

    async def call(self, http: aiohttp.ClientSession, method: str, path: str, body: object = None) -> tuple[int, str]:
        """One call of the hub's REST with the benchmark's own token."""
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        async with http.request(method, f"{self.url}/hub/api{path}", data=json.dumps(body or {}), headers=headers) as response:
            return response.status, await response.text()


class PeerHub(RestHub):
    """A plain hub, as root; ``command`` runs it, ``path`` comes first in its PATH."""

    def __init__(self, directory: Path, config: str, *, command: list[str] | None = None, path: str = "") -> None:
        self.name, self.directory, self.path = "batchspawner", directory, path
        self.command = command or [str(VENV / "bin" / "jupyterhub")]
        self.token, port = secrets.token_hex(16), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._config = basic_config(directory, self.token, port, find_proxy()) + config
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:  # type: ignore[override]
        if not self._process:
            raise RuntimeError(f"the hub {self.name} does not run")
        return self._process.pid

    def start(self, **environment: str) -> None:
        """Start it and wait until it answers."""
        self.directory.mkdir(parents=True)
        config = self.directory / "jupyterhub_config.py"
        config.write_text(self._config)
        config.chmod(0o600)
        path = f"{VENV}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        base = {
            "PATH": f"{self.path}:{path}" if self.path else path,
            "LANG": "C.UTF-8",
            "HOME": str(self.directory),
            "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(16),
        }
        with (self.directory / "hub.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self.command, "-f", str(config)],
                cwd=self.directory,
                env=base | environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - this process has one thread
            )
        self._wait_until_ready()

    def _wait_until_ready(self, limit_s: float = 60) -> None:
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline and self._process and self._process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/hub/api/", timeout=5):
                return
            time.sleep(0.2)
        raise RuntimeError(f"the hub {self.name} did not start; see {self.directory}/hub.log")

    def stop(self) -> None:
        """End the hub, and with it its proxy."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
