"""Everybody's sessions, and the audit log."""

import pytest_asyncio

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.store import sessions
from jupyterhub_backendai.store.models import ResourceGroup
from jupyterhub_backendai.store.records import RECORDS
from tests.factories import make_queue, make_spec
from tests.services.admin.conftest import send
from tests.services.admin.test_maintenance import token_of

ROOT = Actor("root", Role.SUPERADMIN)


@pytest_asyncio.fixture
async def session_id(site, people):
    spec = make_spec(user="kim01", queue="small", server_name="work")
    await site.application.settings["groups"].ready()
    await site.db.run_exclusive(sessions.admit, spec, make_queue("small", engine="local"), None)
    await site.db.run(sessions.report, spec.session_id, SessionStatus.RUNNING)
    return spec.session_id


async def test_a_session_is_ended_with_its_owners_name_typed(root, site, session_id):
    _, page = await root.get("admin/sessions?status=RUNNING")
    assert page.select_one("table.bai-list tbody a")["href"].endswith(session_id)
    _, page = await root.get(f"admin/sessions/{session_id}")
    assert page.find(id="f-typed_name.terminate")
    token = await token_of(root)
    response, page = await send(root, f"admin/sessions/{session_id}/terminate", {"_xsrf": token, "typed_name": "lee01"})
    assert (response.status, site.hub.stops) == (400, [])
    response, _ = await send(root, f"admin/sessions/{session_id}/terminate", {"_xsrf": token, "typed_name": "kim01"})
    assert response.headers["Location"].endswith("?notice=stopping")
    assert site.hub.stops == [("kim01", "work")]


async def test_one_that_is_over_is_said_to_be(root, site, session_id):
    await site.db.run(sessions.release, session_id)
    response, _ = await send(root, f"admin/sessions/{session_id}/terminate", {"_xsrf": await token_of(root), "typed_name": "kim01"})
    assert response.headers["Location"].endswith("?notice=gone")
    assert site.hub.stops == []


async def test_why_it_ended_is_in_the_readers_language(root, site, session_id):
    await site.db.run(sessions.report, session_id, SessionStatus.TERMINATED, "The session reached its time limit.")
    _, page = await root.get(f"admin/sessions/{session_id}", headers={"Accept-Language": "ko"})
    assert "세션이 시간 제한에 이르렀습니다." in page.text


async def test_who_may_end_it(admin, member, nobody, site, session_id):
    path = f"admin/sessions/{session_id}/terminate"
    assert (await send(member, path, {"_xsrf": await token_of(member), "typed_name": "kim01"}))[0].status == 404
    assert (await send(nobody, path, {"typed_name": "kim01"}))[0].status in (401, 403)
    assert site.hub.stops == []
    response, _ = await send(admin, path, {"_xsrf": await token_of(admin), "typed_name": "kim01"})
    assert response.headers["Location"].endswith("?notice=stopping")


async def permit(site, **fields):
    """The resource group small has these fields from now on."""

    def change(db):
        row = db.get_one(ResourceGroup, "small")
        row.definition = {**row.definition, **fields}

    await site.db.run(change)
    await site.application.settings["groups"].refresh()


async def test_administrators_give_a_session_more_time(root, admin, member, site, session_id):
    path = f"admin/sessions/{session_id}/extend"
    token = await token_of(root)
    response, page = await send(root, path, {"_xsrf": token, "time": "1h"})
    assert (response.status, "cannot be given more time" in page.find(id="f-time-error").text) == (400, True)
    await permit(site, extension_time_s=7200, extension_by="administrators")
    for text, words in (("soon", "Give a time"), ("3h", "at most 2:00 more in all")):
        response, page = await send(root, path, {"_xsrf": token, "time": text})
        assert (response.status, words in page.find(id="f-time-error").text) == (400, True)
    response, _ = await send(root, path, {"_xsrf": token, "time": "1h"})
    assert response.headers["Location"].endswith("?notice=extended")
    response, _ = await send(admin, path, {"_xsrf": await token_of(admin), "time": "30m"})
    assert response.headers["Location"].endswith("?notice=extended")
    assert (await send(member, path, {"_xsrf": await token_of(member), "time": "30m"}))[0].status == 404
    _, page = await root.get(f"admin/sessions/{session_id}")
    assert page.find(id="extend")


async def test_the_audit_log_shows_what_was_before_and_after(root, site):
    await site.db.run(RECORDS["domains"].update, ROOT, "other", {"description": "새 설명"})
    _, page = await root.get("admin/audit_log?action=domain.update")
    link = page.select_one("table.bai-list tbody a")["href"].removeprefix("/services/backendai/")
    response, page = await root.get(link)
    assert (response.status, page.find(id="form")) == (200, None)
    assert [cell.text for cell in page.select(".bai-diff tbody tr > *")] == ["Description", "–", "새 설명"]
