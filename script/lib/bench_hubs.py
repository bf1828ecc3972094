"""Whole hubs for the benchmarks: proxy, hub and what belongs to them, as processes of their own on free ports."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from bench_machine import free_port

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
    """batchspawner 1.3.0 with its own defaults; only what this cluster needs is set."""
    return f"""
import batchspawner
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


@dataclass
class Hub:
    """A hub process. ``command`` and ``config`` say which; ``account`` runs it as somebody else than root."""

    name: str
    directory: Path
    config: str
    command: list[str] = field(default_factory=lambda: [str(VENV / "bin" / "jupyterhub")])
    path: str = ""
    account: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        if not self.process:
            raise RuntimeError(f"the hub {self.name} does not run")
        return self.process.pid

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "jupyterhub_config.py"
        config.write_text(basic_config(self.directory, self.token, self.port, find_proxy()) + self.config)
        config.chmod(0o600)
        path = f"{VENV}/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        environment = {
            "PATH": f"{self.path}:{path}" if self.path else path,
            "LANG": "C.UTF-8",
            "HOME": str(self.directory),
            "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(16),
            **self.environment,
        }
        if self.account:
            for path_ in (self.directory, *self.directory.rglob("*")):
                shutil.chown(path_, self.account)
        with (self.directory / "hub.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, "-f", str(config)],
                cwd=self.directory,
                env=environment,
                stdout=log,
                stderr=log,
                user=self.account or None,
                group=self.account or None,
                extra_groups=[] if self.account else None,
                start_new_session=True,
            )

    async def wait_ready(self, limit_s: float = 60) -> None:
        deadline = time.monotonic() + limit_s
        async with aiohttp.ClientSession() as http:
            while time.monotonic() < deadline:
                if self.process and self.process.poll() is not None:
                    break
                with contextlib.suppress(aiohttp.ClientError):
                    async with http.get(f"{self.url}/hub/api/") as response:
                        if response.status == 200:
                            return
                await asyncio.sleep(0.2)
        raise RuntimeError(f"the hub {self.name} did not start; see {self.directory}/hub.log")

    def stop(self) -> None:
        """End the hub and its proxy."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    async def call(self, http: aiohttp.ClientSession, method: str, path: str, body: object = None) -> tuple[int, str]:
        """One call of the hub's REST with the benchmark's own token."""
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        async with http.request(method, f"{self.url}/hub/api{path}", data=json.dumps(body or {}), headers=headers) as response:
            return response.status, await response.text()
