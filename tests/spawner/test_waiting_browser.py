"""The page of a start that waits, in Chromium: a real hub, a fake of our service. Expected start, wishes, a notification, a hub that dies."""

import contextlib
import sqlite3
import time
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.async_api import async_playwright, expect

from jupyterhub_backendai import templating
from jupyterhub_backendai.core.scheduling import Wait
from jupyterhub_backendai.core.waiting import Place
from jupyterhub_backendai.core.waits import History
from tests.lab import CHROMIUM
from tests.services.browsing import RUN, shoot

from .harness import running_hub

pytestmark = [pytest.mark.e2e, pytest.mark.browser]
AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
PAGES = f"""
import jupyterhub_backendai.authenticator.wishes as wishes
class Waiting(People):
    def get_handlers(self, app):
        return [*wishes.default_handlers, *super().get_handlers(app)]
c.JupyterHub.authenticator_class = Waiting
c.JupyterHub.template_paths = [{str(templating.TEMPLATES)!r}]
c.JupyterHub.jinja_environment_options = {{"extensions": ["jupyterhub_backendai.templating.Pages"]}}
"""
THIRD, FIRST = Place(wait=Wait("order", 3)), Place(wait=Wait("resources", 1))
# as many minutes as numbers: half of 40 waited longer than 20 minutes
PAST = History(tuple((60.0 * number, round(1 - number / 40, 6)) for number in range(1, 41)), 40, "size-hour")
# What the browser has shown, and whether anybody looks, as a test says.
SPY = """
window.shown = [];
window.Notification = class extends window.Notification {
  constructor(title, options) { super(title, options); this.addEventListener("show", () => window.shown.push([title, options.body])); } };
Object.defineProperty(document, "hidden", { get: () => window.isHidden ?? false });
document.hasFocus = () => !(window.isHidden ?? false);
"""


