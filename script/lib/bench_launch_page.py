"""`bench launch-page`: what the launch page costs where there are 1,000 nodes, 10,000 jobs and 100 people who look.

A real controller holds the nodes and jobs; our platform and a hub with jupyterhub-moss ask it with Slurm's own commands, which
wrappers count. A person's page draws its table anew every 15 s, as the page's script does; a page of jupyterhub-moss is drawn
once for each visit. CPU is of hub, service and their commands, less what the wrappers add.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import aiohttp
from bench_hubs import PeerHub
from bench_launch_cluster import PARTITIONS, SINFO, measure_sinfo, open_cluster
from bench_machine import Wrappers, cpu_s, wait_until_quiet, wrapper_cost_s
from bench_ours import OurHub
from bench_rows import Figure, Row
from small_slurm import SmallSlurm

PEOPLE = int(os.environ.get("BENCH_PEOPLE", "100"))
WINDOWS = int(os.environ.get("BENCH_WINDOWS", "5"))
WINDOW_S = int(os.environ.get("BENCH_WINDOW", "30"))
REFRESH_S = 15.0
COMMANDS = ("sudo", "squeue", "sacct", "sacctmgr", "scontrol", "sinfo", "scancel", "sbatch")
PREFIX = "/services/backendai/"
STARTER, PEER_USER = "kim01", "lee01"
STARTING_LIMIT, STEADY_LIMIT = 60.0, 20.0
MOSS = """
import jupyterhub_moss
from batchspawner.api import BatchSpawnerAPIHandler
from jupyterhub.apihandlers import default_handlers
default_handlers[:] = [route for route in default_handlers if route[0] != "/api/batchspawner"]
default_handlers.append((r"/api/batchspawner", BatchSpawnerAPIHandler))
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
jupyterhub_moss.set_config(c)
environment = {{"description": "default", "path": "/usr"}}
c.MOSlurmSpawner.partitions = {{
    name: {{"description": name, "architecture": "x86_64", "jupyter_environments": {{"default": environment}}}} for name in {partitions!r}
}}
"""
OURS = """
c.BackendAI.queues = [{{"name": name, "engine": "slurm"}} for name in {partitions!r}]
c.JupyterHub.services[0].setdefault("environment", {{}})["SLURM_CONF"] = {conf!r}
c.JupyterHub.load_roles[-1]["scopes"].append("tokens")
from jupyterhub_backendai.authenticator.authenticator import BackendAIAuthenticator
class Authenticator(BackendAIAuthenticator):
    async def refresh_user(self, user, handler=None):
        return True  # who looks is in no directory
