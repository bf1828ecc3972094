"""``GET rest/v1/admin/<noun>?format=csv``."""

import csv
import io

from jupyterhub_backendai.store.models import Domain
from tests.services.rest.people import admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]


async def read(caller, query=""):
    status, text, response = await caller.get(f"admin/domains?format=csv{query}")
    assert (status, response.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert "domains.csv" in response.headers["Content-Disposition"]
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


async def test_all_pages_of_what_is_found_are_written(admin_site):
    def add(db):
        db.add_all(Domain(name=f"d{number:04}", description='=cmd|"/c"!A1') for number in range(1201))

    await admin_site.site.db.run(add)
    rows = await read(admin_site.root, "&q=d0&page=2&page_size=3&sort=-name")
    assert [row["name"] for row in rows] == [f"d{number:04}" for number in range(999, -1, -1)]
    assert rows[0]["description"] == '\'=cmd|"/c"!A1'
    assert len(await read(admin_site.root)) == 1203


async def test_everybody_gets_what_they_may_see(admin_site):
    assert [row["name"] for row in await read(admin_site.admin)] == ["default"]
    assert [row["name"] for row in await read(admin_site.stranger)] == ["physics"]
    for caller, expected in ((admin_site.owner, 404), (admin_site.member, 404), (admin_site.outsider, 401)):
        assert (await caller.get("admin/domains?format=csv"))[0] == expected
    status, problem, _ = await admin_site.root.get("admin/domains?format=xls&sort=x")
    assert (status, {item["field"] for item in problem["violations"]}) == (400, {"format", "sort"})
