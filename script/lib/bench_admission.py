"""`admission`: sessions admitted in a second with a centre's numbers of rows, against a bare transaction of the same database.

10,000 people, 1,000 live sessions, half of them in queues that Slurm schedules and half in queues that we count; the policy of every
keypair and every project has limits. The bare transaction takes the same way (thread, pool, driver): it locks one row and inserts one.
One after the other, in turns, so that all meet the same machine; what a window added is taken away before the next.
"""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench_machine import wait_until_quiet
from bench_rows import Figure, Row
from instance import APP
from sqlalchemy import create_engine, delete, insert, make_url, select, text, update
from sqlalchemy.orm import Session

from jupyterhub_backendai.core.queues import Queue
from jupyterhub_backendai.core.sessions import LaunchRequest, SessionSpec, SessionStatus
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.store import images, models, resource_groups, sessions
from jupyterhub_backendai.store.database import Database, make_engine, upgrade

PEOPLE = int(os.environ.get("BENCH_PEOPLE", "10000"))
LIVE, PROJECTS, QUEUES = 1000, 200, 10
WINDOWS, ASKS = int(os.environ.get("BENCH_WINDOWS", "7")), 200
AIM = ">= 0.25"
GIB = 1024**3
SLOTS = ResourceSlots({"cpu": 2, "mem": 8 * GIB, "cuda.device": 0})
CAPACITY = ResourceSlots({"cpu": 100_000, "mem": 100_000 * GIB, "cuda.device": 0})
LIMIT = ResourceSlots({"cpu": 5000, "mem": 50_000 * GIB, "cuda.device": 100})
# The other side writes what a session is made of, without asking anything.
_USER, _SESSION = models.User.__table__, models.ComputeSession.__table__
Side = Callable[[int], Awaitable[object]]


