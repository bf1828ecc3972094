"""`admin`: each list page of the administrator, against the hub's own list of its users, with a centre's numbers of rows.

10,000 people (in the hub too), 100,000 sessions that are over, 1,000 that live, 20,000 rows of the audit log. An administrator
asks for the pages and a service for the hub's list, each with a token, in turns, through the same proxy.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import aiohttp
from bench_machine import wait_until_quiet
from bench_rows import Figure, Row
from instance import APP, PORTS, Instance, choose_ports

PEOPLE = int(os.environ.get("BENCH_PEOPLE", "10000"))
SESSIONS = int(os.environ.get("BENCH_SESSIONS_PAST", "100000"))
LIVE, ACTS, ROUNDS = 1000, 20_000, int(os.environ.get("BENCH_ROUNDS", "7"))
PEER = "/hub/api/users?limit=50"
AIM = "<= 1.0"
CONFIG = """
from pathlib import Path
c = get_config()
load_subconfig({config!r})
c.JupyterHub.services[0]["command"][-1] = str(Path(__file__).resolve())
c.JupyterHub.services.append({{"name": "bench", "api_token": {token!r}}})
c.JupyterHub.load_roles.append({{"name": "bench", "services": ["bench"], "scopes": ["admin:users", "tokens", "read:hub"]}})
"""


class _Instance(Instance):
    """The embedded default on free ports, with a token for the benchmark."""

    def __init__(self, directory: Path, token: str) -> None:
        node, _, proxy = os.environ["BENCH_PROXY"].partition(" ")
        ports = choose_ports({**dict.fromkeys(PORTS, 0), "BACKENDAI_PORT": 0, "BACKENDAI_PRIVATE_PORT": 0})
        super().__init__(directory / "state", f"admin{os.getpid()}", ports, node=node, proxy=proxy)
        self.config = directory / "jupyterhub_config.py"
        self.config.write_text(CONFIG.format(config=str(APP / "jupyterhub_config.py"), token=token))
        self.config.chmod(0o600)
        os.chown(self.config, self.account.pw_uid, self.account.pw_gid)


def run() -> list[Row]:
    return asyncio.run(_run())


async def _run() -> list[Row]:
    directory, token = Path(tempfile.mkdtemp(prefix="backendai-bench-")), secrets.token_hex(16)
    directory.chmod(0o755)
    instance = _Instance(directory, token)
    try:
        instance.prepare()
        fill(instance.read_settings().database_url)
        instance.start()
        async with aiohttp.ClientSession(instance.url, headers={"Authorization": f"token {token}"}) as http:
            own = await _let_in(http)
        return await _measure(instance.url, own, token)
    finally:
        instance.stop()
        shutil.rmtree(directory, ignore_errors=True)


async def _let_in(http: aiohttp.ClientSession) -> str:
    """The hub's people, and a token of the administrator's own."""
    names = ["admin", *(f"user{number:05}" for number in range(PEOPLE))]
    for start in range(0, len(names), 500):
        async with http.post("/hub/api/users", json={"usernames": names[start : start + 500]}) as response:
            if response.status != 201:
                raise RuntimeError(await response.text())
    scopes = ["access:services!service=backendai", "read:users!user"]
    async with http.post("/hub/api/users/admin/tokens", json={"scopes": scopes}) as response:
        answer = await response.json()
        if response.status != 201:
            raise RuntimeError(str(answer))
        return str(answer["token"])


async def _measure(url: str, own: str, token: str) -> list[Row]:
    from jupyterhub_backendai.core.nouns import NOUNS
    from jupyterhub_backendai.store.records import RECORDS

    pages = {name: f"/services/backendai/admin/{name}" for name in NOUNS if name in RECORDS}
    pages["users, searched"] = "/services/backendai/admin/users?q=user00"
    pages["sessions, page 100"] = "/services/backendai/admin/sessions?page=100"
    ours: dict[str, list[float]] = {name: [] for name in pages}
    other: list[float] = []
    async with (
        aiohttp.ClientSession(url, headers={"Authorization": f"token {own}"}) as http,
        aiohttp.ClientSession(url, headers={"Authorization": f"token {token}"}) as hub,
    ):
        await _time(hub, PEER)
        for path in pages.values():
            await _time(http, path)
        wait_until_quiet()
        for _ in range(ROUNDS):
            for name, path in pages.items():
                ours[name].append(await _time(http, path))
            other.append(await _time(hub, PEER))
    peer = Figure(tuple(other))
    return [Row("admin", name, Figure(tuple(samples)), peer, f"GET {PEER}", "ms", AIM) for name, samples in ours.items()]


async def _time(http: aiohttp.ClientSession, path: str) -> float:
    started = time.perf_counter()
    async with http.get(path, allow_redirects=False) as response:
        text = await response.text()
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status} {text[:300]}")
    return 1000 * (time.perf_counter() - started)


def fill(url: str) -> None:
    """The rows of a centre in its tenth year."""
    from sqlalchemy import insert
    from sqlalchemy.orm import Session

    from jupyterhub_backendai.core.identity import Role
    from jupyterhub_backendai.core.sessions import SessionStatus
    from jupyterhub_backendai.core.slots import ResourceSlots
    from jupyterhub_backendai.store import models
    from jupyterhub_backendai.store.database import make_engine

    engine = make_engine(url)
    at = models.now()
    slots = [ResourceSlots({"cpu": count, "mem": count << 32, "cuda.device": count % 3}) for count in range(1, 9)]
    ids = [models.new_id() for _ in range(PEOPLE)]
    with Session(engine) as db, db.begin():
        db.add(models.Domain(name="default"))
        db.flush()
        db.execute(insert(models.User), [{"id": models.new_id(), "name": "admin", "domain": "default", "role": Role.SUPERADMIN}])
        people = [
            {
                "id": id_,
                "name": f"user{number:05}",
                "display_name": f"연구원 {number}",
                "email": f"user{number:05}@localhost",
                "domain": "default",
            }
            for number, id_ in enumerate(ids)
        ]
        db.execute(insert(models.User), people)
        projects = [{"id": models.new_id(), "domain": "default", "name": f"project{number:03}"} for number in range(200)]
        db.execute(insert(models.Project), projects)
        members = [{"user_id": id_, "project_id": projects[number % 200]["id"]} for number, id_ in enumerate(ids)]
        db.execute(insert(models.ProjectMember), members)
        keys = [{"access_key": f"AKIA{number:016}", "user_id": id_, "secret_key": "-", "is_main": True} for number, id_ in enumerate(ids)]
        db.execute(insert(models.Keypair), keys)

        def session(number: int) -> dict[str, object]:
            began, is_live = at - timedelta(minutes=5 * number), number < LIVE
            ended = None if is_live else began + timedelta(hours=1 + number % 8)
            return {
                "id": f"{number:032x}", "user_id": ids[number % PEOPLE], "domain": "default", "project": f"project{number % 200:03}",
                "access_key": keys[number % PEOPLE]["access_key"], "server_name": f"s{number}" if is_live else "", "queue": "compute",
                "engine": "local", "environment": "default", "interface": "lab", "slots": slots[number % 8], "time_limit_s": 36000,
                "status": SessionStatus.RUNNING if is_live else SessionStatus.TERMINATED, "created_at": began, "started_at": began,
                "terminated_at": ended, "released_at": ended,
            }  # fmt: skip

        for start in range(0, SESSIONS + LIVE, 5000):
            db.execute(insert(models.ComputeSession), [session(number) for number in range(start, min(start + 5000, SESSIONS + LIVE))])
        acts = [
            {"at": at - timedelta(minutes=number), "actor": f"user{number % PEOPLE:05}", "action": "login", "source": "127.0.0.1"}
            for number in range(ACTS)
        ]
        db.execute(insert(models.AuditEntry), acts)
    with engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    engine.dispose()
