"""The place of a session in a line, over the private listener: told at once, given within a second, once."""

import asyncio

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket

from jupyterhub_backendai.client import ServiceClient
from jupyterhub_backendai.core.scheduling import Wait
from jupyterhub_backendai.errors import NotFound, ServiceUnavailable, Unauthenticated
from jupyterhub_backendai.services.app import end_tasks, make_private_app
from jupyterhub_backendai.services.groups import ResourceGroups
from jupyterhub_backendai.services.schedule import Scheduler
from jupyterhub_backendai.store import sessions
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import make_spec
from tests.services.private import GIB, QUEUES, SECRET, figures, people, settings

__all__ = ["database", "database_url", "figures", "people", "postgres_url", "settings", "sqlite_template"]


@pytest.fixture
async def service(settings, people, figures, tmp_path):
    """Two services around one database, each with its own scheduler; the client talks to the first, ``other`` to the second."""
    settings.queues = [{**QUEUES[0], "scheduler": "fifo"}, *QUEUES[1:]]
    servers, clients, tasks = [], [], []
    for name in ("private.sock", "other.sock"):
        groups = ResourceGroups(settings, people)
        scheduler = Scheduler(people, groups)
        server = HTTPServer(make_private_app(settings, people, figures=figures, groups=groups, scheduler=scheduler))
        server.add_socket(bind_unix_socket(str(tmp_path / name), 0o600))
        servers.append(server)
        clients.append(ServiceClient(f"unix://{tmp_path / name}", SECRET))
        tasks.append(asyncio.create_task(scheduler.run()))
    clients[0].other, clients[0].tasks, clients[0].db = clients[1], tasks, people
    yield clients[0]
    await end_tasks(tasks)
    for client, server in zip(clients, servers, strict=True):
        await client.close()
        server.stop()
        await server.close_all_connections()


async def until_place(client, session_id):
    """Follow a session as a launcher does; what was told on the way, and its admission."""
    told, seen = [], ""
    async with asyncio.timeout(10):
        while True:
            place, seen = await client.find_place(session_id, seen, 20)
            if place.wait is None:
                return told, place
            told.append(place.wait)


async def test_a_freed_place_is_filled_and_told_to_all_who_wait_for_it(service):
    first = await service.admit(make_spec(cpu=4))
    waiting = await service.admit(make_spec("lee01", cpu=4, mem=GIB))
    assert (first.is_waiting, waiting.is_waiting) == (False, True)
    following = [asyncio.create_task(until_place(client, waiting.session_id)) for client in (service, service.other)]
    async with asyncio.timeout(5):
        while (await service.find_place(waiting.session_id))[0].wait != Wait("resources", 1):
            await asyncio.sleep(0.02)
    await service.release(first.session_id)
    (told, place), (_, same) = await asyncio.gather(*following)
    assert told[-1] == Wait("resources", 1)
    assert place == same
    assert (place.admission.session_id, place.admission.is_waiting) == (waiting.session_id, False)


async def test_a_session_that_is_released_while_it_waits_is_over(service):
    await service.admit(make_spec(cpu=4))
    waiting = await service.admit(make_spec("lee01", cpu=4))
    following = asyncio.create_task(until_place(service, waiting.session_id))
    await service.release(waiting.session_id, "changed my mind")
    _, place = await following
    assert (place.is_over, place.reason) == (True, "changed my mind")


async def test_a_wait_without_news_ends_after_its_time_with_the_same_answer(service):
    await service.admit(make_spec(cpu=4))
    waiting = await service.admit(make_spec("lee01", cpu=4, depends_on=()))
    seen, place = "", None
    async with asyncio.timeout(10):
        while place is None or place.wait != Wait("resources", 1):
            place, seen = await service.find_place(waiting.session_id, seen, 5)
    assert await service.find_place(waiting.session_id, seen, 0.3) == (place, seen)


async def test_waiting_survives_the_scheduler(service):
    first = await service.admit(make_spec(cpu=4))
    waiting = await service.admit(make_spec("lee01", cpu=4))
    _, seen = await service.find_place(waiting.session_id)
    await end_tasks(service.tasks[:1])  # it gives its lease back, and the other one takes over
    await service.other.release(first.session_id)
    _, place = await until_place(service.other, waiting.session_id)
    assert place.admission
    assert seen


async def test_a_queue_that_is_closed_is_told(service, settings):
    await service.admit(make_spec(cpu=4))
    waiting = await service.admit(make_spec("lee01", cpu=4))
    scheduler = Scheduler(service.db, ResourceGroups(settings, service.db))
    scheduler._groups._queues = {}
    await end_tasks(service.tasks)
    await scheduler.schedule()
    place, _ = await service.find_place(waiting.session_id)
    assert place.wait == Wait("closed")


async def test_what_is_no_session_and_who_has_no_secret(service, settings):
    with pytest.raises(NotFound):
        await service.find_place("0" * 32)
    stranger = ServiceClient(settings.private_url, "x" * 32)
    with pytest.raises((Unauthenticated, ServiceUnavailable)):
        await stranger.find_place("0" * 32)
    await stranger.close()


async def test_what_waits_is_shown_as_waiting_in_the_queues_figures(service):
    await service.admit(make_spec(cpu=4))
    await service.admit(make_spec("lee01", cpu=4))
    assert (await service.db.run(sessions.list_usage))["local-cpu"].waiting == 1