def make_queues(engine: str) -> list[Queue]:
    capacity = CAPACITY if engine == "local" else ResourceSlots()
    return [Queue(name=f"{engine}{number}", engine=engine, capacity=capacity) for number in range(QUEUES // 2)]


def run() -> list[Row]:
    rows: list[Row] = []
    for name, place in (("SQLite", _sqlite), ("PostgreSQL", _postgres)):
        with place() as url:
            upgrade(url)
            fill(url)
            rows += asyncio.run(_measure(name, url))
    return rows


@contextmanager
def _sqlite() -> Iterator[str]:
    directory = Path(tempfile.mkdtemp(prefix="backendai-bench-"))
    try:
        yield f"sqlite:///{directory}/bench.sqlite"
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _postgres() -> Iterator[str]:
    """A database of this run on the lab's server, whose status ends with its URL."""
    lab = str(APP / "script" / "lab")
    subprocess.run([lab, "up", "postgres"], check=True, stdout=subprocess.DEVNULL)
    answer = subprocess.run([lab, "status", "postgres"], check=True, capture_output=True, text=True)
    url = make_url((answer.stdout + answer.stderr).split()[-1])
    name = f"backendai_bench_{uuid.uuid4().hex[:12]}"
    server = create_engine(url, isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        server.dispose()


async def _measure(name: str, url: str) -> list[Row]:
    database = Database(url)

    def admit(engine: str) -> Side:
        queues = make_queues(engine)

        def ask(number: int) -> Awaitable[object]:
            queue = queues[number % len(queues)]
            request = LaunchRequest(queue=queue.name, slots=SLOTS)
            spec = SessionSpec(models.new_id(), _user_name(LIVE + number), "", request)
            return database.run_exclusive(sessions.admit, spec, queue, None)

        return ask

    def bare(number: int) -> Awaitable[object]:
        return database.run_exclusive(_lock_and_insert, _user_name(LIVE + number))

    sides: dict[str, Side] = {"Slurm's queue": admit("slurm"), "counted queue": admit("local"), "bare": bare}
    found: dict[str, list[float]] = {side: [] for side in sides}
    try:
        for side in sides.values():
            await _ask(database, side, 20)
        wait_until_quiet()
        for _ in range(WINDOWS):
            for which, side in sides.items():
                found[which].append(await _ask(database, side, ASKS))
    finally:
        await database.close()
    other = Figure(tuple(found.pop("bare")))
    return [
        Row("admission", f"{name}, {side}", Figure(tuple(f)), other, "lock a row, insert a row", "1/s", AIM) for side, f in found.items()
    ]


async def _ask(database: Database, side: Side, count: int) -> float:
    """How many of them in a second."""
    gc.collect()
    began = time.perf_counter()
    for number in range(count):
        await side(number)
    spent = time.perf_counter() - began
    await database.run_exclusive(_take_away, count)
    return count / spent


def _take_away(db: Session, count: int) -> None:
    """Back to the live sessions of the beginning. Fails when the window did not add what it should."""
    removed = db.execute(delete(_SESSION).where(_SESSION.c.name == "")).rowcount  # type: ignore[attr-defined]
    if removed != count:
        raise RuntimeError(f"{removed} sessions were added in place of {count}")


def _lock_and_insert(db: Session, name: str) -> None:
    user_id = db.execute(select(_USER.c.id).where(_USER.c.name == name).with_for_update()).scalar_one()
    at = models.now()
    row = {
        "id": models.new_id(), "user_id": user_id, "domain": "default", "project": "project000", "access_key": "", "name": "",
        "server_name": "", "queue": "slurm0", "engine": "slurm", "environment": "default", "interface": "lab",
        "status": SessionStatus.PENDING, "slots": SLOTS, "time_limit_s": 3600, "created_at": at, "scheduled_at": at,
    }  # fmt: skip
    db.execute(insert(_SESSION), row)


def _user_name(number: int) -> str:
    return f"user{number:05}"


def fill(url: str) -> None:
    """People with a keypair and a project each, and the live sessions of the first of them."""
    engine = make_engine(url)
    ids = [models.new_id() for _ in range(PEOPLE)]
    queues = [*make_queues("slurm"), *make_queues("local")]
    with Session(engine) as db, db.begin():
        resource_groups.sync(db, {queue.name: queue for queue in queues})
        db.execute(
            update(models.KeypairResourcePolicy).values(
                total_resource_slots=LIMIT, max_concurrent_sessions=5, max_pending_session_count=5, max_session_lifetime_s=864_000
            )
        )
        images.sync(db, {"default": {"labels": {"en": "Default"}, "min_slots": {"cpu": 1}, "max_slots": {"cpu": 64}}})
        db.add(models.Domain(name="default"))
        db.flush()
        projects = [
            {"id": models.new_id(), "domain": "default", "name": f"project{number:03}", "total_resource_slots": LIMIT}
            for number in range(PROJECTS)
        ]
        db.execute(insert(models.Project), projects)
        people: list[dict[str, Any]] = [
            {
                "id": id_, "name": _user_name(number), "domain": "default", "posix_name": _user_name(number), "posix_uid": 10_000 + number,
                "posix_gid": 10_000, "posix_home": f"/home/{_user_name(number)}",
            }
            for number, id_ in enumerate(ids)
        ]  # fmt: skip
        db.execute(insert(models.User), people)
        members = [{"user_id": id_, "project_id": projects[number % PROJECTS]["id"]} for number, id_ in enumerate(ids)]
        db.execute(insert(models.ProjectMember), members)
        keys = [{"access_key": f"AKIA{number:016}", "user_id": id_, "secret_key": "-", "is_main": True} for number, id_ in enumerate(ids)]
        db.execute(insert(models.Keypair), keys)
        at = models.now()
        live = [
            {
                "id": models.new_id(), "user_id": ids[number], "domain": "default", "project": f"project{number % PROJECTS:03}",
                "access_key": keys[number]["access_key"], "name": "live", "server_name": "", "queue": queues[number % QUEUES].name,
                "engine": queues[number % QUEUES].engine, "environment": "default", "interface": "lab",
                "slots": ResourceSlots({"cpu": 1 + number % 8, "mem": (4 + number % 8) * GIB, "cuda.device": 0}),
                "time_limit_s": 36_000, "status": SessionStatus.RUNNING, "created_at": at, "scheduled_at": at, "started_at": at,
            }
            for number in range(LIVE)
        ]  # fmt: skip
        db.execute(insert(models.ComputeSession), live)
    with engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    engine.dispose()
