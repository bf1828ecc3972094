"""The idle checker against a fake of the hub's REST interface, on both databases."""

import json
from datetime import UTC, datetime

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from jupyterhub_backendai.core.idle import IDLE, LIFETIME, NEWS_S
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.errors import BackendUnavailable
from jupyterhub_backendai.services.hub import HubClient
from jupyterhub_backendai.services.idle import IdleChecker
from jupyterhub_backendai.store import ends, models, scheduling, sessions
from jupyterhub_backendai.store.ends import find_session_end
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import add_user, make_queue, make_spec

__all__ = ["database", "database_url", "postgres_url", "sqlite_template"]
HOUR = 3600.0


def make_hub(world):
    """The three calls of the hub that the checker makes."""

    class Users(RequestHandler):
        def get(self, name=None):
            self.set_status(world.hub_status)
            self.set_header("Content-Type", "application/json")
            model = {"name": "kim01"} if world.is_hidden else {"name": "kim01", "servers": world.servers}
            self.write(json.dumps(model if name else [model]))

        def delete(self, name):
            world.stopped.append(name)
            self.set_status(world.stop_status)

    server = HTTPServer(Application([(r"/hub/api/users", Users), (r"/hub/api/users/([^/]+)(?:/server|/servers/[^/]+)?", Users)]))
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    return server, f"http://127.0.0.1:{sockets[0].getsockname()[1]}/hub/api"


@pytest.fixture
async def world(database):
    """kim01's running session, whose policy ends it after an hour without use and after ten; and a clock."""

    class World:
        db = database
        servers, stopped = {}, []
        hub_status, stop_status, is_hidden = 200, 202, False
        at = datetime.now(UTC).timestamp()

        def set_server(self, idle_s=0.0, **fields):
            last = datetime.fromtimestamp(self.at - idle_s, UTC).isoformat().replace("+00:00", "Z")
            self.servers[""] = {"name": "", "ready": True, "pending": None, "last_activity": last, **fields}

        async def check(self, after_s=0.0):
            self.at += after_s
            return await self.checker.check(self.at)

        async def info(self):
            return await database.run(sessions.get, self.session_id)

        async def heard(self):
            """The hub has answered for long enough."""
            self.set_server()
            assert await self.check() == []
            self.at += NEWS_S

    def fill(db):
        user_id = add_user(db, "kim01")
        policy = models.KeypairResourcePolicy(name="short", idle_timeout_s=3600, max_session_lifetime_s=36000)
        db.add(policy)
        db.flush()
        db.add(models.Keypair(access_key="AK1", user_id=user_id, secret_key="x", is_main=True, resource_policy="short"))

    await database.run(fill)
    world = World()
    world.servers, world.stopped = {}, []
    spec = make_spec()
    world.session_id = spec.session_id
    await database.run_exclusive(sessions.admit, spec, make_queue(), None)
    await database.run(sessions.report, spec.session_id, SessionStatus.RUNNING)
    world.at = (await world.info()).started_at.timestamp() + 2 * HOUR
    server, url = make_hub(world)
    client = HubClient(url, "token")
    world.client, world.checker = client, IdleChecker(database, client)
    yield world
    await client.close()
    server.stop()
    await server.close_all_connections()


async def test_an_idle_session_is_ended_with_the_reason_and_a_line_in_the_audit_log(world):
    await world.heard()
    world.set_server(idle_s=HOUR + 1)
    assert await world.check() == [world.session_id]
    assert world.stopped == ["kim01"]
    info = await world.info()
    assert (info.status, info.status_reason) == (SessionStatus.TERMINATING, IDLE)
    place = await world.db.run(scheduling.get_place, world.session_id, lambda _: None)
    assert (place.reason, place.is_over) == (IDLE, False)  # what the hub tells its owner
    entries = await world.db.run(lambda db: [(entry.actor, entry.action, entry.object) for entry in db.query(models.AuditEntry)])
    assert entries == [("system:idle", "session.end-idle", world.session_id)]
    # the hub's own report does not hide why
    await world.db.run(sessions.report, world.session_id, SessionStatus.TERMINATED, "Stopped on request.")
    await world.db.run_exclusive(sessions.release, world.session_id, "Stopped on request.")
    assert ((await world.info()).status, (await world.info()).status_reason) == (SessionStatus.TERMINATED, IDLE)


