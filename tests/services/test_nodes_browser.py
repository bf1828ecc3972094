"""The nodes' page in a browser: refreshed in place, a form that is being filled in stays, axe finds nothing serious."""

from __future__ import annotations

from dataclasses import replace

import pytest
from playwright.async_api import expect

from tests.databases import sqlite_template
from tests.services.admin.conftest import people
from tests.services.browsing import AXE, RUN, SHOTS, chromium, open_page
from tests.services.public import settings, site
from tests.services.test_nodes import N1, cluster

__all__ = ["chromium", "cluster", "people", "settings", "site", "sqlite_template"]
pytestmark = pytest.mark.browser


async def test_refreshed_in_place_while_somebody_types(chromium, site, people, cluster):
    page = await open_page(chromium, site, "root", "en", bypass_csp=True)
    await page.goto(site.url + "admin/nodes")
    await page.screenshot(path=SHOTS / "admin-nodes.png", full_page=True)
    row = page.locator("tr[data-node=n1]")
    await row.locator("summary").click()
    await row.get_by_label("Why").fill("new fan")
    cluster.found = [replace(N1, load=7.25), *cluster.found[1:]]
    reader = site.application.settings["nodes"]
    await reader.look(0)
    await page.get_by_role("button", name="Refresh").click()
    await expect(row.locator("[data-cell=load]")).to_have_text("7.25")
    await expect(row.get_by_label("Why")).to_have_value("new fan")
    await expect(page.locator("#nodes-status")).to_contain_text("read anew")
    await row.get_by_role("button", name="Drain n1").click()
    await expect(page.get_by_role("status").first).to_contain_text("Nothing new is started")
    assert cluster.acts == [("drain", "n1", "new fan")]


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("ko", "dark")])
async def test_axe_finds_nothing_serious(chromium, site, people, cluster, language, scheme):
    page = await open_page(chromium, site, "root", language, bypass_csp=True, color_scheme=scheme)
    await page.context.add_init_script(AXE.read_text())
    await page.goto(site.url + "admin/nodes")
    await page.locator("tr[data-node=n1] summary").click()
    assert await page.evaluate(RUN, []) == []


async def test_on_a_phone_nothing_is_cut_off(chromium, site, people, cluster):
    page = await open_page(chromium, site, "root", "ko")
    await page.set_viewport_size({"width": 390, "height": 800})
    await page.goto(site.url + "admin/nodes")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    box = await page.locator("tr[data-node=n1] .bai-node-bar .num").nth(1).bounding_box()
    assert box["x"] + box["width"] <= 390
    await page.screenshot(path=SHOTS / "admin-nodes-phone.png", full_page=True)
