"""Our pages in Chromium, on the application without a hub: somebody's page, what it complains about, axe, pictures."""

from pathlib import Path

import axe_playwright_python
import pytest_asyncio
from playwright.async_api import async_playwright, expect

from jupyterhub_backendai import templating
from tests.lab import CHROMIUM

SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
expect.set_options(timeout=30_000)  # a busy machine takes its time
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
RUN = """async (rules) => (await axe.run(document, rules.length ? {runOnly: {type: "rule", values: rules}, resultTypes: ["violations"]} : {resultTypes: ["violations"]})).violations
    .filter(found => ["serious", "critical"].includes(found.impact))
    .map(found => `${found.id}: ` + found.nodes.slice(0, 4).map(node => node.target.join(" ") + " " + node.html.slice(0, 160)).join(" | "))"""


@pytest_asyncio.fixture
async def chromium():
    SHOTS.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        await running.close()


async def open_page(chromium, site, user="kim01", language="en", **options):
    """A page of somebody who is logged in. ``bypass_csp`` is for axe only; all else has our policy in force."""
    token = site.hub.let_in(user)
    context = await chromium.new_context(
        locale=language,
        reduced_motion="reduce",
        viewport=SIZES["desktop"],
        extra_http_headers={"Authorization": f"token {token}"},
        **options,
    )
    await serve_hub_files(context)
    return await context.new_page()


async def serve_hub_files(context):
    """The hub's own style sheets and scripts, which the fake hub has not."""

    async def answer(route):
        path = route.request.url.partition("/hub/static/")[2].partition("?")[0]
        await route.fulfill(path=Path(templating.DATA_FILES_PATH, "static", path))

    await context.route("**/hub/static/**", answer)


def watch(page):
    """Everything that a script or our policy complains about."""
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if "Security Policy" in message.text else None)
    return complaints


async def shoot(page, name, language):
    """Pictures at both widths, light and dark; nothing may be wider than the screen."""
    for width, size in SIZES.items():
        await page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            await page.screenshot(path=SHOTS / f"{name}-{width}-{scheme}-{language}.png", full_page=True)
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), f"{name} is too wide on a {width}"


async def tab_to(page, selector, most=80):
    """Press Tab until something is reached."""
    for _ in range(most):
        await page.keyboard.press("Tab")
        if await page.evaluate("selector => document.activeElement?.matches(selector) ?? false", selector):
            return
    raise AssertionError(f"{selector} is not reached by Tab")
