import csv
import io

import pytest

from jupyterhub_backendai.services.csv_files import write_cell
from tests.services.admin.test_lists import add


async def read(browser, path):
    async with browser.http.get(browser.site.url + path, allow_redirects=False) as response:
        text = await response.text()
        return response, list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


async def test_a_table_is_saved_as_it_was_searched(root, site):
    await add(site, "physics", description='=HYPERLINK("http://evil")')
    await add(site, "p2", total_resource_slots={"cpu": "Infinity"})
    response, rows = await read(root, "admin/domains.csv?q=p&sort=-name")
    assert (response.status, response.content_type) == (200, "text/csv")
    assert response.headers["Content-Disposition"] == 'attachment; filename="domains.csv"'
    assert [row[0] for row in rows] == ["name", "physics", "p2"]
    assert rows[1][1] == '\'=HYPERLINK("http://evil")'
    assert rows[2][rows[0].index("total_resource_slots")] == '{"cpu": "Infinity"}'


async def test_secrets_are_left_out(root):
    _, rows = await read(root, "admin/container_registries.csv")
    assert "password" not in rows[0]


async def test_a_domains_administrator_saves_the_own_domain_only(admin):
    _, rows = await read(admin, "admin/domains.csv")
    assert [row[0] for row in rows] == ["name", "default"]
    response, _ = await read(admin, "admin/container_registries.csv")
    assert response.status == 404


async def test_others_get_nothing(member, nobody):
    for browser, status in ((member, 404), (nobody, 302)):
        response, _ = await read(browser, "admin/domains.csv")
        assert response.status == status


@pytest.mark.parametrize(
    ("value", "cell"),
    [(None, ""), (True, "true"), (["a", "b"], "a, b"), ({}, ""), ("+1", "'+1"), ("@x", "'@x"), ("-", "'-"), ("\t=", "'\t="), (-1, "'-1")],
)
def test_cells(value, cell):
    assert write_cell(value) == cell
