import asyncio
import json

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.reconcile import CONFIRM_S, GRACE_S
from jupyterhub_backendai.core.sessions import JobState, JobStatus, SessionStatus
from jupyterhub_backendai.errors import BackendUnavailable, SchedulerUnavailable
from jupyterhub_backendai.services.hub import HubClient
from jupyterhub_backendai.services.reconcile import Reconciler
from jupyterhub_backendai.store import models, sessions
from jupyterhub_backendai.store.database import Database
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import add_user, make_queue, make_spec

__all__ = ["database", "database_url", "postgres_url", "sqlite_template"]

SLURM = make_queue("batch", "slurm")


class FakeHub:
    """The two calls of the hub's REST interface that the reconciler makes."""

    def __init__(self):
        self.users = {}
        self.status = 200
        self.hidden = False
        self.log = []

    def set_server(self, user, name="", **fields):
        self.users.setdefault(user, {})[name] = {"name": name, "ready": True, "pending": None, "stopped": False, **fields}

    def model(self, user):
        return {"name": user} if self.hidden else {"name": user, "servers": self.users[user]}

    def start(self):
        hub = self

        class Users(RequestHandler):
            def get(self, name=None):
                hub.log.append(self.request.uri)
                if hub.status != 200 or (name and name not in hub.users):
                    self.set_status(hub.status if hub.status != 200 else 404)
                    return
                self.set_header("Content-Type", "application/json")
                offset = int(self.get_argument("offset", "0"))
                self.write(json.dumps(hub.model(name) if name else [hub.model(user) for user in sorted(hub.users)][offset : offset + 200]))

        sockets = bind_sockets(0, "127.0.0.1")
        self.server = HTTPServer(Application([(r"/hub/api/users", Users), (r"/hub/api/users/([^/]+)", Users)]))
        self.server.add_sockets(sockets)
        return f"http://127.0.0.1:{sockets[0].getsockname()[1]}/hub/api"


class FakeEngine:
    """Jobs as a test sets them; remembers what was cancelled, and as whom."""

    def __init__(self):
        self.jobs, self.cancelled, self.is_away, self.keeps = {}, [], False, False

    async def statuses(self):
        if self.is_away:
            raise SchedulerUnavailable
        return dict(self.jobs)

    async def cancel(self, job_id, posix):
        if self.keeps:
            raise BackendUnavailable
        self.cancelled.append((job_id, posix.name))


@pytest.fixture
async def world(database, database_url):
    """A hub, an engine and a reconciler around the database, and a clock that the test moves."""
    hub, engine = FakeHub(), FakeEngine()
    client = HubClient(hub.start(), "token")
    await database.run(add_user, "kim01")

    class World:
        at = models.now().timestamp()
        reconciler = Reconciler(BackendAI(), database, client, {"slurm": engine, "local": FakeEngine()})

        async def admit(self, server_name="", job="", queue=SLURM, state=JobState.RUNNING):
            spec = make_spec(server_name=server_name, queue=queue.name)
            await database.run_exclusive(sessions.admit, spec, queue, None)
            if job:
                engine.jobs[spec.session_id] = JobStatus(job, state)
            return spec.session_id

        async def twice(self):
            """Two passes, far enough apart for everything that is wrong to count."""
            self.at += GRACE_S + 1
            await self.reconciler.reconcile(self.at)
            self.at += CONFIRM_S + 1
            return await self.reconciler.reconcile(self.at)

        async def info(self, session_id):
            return await database.run(sessions.get, session_id)

    World.hub, World.engine, World.database, World.client = hub, engine, database, client
    yield World()
    await client.close()
    hub.server.stop()
    await hub.server.close_all_connections()


async def test_what_agrees_is_left_alone(world):
    session_id = await world.admit(job="7")
    world.hub.set_server("kim01")
    await world.twice()
    assert (await world.info(session_id)).is_live
    assert world.engine.cancelled == []


async def test_a_leaked_reservation_is_freed_and_its_job_ended_as_its_owner(world):
    session_id = await world.admit(job="7")
    await world.twice()
    info = await world.info(session_id)
    assert (info.is_live, info.status, "no server" in info.status_reason) == (False, SessionStatus.CANCELLED, True)
    assert world.engine.cancelled == [("7", "kim01")]


async def test_the_first_pass_only_looks(world):
    session_id = await world.admit(job="7")
    await world.reconciler.reconcile(world.at + 10 * GRACE_S)
    assert (await world.info(session_id)).is_live


async def test_a_job_of_a_session_that_is_over_is_ended(world):
    session_id = await world.admit(job="7", state=JobState.PENDING)
    await world.database.run_exclusive(sessions.release, session_id, "stopped")
    await world.twice()
    assert world.engine.cancelled == [("7", "kim01")]


async def test_a_stale_job_of_a_server_that_was_started_again_is_ended_and_the_new_one_is_not(world):
    await world.admit(job="7")
    new = await world.admit(job="8")
    world.hub.set_server("kim01")
    await world.twice()
    assert world.engine.cancelled == [("7", "kim01")]
    assert (await world.info(new)).is_live


