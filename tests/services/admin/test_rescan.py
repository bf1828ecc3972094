"""``admin/maintenance/rescan``: start it, see how far it is."""

import pytest

from jupyterhub_backendai.store.models import AuditEntry, ContainerRegistry
from tests.lab import REGISTRY_LOGIN, REGISTRY_URL
from tests.pushing import Pusher
from tests.services.admin.conftest import read_fields, send

PATH = "admin/maintenance/rescan"


async def make_registry(site, root, **fields):
    _, page = await root.get("admin/container_registries/new")
    response, _ = await send(root, "admin/container_registries/new", read_fields(page) | {"name": "lab", **fields})
    assert response.status == 303, response


@pytest.mark.registry
async def test_a_registry_is_looked_through_from_its_page(root, site):
    async with Pusher() as pusher:
        await pusher.push("python", "3.12")
        user_name, password = REGISTRY_LOGIN
        await make_registry(site, root, url=REGISTRY_URL, user_name=user_name, password=password, projects=pusher.project)
        _, page = await root.get("admin/container_registries/lab")
        response, _ = await send(root, PATH, read_fields(page, "form[action$=rescan]"))
        assert (response.status, response.headers["Location"].partition("/admin/")[2]) == (303, "maintenance/rescan?notice=rescanning")
        await site.application.settings["rescanner"].wait()
        response, page = await root.get(f"{PATH}?notice=rescanning")
        assert (response.status, page.find(id="scans")["data-running"]) == (200, "0")
        assert [cell.text.strip() for cell in page.select("#scans tbody td")] == ["done", "1", "0", "0", "0", "0", "0"]
        _, page = await root.get("admin/images?container_registry=lab")
        assert pusher.name("python", "3.12") in page.main.text
        assert await site.db.run(lambda db: db.query(AuditEntry).filter_by(action="image.rescan", object="lab").count()) == 1


async def test_all_registries_and_the_configuration_file(root, site):
    await make_registry(site, root, url="http://127.0.0.1:1")
    _, page = await root.get("admin/maintenance")
    response, _ = await send(root, PATH, read_fields(page, "form[action$=rescan]"))
    assert response.status == 303
    await site.application.settings["rescanner"].wait()
    _, page = await root.get(PATH)
    assert "127.0.0.1:1 does not answer" in page.find(id="scans").text
    assert await site.db.run(lambda db: db.get(ContainerRegistry, "lab").scan_result["state"]) == "failed"


async def test_without_a_registry_there_is_nothing_to_see(root):
    response, page = await root.get(PATH)
    assert (response.status, page.find(id="scans")) == (200, None)


async def test_only_superadministrators_see_and_do_it(admin, member, nobody):
    for browser, status in ((admin, 404), (member, 404), (nobody, 302)):
        response, _ = await browser.get(PATH)
        assert response.status == status
    for browser in (admin, member):
        _, page = await browser.get("launch")
        response, _ = await send(browser, PATH, {"_xsrf": page.find("input", {"name": "_xsrf"})["value"]})
        assert response.status == 404
