from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.store import models, scheduling, sessions
from tests.databases import sqlite_template
from tests.factories import make_queue, make_spec
from tests.services.public import Browser, browser, nobody, settings, site

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]
TIMEOUT = "The session reached its time limit."


async def ask(site, token, language="en"):
    headers = {"Authorization": f"token {token}", "Accept-Language": language}
    async with Browser(site).http as http, http.get(site.url + "rest/v1/sessions", headers=headers, allow_redirects=False) as response:
        return response.status, await response.json(content_type=None)


async def test_ones_own_sessions_newest_first_and_why_they_ended(site):
    queue = make_queue("small", engine="local")
    first, second = make_spec(user="kim01", queue="small"), make_spec(user="kim01", queue="small", server_name="b")
    for spec in (first, second, make_spec(user="lee01", queue="small")):
        await site.db.run_exclusive(sessions.admit, spec, queue, None)
    await site.db.run(sessions.report, first.session_id, SessionStatus.TERMINATED, TIMEOUT)
    status, answer = await ask(site, site.hub.let_in("kim01"))
    assert status == 200
    newest, oldest = answer["sessions"]
    assert (newest["id"], newest["server"], newest["status"], newest["reason"]) == (second.session_id, "b", "PENDING", "")
    assert (oldest["id"], oldest["status"], oldest["reason"]) == (first.session_id, "TERMINATED", TIMEOUT)
    assert oldest["terminated_at"].endswith("+00:00")
    _, answer = await ask(site, site.hub.let_in("kim01"), "ko")
    assert "시간" in answer["sessions"][1]["reason"]


async def test_nobody_sees_none(site):
    status, answer = await ask(site, "wrong")
    assert (status, answer["error_code"]) == (401, "backendai_auth_unauthenticated")


async def test_why_a_session_waits_and_where(site):
    queue = make_queue("small", engine="local", scheduler="fifo")
    for number in range(3):
        await site.db.run_exclusive(sessions.admit, make_spec(user="kim01", queue="small", server_name=str(number), cpu=4), queue, None)
    await site.db.run_exclusive(scheduling.look, queue, models.now())
    _, answer = await ask(site, site.hub.let_in("kim01"))
    third, second, first = answer["sessions"]
    assert (first["waiting"], second["waiting"]["position"], third["waiting"]["position"]) == (None, 1, 2)
    assert "Next in line" in second["waiting"]["reason"]
