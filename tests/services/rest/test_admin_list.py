"""``GET`` and ``POST rest/v1/admin/<noun>``."""

import pytest

from tests.services.rest.people import admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]


async def test_a_superadmin_sees_everything_and_a_domain_administrator_the_own_domain(admin_site):
    status, answer, _ = await admin_site.root.get("admin/domains?sort=-name&page_size=1")
    assert status == 200
    assert {name: answer[name] for name in ("total", "page", "page_size", "page_count")} == {
        "total": 2,
        "page": 1,
        "page_size": 1,
        "page_count": 2,
    }
    assert [item["name"] for item in answer["items"]] == ["physics"]
    for caller, domain in ((admin_site.admin, "default"), (admin_site.stranger, "physics")):
        _, answer, _ = await caller.get("admin/domains")
        assert ([item["name"] for item in answer["items"]], answer["total"]) == ([domain], 1)


async def test_for_everybody_else_the_address_does_not_exist(admin_site):
    for caller in (admin_site.owner, admin_site.member):
        for path in ("admin/domains", "admin/domains/default", "admin/domains/default/hits"):
            assert (await caller.get(path))[0] == 404
        assert (await caller.ask("POST", "admin/domains", {"name": "mine"}))[0] == 404
    status, problem, response = await admin_site.outsider.get("admin/domains")
    assert (status, problem["error_code"]) == (401, "backendai_auth_unauthenticated")
    assert response.headers["WWW-Authenticate"] == "token"
    assert (await admin_site.root.get("admin/no_such_thing"))[0] == 404


async def test_one_is_made(admin_site):
    body = {"name": "물리 1+@x", "total_resource_slots": {"cpu": 4, "mem": "16g"}}
    status, answer, response = await admin_site.root.ask("POST", "admin/domains", body)
    assert status == 201
    assert answer["total_resource_slots"] == {"cpu": "4", "mem": str(16 * 1024**3)}
    location = response.headers["Location"]
    assert location.isascii()
    status, again, found = await admin_site.root.get(location.partition("/rest/v1/")[2])
    assert (status, again, found.headers["ETag"]) == (200, answer, response.headers["ETag"])
    status, problem, _ = await admin_site.root.ask("POST", "admin/domains", body)
    assert (status, problem["error_code"]) == (409, "backendai_generic_already-exists")


async def test_everything_that_is_wrong_is_said_at_once_in_the_readers_language(admin_site):
    body = {"name": "", "total_resource_slots": {"cpu": "1.5", "mem": "lots", "magic": 1}, "nonsense": 1}
    status, problem, response = await admin_site.root.ask("POST", "admin/domains", body)
    assert (status, response.headers["Content-Type"]) == (400, "application/problem+json; charset=utf-8")
    assert {item["field"] for item in problem["violations"]} == {
        *("name", "total_resource_slots.cpu", "total_resource_slots.mem", "total_resource_slots.magic", "nonsense")
    }
    _, problem, _ = await admin_site.root.get(
        "admin/domains?page=0&page_size=9999&sort=secret&domian=x&is_active=maybe", Accept_Language="ko"
    )
    assert {item["field"] for item in problem["violations"]} == {"page", "page_size", "sort", "domian", "is_active"}
    for text, expected in (("%00", 200), ("%FF", 400)):
        assert (await admin_site.root.get(f"admin/domains?q={text}"))[0] == expected


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b"1", b"\xff", b"[" * 100_000, b'{"description": "\\ud800"}', b'{"\\u0000": 1}', b'{"a": [NaN]}']
)
async def test_a_body_that_cannot_be_taken(admin_site, body):
    async with admin_site.root.http.post(admin_site.root.url + "admin/domains", data=body) as response:
        assert response.status == 400


async def test_filters_and_search(admin_site):
    await admin_site.root.ask("PATCH", "admin/domains/physics", {"is_active": False})
    _, answer, _ = await admin_site.root.get("admin/domains?is_active=false")
    assert [item["name"] for item in answer["items"]] == ["physics"]
    _, answer, _ = await admin_site.root.get("admin/domains?q=DEF")
    assert [item["name"] for item in answer["items"]] == ["default"]


async def test_a_domain_administrator_makes_none(admin_site):
    status, problem, _ = await admin_site.admin.ask("POST", "admin/domains", {"name": "mine"})
    assert (status, problem["error_code"]) == (403, "backendai_generic_forbidden")
