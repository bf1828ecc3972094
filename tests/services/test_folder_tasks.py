"""Long work on folders: each task is done once by one of several services, tried again, given up, put back."""

from __future__ import annotations

import asyncio

import pytest

from jupyterhub_backendai.errors import Conflict, StorageUnavailable
from jupyterhub_backendai.services import folder_tasks as module
from jupyterhub_backendai.services.folder_tasks import FolderTasks
from jupyterhub_backendai.store import folder_tasks, models
from tests.databases import database, database_url, postgres_url, sqlite_template

__all__ = ["database", "database_url", "postgres_url", "sqlite_template"]
ID = "f" * 32


async def add(db, kind: str = "test", folder: str = ID) -> str:
    return await db.run_exclusive(folder_tasks.add, kind, folder)


async def read(db, task_id: str):
    return await db.run(folder_tasks.get, task_id)


async def until(condition, limit_s: float = 10) -> None:
    async with asyncio.timeout(limit_s):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_several_services_do_each_task_once(database):
    done: list[str] = []

    async def do(task, progress):
        await asyncio.sleep(0)
        done.append(task.folder_id)

    services = [FolderTasks(database) for _ in range(3)]
    for service in services:
        service.register("test", do)
    for number in range(12):
        await add(database, folder=f"{number:032x}")
    await asyncio.gather(*(service.run_due() for service in services))
    assert sorted(done) == [f"{number:032x}" for number in range(12)]


async def test_many_long_ones_of_a_kind_keep_no_other_kind_waiting(database):
    tasks, is_over, done = FolderTasks(database), asyncio.Event(), asyncio.Event()

    async def copy(task, progress):
        await is_over.wait()

    async def take_away(task, progress):
        done.set()

    tasks.register("clone", copy)
    tasks.register("access", take_away)
    for number in range(8):
        await add(database, "clone", f"{number:032x}")
    await add(database, "access")
    working = asyncio.create_task(tasks.run())
    async with asyncio.timeout(10):
        await done.wait()
    assert len(tasks._running) <= module.AT_ONCE + 1
    is_over.set()
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


async def test_what_fails_is_tried_again_until_it_is_given_up(database):
    tasks, given_up = FolderTasks(database), []

    async def fail(task, progress):
        raise StorageUnavailable(host="h") if task.tries < 3 else RuntimeError("a fault of ours")

    async def give_up(task, exc):
        given_up.append((task.tries, exc.code))

    tasks.register("test", fail, give_up, tries=3)
    task_id = await add(database)
    waits = []
    for _ in range(3):
        assert await tasks.run_due() == 1
        task = await read(database, task_id)
        assert await tasks.run_due() == 0  # not before its time
        waits.append(await database.run_exclusive(be_due))
    assert (task.status, task.tries, given_up) == ("failed", 3, [(3, "backendai_generic_internal-error")])
    assert waits[1] > waits[0] > 4  # longer each time


def be_due(db) -> float:
    row = db.query(models.FolderTask).one()
    wait = (row.not_before - models.now()).total_seconds() if row.not_before else 0
    row.not_before = None
    return wait


async def test_a_fault_that_stays_is_not_tried_again(database):
    tasks = FolderTasks(database)

    async def refuse(task, progress):
        raise Conflict("No.")

    tasks.register("test", refuse)
    task_id = await add(database)
    await tasks.run_due()
    task = await read(database, task_id)
    assert (task.status, task.trouble["message"]) == ("failed", "No.")


async def test_a_service_that_ends_puts_its_work_back(database):
    first, begun = FolderTasks(database), asyncio.Event()

    async def hang(task, progress):
        begun.set()
        await asyncio.Event().wait()

    first.register("test", hang)
    task_id = await add(database)
    running = asyncio.create_task(first.run())
    await asyncio.wait_for(begun.wait(), 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    task = await read(database, task_id)
    assert (task.status, task.tries) == ("pending", 0)  # the try does not count
    second = FolderTasks(database)

    async def do(task, progress):
        progress.done_bytes = 5

    second.register("test", do)
    assert await second.run_due() == 1
    task = await read(database, task_id)
    assert (task.status, task.done_bytes) == ("done", 5)


async def test_work_that_another_one_took_ends(database, monkeypatch):
    monkeypatch.setattr(module, "BEAT_S", 0.01)
    tasks, seen = FolderTasks(database), []

    async def work(task, progress):
        async def is_lost():
            return progress.is_lost

        await database.run_exclusive(lambda db: setattr(db.query(models.FolderTask).one(), "tries", 9))  # as another claim does
        await until(is_lost)
        seen.append(task.id)
        progress.check()

    tasks.register("test", work)
    task_id = await add(database)
    await tasks.run_due()
    assert seen == [task_id]
    assert (await read(database, task_id)).status == "running"  # the other one's still


async def test_waking_begins_at_once(database, monkeypatch):
    monkeypatch.setattr(module, "LOOK_S", 3600)
    tasks = FolderTasks(database)

    async def do(task, progress):
        pass

    tasks.register("test", do)
    running = asyncio.create_task(tasks.run())
    try:
        await asyncio.sleep(0)
        task_id = await add(database)
        tasks.wake()

        async def is_done():
            return (await read(database, task_id)).status == "done"

        await until(is_done)
    finally:
        running.cancel()
