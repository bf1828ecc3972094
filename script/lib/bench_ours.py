"""Our side of the benchmarks: the platform as `script/run --lab` starts it, in a state of its own, with a token for the benchmark."""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path

import aiohttp
from bench_hubs import RestHub
from bench_machine import Wrappers
from instance import PORTS, SCRIPTS, Instance, choose_ports

CONFIG = """
from pathlib import Path
c = get_config()
load_subconfig({lab_config!r})
c.JupyterHub.services[0]["command"][-1] = str(Path(__file__).resolve())
c.JupyterHub.services.append({{"name": "bench", "api_token": {token!r}}})
c.JupyterHub.load_roles.append({{
    "name": "bench", "services": ["bench"],
    "scopes": ["admin:users", "admin:servers", "access:servers", "users:activity", "read:hub"],
}})
c.JupyterHub.cleanup_servers = False
c.JupyterHub.last_activity_interval = 86400
c.BackendAI.slurm_bin = {slurm_bin!r}
"""


class _BenchInstance(Instance):
    """An instance with a configuration on top of the lab's, and perhaps another program in place of the hub."""

    def __init__(self, directory: Path, name: str, *, hub: list[str] | None, environment: dict[str, str]) -> None:
        node, _, proxy = os.environ["BENCH_PROXY"].partition(" ")
        ports = choose_ports({**dict.fromkeys(PORTS, 0), "BACKENDAI_PORT": 0, "BACKENDAI_PRIVATE_PORT": 0})
        super().__init__(directory / "state", name, ports, node=node, proxy=proxy, lab=True)
        self.config = directory / "jupyterhub_config.py"
        self._hub, self._more = hub, environment

    def pid(self, name: str) -> int:
        return self._processes[name].pid

    def _launch(self, name, command, more=None, *, as_root=False):
        if name == "hub" and self._hub:
            command = [*self._hub, "-f", str(self.config)]
        if name == "helper":
            command = [*command, "--slurm-bin", self.read_settings().slurm_bin]
        super()._launch(name, command, {**(more or {}), **self._more}, as_root=as_root)

    def _ask_health(self):
        return super()._ask_health() if not self._hub else ""


class OurHub(RestHub):
    """The whole platform: proxy, helper, hub and service. ``hub`` is a program to run in place of the hub, then without the service."""

    def __init__(self, directory: Path, name: str, wrappers: Wrappers, *, more: str = "", hub: list[str] | None = None) -> None:
        self.name, self.directory, self.token = "ours", directory, secrets.token_hex(16)
        self._config = CONFIG.format(lab_config=str(SCRIPTS / "lab_config.py"), token=self.token, slurm_bin=str(wrappers.directory)) + more
        self._name, self._hub = name, hub
        self._instance: _BenchInstance | None = None

    @property
    def instance(self) -> _BenchInstance:
        if self._instance is None:
            raise RuntimeError("our hub does not run")
        return self._instance

    @property
    def url(self) -> str:  # type: ignore[override]
        return self.instance.url

    @property
    def pid(self) -> int:  # type: ignore[override]
        return self.instance.pid("hub")

    def start(self, **environment: str) -> None:
        """Start everything and wait until it answers."""
        self.directory.mkdir(parents=True)
        self._instance = _BenchInstance(self.directory, self._name, hub=self._hub, environment=environment)
        config, account = self._instance.config, self._instance.account
        config.write_text(self._config)
        config.chmod(0o600)
        os.chown(config, account.pw_uid, account.pw_gid)
        self._instance.prepare()
        self._instance.start()

    def stop(self) -> None:
        """End everything."""
        if self._instance:
            self._instance.stop()

    async def log_in(self, user: str) -> None:
        """What a first log-in leaves behind: the person's rows, and the hub's user."""
        from jupyterhub_backendai.core import otp

        settings = self.instance.read_settings()
        person = self.instance.people[user]
        code = otp.code_at(otp.parse_secret(person["otp"]), otp.step_of(time.time()))
        body = {"username": person["login"], "password": person["password"], "otp": code, "source": "127.0.0.1", "next": ""}
        connector = aiohttp.UnixConnector(settings.private_url.removeprefix("unix://"))
        headers = {"Authorization": f"Bearer {settings.read_secret('private')}"}
        async with (
            aiohttp.ClientSession(connector=connector, headers=headers) as http,
            http.post("http://service/private/login", json=body) as response,
        ):
            answer = await response.json()
        if answer.get("outcome") != "ok":
            raise RuntimeError(f"{user} could not log in: {answer}")
        async with aiohttp.ClientSession() as http:
            await self.call(http, "POST", f"/users/{user}")