c.JupyterHub.authenticator_class = Authenticator
"""


@dataclass(slots=True)
class Load:
    """What windows of one state of affairs showed; CPU is seconds for each refresh, answers are seconds."""

    commands: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    hub_s: list[float] = field(default_factory=list)
    answers_s: list[float] = field(default_factory=list)


def run() -> list[Row]:
    directory = Path(tempfile.mkdtemp(prefix="bench-page-", dir="/var/tmp"))
    directory.chmod(0o755)
    cluster = open_cluster()
    try:
        return asyncio.run(_measure(directory, cluster))
    finally:
        cluster.stop()
        if not os.environ.get("BENCH_KEEP"):
            shutil.rmtree(directory, ignore_errors=True)


async def _measure(directory: Path, cluster: SmallSlurm) -> list[Row]:
    cost_s = wrapper_cost_s(directory / "cost")
    peer_answers, peer_cpu = await _measure_peer(directory / "peer", cluster, cost_s)
    sinfo, sums = Figure(measure_sinfo(cluster)), Figure(measure_sinfo(cluster, SINFO))
    print(f"[bench] launch-page: one sinfo of nodes and their GPUs costs {sinfo} s of CPU, of sums {sums} s", flush=True)
    steady_1, steady, starting_1, starting, whole = await _measure_ours(directory / "ours", cluster, cost_s)
    sinfo = Figure((*sinfo.samples, *measure_sinfo(cluster)))
    sums = Figure((*sums.samples, *measure_sinfo(cluster, SINFO)))
    moss = "jupyterhub-moss 10.1.0's page"
    limit, quiet = Figure((STARTING_LIMIT,)), Figure((STEADY_LIMIT,))
    return [
        Row("launch-page", f"the table drawn anew, {PEOPLE} people", Figure(tuple(steady.answers_s)), peer_answers, moss, "s", "<= 0.5"),
        Row("launch-page", "the whole page", whole, peer_answers, moss, "s", "<= 1.0"),
        Row("launch-page", "commands, something starts", Figure(tuple(starting.commands)), limit, "the limit", "commands/min", "<= 1.0"),
        Row("launch-page", "the same", Figure(tuple(starting.commands)), Figure(tuple(starting_1.commands)), "for 1 person",
            "commands/min", "<= 1.1"),
        Row("launch-page", "commands otherwise", Figure(tuple(steady.commands)), quiet, "the limit", "commands/min", "<= 1.0"),
        Row("launch-page", "the same", Figure(tuple(steady.commands)), Figure(tuple(steady_1.commands)), "for 1 person",
            "commands/min", "<= 1.1"),
        Row("launch-page", f"CPU for a refresh, {PEOPLE} people", Figure(tuple(steady.cpu_s)), sinfo, "one sinfo, same answer",
            "CPU-s", "<= 0.5"),
        Row("launch-page", f"CPU for a refresh, {PEOPLE} people", Figure(tuple(steady.cpu_s)), sums, "one sinfo, sums only",
            "CPU-s", "<= 0.5"),
        Row("launch-page", f"CPU for a refresh, {PEOPLE} people", Figure(tuple(steady.cpu_s)), peer_cpu, moss, "CPU-s", "<= 0.5"),
    ]  # fmt: skip


async def _measure_peer(directory: Path, cluster: SmallSlurm, cost_s: float) -> tuple[Figure, Figure]:
    """Pages one after the other, each with its CPU."""
    wrappers = Wrappers(directory.with_suffix(".bin"), COMMANDS, before=True)
    hub = PeerHub(directory, MOSS.format(partitions=PARTITIONS), path=str(wrappers.directory))
    hub.start(SLURM_CONF=str(cluster.conf))
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
            await _log_in(http, hub.url)
            answers, cpu = [], []
            for number in range(4 * WINDOWS + 1):
                await asyncio.to_thread(wait_until_quiet, 0.5, 3)
                before, called, started = cpu_s(hub.pid), wrappers.count(), time.perf_counter()
                async with http.get(f"{hub.url}/hub/spawn") as response:
                    text = await response.text()
                took = time.perf_counter() - started
                if response.status != 200 or PARTITIONS[-1] not in text:
                    raise RuntimeError(f"jupyterhub-moss: {response.status} {text[:300]}")
                if number:
                    answers.append(took)
                    cpu.append(cpu_s(hub.pid) - before - cost_s * (wrappers.count() - called))
    finally:
        hub.stop()
    print(f"[bench] launch-page: jupyterhub-moss answers in {Figure(tuple(answers))} s; {wrappers.counts()}", flush=True)
    return Figure(tuple(answers)), Figure(tuple(cpu))


async def _log_in(http: aiohttp.ClientSession, url: str) -> None:
    async with http.get(f"{url}/hub/login"):
        xsrf = next(cookie.value for cookie in http.cookie_jar if cookie.key == "_xsrf")
    form = {"username": PEER_USER, "password": "-", "_xsrf": xsrf}
    async with http.post(f"{url}/hub/login", data=form, params={"next": "/hub/home"}) as response:
        if response.status != 200:
            raise RuntimeError(f"jupyterhub-moss: login {response.status}")


async def _measure_ours(directory: Path, cluster: SmallSlurm, cost_s: float) -> tuple[Load, Load, Load, Load, Figure]:
    wrappers = Wrappers(directory.with_suffix(".bin"), COMMANDS, before=True)
    more = OURS.format(partitions=PARTITIONS, conf=str(cluster.conf))
    hub = OurHub(directory, f"page{os.getpid()}", wrappers, more=more)
    await asyncio.to_thread(hub.start, SLURM_CONF=str(cluster.conf))
    try:
        await hub.log_in(STARTER)
        add_people(hub.instance.read_settings().database_url)
        async with aiohttp.ClientSession() as http:
            tokens = await _let_in(http, hub)
        crowd = Crowd(hub, wrappers, cost_s, tokens)
        await crowd.look(len(tokens), REFRESH_S)  # everybody's first page asks the hub who it is
        whole = await crowd.visit(4 * WINDOWS)
        steady_1, steady = await crowd.sample(1, "nothing starts"), await crowd.sample(PEOPLE, "nothing starts")
        async with aiohttp.ClientSession() as http:
            await hub.call(http, "POST", f"/users/{STARTER}/server", {"queue": "jupyter", "cpu": "40", "mem": "8g", "time": "1h"})
        starting_1, starting = await crowd.sample(1, "one starts"), await crowd.sample(PEOPLE, "one starts")
    finally:
        await asyncio.to_thread(hub.stop)
    return steady_1, steady, starting_1, starting, whole


def add_people(url: str) -> None:
    """As many people as look, without a login of each."""
    from sqlalchemy import insert
    from sqlalchemy.orm import Session

    from jupyterhub_backendai.store import models
    from jupyterhub_backendai.store.database import make_engine

    engine = make_engine(url)
    with Session(engine) as db, db.begin():
        people = [{"id": models.new_id(), "name": name, "display_name": name, "domain": "default"} for name in _names()]
        db.execute(insert(models.User), people)
        keys = [
            {"access_key": f"AKIA{number:016}", "user_id": row["id"], "secret_key": "-", "is_main": True}
            for number, row in enumerate(people)
        ]
        db.execute(insert(models.Keypair), keys)
    engine.dispose()


def _names() -> list[str]:
    return [f"looker{number:03}" for number in range(PEOPLE)]


async def _let_in(http: aiohttp.ClientSession, hub: OurHub) -> list[str]:
    """A token for each, as a browser's cookie would stand for."""
    tokens = []
    for name in _names():
        await hub.call(http, "POST", f"/users/{name}")
        scopes = ["access:services!service=backendai", "read:users!user", "read:servers!user"]
        status, text = await hub.call(http, "POST", f"/users/{name}/tokens", {"scopes": scopes})
        if status != 201:
            raise RuntimeError(f"no token: {status} {text[:300]}")
        tokens.append(json.loads(text)["token"])
    return tokens


