from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.nouns import Field, Kind
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.services.admin.show import show
from jupyterhub_backendai.store.models import AuditEntry, Domain
from jupyterhub_backendai.store.records import RECORDS
from tests.services.admin.conftest import read_fields, send

ROOT = Actor("root", Role.SUPERADMIN)
GIB = 1024**3


async def find(site, noun, key):
    return (await site.db.run(RECORDS[noun].find, ROOT, key)).values


async def test_one_is_made_and_the_page_says_so(root, site):
    _, page = await root.get("admin/domains/new")
    fields = read_fields(page)
    assert fields["is_active"] == ["false", "true"]
    fields |= {"name": ["physics"], "description": ["물리 <b>"], "total_resource_slots.cpu": ["8"], "total_resource_slots.mem": ["1.5 TiB"]}
    response, _ = await send(root, "admin/domains/new", fields)
    assert (response.status, response.headers["Location"]) == (303, "/services/backendai/admin/domains/physics?notice=created")
    values = await find(site, "domains", "physics")
    assert values["total_resource_slots"] == ResourceSlots({"cpu": 8, "mem": 1536 * GIB})
    response, page = await root.get("admin/domains/physics?notice=created")
    assert page.find(role="status").text == "It was made."
    assert page.find(id="f-total_resource_slots.mem")["value"] == "1536g"
    assert page.find(id="f-description")["value"] == "물리 <b>"


async def test_nothing_typed_is_lost_when_something_is_wrong(root, site):
    _, page = await root.get("admin/domains/new")
    fields = read_fields(page) | {
        "name": ["default"],
        "description": ['"><script>'],
        "is_active": ["false"],
        "total_resource_slots.cpu": ["-1"],
        "total_resource_slots.mem": ["lots"],
    }
    response, page = await send(root, "admin/domains/new", fields)
    assert response.status == 400
    assert read_fields(page) == fields
    for name in ("total_resource_slots.cpu", "total_resource_slots.mem"):
        assert page.find(id=f"f-{name}")["aria-invalid"] == "true"
        assert page.find(id=f"f-{name}-error")["id"] in page.find(id=f"f-{name}")["aria-describedby"]
        assert page.find(id="errors").find("a", href=f"#f-{name}")
    response, page = await send(
        root, "admin/domains/new", read_fields(page) | {"total_resource_slots.cpu": "", "total_resource_slots.mem": ""}
    )
    assert (response.status, read_fields(page)["description"]) == (409, ['"><script>'])
    assert await site.db.run(lambda db: db.query(AuditEntry).filter_by(action="domain.create").count()) == 0


async def test_only_what_was_changed_is_sent(root, site):
    await site.db.run(RECORDS["domains"].add, ROOT, {"name": "physics", "total_resource_slots": {"mem": "1000001", "cpu": "Infinity"}})
    _, page = await root.get("admin/domains/physics")
    response, _ = await send(root, "admin/domains/physics", read_fields(page))
    assert response.headers["Location"].endswith("?notice=unchanged")
    response, _ = await send(root, "admin/domains/physics", read_fields(page) | {"description": "new"})
    assert response.headers["Location"].endswith("?notice=saved")
    entry = await site.db.run(lambda db: db.query(AuditEntry).filter_by(action="domain.update").one())
    assert entry.details == {"before": {"description": ""}, "after": {"description": "new"}}


async def test_who_comes_second_is_told_and_keeps_what_was_typed(root, site):
    _, page = await root.get("admin/domains/other")
    fields = read_fields(page) | {"description": "mine"}
    await site.db.run(RECORDS["domains"].update, ROOT, "other", {"description": "theirs"})
    response, page = await send(root, "admin/domains/other", fields)
    assert (response.status, page.find(id="f-description")["value"]) == (409, "mine")
    response, page = await send(root, "admin/domains/other", read_fields(page))
    assert response.status == 409
    assert (await find(site, "domains", "other"))["description"] == "theirs"


async def test_a_policy_says_how_many_people_a_change_touches_before_it_is_made(root, site):
    _, page = await root.get("admin/user_resource_policies/default")
    assert "touches 4 people" in page.find(id="form").text
    fields = read_fields(page) | {"max_vfolder_count": "7"}
    response, page = await send(root, "admin/user_resource_policies/default", fields)
    assert response.status == 200
    assert "touches 4 people" in page.find(id="confirm").text
    assert [cell.text for cell in page.select("#confirm tbody tr > *")] == ["Folders at most", "unlimited", "7"]
    assert (await find(site, "user_resource_policies", "default"))["max_vfolder_count"] is None
    response, page = await send(root, "admin/user_resource_policies/default", read_fields(page) | {"confirmed": "1"})
    assert response.status == 303
    assert (await find(site, "user_resource_policies", "default"))["max_vfolder_count"] == 7


