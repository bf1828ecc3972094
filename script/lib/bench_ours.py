"""Our side of the benchmarks: the platform as `script/run --lab` starts it, in a state of its own, with a token for the benchmark."""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path

import aiohttp
from bench_hubs import Hub
from bench_machine import Wrappers, free_port
from instance import PORTS, SCRIPTS, Instance, choose_ports

TOKEN_SERVICE = """
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
c.BackendAI.otp_required = False
c.BackendAI.slurm_bin = {slurm_bin!r}
"""
# Polling needs no service: nothing of it may run beside what is measured
WITHOUT_SERVICE = """
c.JupyterHub.services[0] = {"name": "backendai", "api_token": "%s"}
c.JupyterHub.named_server_limit_per_user = 0
c.Spawner.poll_interval = %d
"""


class OurHub(Instance, Hub):
    """An instance on the lab that answers like the other hubs of the benchmarks."""

    def __init__(self, directory: Path, name: str, wrappers: Wrappers, *, hub: list[str] | None = None, more: str = "") -> None:
        node, _, proxy = os.environ["BENCH_PROXY"].partition(" ")
        ports = choose_ports({**dict.fromkeys(PORTS, 0), "BACKENDAI_PORT": 0, "BACKENDAI_PRIVATE_PORT": 0})
        Instance.__init__(self, directory / "state", name, ports, node=node, proxy=proxy, lab=True)
        self.directory, self.token, self.environment = directory, secrets.token_hex(16), {}
        self.hub, self.slurm_bin = hub, str(wrappers.directory)
        directory.mkdir(mode=0o755)
        self.config = directory / "jupyterhub_config.py"
        self.config.write_text(
            TOKEN_SERVICE.format(lab_config=str(SCRIPTS / "lab_config.py"), token=self.token, slurm_bin=self.slurm_bin) + more
        )
        self.config.chmod(0o600)
        os.chown(self.config, self.account.pw_uid, self.account.pw_gid)
        self.port = ports["BACKENDAI_PORT"]

    @property
    def pid(self) -> int:
        return self._processes["hub"].pid

    def start(self) -> None:
        self.prepare()
        super().start()
