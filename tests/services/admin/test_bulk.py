import aiohttp
import pytest

from jupyterhub_backendai.store.models import Domain
from tests.services.admin.conftest import read_fields, send
from tests.services.admin.test_maintenance import token_of

FILE = 'name,description,is_active,total_resource_slots\nother,다른 영역,,\nphysics,"=1+1",false,"{""cpu"": ""4""}"\ndefault,,true,\n'


async def names(site):
    return await site.db.run(lambda db: {row.name: row.description for row in db.query(Domain)})


async def test_a_file_is_looked_at_before_anything_is_changed(root, site):
    response, page = await root.get("admin/domains/import")
    fields = read_fields(page)
    response, page = await send(root, "admin/domains/import", fields | {"document": FILE, "act": "look"})
    rows = [[cell.get_text(" ", strip=True) for cell in row.find_all(["th", "td"])] for row in page.select("tbody tr")]
    assert response.status == 200
    assert rows[0] == ["other", "2", "changed", "Description: – → 다른 영역"]
    assert rows[1][:3] == ["physics", "3", "new"]
    assert "Slots in all: CPUs 4" in rows[1][3]
    assert rows[2] == ["default", "4", "as it is", ""]
    assert "physics" not in await names(site)
    response, page = await send(root, "admin/domains/import", read_fields(page) | {"act": "apply"})
    assert response.headers["Location"] == "/services/backendai/admin/domains?notice=applied"
    assert (await names(site)) == {"default": "", "other": "다른 영역", "physics": "=1+1"}


async def test_one_wrong_line_keeps_everything_as_it_was(root, site):
    document = "name,description,user_count\nphysics,new,7\n,nameless,\nphysics,again,\nx,,\n"
    fields = {"_xsrf": await token_of(root), "document": document, "act": "apply"}
    response, page = await send(root, "admin/domains/import", fields)
    assert response.status == 400
    assert [row.select("td")[1].text.strip() for row in page.select("tbody tr")] == ["new", "wrong", "wrong", "new"]
    assert page.find("button", value="apply") is None
    assert read_fields(page)["document"] == [document]
    assert set(await names(site)) == {"default", "other"}


@pytest.mark.parametrize("document", ["", "name", "name,name\nx,y\n", "magic,name\n1,x\n", "description\nx\n", 'name\n"x\n'])
async def test_what_is_no_such_file_is_said(root, document):
    response, page = await send(root, "admin/domains/import", {"_xsrf": await token_of(root), "document": document, "act": "apply"})
    assert response.status == 400
    assert page.find(id="errors")


async def test_files_of_korean_spreadsheets_are_read(root, site):
    form = aiohttp.FormData({"_xsrf": await token_of(root), "act": "apply"})
    form.add_field("file", "name;description\r\nphysics;물리학과\r\n".encode("cp949"), filename="a.csv", content_type="text/csv")
    response, _ = await root.post("admin/domains/import", form)
    assert response.status == 303
    assert (await names(site))["physics"] == "물리학과"


async def test_others_find_nothing(admin, member, nobody, site):
    for browser in (admin, member):
        response, _ = await browser.get("admin/domains/import")
        assert response.status == 404
        fields = {"_xsrf": await token_of(browser), "document": FILE, "act": "apply"}
        response, _ = await send(browser, "admin/domains/import", fields)
        assert response.status == 404
    response, _ = await send(nobody, "admin/domains/import", {"document": FILE, "act": "apply"})
    assert response.status in (401, 403)
    assert "physics" not in await names(site)
