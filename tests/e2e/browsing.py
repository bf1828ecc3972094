"""People at Chromium: logging in, what the pages complain about, and pictures of them to look at."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from tests.e2e.stack import Stack
from tests.lab import CHROMIUM

SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
SLOW_MS = 90_000
expect.set_options(timeout=30_000)  # a busy machine takes its time
CELL = "import getpass, os; print('CELL', getpass.getuser(), os.getcwd(), os.environ.get('SLURM_JOB_PARTITION', '-'), 6 * 7)"


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The distribution's Chromium, without a window."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            await browser.close()


class Visitor:
    """Somebody at a browser: one page, and everything that its scripts or our policy complained about on our pages."""

    def __init__(self, stack: Stack, page: Page, language: str) -> None:
        self.stack, self.page, self.language = stack, page, language
        self.complaints: list[str] = []
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: self._complain(str(error)))
        page.on("console", lambda message: self._complain(message.text) if "Security Policy" in message.text else None)

    def _complain(self, text: str) -> None:
        if "/user/" not in self.page.url:  # JupyterLab's own affairs
            self.complaints.append(f"{self.page.url}: {text}")

    @property
    def launch_url(self) -> str:
        return f"{self.stack.url}/services/backendai/launch"

    @property
    def home_url(self) -> str:
        return f"{self.stack.url}/hub/home"

    async def fill_login(self, name: str, code: str = "") -> None:
        """Type into the login form of the page, and send it by Enter."""
        person = self.stack.people[name]
        await self.page.fill("#username", person["login"])
        await self.page.fill("#password", person["password"])
        await self.page.fill("#otp", code)
        await self.page.press("#otp", "Enter")

    async def log_in(self, name: str) -> None:
        """Name, password and code on one page, as somebody who was here before."""
        await self.page.goto(self.stack.url)
        await self.fill_login(name, await self.stack.code(name))
        await self.until_launch()

    async def until_launch(self) -> None:
        """The launch page is there and its script works."""
        await self.page.locator("html[data-ready=launch]").wait_for()

    async def open_launch(self, query: str = "") -> None:
        await self.page.goto(f"{self.launch_url}{query}")
        await self.until_launch()

    async def submit(self) -> None:
        """Press the button of the launch page, and be on the page of the start."""
        await self.page.click("main #start")
        await self.page.wait_for_url("**/hub/spawn-pending/**")
        await self.page.locator("html[data-ready=pending]").wait_for()

    async def until_notebook(self) -> None:
        """The page of the start becomes the session itself."""
        await self.page.wait_for_url("**/user/**", timeout=SLOW_MS)

    async def run_cell(self, code: str = CELL) -> str:
        """A new notebook from JupyterLab's launcher, code typed into its cell; what it printed."""
        page = self.page
        await page.goto(page.url.partition("?")[0] + "?reset")  # what JupyterLab remembers of an earlier run is in the way
        await page.locator('.jp-LauncherCard[data-category="Notebook"]').first.click(timeout=SLOW_MS)
        await self._type_into(page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell .cm-content").first, code)
        await page.keyboard.press("Shift+Enter")
        output = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-OutputArea-output").first
        await expect(output).to_contain_text("CELL", timeout=SLOW_MS)
        return " ".join((await output.inner_text()).split())

    async def _type_into(self, cell: Locator, code: str) -> None:
        """Until it is there: what is typed while JupyterLab still draws the cell is lost, or taken for shortcuts."""
        await expect(self.page.locator("#jp-main-statusbar")).to_contain_text("Idle", timeout=SLOW_MS)
        focused = self.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .cm-editor.cm-focused")
        for _ in range(5):
            await cell.click(timeout=SLOW_MS)
            await expect(focused).to_have_count(1, timeout=SLOW_MS)
            await self.page.keyboard.press("Control+A")
            await self.page.keyboard.type(code)
            with contextlib.suppress(AssertionError):
                await expect(cell).to_contain_text(code.partition("(")[0].split()[0], timeout=3000)
                return
        raise AssertionError("JupyterLab takes no text")

    async def stop(self, title: str) -> None:
        """Press Stop of the session with this title, and see that it is over."""
        await self.page.goto(self.home_url)
        card = self.card(title)
        await card.locator(".bai-stop").click()
        await expect(card).to_have_count(0, timeout=SLOW_MS)

    def card(self, title: str) -> Locator:
        """A session of the page of sessions."""
        return self.page.locator("#sessions section").filter(has_text=title)

    async def shoot(self, name: str, *, whole: bool = True) -> None:
        """Pictures of the page at both widths, light and dark. Raises AssertionError where it is wider than the screen."""
        page = self.page
        for width, size in (("desktop", DESKTOP), ("phone", PHONE)):
            await page.set_viewport_size(size)
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme)
                await page.screenshot(path=SHOTS / f"{name}-{width}-{scheme}-{self.language}.png", full_page=whole)
            wide = await page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
            assert wide[0] <= wide[1], f"{name} is {wide[0]} wide on a screen of {wide[1]}"
        await page.set_viewport_size(DESKTOP)
        await page.emulate_media(color_scheme="light")


@asynccontextmanager
async def visit(browser: Browser, stack: Stack, language: str = "en", **options: Any) -> AsyncIterator[Visitor]:
    """A browser of somebody's own. Raises AssertionError afterwards when a page of ours complained."""
    context = await browser.new_context(viewport=DESKTOP, locale=language, reduced_motion="reduce", **options)
    visitor = Visitor(stack, await context.new_page(), language)
    try:
        yield visitor
        assert visitor.complaints == []
    finally:
        await context.close()
