"""Where files are measured: the platform with its helper, a folder of kim01's, and nginx beside it, behind the same proxy."""

from __future__ import annotations

import json
import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from bench_launch_page import _children
from bench_machine import Wrappers, free_port
from bench_ours import OurHub

USER = "kim01"
PREFIX = "/services/backendai/"
CLIENT = Path(__file__).with_name("bench_files_client.py")
NGINX = """
worker_processes 2;
user root;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  sendfile on;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  client_max_body_size 0;
  server {{
    listen 127.0.0.1:{port};
    root {directory}/root;
    location / {{ dav_methods PUT DELETE; create_full_put_path on; }}
  }}
}}
"""


class Nginx:
    """nginx as a centre would use it for files: sendfile, and WebDAV's PUT."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.port = directory, free_port()
        self.root = directory / "root" / "peer"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.root.mkdir(parents=True)
        self.directory.chmod(0o755)
        config = self.directory / "nginx.conf"
        config.write_text(NGINX.format(directory=self.directory, port=self.port))
        self._process = subprocess.Popen(["nginx", "-c", str(config), "-g", "daemon off;"])
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=1).close()
            except urllib.error.HTTPError:
                return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("nginx did not start")

    @property
    def pids(self) -> list[int]:
        if self._process is None:
            return []
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return [self._process.pid, *map(int, children)]

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(10)


class Place:
    """Everything that is measured, started and ended together."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="backendai-bench-", dir="/var/tmp"))
        self.directory.chmod(0o755)
        self.nginx = Nginx(self.directory / "nginx")
        more = 'c.JupyterHub.load_roles[-1]["scopes"] += ["tokens", "proxy"]\n'
        wrappers = Wrappers(self.directory / "bin", ("squeue", "sacct", "sacctmgr", "scontrol", "sinfo", "scancel", "sbatch"), before=True)
        self.hub = OurHub(self.directory / "ours", f"files{os.getpid()}", wrappers, more=more)
        self.token, self.folder, self.data = "", "", self.directory

    async def start(self) -> None:
        self.nginx.start()
        self.hub.start()
        await self.hub.log_in(USER)
        async with aiohttp.ClientSession(self.hub.url) as http:
            scopes = ["access:services!service=backendai", "read:users!user"]
            status, text = await self.hub.call(http, "POST", f"/users/{USER}/tokens", {"scopes": scopes})
            if status != 201:
                raise RuntimeError(f"no token: {text[:300]}")
            self.token = json.loads(text)["token"]
            headers = {"Authorization": f"token {self.token}"}
            async with http.post(f"{PREFIX}rest/v1/folders", json={"name": "bench"}, headers=headers) as answer:
                made = await answer.json()
                if answer.status not in (200, 201):
                    raise RuntimeError(str(made))
            self.folder = made["id"]
            hosts = self.hub.instance.read_settings().list_storage_hosts()
            self.data = Path(hosts[made["host"]].path, made["quota_scope_id"].replace(":", "-"), self.folder, "data")
        await self._route()

    async def _route(self) -> None:
        """The peer behind the same proxy, by the proxy's own interface."""
        secret = json.loads((self.hub.instance.state / "secrets.json").read_text())["proxy"]
        api = f"http://127.0.0.1:{self.hub.instance.ports['BACKENDAI_PROXY_PORT']}/api/routes/peer"
        body = {"target": f"http://127.0.0.1:{self.nginx.port}"}
        async with aiohttp.ClientSession(headers={"Authorization": f"token {secret}"}) as http, http.post(api, json=body) as answer:
            if answer.status != 201:
                raise RuntimeError(f"no route: {answer.status}")

    def stop(self) -> None:
        self.hub.stop()
        self.nginx.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Of the service."""
        return next(iter(_children(self.hub.pid)))

    @property
    def rest(self) -> str:
        return f"{PREFIX}rest/v1/folders/{self.folder}"

    def address(self, side: str, way: str) -> tuple[str, int]:
        """Where ``ours`` or ``nginx`` listens: ``direct``, or behind the ``proxy``."""
        if way == "proxy":
            return "127.0.0.1", urlsplit(self.hub.url).port or 0
        port = self.hub.instance.ports["BACKENDAI_SERVICE_PORT"] if side == "ours" else self.nginx.port
        return "127.0.0.1", port

    def run_client(self, what: str, side: str, way: str, path: str, amount: float, clients: int | str = 1) -> float:
        """Seconds."""
        command = self.client(what, side, way, path, amount, clients)
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=600)
        return float(json.loads(done.stdout)["s"])

    def client(self, what: str, side: str, way: str, path: str, amount: float, clients: int | str) -> list[str]:
        host, port = self.address(side, way)
        return [sys.executable, str(CLIENT), what, host, str(port), path, self.token, str(amount), str(clients)]

    def give(self, *paths: Path) -> None:
        """What root made becomes the person's."""
        person = pwd.getpwnam(USER)
        for path in paths:
            os.chown(path, person.pw_uid, person.pw_gid)


def make_file(path: Path, mib: int) -> None:
    piece = secrets.token_bytes(1024 * 1024)
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(piece)
