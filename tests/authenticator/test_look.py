"""The login pages in Chromium: the whole first login, and screenshots to look at."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Route, async_playwright

from jupyterhub_backendai.templating import STATIC
from tests.lab import CHROMIUM

from .conftest import PASSWORD, Hub, Service, code_of

pytestmark = [pytest.mark.e2e, pytest.mark.browser]
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
SIZES = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


async def serve_static(route: Route) -> None:
    """Our static files, which the service would serve behind the proxy."""
    file = STATIC / route.request.url.partition("/static/")[2].partition("?")[0]
    if file.is_file():
        await route.fulfill(body=file.read_bytes(), content_type=_TYPES.get(file.suffix, "application/octet-stream"))
    else:
        await route.abort()


@pytest_asyncio.fixture(params=[("desktop", "en", "light"), ("phone", "ko", "light"), ("desktop", "ko", "dark"), ("phone", "en", "dark")])
async def context(request: pytest.FixtureRequest) -> AsyncIterator[BrowserContext]:
    size, language, scheme = request.param
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        made = await chromium.new_context(viewport=SIZES[size], locale=language, color_scheme=scheme)
        await made.route("**/services/backendai/static/**", serve_static)
        made.label = f"{size}-{language}-{scheme}"  # type: ignore[attr-defined]
        yield made
        await chromium.close()


async def test_the_first_login(context: BrowserContext, hub: Hub, service: Service) -> None:
    await service.add_person("noah", with_token=False)
    label, page, trouble = context.label, await context.new_page(), []
    page.on("console", lambda message: trouble.append(message.text) if "Content Security Policy" in message.text else None)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    await page.goto(f"{hub.url}/hub/login?next=%2Fhub%2Ftoken")
    await page.screenshot(path=SCREENSHOTS / f"login-{label}.png", full_page=True)
    assert await page.evaluate("document.activeElement.name") == "username"
    await page.fill("[name=username]", "noah")
    await page.fill("[name=password]", "wrong")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[role=alert]")
    assert await page.evaluate("document.activeElement.name") == "password"
    await page.screenshot(path=SCREENSHOTS / f"login-refused-{label}.png", full_page=True)
    await page.fill("[name=password]", PASSWORD)
    await page.click("form.card button[type=submit]")
    await page.wait_for_selector("#otp-key", state="attached")
    assert page.url == f"{hub.url}/hub/login/step"
    qr = await page.locator("main svg").bounding_box()
    assert qr
    assert 150 <= qr["width"] <= 300
    await page.click("details summary")
    await page.screenshot(path=SCREENSHOTS / f"login-enrol-{label}.png", full_page=True)
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    secret = base64.b32decode((await page.inner_text("#otp-key")).replace(" ", "").replace("\n", ""))
    await page.fill("[name=otp]", code_of(secret))
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#recovery-codes li")
    await page.screenshot(path=SCREENSHOTS / f"login-recovery-{label}.png", full_page=True)
    assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    await page.click("form.card button[type=submit]")
    await page.wait_for_url(f"{hub.url}/hub/token")
    assert trouble == []
