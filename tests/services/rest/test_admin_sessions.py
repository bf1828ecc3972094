"""``DELETE rest/v1/admin/sessions/<id>``: an administrator ends somebody's session."""

import pytest
import pytest_asyncio

from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.services.termination import REASON
from jupyterhub_backendai.store import sessions
from jupyterhub_backendai.store.models import AuditEntry
from tests.factories import make_queue, make_spec
from tests.services.rest.people import admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]


@pytest_asyncio.fixture
async def session_id(admin_site):
    spec = make_spec(user="kim01", queue="small", server_name="work")
    await admin_site.site.application.settings["groups"].ready()
    await admin_site.site.db.run_exclusive(sessions.admit, spec, make_queue("small", engine="local"), None)
    await admin_site.site.db.run(sessions.report, spec.session_id, SessionStatus.RUNNING)
    return spec.session_id


async def list_acts(admin_site):
    rows = await admin_site.site.db.run(lambda db: db.query(AuditEntry).filter_by(action="session.terminate").all())
    return [(row.actor, row.object, row.details) for row in rows]


@pytest.mark.parametrize("who", ["root", "admin"])
async def test_the_hub_stops_the_server(admin_site, session_id, who):
    caller = getattr(admin_site, who)
    assert (await caller.ask("DELETE", f"admin/sessions/{session_id}"))[0] == 204
    assert admin_site.site.hub.stops == [("kim01", "work")]
    # the hub, which only knows that it is asked to stop a server, tells the owner this
    session = await admin_site.site.db.run(sessions.get, session_id)
    assert (session.status, session.status_reason) == (SessionStatus.TERMINATING, REASON)
    name = {"root": "root", "admin": "choi01"}[who]
    assert await list_acts(admin_site) == [(name, session_id, {"user": "kim01", "server": "work"})]


async def test_others_find_no_session(admin_site, session_id):
    for caller, expected in ((admin_site.stranger, 404), (admin_site.owner, 404), (admin_site.member, 404), (admin_site.outsider, 401)):
        assert (await caller.ask("DELETE", f"admin/sessions/{session_id}"))[0] == expected
    for odd in ("nonsense", "%00", "0" * 32):
        assert (await admin_site.root.ask("DELETE", f"admin/sessions/{odd}"))[0] == 404
    assert (admin_site.site.hub.stops, await list_acts(admin_site)) == ([], [])


async def test_one_that_is_over_is_not_ended_again(admin_site, session_id):
    await admin_site.site.db.run(sessions.release, session_id)
    status, problem, _ = await admin_site.root.ask("DELETE", f"admin/sessions/{session_id}")
    assert (status, "over already" in problem["msg"]) == (409, True)
    assert admin_site.site.hub.stops == []


@pytest.mark.parametrize(("answer", "expected", "is_live"), [(404, 204, False), (403, 503, True), (500, 503, True)])
async def test_what_the_hub_says_to_it(admin_site, session_id, answer, expected, is_live):
    admin_site.site.hub.stop_answer = answer
    assert (await admin_site.root.ask("DELETE", f"admin/sessions/{session_id}"))[0] == expected
    session = await admin_site.site.db.run(sessions.get, session_id)
    assert (session.is_live, session.status is SessionStatus.RUNNING) == (is_live, is_live)
    assert len(await list_acts(admin_site)) == (not is_live)
