"""The platform under the fault test: hub, service, proxy and helper on the private cluster, through commands that can be disturbed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import aiohttp
from bench_ours import OurHub

COMMANDS = ("squeue", "sacct", "sinfo", "scontrol", "sbatch", "scancel", "sacctmgr")
PEOPLE = ("kim01", "kim02", "lee01")
PLACES = tuple((user, server) for user in PEOPLE for server in ("", "b"))
OPTIONS = {"queue": "jupyter", "environment": "stub", "cpu": "1", "mem": "100m", "time": "2h"}
STUB = Path(__file__).with_name("bench_faults_stub.py")

CONFIG = """
c.BackendAI.user_root = {scratch!r}
c.BackendAI.environments = [{{"name": "stub", "labels": {{"en": "Stub", "ko": "대역"}}, "command": ["/usr/bin/python3", {stub!r}]}}]
c.BackendAI.queues = [{{"name": "jupyter", "engine": "slurm", "labels": {{"en": "jupyter", "ko": "jupyter"}}, "accounts": {{"*": "free"}}}}]
c.BackendAI.starting_interval_s, c.BackendAI.steady_interval_s = 1.0, 2.0
c.Spawner.poll_interval = 2
"""

# What a disturbed command does; AMOUNT is the second word of its lever's file.
COMMAND = """#!/bin/bash
export SLURM_CONF={conf}
[ -r {levers}/{name} ] && read -r mode amount <{levers}/{name} || exec /usr/bin/{name} "$@"
case $mode in
slow) sleep "$amount"; exec /usr/bin/{name} "$@" ;;
empty) exit 0 ;;
deaf) /usr/bin/{name} "$@" >/dev/null 2>&1; exit 0 ;;
cut) /usr/bin/{name} "$@" | head -c "$amount"; exit 0 ;;
lines) /usr/bin/{name} "$@" | head -n "$amount"; exit 0 ;;
utf16) /usr/bin/{name} "$@" | iconv -t UTF-16; exit 0 ;;
noise) head -c 400 /dev/urandom; exit 0 ;;
mixed) /usr/bin/{name} "$@" 2>&1 | tr 'A-M0-4' 'N-Z5-9'; exit 0 ;;
lost) /usr/bin/{name} "$@" >/dev/null 2>&1; echo "{name}: error: Socket timed out on send/recv operation" >&2; exit 1 ;;
killed) /usr/bin/{name} "$@" >/dev/null 2>&1; kill -9 $$ ;;
odd) echo "{name}: something odd happened" >&2; exit 1 ;;
esac
exec /usr/bin/{name} "$@"
"""
MODES = ("slow", "empty", "deaf", "cut", "lines", "utf16", "noise", "mixed", "lost", "killed", "odd")
# That would not disturb but lie: a submission is answered with another job's id.
LIES = {("sbatch", "mixed")}


@dataclass(slots=True)
class Seen:
    """A server as the hub last showed it."""

    session_id: str = ""
    job_id: str = ""
    is_ready: bool = False
    is_pending: bool = False


class _Commands:
    """A directory of Slurm's commands with levers, in place of the counting wrappers of other benchmarks."""

    def __init__(self, base: Path, conf: Path) -> None:
        self.directory, self.levers = base / "bin", base / "levers"
        for directory in (self.directory, self.levers):
            directory.mkdir()
            directory.chmod(0o755)
        for name in COMMANDS:
            path = self.directory / name
            path.write_text(COMMAND.format(conf=conf, levers=self.levers, name=name))
            path.chmod(0o755)

    def pull(self, name: str, mode: str, amount: float) -> None:
        fresh = self.levers / f".{name}"
        fresh.write_text(f"{mode} {amount:g}\n")
        fresh.chmod(0o644)
        fresh.rename(self.levers / name)

    def release(self, name: str) -> None:
        (self.levers / name).unlink(missing_ok=True)