async def test_a_job_that_cannot_be_ended_keeps_its_reservation_until_it_can(world):
    session_id = await world.admit(job="7")
    world.engine.keeps = True
    await world.twice()
    assert (await world.info(session_id)).is_live
    world.engine.keeps = False
    await world.reconciler.reconcile(world.at + 60)
    assert not (await world.info(session_id)).is_live


@pytest.mark.parametrize("queue", [SLURM, make_queue()], ids=["slurm", "local"])
async def test_a_session_that_is_over_while_its_server_is_up_is_live_again(world, queue):
    session_id = await world.admit(job="7" if queue is SLURM else "", queue=queue)
    await world.database.run_exclusive(sessions.release, session_id, "lost")
    world.hub.set_server("kim01")
    await world.twice()
    info = await world.info(session_id)
    assert (info.is_live, info.status) == (True, SessionStatus.RUNNING)
    assert world.engine.cancelled == []


async def test_a_server_that_is_just_stopping_is_not_brought_back(world):
    session_id = await world.admit(queue=make_queue())
    await world.database.run_exclusive(sessions.release, session_id, "stopped")
    world.hub.set_server("kim01", ready=False, pending="stop")
    await world.twice()
    assert not (await world.info(session_id)).is_live


@pytest.mark.parametrize("trouble", ["status", "hidden", "closed"])
async def test_nothing_is_touched_while_the_hub_cannot_be_read(world, trouble):
    """A hub that is down, refuses, or shows users without their servers: none of it means that there are no servers."""
    session_id = await world.admit(job="7")
    world.hub.users["kim01"] = {}
    if trouble == "status":
        world.hub.status = 403
    elif trouble == "hidden":
        world.hub.hidden = True
    else:
        world.hub.server.stop()
    for _ in range(2):
        with pytest.raises(BackendUnavailable):
            await world.twice()
    assert (await world.info(session_id)).is_live
    assert world.engine.cancelled == []


async def test_nothing_is_touched_while_the_engine_cannot_be_read(world):
    session_id = await world.admit(job="7")
    world.engine.is_away = True
    await world.twice()
    assert (await world.info(session_id)).is_live


async def test_a_server_that_the_list_missed_is_asked_for_by_name(world):
    session_id = await world.admit(job="7")
    world.hub.set_server("kim01")
    listed, world.hub.model = world.hub.model, lambda user: {"name": user, "servers": {}}
    world.at += GRACE_S + 1
    await world.reconciler.reconcile(world.at)
    # The list of the second pass misses it too; the question for the one user does not.
    calls = []
    world.hub.model = lambda user: calls.append(user) or ({"name": user, "servers": {}} if len(calls) == 1 else listed(user))
    await world.reconciler.reconcile(world.at + CONFIRM_S + 1)
    assert (await world.info(session_id)).is_live
    assert world.engine.cancelled == []


async def test_a_job_of_another_account_that_poses_as_a_session_changes_nothing(world):
    session_id = await world.admit()
    await world.database.run_exclusive(sessions.release, session_id, "stopped")
    world.hub.set_server("kim01")
    world.engine.jobs[session_id] = JobStatus("66", JobState.RUNNING, user="lee01")
    await world.twice()
    assert not (await world.info(session_id)).is_live
    assert world.engine.cancelled == []


async def test_a_strangers_job_is_named_once_and_left_alone(world, caplog):
    world.engine.jobs["f" * 32] = JobStatus("99", JobState.RUNNING)
    await world.twice()
    assert world.engine.cancelled == []
    assert caplog.text.count("f" * 32) == 1


async def test_every_page_of_the_hubs_list_is_read(world):
    for number in range(450):
        world.hub.users[f"user{number:03}"] = {}
    world.hub.set_server("zz-kim")
    await world.database.run(add_user, "zz-kim")
    spec = make_spec("zz-kim", queue="batch")
    await world.database.run_exclusive(sessions.admit, spec, SLURM, None)
    await world.twice()
    assert (await world.info(spec.session_id)).is_live


async def test_one_service_at_a_time(world, database_url):
    other_database = Database(database_url)
    other = Reconciler(BackendAI(), other_database, world.client, {"slurm": world.engine})
    assert await world.reconciler.reconcile() is not None
    assert await other.reconcile() is None
    assert await world.reconciler.reconcile() is not None
    await world.reconciler._lease.give_back()
    assert await other.reconcile() is not None
    await other_database.close()


async def test_the_loop_survives_an_outage_and_gives_the_lease_back(world):
    reconciler = Reconciler(BackendAI(), world.database, world.client, {"slurm": world.engine}, interval_s=0.01)
    world.hub.status = 503
    loop = asyncio.create_task(reconciler.run())
    async with asyncio.timeout(10):
        while len(world.hub.log) < 3:
            await asyncio.sleep(0.01)
        assert not loop.done()
        loop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loop
    assert await world.database.run(lambda db: db.query(models.Lease).count()) == 0
