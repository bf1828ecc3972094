"""The page "Data" at a real hub, whose cookies and tokens a browser has: a folder's whole life in dialogs."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.e2e.browsing import chromium, visit
from tests.e2e.marks import PLATFORM

pytestmark = [*PLATFORM, pytest.mark.browser]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


async def test_the_life_of_a_folder_in_dialogs(local, browser):
    async with visit(browser, local) as visitor:
        page, ready = visitor.page, visitor.page.locator("html[data-ready=data]")
        await visitor.log_in("user1")
        await page.goto(f"{local.url}/services/backendai/data")
        await ready.wait_for()
        await page.click("#create")
        await page.locator("dialog #f-name").fill("notes")
        await page.locator("dialog").get_by_role("button", name="Make the folder").click()
        await expect(page.locator("#done")).to_have_text("The folder notes was made.")
        await ready.wait_for()
        await page.locator("#acts").get_by_role("link", name="Rename").click()
        await page.locator("dialog #f-name").fill("notes-2026")
        await page.keyboard.press("Enter")
        await expect(page.locator("#done")).to_have_text("The folder is called notes-2026 now.")
        await ready.wait_for()
        await page.locator("#acts").get_by_role("link", name="Move to the trash").click()
        await page.locator("dialog").get_by_role("button", name="Move to the trash").click()
        await expect(page.locator("#done")).to_have_text("notes-2026 is in the trash.")
        await page.goto(f"{local.url}/services/backendai/data?tab=trash")
        await ready.wait_for()
        await page.get_by_label("Delete for good: notes-2026").click()
        await page.locator("dialog #f-name").fill("notes-2026")
        await page.locator("dialog").get_by_role("button", name="Delete for good").click()
        # the list looks again by itself until the last of it is gone
        await expect(page.locator("#empty")).to_contain_text("The trash is empty.", timeout=60_000)
        assert visitor.complaints == []