class Platform(OurHub):
    """``instance`` has the processes; hub, service and helper can be killed."""

    def __init__(self, base: Path, conf: Path) -> None:
        self.commands = _Commands(base, conf)
        stub = base / STUB.name
        stub.write_text(STUB.read_text())
        stub.chmod(0o644)
        (base / "scratch").mkdir(mode=0o755)
        (base / "scratch").chmod(0o755)
        for user in PEOPLE:
            (base / "scratch" / user).mkdir()
            shutil.chown(base / "scratch" / user, user)
        name = f"faults{os.getpid()}"
        config = CONFIG.format(scratch=f"{base}/scratch/{{user}}", stub=str(stub))
        super().__init__(base / "platform", name, self.commands, more=config)
        self.base, self.job_name, self.stub = base, f"backendai-{name}", stub
        self._http: aiohttp.ClientSession | None = None

    # -- its processes

    def is_up(self, name: str) -> bool:
        process = self.instance._processes.get(name)
        return process is not None and process.poll() is None

    def kill(self, name: str) -> None:
        """SIGKILL to hub or helper."""
        if process := self.instance._processes.pop(name, None):
            process.kill()
            process.wait()

    def launch(self, name: str) -> None:
        """Start hub or helper again, without waiting for it."""
        if self.is_up(name):
            return
        self.instance._processes.pop(name, None)
        if name == "helper":
            self.instance._launch_helper()
        else:
            self.instance._launch("hub", [sys.executable, "-m", "jupyterhub", "-f", str(self.instance.config)])

    def kill_service(self) -> bool:
        if not self.is_up("hub"):
            return False
        hub = self.instance.pid("hub")
        for child in Path(f"/proc/{hub}/task/{hub}/children").read_text().split():
            with contextlib.suppress(OSError):
                if b"jupyterhub_backendai.services.app" in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(int(child), signal.SIGKILL)
                    return True
        return False

    # -- its people

    async def ask(self, method: str, path: str, body: object = None, *, patience_s: float = 10) -> tuple[int, object]:
        """(status, answer) of the hub's REST; 0 when it does not answer."""
        if self._http is None:
            self._http = aiohttp.ClientSession()
        headers = {"Authorization": f"token {self.token}"}
        try:
            timeout = aiohttp.ClientTimeout(total=patience_s)
            async with self._http.request(method, f"{self.url}/hub/api{path}", json=body, headers=headers, timeout=timeout) as answer:
                return answer.status, await answer.json() if "json" in answer.headers.get("Content-Type", "") else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return 0, None

    async def close(self) -> None:
        if self._http:
            await self._http.close()

    async def order(self, method: str, place: tuple[str, str]) -> str:
        """Start (POST) or stop (DELETE) a server; the hub's status, and what it says against it."""
        user, server = place
        path = f"/users/{quote(user)}/servers/{server}" if server else f"/users/{quote(user)}/server"
        status, answer = await self.ask(method, path, OPTIONS if method == "POST" else None)
        return f"{status} {answer.get('message', '')[:60]}" if isinstance(answer, dict) and status >= 400 else str(status)

    async def look(self) -> dict[tuple[str, str], Seen] | None:
        """Every server that the hub has, None while it does not answer."""
        status, users = await self.ask("GET", "/users?state=active", patience_s=3)
        if status != 200 or not isinstance(users, list):
            return None
        found = {}
        for user in users:
            for name, server in user["servers"].items():
                if server.get("stopped"):
                    continue
                state = server.get("state") or {}
                job_id = str((state.get("child") or {}).get("job_id") or "")
                found[user["name"], name] = Seen(str(state.get("session_id") or ""), job_id, bool(server["ready"]), bool(server["pending"]))
        return found

    def list_rows(self) -> set[str]:
        """The ids of the sessions that hold something in our database."""
        code = (
            "import asyncio, sys; from jupyterhub_backendai.config import load_settings; from jupyterhub_backendai.store import sessions;"
            "from jupyterhub_backendai.store.database import Database\n"
            "async def main():\n"
            "    db = Database(load_settings(sys.argv[1]).database_url); print(*[info.id for info in await db.run(sessions.list_live)])\n"
            "    await db.close()\nasyncio.run(main())"
        )
        environment = self.instance._environment()
        command = [sys.executable, "-c", code, str(self.instance.config)]
        done = subprocess.run(
            command, env=environment, cwd=self.instance.state, capture_output=True, text=True, check=True, **self.instance._identity()
        )
        return set(done.stdout.split())

    async def until_well(self, limit_s: float = 90) -> None:
        """Hub and service answer."""
        deadline = asyncio.get_running_loop().time() + limit_s
        while reason := await asyncio.to_thread(self.instance._ask_health):
            if asyncio.get_running_loop().time() > deadline:
                raise RuntimeError(f"faults: the platform is not well after {limit_s:.0f} s: {reason}")
            await asyncio.sleep(0.5)