async def test_the_longest_lifetime_holds_also_for_who_works(world):
    world.at += 8 * HOUR
    world.set_server()
    assert await world.check() == [world.session_id]
    assert (await world.info()).status_reason == LIFETIME


@pytest.mark.parametrize(
    "server",
    [{"last_activity": None}, {"last_activity": "soon"}, {"ready": False}, {"pending": "stop"}, None],
)
async def test_what_the_hub_does_not_say_ends_nothing(world, server):
    await world.heard()
    if server is None:
        world.servers.clear()
    else:
        world.set_server(idle_s=HOUR + 1, **server)
    assert await world.check() == []
    world.is_hidden = True
    assert await world.check() == []
    assert world.stopped == []


async def test_activity_that_the_hub_could_not_hear_of_does_not_count_as_idleness(world):
    await world.heard()
    world.hub_status = 503
    with pytest.raises(BackendUnavailable):
        await world.check()
    world.hub_status = 200
    world.set_server(idle_s=HOUR + 1)
    assert await world.check() == []
    assert await world.check(NEWS_S - 1) == []
    assert await world.check(1) == [world.session_id]


async def test_a_session_that_the_hub_does_not_end_runs_on_and_is_tried_again(world):
    await world.heard()
    world.set_server(idle_s=HOUR + 1)
    world.stop_status = 500
    assert await world.check() == []
    assert ((await world.info()).status, (await world.info()).status_reason) == (SessionStatus.RUNNING, "")
    world.stop_status = 204
    assert await world.check() == [world.session_id]


async def test_one_service_checks_at_a_time_and_who_has_no_policy_has_no_limit(world):
    await world.heard()
    world.set_server(idle_s=HOUR + 1)
    await world.db.run(lambda db: db.query(models.KeypairResourcePolicy).filter_by(name="short").update({"idle_timeout_s": None}))
    assert await world.check() == []
    other = IdleChecker(world.db, world.client)
    await world.db.run(lambda db: db.query(models.KeypairResourcePolicy).filter_by(name="short").update({"idle_timeout_s": 60}))
    assert await other.check(world.at) == []
    await world.checker._lease.give_back()
    assert await other.check(world.at) == []  # it has heard the hub only now
    assert await other.check(world.at + NEWS_S) == [world.session_id]


async def look(world):
    session = await world.info()
    return find_session_end(session, await world.db.run(ends.load_course, world.session_id))


async def test_the_end_is_announced_before_and_keeping_it_counts_as_use(world):
    await world.db.run(lambda db: db.query(models.ComputeSession).update({"time_limit_s": 100 * HOUR}))
    await world.heard()
    world.set_server(idle_s=HOUR / 2)
    assert await world.check() == []
    assert (await look(world)).kind == "time"  # not near: nothing is said
    world.set_server(idle_s=HOUR - 800)
    assert await world.check() == []
    end = await look(world)
    assert (end.kind, round(end.at - world.at)) == ("idle", 800)
    await world.db.run_exclusive(ends.keep, world.session_id, "kim01")
    assert (await look(world)).kind == "time"
    await world.db.run(lambda db: db.query(models.ComputeSession).update({"kept_at": datetime.fromtimestamp(world.at, UTC)}))
    world.at += 700
    world.set_server(idle_s=HOUR + 1)
    assert await world.check() == []
    world.at += HOUR
    world.set_server(idle_s=2 * HOUR)
    assert await world.check() == [world.session_id]


async def test_the_longest_lifetime_is_announced_too_and_cannot_be_kept_away(world):
    await world.db.run(lambda db: db.query(models.ComputeSession).update({"time_limit_s": 100 * HOUR}))
    world.at += 8 * HOUR - 300
    world.set_server()
    assert await world.check() == []
    await world.db.run_exclusive(ends.keep, world.session_id, "kim01")
    end = await look(world)
    assert (end.kind, round(end.at - world.at)) == ("lifetime", 300)
    assert await world.check(300) == [world.session_id]