@contextlib.asynccontextmanager
async def chromium(hub, **options):
    """A page of kim01's, who has logged in; its complaints are wrong."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = await browser.new_context(locale="en", reduced_motion="reduce", **options)

        async def answer(route):
            await route.fulfill(path=templating.STATIC / route.request.url.partition("/static/")[2].partition("?")[0])

        await context.route("**/services/backendai/static/**", answer)
        await context.add_init_script(SPY)
        await context.grant_permissions(["notifications"])
        page = await context.new_page()
        page.set_default_timeout(60_000)
        complaints = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text) if "Security Policy" in message.text else None)
        await page.goto(f"{hub.url}/login")
        await page.fill("#username", "kim01")
        await page.fill("#password", "x")
        await page.press("#password", "Enter")
        await page.wait_for_url("**/hub/**")
        yield page
        assert not complaints
        await browser.close()


def list_token_ends(hub):
    with contextlib.closing(sqlite3.connect(hub.dir / "hub.sqlite")) as db:
        return [end for (end,) in db.execute("SELECT expires_at FROM api_tokens WHERE note LIKE 'Server at %'")]


async def wish(page, hub):
    """What the owner wants meanwhile."""
    await expect(page.locator("#tell")).to_have_attribute("aria-pressed", "false")
    await page.click("#tell")
    await expect(page.locator("#tell")).to_have_attribute("aria-pressed", "true")
    await page.check("#mail")
    await page.select_option("#patience", "14400")
    await page.click("#keep-wishes")
    await expect(page.locator("#kept")).to_have_text("Saved.")
    await expect(page.locator("#give-up")).to_contain_text("It is given up at")
    [wish] = hub.service.of("wishes")
    assert (wish["user"], wish["patience_s"], wish["wants_mail"]) == ("kim01", 14400, True)


async def test_a_wait_is_explained_may_be_left_and_tells_when_it_is_over():
    async with running_hub(extra=PAGES, mail_server="localhost:25") as hub:
        hub.service.place, hub.service.history = THIRD, PAST
        hub.service.more = {"waits_since": time.time() - 60}
        await hub.launch("kim01", name="훈련")
        await hub.until_phase("kim01", "waiting")
        async with chromium(hub, bypass_csp=True) as page:
            await page.goto(f"{hub.url}/spawn-pending/kim01?next=%2Fafter")
            detail = page.locator("#stages li.now .detail")
            await expect(detail).to_contain_text("Position 3 in the queue.")
            await expect(detail).to_contain_text("most likely between")
            await expect(detail).to_contain_text("From the last 40 sessions like this one in the queue.")
            await wish(page, hub)
            await page.reload()
            await expect(page.locator("#mail")).to_be_checked()
            await expect(page.locator("#tell")).to_have_attribute("aria-pressed", "true")
            await expect(detail).to_contain_text("most likely between")
            await page.add_script_tag(path=AXE)
            assert await page.evaluate(RUN, []) == []
            await shoot(page, "pending-expected", "en")
            # the hub dies; the page goes on by itself, and the session keeps its place and its owner's wishes
            hub.kill()
            await expect(page.locator("#message")).to_contain_text("The connection to JupyterHub is lost.")
            hub.service.move(FIRST)
            await hub.start()
            await expect(detail).to_contain_text("Position 1 in the queue.")
            admission = (await hub.model("kim01"))["state"]["admission"]
            assert (admission["wants_mail"], admission["gives_up_by_wish"]) == (True, True)
            # however many days it waits: the token of its server has no end
            assert list_token_ends(hub) == [None]
            # nobody looks when it is ready, neither here nor at the page of sessions
            home = await page.context.new_page()
            await home.add_init_script("window.isHidden = true")
            await home.goto(f"{hub.url}/home")
            await page.evaluate("window.isHidden = true")
            hub.service.move(None)
            await page.wait_for_function("window.shown.length", timeout=60_000)
            assert await page.evaluate("window.shown") == [["훈련 is ready", "Open it"]]
            assert await page.title() == "● 훈련 is ready"
            assert "/spawn-pending/" in page.url
            await home.reload()
            await home.wait_for_function("window.shown.length")
            assert await home.evaluate("window.shown") == [["훈련 is ready", "To my sessions"]]
            async with page.expect_navigation(url="**/after**", wait_until="commit"):
                await page.evaluate("window.isHidden = false; document.dispatchEvent(new Event('visibilitychange'))")


async def test_wishes_without_scripts_and_of_nobody_else():
    async with running_hub(extra=PAGES) as hub:
        hub.service.place = THIRD
        await hub.launch("kim01", "lab")
        await hub.until_phase("kim01", "waiting", "lab")
        await hub.launch("lee01")
        async with chromium(hub, java_script_enabled=False) as page:
            await page.goto(f"{hub.url}/spawn-pending/kim01/lab?next=%2Fafter")
            assert await page.locator("#mail").count() == 0, "a site without a mail server promises no mail"
            await page.select_option("#patience", "1800")
            await page.click("#keep-wishes")
            assert page.url.endswith("/spawn-pending/kim01/lab?next=%2Fafter")
            [xsrf] = [cookie["value"] for cookie in await page.context.cookies() if cookie["name"] == "_xsrf"]
            for path, body, status in (
                ("kim01/lab", {"patience": "1800"}, 403),  # without the token of the form
                ("kim01/lab", {"patience": "soon", "_xsrf": xsrf}, 400),
                ("kim01/lab", {"patience": "1800", "here": "http://[", "_xsrf": xsrf}, 303),
                ("kim01/none", {"patience": "", "_xsrf": xsrf}, 404),
                ("lee01", {"patience": "", "_xsrf": xsrf}, 404),
            ):
                answer = await page.request.post(f"{hub.url}/waiting/{path}", form=body, max_redirects=0)
                assert answer.status == status, path
            hub.service.is_away = True
            answer = await page.request.post(f"{hub.url}/waiting/kim01/lab", form={"patience": "", "_xsrf": xsrf}, max_redirects=0)
            assert answer.status == 503
        assert [wish["patience_s"] for wish in hub.service.of("wishes")] == [1800, 1800]
        hub.service.is_away = False