@dataclass(frozen=True, slots=True)
class Crowd:
    """The people who look at the page."""

    hub: OurHub
    wrappers: Wrappers
    wrapper_s: float
    tokens: list[str]

    async def visit(self, times: int) -> Figure:
        """Whole pages, one after the other."""
        async with aiohttp.ClientSession(self.hub.url) as http:
            tokens = itertools.islice(itertools.cycle(self.tokens), times)
            return Figure(tuple([await _get(http, f"{PREFIX}launch", token) for token in tokens]))

    async def sample(self, people: int, name: str) -> Load:
        load = Load()
        await self.look(people, REFRESH_S)  # the pace that goes with it has set in
        for _ in range(WINDOWS):
            cpu, called, of_hub = self._cpu_s(), self.wrappers.count(), cpu_s(self.hub.pid)
            answers = await self.look(people, WINDOW_S)
            commands = self.wrappers.count() - called
            load.answers_s += answers
            load.commands.append(commands * 60 / WINDOW_S)
            load.cpu_s.append((self._cpu_s() - cpu - commands * self.wrapper_s) / len(answers))
            load.hub_s.append((cpu_s(self.hub.pid) - of_hub) / len(answers))
        cpu_ms, hub_ms, answer_ms = (1e3 * median(samples) for samples in (load.cpu_s, load.hub_s, load.answers_s))
        print(
            f"[bench] launch-page, {people} look, {name}: {median(load.commands):.0f} commands/min,"
            f" {cpu_ms:.2f} ms of CPU for a refresh (of the hub {hub_ms:.2f}),"
            f" answers in {answer_ms:.1f} ms (at most {max(load.answers_s) * 1e3:.0f}); {self.wrappers.counts()}",
            flush=True,
        )
        return load

    async def look(self, people: int, for_s: float) -> list[float]:
        """Each person's page asks for the table every :data:`REFRESH_S`; they came at different times."""
        answers: list[float] = []
        until = time.monotonic() + for_s
        async with aiohttp.ClientSession(self.hub.url, connector=aiohttp.TCPConnector(limit=0)) as http:
            await asyncio.gather(
                *(self._refresh(http, token, index / people, until, answers) for index, token in enumerate(self.tokens[:people]))
            )
        await asyncio.sleep(max(0.0, until - time.monotonic()))
        return answers

    @staticmethod
    async def _refresh(http: aiohttp.ClientSession, token: str, phase: float, until: float, answers: list[float]) -> None:
        at = time.monotonic() + phase * REFRESH_S
        while at < until:
            await asyncio.sleep(max(0.0, at - time.monotonic()))
            answers.append(await _get(http, f"{PREFIX}queues?queue={PARTITIONS[0]}", token))
            at += REFRESH_S

    def _cpu_s(self) -> float:
        """Of the hub, of the service (a child of the hub), and of all their commands."""
        return cpu_s(self.hub.pid) + sum(cpu_s(pid) for pid in _children(self.hub.pid))


def _children(pid: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if parent == pid and "services.app" in (entry / "cmdline").read_text():
                yield int(entry.name)


async def _get(http: aiohttp.ClientSession, path: str, token: str) -> float:
    started = time.perf_counter()
    async with http.get(path, headers={"Authorization": f"token {token}"}, allow_redirects=False) as response:
        text = await response.text()
        if response.status != 200 or PARTITIONS[-1] not in text:
            raise RuntimeError(f"{path}: {response.status} {response.headers.get('Location')} {text[:300]}")
    return time.perf_counter() - started
