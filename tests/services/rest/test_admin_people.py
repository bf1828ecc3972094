"""``rest/v1/admin/keypairs``, ``projects``, ``sessions`` and ``audit_log``, as each kind of person meets them."""

import pytest

from tests.services.rest.people import admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]


async def test_a_keypairs_secret_is_answered_once(admin_site):
    status, made, _ = await admin_site.admin.ask("POST", "admin/keypairs", {"user": "kim01"})
    assert (status, made["user"], made["is_main"], len(made["secret_key"])) == (201, "kim01", True, 40)
    path = f"admin/keypairs/{made['access_key']}"
    status, answer, _ = await admin_site.admin.get(path)
    assert (status, "secret_key" in answer) == (200, False)
    status, problem, _ = await admin_site.admin.ask("DELETE", path)
    assert (status, "main one" in problem["msg"]) == (409, True)
    for caller in (admin_site.owner, admin_site.member, admin_site.stranger):
        for method, body in (("GET", None), ("PATCH", {"rate_limit": 1}), ("DELETE", None)):
            assert (await caller.ask(method, path, body))[0] == 404
    assert (await admin_site.stranger.ask("POST", "admin/keypairs", {"user": "kim01"}))[0] == 400
    assert (await admin_site.admin.ask("POST", "admin/keypairs", {"user": "root"}))[0] == 400
    assert (await admin_site.outsider.get(path))[0] == 401
    _, answer, _ = await admin_site.root.get("admin/audit_log?action=keypair.create")
    assert [item["object"] for item in answer["items"]] == [made["access_key"]]
    assert made["secret_key"] not in str(answer)


async def test_a_project_has_an_id_and_a_name_in_its_domain(admin_site):
    status, made, _ = await admin_site.admin.ask("POST", "admin/projects", {"name": "optics", "members": ["kim01"]})
    assert (status, made["domain"], made["members"], made["member_count"]) == (201, "default", ["kim01"], 1)
    for key in (made["id"], "default%2Foptics"):
        assert (await admin_site.admin.get(f"admin/projects/{key}"))[1]["id"] == made["id"]
        for caller in (admin_site.owner, admin_site.member, admin_site.stranger):
            for method, body in (("GET", None), ("PATCH", {"description": "x"}), ("DELETE", None)):
                assert (await caller.ask(method, f"admin/projects/{key}", body))[0] == 404
    status, problem, _ = await admin_site.root.ask("POST", "admin/projects", {"name": "optics"})
    assert (status, "default/optics" in problem["msg"]) == (409, True)
    assert (await admin_site.admin.ask("DELETE", "admin/projects/default%2Foptics"))[0] == 204
    assert (await admin_site.admin.get(f"admin/projects/{made['id']}"))[0] == 404


@pytest.mark.parametrize("noun", ["keypairs", "projects", "sessions", "audit_log"])
async def test_who_may_list_them(admin_site, noun):
    for caller, expected in zip(admin_site.callers, (200, 200, 404, 404, 200, 401), strict=True):
        assert (await caller.get(f"admin/{noun}"))[0] == expected
    status, _, _ = await admin_site.root.get(f"admin/{noun}?format=csv")
    assert status == 200


async def test_a_moment_that_is_none_is_refused(admin_site):
    status, problem, _ = await admin_site.root.get("admin/audit_log?since=yesterday")
    assert (status, "since" in str(problem)) == (400, True)
