"""Scripts of our pages ask with the token of their page: no page that is looked at makes another login and the forms of all others too old."""

from __future__ import annotations

import pytest

from tests.e2e.browsing import chromium, visit
from tests.e2e.marks import PLATFORM

pytestmark = [*PLATFORM, pytest.mark.browser]
PAGES = ("services/backendai/summary", "services/backendai/launch", "services/backendai/sessions", "hub/home")


async def test_no_page_logs_in_again(local):
    async with chromium() as browser, visit(browser, local) as visitor:
        page = visitor.page
        await visitor.log_in("user1")
        seen: list[tuple[int, str]] = []
        page.on("response", lambda response: seen.append((response.status, response.url)))
        for path in PAGES:
            await page.goto(f"{local.url}/{path}")
            await page.wait_for_load_state("networkidle")
        asked = [(status, url) for status, url in seen if "/static/" not in url]
        assert [pair for pair in asked if "oauth" in pair[1] or pair[0] >= 300] == []
        assert [url for _, url in asked if url.endswith("/hub/ends")]
        assert [url for _, url in asked if url.endswith("/sessions/now")]
        # a form that was open all the time is as good as new
        other = await page.context.new_page()
        await other.goto(visitor.launch_url)
        await page.goto(visitor.home_url)
        await page.wait_for_load_state("networkidle")
        await other.fill("#cpu", "999")
        await other.click("main #start")
        await other.locator("#errors").wait_for()
