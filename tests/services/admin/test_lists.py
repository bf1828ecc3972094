import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.services.admin.base import quote_key
from jupyterhub_backendai.store.records import RECORDS

ROOT = Actor("root", Role.SUPERADMIN)


async def add(site, *names, **data):
    for name in names:
        await site.db.run(RECORDS["domains"].add, ROOT, {"name": name, **data})


def keys(page):
    return [row.find("th").get_text(strip=True) for row in page.select("table.bai-list tbody tr")]


async def test_the_superadministrator_sees_every_noun_and_row(root):
    response, page = await root.get("admin/")
    assert response.status == 200
    links = [link["href"] for link in page.select(".bai-menu-wide a")]
    for name in RECORDS:
        assert f"/services/backendai/admin/{name}" in links
        response, listed = await root.get(f"admin/{name}")
        assert (response.status, listed.h1 is not None) == (200, True), name
    _, page = await root.get("admin/domains")
    assert keys(page) == ["default", "other"]


async def test_the_last_slash_may_be_left_out(root):
    response, _ = await root.get("admin")
    assert (response.status, response.headers["Location"]) == (302, "/services/backendai/admin/")


async def test_a_domains_administrator_sees_the_own_domain_and_nothing_of_the_platform(admin):
    _, page = await admin.get("admin/domains")
    assert keys(page) == ["default"]
    _, page = await admin.get("admin/")
    links = {link["href"].rpartition("/")[2] for link in page.select(".bai-menu-wide a")}
    assert "domains" in links
    for name, records in RECORDS.items():
        if not records.noun.for_domain_admins:
            assert name not in links
            response, _ = await admin.get(f"admin/{name}")
            assert response.status == 404, name
    assert not {"settings", "maintenance"} & links


@pytest.mark.parametrize("path", ["admin/", "admin/domains", "admin/nothing"])
async def test_a_member_and_a_stranger_find_nothing(member, nobody, path):
    response, _ = await member.get(path)
    assert response.status == 404
    response, _ = await nobody.get(path)
    assert response.status == 302
    assert "oauth2/authorize" in response.headers["Location"]


async def test_search_filter_and_order_are_in_the_address(root, site):
    await add(site, "physics", description="물리")
    await add(site, "closed", is_active=False)
    _, page = await root.get("admin/domains?q=phys")
    assert (keys(page), page.find(id="q")["value"]) == (["physics"], "phys")
    _, page = await root.get("admin/domains?is_active=false")
    assert keys(page) == ["closed"]
    assert page.select_one("#filter-is_active option[selected]")["value"] == "false"
    _, page = await root.get("admin/domains?sort=-name")
    assert keys(page) == ["physics", "other", "default", "closed"]
    head = page.select_one("th[aria-sort]")
    assert (head["aria-sort"], head.a["href"]) == ("descending", "/services/backendai/admin/domains?sort=name")
    _, page = await root.get("admin/domains?q=nobody")
    assert "Nothing fits" in page.main.text


async def test_pages(root, site):
    await add(site, *(f"d{number:02}" for number in range(10)))
    _, page = await root.get("admin/domains?page_size=4&page=2&q=d")
    assert len(keys(page)) == 4
    links = {link.get_text(strip=True): link["href"] for link in page.select(".pagination a")}
    assert links["Next"] == "/services/backendai/admin/domains?q=d&page_size=4&page=3"
    response, _ = await root.get("admin/domains?page_size=4&page=99")
    assert (response.status, response.headers["Location"]) == (302, "/services/backendai/admin/domains?page_size=4&page=3")


async def test_bad_parameters_are_refused_in_words(root):
    for query in ("sort=password", "page=x", "page=-1", "page_size=100000"):
        response, page = await root.get(f"admin/domains?{query}")
        assert response.status == 400, query
        assert "Traceback" not in page.text


async def test_text_of_people_is_text(root, site):
    await add(site, "evil", description="<script>alert(1)</script>")
    _, page = await root.get("admin/domains?q=%3Cscript%3E")
    assert keys(page) == ["evil"]
    assert "alert(1)" not in "".join(script.text for script in page.find_all("script"))
    assert page.find(id="q")["value"] == "<script>"


def test_a_thing_may_be_called_as_a_word_of_our_addresses():
    assert [quote_key(key) for key in ("new", "a/b c", "kim@x")] == ["%6Eew", "a%2Fb%20c", "kim@x"]
