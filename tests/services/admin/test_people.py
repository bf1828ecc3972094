"""Users, their keypairs and projects on the administrator's pages."""

import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.store import models, otp
from jupyterhub_backendai.store.records import RECORDS
from tests.factories import add_user
from tests.services.admin.conftest import read_fields, send
from tests.services.admin.test_lists import keys
from tests.services.admin.test_maintenance import token_of

ROOT = Actor("root", Role.SUPERADMIN)


async def find(site, noun, key):
    return (await site.db.run(RECORDS[noun].find, ROOT, key)).values


async def test_states_are_tabs(root, site):
    await site.db.run(RECORDS["users"].add, ROOT, {"name": "choi05", "status": "before-verification"})
    _, page = await root.get("admin/users")
    tabs = {link.text: link["href"].partition("?")[2] for link in page.select(".nav-tabs a")}
    assert tabs["before verification"] == "status=before-verification"
    _, page = await root.get("admin/users?status=before-verification")
    assert keys(page) == ["choi05"]
    assert page.select_one(".nav-tabs [aria-current]").text == "before verification"
    assert page.select_one("form.bai-filters input[name=status]")["value"] == "before-verification"


async def test_somebody_is_made_changed_and_made_inactive(root, site):
    _, page = await root.get("admin/users/new")
    fields = read_fields(page) | {"name": "choi05", "email": "choi05@example.com", "role": "admin", "role_source": "site"}
    response, page = await send(root, "admin/users/new", fields)
    assert (response.status, page.select_one("main a.btn")["href"]) == (200, "/services/backendai/admin/users/choi05")
    secret = page.select_one(".bai-secret").text  # of the first keypair: shown this once
    _, page = await root.get("admin/users/choi05")
    assert secret not in page.text
    assert page.find(id="f-status") is None
    response, _ = await send(root, "admin/users/choi05", read_fields(page) | {"display_name": "최05"})
    assert response.headers["Location"].endswith("?notice=saved")
    token = read_fields(page)["_xsrf"]
    response, _ = await send(root, "admin/users/choi05/deactivate", {"_xsrf": token, "typed_name": "choi05"})
    values = await find(site, "users", "choi05")
    assert (values["display_name"], values["role"], values["status"]) == ("최05", "admin", "inactive")


async def test_the_last_superadministrator_stays(root, site):
    _, page = await root.get("admin/users/root")
    fields = read_fields(page)
    response, page = await send(root, "admin/users/root", fields | {"role": "user"})
    assert (response.status, page.find(id="f-role")["aria-invalid"]) == (400, "true")
    response, page = await send(root, "admin/users/root/deactivate", {"_xsrf": fields["_xsrf"], "typed_name": "root"})
    assert response.status == 400
    assert (await find(site, "users", "root"))["status"] == "active"


async def test_a_domains_administrator_sees_and_touches_the_own_people_only(admin, site):
    await site.db.run(RECORDS["users"].add, ROOT, {"name": "choi05", "domain": "other"})
    _, page = await admin.get("admin/users")
    assert "choi05" not in keys(page)
    assert {"kim01", "park04"} <= set(keys(page))
    _, page = await admin.get("admin/users/kim01")
    fields = read_fields(page)
    response, _ = await send(admin, "admin/users/kim01", fields | {"description": "ours"})
    assert response.headers["Location"].endswith("?notice=saved")
    response, page = await send(admin, "admin/users/kim01", fields | {"role": "superadmin", "etag": ""})
    assert (response.status, page.find(id="f-role")["aria-invalid"]) == (400, "true")
    for verb in ("", "/deactivate", "/reset-otp"):
        response, _ = await send(admin, f"admin/users/choi05{verb}", {"_xsrf": fields["_xsrf"], "typed_name": "choi05"})
        assert response.status == 404, verb
    assert (await find(site, "users", "choi05"))["status"] == "active"


async def test_a_member_and_a_stranger_find_nobody(member, nobody, site):
    token = await token_of(member)
    for path in (
        "admin/users",
        "admin/users/kim01",
        "admin/keypairs",
        "admin/projects",
        "admin/users/import",
        "admin/sessions",
        "admin/audit_log",
    ):
        assert (await member.get(path))[0].status == 404, path
        assert (await nobody.get(path))[0].status == 302, path
    for path in ("admin/users/kim01", "admin/users/kim01/reset-otp", "admin/users/new", "admin/keypairs/new"):
        response, _ = await send(member, path, {"_xsrf": token, "role": "superadmin", "typed_name": "kim01"})
        assert response.status == 404, path
    assert (await find(site, "users", "kim01"))["role"] == "user"


