"""How far a look through a registry is, in Chromium: drawn in place, and over without a reload."""

import asyncio

import pytest
from aiohttp import web
from playwright.async_api import expect

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.store.records import RECORDS
from tests.databases import sqlite_template
from tests.services.admin.conftest import people
from tests.services.browsing import AXE, RUN, SHOTS, chromium, open_page, watch
from tests.services.public import settings, site

__all__ = ["chromium", "people", "settings", "site", "sqlite_template"]
pytestmark = pytest.mark.browser


async def test_the_progress_is_drawn_until_it_is_over(chromium, site, people):
    go_on = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("/tags/list"):
            await go_on.wait()
            return web.json_response({"tags": []})
        return web.json_response({"repositories": ["stable/python", "stable/r"]})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    registry = {"name": "site", "url": f"http://127.0.0.1:{runner.addresses[0][1]}"}
    await site.db.run_exclusive(RECORDS["container_registries"].add, Actor("root", Role.SUPERADMIN), registry)
    page = await open_page(chromium, site, "root", "ko", bypass_csp=True)
    complaints = watch(page)
    await page.add_init_script(AXE.read_text())
    await page.goto(f"{site.url}admin/container_registries/site")
    await page.locator("form[action$='maintenance/rescan'] button").click()
    await page.wait_for_url("**/maintenance/rescan?notice=rescanning")
    await expect(page.locator("progress[id^=scan]")).to_be_visible()
    await expect(page.locator("#scans label")).to_contain_text("2")
    await page.screenshot(path=SHOTS / "rescan-running-ko.png", full_page=True)
    assert await page.evaluate(RUN, []) == []
    await page.evaluate("window.isSame = true")
    go_on.set()
    await expect(page.locator("progress[id^=scan]")).to_have_count(0)
    await expect(page.locator("#scans-status")).not_to_be_empty()
    assert await page.evaluate("window.isSame")
    assert await page.evaluate(RUN, []) == []
    await page.set_viewport_size({"width": 390, "height": 844})
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    await page.screenshot(path=SHOTS / "rescan-done-phone-ko.png", full_page=True)
    assert complaints == []
    await page.context.close()
    await runner.cleanup()
