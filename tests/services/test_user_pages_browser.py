"""Summary, presets and statistics in Chromium: with and without scripts, both languages, light and dark, wide and narrow."""

from datetime import timedelta

import pytest
from playwright.async_api import expect

from jupyterhub_backendai.core.identity import Role
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.store.models import now
from tests.databases import sqlite_template
from tests.factories import GIB, add_user, make_slots
from tests.services.admin.test_statistics import add_past
from tests.services.browsing import AXE, RUN, SIZES, chromium, open_page, shoot, watch
from tests.services.launching import limit
from tests.services.public import browser, nobody, settings, site
from tests.services.test_announcements import announce
from tests.services.test_launch_presets import add_presets
from tests.services.test_summary import add_invitation, add_session

__all__ = ["browser", "chromium", "nobody", "settings", "site", "sqlite_template"]
pytestmark = pytest.mark.browser


async def fill(site):
    await add_presets(site)
    at = now()
    await site.db.run(announce, "Maintenance on Sunday", level="warning")
    await site.db.run(add_invitation)
    await site.db.run(add_session, name="딥러닝 실습 3주차", status=SessionStatus.RUNNING, started_at=at - timedelta(minutes=83))
    await site.db.run(add_session, name="preprocess", server_name="preprocess", queue="v100", slots=make_slots(4, 16 * GIB, 1))
    for number, reason in enumerate(["The session reached its time limit.", "", "The session used more memory than it had asked for."]):
        status = SessionStatus.ERROR if number == 2 else SessionStatus.TERMINATED
        await site.db.run(
            add_session,
            name=f"run {number}",
            server_name=f"run-{number}",
            status=status,
            released_at=at,
            terminated_at=at,
            status_reason=reason,
        )
    await site.db.run(limit, keypair={"cpu": "16", "mem": "64g", "cuda.device": "2"}, sessions=4, project={"cpu": "12"})
    site.hub.servers["kim01"] = {
        "": {"ready": True, "url": "/user/kim01/"},
        "preprocess": {"ready": False, "pending": "spawn"},
    }


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_summary_and_launch_page_look_right(chromium, site, language):
    await fill(site)
    page = await open_page(chromium, site, language=language)
    complaints = watch(page)
    await page.goto(f"{site.url}summary?resource_group=small")
    await page.locator("html[data-ready=summary]").wait_for()
    for details in await page.locator("details").all():
        await details.evaluate("element => element.open = true")
    await shoot(page, "summary", language)
    await page.goto(f"{site.launch}?opt-queue=v100")
    await page.locator("html[data-ready=launch]").wait_for()
    await shoot(page, "launch-presets", language)
    assert complaints == []
    await page.context.close()


async def test_choosing_a_preset_fills_the_form_at_once(chromium, site):
    await fill(site)
    page = await open_page(chromium, site)
    complaints = watch(page)
    await page.goto(f"{site.launch}?opt-queue=small")
    await page.locator("html[data-ready=launch]").wait_for()
    await page.fill("#name", "내 세션")
    await page.evaluate("window.mark = 1")
    button = page.locator("#presets button[value=odd]")
    await button.focus()
    await page.keyboard.press("Enter")
    assert [await page.input_value(f"#{name}") for name in ("cpu", "mem", "gpu", "name")] == ["1", "1073741825", "0", "내 세션"]
    assert await page.evaluate("window.mark") == 1
    await expect(button).to_have_attribute("aria-pressed", "true")
    await expect(page.locator("#sum-preset")).to_have_text("odd")
    await expect(page.locator("#presets button[value=huge]")).to_be_disabled()
    await page.fill("#cpu", "3")
    await expect(page.locator("#sum-preset")).to_have_text("custom")
    await page.locator("input[value=v100]").check()
    await page.locator("#presets button[value=v-gpu]").click()
    await expect(page.locator("#sum-gpu")).to_contain_text("1")
    await page.locator("input[value=small]").check()
    await expect(page.locator("#presets button[value=v-gpu]")).to_have_count(0)
    assert complaints == []
    await page.context.close()


async def test_choosing_a_preset_without_scripts(chromium, site):
    await fill(site)
    page = await open_page(chromium, site, java_script_enabled=False)
    await page.goto(f"{site.launch}?opt-queue=v100")
    await page.fill("#name", "내 세션")
    await page.fill("#time", "30m")
    await page.locator("#presets button[value=v-gpu]").click()
    await expect(page.locator("#cpu")).to_have_value("4")
    values = [await page.input_value(f"#{name}") for name in ("cpu", "mem", "gpu", "name", "time")]
    assert values == ["4", "16 GiB", "1", "내 세션", "30m"]
    assert await page.locator("input[value=v100]").is_checked()
    assert "_xsrf" not in page.url
    await page.locator(".bai-news button").click()
    await expect(page.locator(".bai-news")).to_have_count(0)
    assert page.url.startswith(site.launch)
    await page.context.close()


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_statistics_look_right(chromium, site, language):
    def fill_past(db):
        add_user(db, "root", role=Role.SUPERADMIN, posix=False)
        for day in range(30):
            for project, cpus in (("alpha", 2), ("beta", 1 + day % 5), ("default", 4 if day % 3 else 1)):
                end = now() - timedelta(days=day, hours=2)
                begin = end - timedelta(hours=3 + day % 7)
                times = {"created_at": begin, "started_at": begin, "terminated_at": end, "released_at": end}
                add_past(db, "kim01", project, slots=make_slots(cpus, 4 * GIB, day % 2), **times)

    await site.db.run(fill_past)
    page = await open_page(chromium, site, "root", language)
    complaints = watch(page)
    await page.goto(f"{site.url}admin/statistics?by=project")
    await expect(page.locator(".bai-stack rect").first).to_be_visible()
    await shoot(page, "admin-statistics", language)
    for details in await page.locator("main details").all():
        await details.evaluate("element => element.open = true")
    await page.set_viewport_size(SIZES["phone"])
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert complaints == []
    await page.context.close()


async def test_axe_finds_nothing_serious_where_there_is_much_to_show(chromium, site):
    await fill(site)
    page = await open_page(chromium, site, bypass_csp=True)
    await page.context.add_init_script(AXE.read_text())
    found = {}
    for path in ("summary?resource_group=small", "launch?opt-queue=v100"):
        await page.goto(site.url + path)
        for details in await page.locator("main details").all():
            await details.evaluate("element => element.open = true")
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            await page.wait_for_function("scheme => document.documentElement.dataset.bsTheme == scheme", arg=scheme)
            if lines := await page.evaluate(RUN, []):
                found[f"{path} {scheme}"] = lines
    assert found == {}
    await page.context.close()
