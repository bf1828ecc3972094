"""The card of folders in Chromium: by mouse, by keys, on a phone, and the question before a start that keeps nothing."""

import pytest
from playwright.async_api import expect

from jupyterhub_backendai.core.vfolders import Permission
from tests.databases import sqlite_template
from tests.factories import GIB
from tests.services import public
from tests.services.browsing import AXE, RUN, SIZES, chromium, open_page, shoot, watch
from tests.services.data_folders import add_folder
from tests.services.public import site

__all__ = ["chromium", "site", "sqlite_template"]
pytestmark = pytest.mark.browser
BOX = {"name": "box", "engine": "docker", "capacity": {"cpu": 4, "mem": 8 * GIB}}


@pytest.fixture
def settings(monkeypatch, tmp_path, sqlite_template):
    monkeypatch.setattr(public, "QUEUES", [*public.QUEUES, BOX])
    return public.settings.__wrapped__(tmp_path, sqlite_template)


@pytest.fixture
async def folders(site):
    await site.application.settings["groups"].ready()

    def add(db):
        for number in range(101):
            add_folder(db, f"set-{number:03}")
        return {
            "data": add_folder(db, "data-of-the-first-experiment"),
            "shared": add_folder(db, "shared", project="default", permission=Permission.READ_ONLY),
            ".local": add_folder(db, ".local"),
        }

    return await site.db.run(add)


async def open_launch(page, site, query):
    await page.goto(f"{site.launch}{query}")
    await page.locator("html[data-ready=launch]").wait_for()


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_folders_are_chosen_found_and_named(chromium, site, folders, language):
    page = await open_page(chromium, site, language=language, bypass_csp=True)
    await page.context.add_init_script(AXE.read_text())
    complaints = watch(page)
    await open_launch(page, site, "?opt-queue=small")
    await page.locator("#folder_search").fill("DATA")
    await expect(page.locator(".bai-folders li")).to_have_count(1)
    await page.get_by_label("data-of-the-first-experiment", exact=True).check()
    await expect(page.locator("#sum-folders")).to_have_text("data-of-the-first-experiment")
    await page.locator("#folder_search").fill("shared")
    await expect(page.locator(".bai-folders li")).to_have_count(2)
    await expect(page.locator("#folder_search")).to_be_focused()
    await page.locator(".bai-folders li").nth(1).locator("summary").click()
    await page.locator("#folder-1-target").fill("input")  # what is typed for a folder chooses it
    await expect(page.locator("#folder-1")).to_be_checked()
    await expect(page.locator("#sum-folders")).to_have_text("data-of-the-first-experiment, shared")
    assert await page.evaluate(RUN, []) == []
    await shoot(page, "launch-folders", language)
    await page.set_viewport_size(SIZES["phone"])
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await page.locator("#start").click()
    await page.wait_for_url("**/hub/spawn-pending/**")
    [(_, _, body)] = site.hub.starts
    assert body["user_options"]["mounts"] == f"{folders['data']},{folders['shared']}:input"
    assert complaints == []
    await page.context.close()


async def test_a_start_that_keeps_nothing_is_asked_about(chromium, site, folders):
    page = await open_page(chromium, site)
    complaints = watch(page)
    await open_launch(page, site, "?opt-queue=small")
    await expect(page.locator("#folders-warning")).to_be_hidden()
    await page.locator("input[value=box]").check()
    warning = page.locator("#folders-warning")
    await expect(warning).to_be_visible()
    dialog = page.locator("#folders-dialog")
    await page.locator("#start").click()
    await expect(dialog).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await page.locator("#start").click()
    await dialog.locator("button[value=choose]").click()
    assert site.hub.starts == []
    await page.keyboard.press("Space")  # the focus is on the first folder
    await expect(warning).to_be_hidden()
    await page.keyboard.press("Space")
    await expect(warning).to_be_visible()
    await page.locator("#start").click()
    await dialog.locator("button[value=start]").click()
    await page.wait_for_url("**/hub/spawn-pending/**")
    [(_, _, body)] = site.hub.starts
    assert body["user_options"]["queue"] == "box"
    assert "mounts" not in body["user_options"]
    assert complaints == []
    await page.context.close()