async def test_the_one_time_password_is_reset_with_the_name_typed(root, site):
    await site.db.run(otp.set_confirmed, "kim01", "sealed")
    _, page = await root.get("admin/users/kim01")
    token = read_fields(page)["_xsrf"]
    assert page.find(id="f-typed_name.reset-otp")
    response, _ = await send(root, "admin/users/kim01/reset-otp", {"_xsrf": token, "typed_name": "kim"})
    assert (response.status, await site.db.run(otp.get_token, "kim01") is None) == (400, False)
    response, _ = await send(root, "admin/users/kim01/reset-otp", {"_xsrf": token, "typed_name": "kim01"})
    assert response.headers["Location"].endswith("?notice=otp-reset")
    assert await site.db.run(otp.get_token, "kim01") is None
    assert await site.db.run(lambda db: db.query(models.AuditEntry).filter_by(action="user.reset-otp", object="kim01").count()) == 1


async def test_a_domains_administrator_does_not_reset_a_superadministrator(admin, site):
    await site.db.run(otp.set_confirmed, "root", "sealed")
    response, _ = await send(admin, "admin/users/root/reset-otp", {"_xsrf": await token_of(admin), "typed_name": "root"})
    assert response.status in (403, 404)
    assert await site.db.run(otp.get_token, "root")


async def test_a_new_keypairs_secret_is_shown_once(root, site):
    _, page = await root.get("admin/users/kim01")
    link = next(link["href"] for link in page.find_all("a") if "keypairs/new" in link["href"])
    _, page = await root.get(link.removeprefix("/services/backendai/"))
    fields = read_fields(page)
    assert fields["user"] == ["kim01"]
    response, page = await send(root, "admin/keypairs/new", fields)
    assert response.status == 200
    secret, url = page.select_one(".bai-secret").text, page.select_one("main a.btn")["href"]
    assert len(secret) >= 30
    _, page = await root.get(url.removeprefix("/services/backendai/"))
    assert secret not in page.text
    _, page = await root.get("admin/keypairs?user=kim01")
    assert len(keys(page)) == 1


async def test_many_are_made_from_a_file(root, site):
    document = "name,email,projects\nchoi05,choi05@example.com,default\nkim01,kim01@example.com,\n"
    fields = {"_xsrf": await token_of(root), "document": document, "act": "look"}
    response, page = await send(root, "admin/users/import", fields)
    assert [row.select("td")[1].text.strip() for row in page.select("tbody tr")] == ["new", "changed"]
    response, _ = await send(root, "admin/users/import", fields | {"act": "apply"})
    assert response.status == 303
    assert (await find(site, "users", "choi05"))["projects"] == ("default",)
    assert (await find(site, "users", "kim01"))["email"] == "kim01@example.com"


async def test_members_of_a_project_are_chosen(root, site):
    await site.db.run(RECORDS["projects"].add, ROOT, {"name": "physics", "domain": "default"})
    _, page = await root.get("admin/projects?q=physics")
    url = page.select_one("table.bai-list tbody a")["href"].removeprefix("/services/backendai/")
    _, page = await root.get(url)
    response, _ = await send(root, url, read_fields(page) | {"members": ["", "kim01", "lee01"]})
    assert response.headers["Location"].endswith("?notice=saved")
    assert set((await find(site, "users", "kim01"))["projects"]) == {"default", "physics"}


async def test_where_there_are_many_names_are_typed(root, site):
    def add_many(db):
        for number in range(70):
            add_user(db, f"u{number:02}")

    await site.db.run(add_many)
    await site.db.run(RECORDS["projects"].add, ROOT, {"name": "physics", "domain": "default"})
    _, page = await root.get("admin/projects?q=physics")
    url = page.select_one("table.bai-list tbody a")["href"].removeprefix("/services/backendai/")
    _, page = await root.get(url)
    assert page.find(id="f-members").name == "textarea"
    response, _ = await send(root, url, read_fields(page) | {"members": "u01, u02\nkim01"})
    assert response.status == 303
    _, page = await root.get(url)
    assert set(page.find(id="f-members").text.split()) == {"u01", "u02", "kim01"}


@pytest.mark.parametrize("noun", ["users", "keypairs", "projects", "sessions", "audit_log"])
async def test_every_column_sorts(root, noun):
    for name in RECORDS[noun].noun.columns:
        for sort in (name, f"-{name}"):
            response, _ = await root.get(f"admin/{noun}?sort={sort}")
            assert response.status == 200, sort