async def test_what_is_wrong_is_said_before_anything_is_asked(root):
    _, page = await root.get("admin/user_resource_policies/default")
    response, page = await send(root, "admin/user_resource_policies/default", read_fields(page) | {"max_vfolder_count": "many"})
    assert (response.status, page.find(id="confirm")) == (400, None)


async def test_deleting_asks_for_the_name(root, site):
    _, page = await root.get("admin/domains/other")
    token = read_fields(page)["_xsrf"]
    response, page = await send(root, "admin/domains/other/delete", {"_xsrf": token, "typed_name": "othr"})
    assert response.status == 400
    assert page.find(id="f-typed_name.delete")["aria-invalid"] == "true"
    response, _ = await send(root, "admin/domains/other/delete", {"_xsrf": token, "typed_name": "other"})
    assert (response.status, response.headers["Location"]) == (303, "/services/backendai/admin/domains?notice=deleted")
    response, page = await send(root, "admin/domains/default/delete", {"_xsrf": token, "typed_name": "default"})
    assert response.status == 409
    assert "people" in page.find(id="errors").text


async def test_making_inactive_asks_for_the_name(root, site):
    _, page = await root.get("admin/domains/other")
    token = read_fields(page)["_xsrf"]
    assert page.find(id="f-is_active") is None
    response, _ = await send(root, "admin/domains/other/deactivate", {"_xsrf": token})
    assert response.status == 400
    assert await site.db.run(lambda db: db.get(Domain, "other").is_active)
    response, _ = await send(root, "admin/domains/other/deactivate", {"_xsrf": token, "typed_name": "other"})
    assert response.headers["Location"].endswith("?notice=deactivated")
    response, _ = await send(root, "admin/domains/other/activate", {"_xsrf": token})
    assert response.headers["Location"].endswith("?notice=activated")
    assert await site.db.run(lambda db: db.get(Domain, "other").is_active)


async def test_a_domains_administrator_reads_what_a_superadministrator_changes(admin):
    response, page = await admin.get("admin/domains/default")
    assert (response.status, page.find(id="form"), page.select_one(".bai-danger")) == (200, None, None)
    for path in ("admin/domains/other", "admin/domains/new"):
        response, _ = await admin.get(path)
        assert response.status == 404, path
    _, page = await admin.get("launch")
    token = page.find("input", {"name": "_xsrf"})["value"]
    for path in ("admin/domains/default", "admin/domains/new", "admin/domains/default/delete", "admin/domains/default/deactivate"):
        response, _ = await send(admin, path, {"_xsrf": token, "description": "mine", "name": "x", "typed_name": "default"})
        assert response.status == 404, path


async def test_a_member_and_a_stranger_find_nothing_and_change_nothing(member, nobody, site):
    _, page = await member.get("launch")
    token = page.find("input", {"name": "_xsrf"})["value"]
    for path in ("admin/domains/default", "admin/domains/new", "admin/domains/other/delete", "admin/domains/other/deactivate"):
        response, _ = await send(member, path, {"_xsrf": token, "typed_name": "other", "name": "mine"})
        assert response.status == 404, path
        response, _ = await send(nobody, path, {"typed_name": "other"})
        assert response.status in (401, 403), path
    response, _ = await nobody.get("admin/domains/default")
    assert response.status == 302
    assert await site.db.run(lambda db: db.get(Domain, "other").is_active)


async def test_a_form_of_another_site_is_refused(root):
    response, _ = await root.post("admin/domains/other/delete", {"typed_name": "other"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status == 403


async def test_korean(site, people):
    from tests.services.admin.conftest import open_browser

    browser = await open_browser(site, "root", "ko")
    response, page = await browser.get("admin/domains/new")
    assert (response.status, page.html["lang"]) == (200, "ko")
    await browser.http.close()


async def test_help_keeps_its_angle_brackets_and_choices_are_in_the_readers_language(site, people):
    from tests.services.admin.conftest import open_browser

    for language, engine in (("en", "engine"), ("ko", "엔진에 따름")):
        browser = await open_browser(site, "root", language)
        _, page = await browser.get("admin/storage_hosts/new")
        assert "<proxy>:<volume>" in page.find(id="f-name-help").text
        _, page = await browser.get("admin/resource_groups/new")
        assert engine in [option.text for option in page.find(id="f-is_exclusive").find_all("option")]
        await browser.http.close()


def test_names_are_shown_as_they_are_where_a_choice_has_the_same_word():
    assert show("ko", Field("projects", Kind.WORDS, "Projects"), ["default/site", "general"]).text == "default/site, general"
    assert show("ko", Field("type", Kind.CHOICE, "Type", choices=("general",)), "general").text == "일반"
