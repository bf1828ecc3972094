"""axe over every page of ours, in both languages, light and dark; and administration by keyboard alone."""

import pytest
import pytest_asyncio
from playwright.async_api import expect

from jupyterhub_backendai.store.records import RECORDS
from tests.databases import sqlite_template
from tests.services.admin.conftest import add_people, people
from tests.services.admin.filled import fill, first_keys
from tests.services.browsing import AXE, RUN, chromium, open_page, tab_to, watch
from tests.services.public import settings, site
from tests.services.test_browser import FakePendingHub

__all__ = ["chromium", "people", "settings", "site", "sqlite_template"]
pytestmark = pytest.mark.browser
OTHER_PAGES = [
    "launch",
    "summary",
    "admin/",
    "admin/nodes",
    "bills",
    "admin/bills",
    "admin/statistics",
    "admin/settings",
    "admin/maintenance",
    "admin/maintenance/rescan",
    "admin/domains/import",
]

# Launch and summary have no second part.
OF_EACH_KIND = {"", "domains", "keypair_resource_policies/default", "statistics", "nodes", "settings", "maintenance", "domains/import"}


@pytest_asyncio.fixture
async def full_site(site):
    await site.db.run(add_people)
    await fill(site)
    return site


async def list_paths(site):
    keys = await first_keys(site)
    paths = list(OTHER_PAGES)
    for name, records in RECORDS.items():
        paths.append(f"admin/{name}")
        if "create" in records.noun.verbs and ("update" not in records.noun.verbs or name in ("announcements", "container_registries")):
            paths.append(f"admin/{name}/new")  # the other forms have the same fields as those of one thing
        if name in keys:
            paths.append(f"admin/{name}/{keys[name].replace('/', '%2F')}")
    return paths


@pytest.mark.parametrize(("language", "scheme", "other"), [("en", "light", "dark"), ("ko", "dark", "light")], ids=["en", "ko"])
async def test_axe_finds_nothing_serious_on_any_page(chromium, full_site, language, scheme, other):
    """Every rule on every page, in English by day and in Korean by night; one page of each kind also the other way round."""
    page = await open_page(chromium, full_site, "root", language, bypass_csp=True)
    await page.context.add_init_script(AXE.read_text())
    await page.context.route("**/hub/static/components/**", lambda route: route.abort())  # icons and the hub's own scripts: time, no words
    found = {}
    for path in await list_paths(full_site):
        await page.emulate_media(color_scheme=scheme)
        response = await page.goto(full_site.url + path)
        assert response.status == 200, path
        for colours in (scheme, other) if path.partition("/")[2] in OF_EACH_KIND else (scheme,):
            await page.emulate_media(color_scheme=colours)
            await page.wait_for_function("scheme => document.documentElement.dataset.bsTheme == scheme", arg=colours)
            if lines := await page.evaluate(RUN, []):
                found[f"{path} {colours}"] = lines
    assert found == {}
    await page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<input>')")
    assert await page.evaluate(RUN, []) != [], "axe looks at nothing"
    await page.context.close()


async def test_axe_finds_nothing_serious_while_a_session_starts(chromium):
    hub = FakePendingHub(streams=[[{"progress": 20, "message": "대기 중", "phase": "queued"}, None]])
    runner = await hub.start()
    context = await chromium.new_context(locale="ko", bypass_csp=True, reduced_motion="reduce")
    await context.add_init_script(AXE.read_text())
    page = await context.new_page()
    await page.goto(f"{hub.url}/hub/spawn-pending/kim01/work")
    await page.locator("html[data-ready=pending]").wait_for()
    found = []
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        await page.wait_for_function("scheme => document.documentElement.dataset.bsTheme == scheme", arg=scheme)
        found += await page.evaluate(RUN, [])
    hub.hold.set()
    await context.close()
    await runner.cleanup()
    assert found == []


async def test_a_thing_is_changed_by_keyboard_alone(chromium, full_site):
    page = await open_page(chromium, full_site, "root")
    complaints = watch(page)
    await page.goto(full_site.url + "admin/domains")
    await tab_to(page, "#q")
    await page.keyboard.type("physics")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(full_site.url + "admin/domains?q=physics&is_active=")
    await tab_to(page, "table.bai-list tbody a")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(full_site.url + "admin/domains/physics")
    await tab_to(page, "#f-description")
    await page.keyboard.press("Control+a")
    await page.keyboard.type("Physics department")
    await page.keyboard.press("Enter")
    await expect(page.locator("main [role=status]")).to_have_text("The changes were saved.")
    await expect(page.locator("#f-description")).to_have_value("Physics department")
    assert complaints == []
    await page.context.close()
