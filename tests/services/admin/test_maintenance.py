import aiohttp
import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.services.reconcile import Reconciler
from jupyterhub_backendai.store.models import AuditEntry, Domain
from jupyterhub_backendai.store.records import RECORDS
from tests.services.admin.conftest import read_fields, send

ROOT = Actor("root", Role.SUPERADMIN)
DOCUMENT = "version: 1\ndomains:\n- name: other\n  description: 다른 영역\n- name: physics\n"


async def token_of(browser):
    _, page = await browser.get("launch")
    return page.find("input", {"name": "_xsrf"})["value"]


async def test_a_document_is_looked_at_before_it_is_applied(root, site):
    token = await token_of(root)
    response, page = await send(root, "admin/maintenance/configuration", {"_xsrf": token, "document": DOCUMENT, "act": "look"})
    assert (response.status, len(page.select(".bai-steps > li"))) == (200, 2)
    assert "다른 영역" in page.select_one(".bai-steps").text
    assert await site.db.run(lambda db: db.get(Domain, "physics")) is None
    fields = read_fields(page, "form[action$=configuration]")
    assert fields["document"] == [DOCUMENT]
    response, page = await send(root, "admin/maintenance/configuration", fields | {"act": "apply"})
    assert (response.status, response.headers["Location"]) == (303, "/services/backendai/admin/maintenance?notice=applied")
    assert await site.db.run(lambda db: db.get(Domain, "other").description) == "다른 영역"


async def test_a_file_is_taken(root, site):
    form = aiohttp.FormData({"_xsrf": await token_of(root), "act": "look", "document": ""})
    form.add_field("file", DOCUMENT.encode(), filename="site.yaml", content_type="application/yaml")
    response, page = await root.post("admin/maintenance/configuration", form)
    assert (response.status, len(page.select(".bai-steps > li"))) == (200, 2)


@pytest.mark.parametrize("document", ["", "domains: [", "nothing: []", "domains:\n- name: x\n  magic: 1\n", "\0"])
async def test_what_cannot_be_read_is_said_and_kept(root, document):
    fields = {"_xsrf": await token_of(root), "document": document, "act": "apply"}
    response, page = await send(root, "admin/maintenance/configuration", fields)
    assert response.status == 400
    assert page.find(id="errors")
    assert page.find(id="f-document").text.removeprefix("\n") == document.replace("\0", page.find(id="f-document").text[-1:])


async def test_the_configuration_is_saved_as_a_file(root):
    response, _ = await root.get("admin/maintenance/configuration.yaml")
    assert (response.status, response.headers["Content-Disposition"][:10]) == (200, "attachment")


async def test_images_are_read_anew(root, site):
    response, _ = await send(root, "admin/maintenance/rescan", {"_xsrf": await token_of(root)})
    assert response.headers["Location"].endswith("?notice=rescanned")
    assert await site.db.run(lambda db: db.query(AuditEntry).filter_by(action="image.rescan").count()) == 1


async def test_the_use_is_recalculated(root, site):
    site.application.settings["reconciler"] = Reconciler(site.settings, site.db, site.application.settings["hub"], {})
    response, page = await send(root, "admin/maintenance/recalculate", {"_xsrf": await token_of(root)})
    assert (response.status, "freed: 0" in page.find(id="found").text) == (200, True)
    assert await site.db.run(lambda db: db.query(AuditEntry).filter_by(action="usage.recalculate").count()) == 1


async def test_new_sessions_are_refused_and_taken_again(root, site):
    _, page = await root.get("admin/settings")
    fields = read_fields(page, "form[action$=status]")
    response, _ = await send(root, "admin/settings/status", fields | {"value": "frozen"})
    assert response.headers["Location"].endswith("?notice=frozen")
    _, page = await root.get("admin/settings")
    assert "refused" in page.main.text
    response, _ = await send(root, "admin/settings/status", fields | {"value": "nonsense"})
    assert response.status == 400
    response, _ = await send(root, "admin/settings/status", fields | {"value": "running"})
    assert response.headers["Location"].endswith("?notice=running")


async def test_the_settings_show_no_secret(root, site):
    site.settings.environments = [{"name": "default", "env": {"API_TOKEN": "hush-1"}}]
    site.settings.database_url = "postgresql://me:hush-2@host/db"
    response, page = await root.get("admin/settings")
    assert response.status == 200
    assert "hush" not in page.text
    assert "me:***@host" in page.text


@pytest.mark.parametrize("path", ["admin/settings", "admin/maintenance", "admin/maintenance/configuration.yaml"])
async def test_only_superadministrators_see_it(admin, member, nobody, path):
    for browser, status in ((admin, 404), (member, 404), (nobody, 302)):
        response, _ = await browser.get(path)
        assert response.status == status


@pytest.mark.parametrize(
    "path", ["admin/settings/status", "admin/maintenance/configuration", "admin/maintenance/rescan", "admin/maintenance/recalculate"]
)
async def test_only_superadministrators_do_it(admin, member, nobody, site, path):
    fields = {"value": "frozen", "document": DOCUMENT, "act": "apply"}
    for browser, status in ((admin, 404), (member, 404)):
        response, _ = await send(browser, path, fields | {"_xsrf": await token_of(browser)})
        assert response.status == status
    response, _ = await send(nobody, path, fields)
    assert response.status in (401, 403)
    assert await site.db.run(RECORDS["domains"].find, ROOT, "other")
