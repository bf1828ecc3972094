"""``GET``, ``PATCH`` and ``DELETE rest/v1/admin/<noun>/<key>``, and ``<key>/hits``."""

from jupyterhub_backendai.store.models import AuditEntry, User, now
from tests.services.public import Browser
from tests.services.rest.people import admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]


async def test_a_change_of_what_somebody_else_changed_is_refused(admin_site):
    _, _, response = await admin_site.root.get("admin/domains/physics")
    etag = response.headers["ETag"]
    status, answer, response = await admin_site.root.ask("PATCH", "admin/domains/physics", {"description": "물리"}, If_Match=etag)
    assert (status, answer["description"], response.headers["X-BackendAI-People"]) == (200, "물리", "1")
    assert response.headers["ETag"] != etag
    status, problem, _ = await admin_site.root.ask("PATCH", "admin/domains/physics", {"description": "x"}, If_Match=etag)
    assert (status, problem["error_code"]) == (409, "backendai_generic_conflict")
    for good in ("*", f"W/{response.headers['ETag']}"):
        assert (await admin_site.root.ask("PATCH", "admin/domains/physics", {"description": "물리"}, If_Match=good))[0] == 200
    status, _, _ = await admin_site.root.get("admin/domains/physics", If_None_Match=response.headers["ETag"])
    assert status == 304


async def test_who_may_see_and_change_what(admin_site):
    assert (await admin_site.admin.get("admin/domains/default"))[0] == 200
    for caller in (admin_site.stranger, admin_site.owner, admin_site.member):
        for method in ("GET", "PATCH", "DELETE"):
            status, _, _ = await caller.ask(method, "admin/domains/default", {} if method == "PATCH" else None)
            assert status in ((404, 403) if caller is admin_site.stranger and method != "GET" else (404,))
        assert (await caller.get("admin/domains/default/hits"))[0] == 404
    assert (await admin_site.admin.ask("PATCH", "admin/domains/default", {"description": "mine"}))[0] == 403
    assert (await admin_site.outsider.get("admin/domains/default"))[0] == 401


async def test_what_is_in_use_stays_and_what_is_not_goes(admin_site):
    status, problem, _ = await admin_site.root.ask("DELETE", "admin/domains/default")
    assert (status, "people" in problem["msg"]) == (409, True)
    await admin_site.root.ask("POST", "admin/domains", {"name": "empty"})
    status, body, _ = await admin_site.root.ask("DELETE", "admin/domains/empty")
    assert (status, body) == (204, "")
    assert (await admin_site.root.ask("DELETE", "admin/domains/empty"))[0] == 404
    rows = await admin_site.site.db.run(lambda db: [(row.actor, row.action, row.object, row.source) for row in db.query(AuditEntry)])
    assert rows == [("root", "domain.create", "empty", "127.0.0.1"), ("root", "domain.delete", "empty", "127.0.0.1")]


async def test_people_who_are_touched(admin_site):
    _, answer, _ = await admin_site.root.get("admin/domains/default/hits")
    assert answer == {"people": 5}


async def test_keys_with_odd_characters(admin_site):
    for key in ("a%2Fb", "%00", "%ED%A0%80", "%FF", "..%2F..", "no%20such"):
        assert (await admin_site.root.get(f"admin/domains/{key}"))[0] in (400, 404)


async def test_a_cookie_writes_with_its_xsrf_token_only(admin_site):
    browser = Browser(admin_site.site)
    try:
        await browser.log_in(admin_site.site.hub.let_in("root"))
        xsrf = (await browser.form())["_xsrf"]
        url = admin_site.root.url + "admin/domains/physics"
        for headers, expected in (({}, 403), ({"X-XSRFToken": "wrong"}, 403), ({"X-XSRFToken": xsrf}, 200)):
            async with browser.http.patch(url, json={"description": "x"}, headers=headers) as response:
                assert response.status == expected, await response.text()
    finally:
        await browser.http.close()


async def test_people_over_rest(admin_site):
    root, admin, stranger = admin_site.root, admin_site.admin, admin_site.stranger
    status, made, _ = await root.ask("POST", "admin/users", {"name": "choi05", "email": "choi05@example.com"})
    assert (status, len(made["secret_key"]) >= 30, made["main_access_key"]) == (201, True, made["access_key"])
    _, answer, seen = await admin.get("admin/users/choi05")
    assert "secret_key" not in answer
    assert (await stranger.get("admin/users/choi05"))[0] == 404
    # a login changes what is shown, and nothing that a form could overwrite
    await admin_site.site.db.run(lambda db: db.query(User).filter_by(name="choi05").update({"last_login_at": now()}))
    assert (await admin.get("admin/users/choi05", If_None_Match=seen.headers["ETag"]))[0] == 200
    status, answer, _ = await admin.ask("PATCH", "admin/users/choi05", {"description": "ours"}, If_Match=seen.headers["ETag"])
    assert (status, answer["description"]) == (200, "ours")
    status, problem, _ = await admin.ask("PATCH", "admin/users/choi05", {"role": "superadmin"})
    assert (status, [item["field"] for item in problem["violations"]]) == (400, ["role"])
    assert (await root.ask("DELETE", "admin/users/choi05"))[0] in (403, 405)
