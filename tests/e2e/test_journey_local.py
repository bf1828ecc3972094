"""The embedded default in Chromium: three pretend queues, a full one, GPU numbers, links, and the form by keyboard alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.e2e.browsing import SLOW_MS, Visitor, chromium, visit
from tests.e2e.stack import Stack

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
DEVICES = "import os; print('CELL', os.environ.get('CUDA_VISIBLE_DEVICES'))"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def visitor(browser: Browser, local: Stack) -> AsyncIterator[Visitor]:
    """user2, logged in once for all tests of this file; nothing of theirs runs afterwards."""
    async with visit(browser, local) as found:
        await found.log_in("user2")
        yield found
        async with local.client("user2") as client:
            await client.end_all()


async def list_servers(stack: Stack, name: str) -> set[str]:
    """Every server of somebody's that the hub has a row of."""
    async with stack.client(name) as client:
        _, user = await stack.rest(client.http, "GET", f"/users/{name}?include_stopped_servers")
        return set(user["servers"])


async def test_a_full_queue_refuses_with_numbers_and_gpus_have_one_owner(visitor, people):
    page = visitor.page
    other = await people("user1")
    status, answer = await other.start("holds-gpus", queue="gpu", gpu="3", cpu="1", mem="1g")
    assert status in (201, 202), answer
    await other.until_ready("holds-gpus")
    await visitor.open_launch()
    await expect(page.locator("#queues tbody tr")).to_have_count(3)
    await page.click("#refresh")
    await expect(page.locator("tr[data-queue=gpu] [data-cell=gpus]")).to_have_text("demo 1/4")
    await page.check("input[value=gpu]")
    await expect(page.locator("#sum-local")).to_contain_text("counted, not enforced")
    for name, text in {"name": "two <b>GPUs</b>", "cpu": "2", "mem": "2 GiB", "gpu": "2", "time": "0:30"}.items():
        await page.fill(f"#{name}", text)
    await page.click("main #start")
    errors = page.locator("#errors")
    await expect(errors).to_be_focused()
    await expect(errors).to_contain_text("GPU")
    await expect(errors).to_contain_text("1")
    kept = [await page.input_value(f"#{name}") for name in ("name", "cpu", "mem", "gpu", "time")]
    assert kept == ["two <b>GPUs</b>", "2", "2 GiB", "2", "0:30"]
    assert await page.is_checked("input[value=gpu]")
    await visitor.shoot("launch-full-queue")
    # One is left, and it is the one that the other session has not
    await page.fill("#gpu", "1")
    await visitor.submit()
    await visitor.until_notebook()
    assert await visitor.run_cell(DEVICES) == "CELL 3"
    # The same title again is another session beside it; a link to the server itself offers the one that runs
    [server] = [name for name in await list_servers(visitor.stack, "user2") if name]
    await visitor.open_launch(f"?server={server}")
    await expect(page.get_by_text("The session two <b>GPUs</b> runs already.")).to_be_visible()
    await visitor.shoot("launch-running")
    await visitor.stop("two <b>GPUs</b>")
    await expect(page.locator(".list-group-item")).to_contain_text("Stopped on request.")
    await page.get_by_role("link", name="Run again").click()
    await visitor.until_launch()
    again = [await page.input_value(f"#{name}") for name in ("name", "cpu", "mem", "gpu", "time")]
    assert again == ["two <b>GPUs</b>", "2", "2 GiB", "1", "0:30"]
    await other.end_all()


async def test_links_fill_the_form_and_start_nothing(visitor):
    page, url = visitor.page, visitor.stack.url
    before = await list_servers(visitor.stack, "user2")
    await visitor.open_launch("?opt-queue=compute&opt-cpu=3&opt-mem=2g&opt-time=2h&opt-name=from%20a%20link&opt-interface=notebook")
    assert [await page.input_value(f"#{name}") for name in ("cpu", "mem", "time", "name")] == ["3", "2g", "2h", "from a link"]
    assert await page.is_checked("input[value=compute]")
    assert await page.is_checked("#interface-notebook")
    for path in ("/hub/spawn?x=y", "/hub/spawn/user2/other?queue=gpu&gpu=1", "/hub/spawn/user2?opt-queue=gpu"):
        await page.goto(url + path)
        assert "/services/backendai/launch?" in page.url
        await visitor.until_launch()
    assert await page.is_checked("input[value=gpu]")
    assert await list_servers(visitor.stack, "user2") == before
    await page.goto(f"{url}/hub/spawn/user1/theirs")
    await expect(page.get_by_role("alert")).to_contain_text("not one of user1")


async def test_the_form_by_keyboard_alone(visitor):
    """Tab, arrows, typing and Enter are enough, and what has the focus can be seen."""
    page, press = visitor.page, visitor.page.keyboard.press
    await visitor.open_launch()
    await press("Tab")
    await expect(page.locator(".bai-skip")).to_be_focused()
    await press("Enter")
    assert page.url.endswith("#main")
    await until_focus(visitor, "refresh")
    await press("Enter")
    await expect(page.locator("#table-status")).not_to_be_empty()
    await expect(page.locator("#refresh")).to_be_focused()
    await press("Tab")
    await press("ArrowDown")
    await expect(page.locator("input[value=compute]")).to_be_checked()
    for name, text in (("name", "by hand"), ("cpu", "1"), ("mem", "512 MiB")):
        await until_focus(visitor, name)
        await press("Control+a")
        await page.keyboard.type(text)
    seen = await page.evaluate("getComputedStyle(document.activeElement).boxShadow + getComputedStyle(document.activeElement).outlineStyle")
    assert seen != "nonenone"
    await until_focus(visitor, "start")
    await press("Enter")
    await page.wait_for_url("**/user/user2/by-hand/**", timeout=SLOW_MS)
    await visitor.stop("by hand")


async def until_focus(visitor: Visitor, name: str) -> None:
    """Press Tab until the field has the focus; each press goes on, so that nothing traps it."""
    seen = []
    while not seen or seen[-1] != name:
        await visitor.page.keyboard.press("Tab")
        seen.append(await visitor.page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        assert len(seen) < 40, seen


async def test_every_page_fits_the_screen(visitor, browser):
    page, url = visitor.page, visitor.stack.url
    await visitor.open_launch()
    await visitor.shoot("launch-local")
    for name, text in {"cpu": "0", "mem": "lots", "gpu": "-1", "time": "soon"}.items():
        await page.fill(f"#{name}", text)
    await page.click("main #start")
    await expect(page.locator("#errors li")).to_have_count(4)
    await visitor.shoot("launch-errors")
    for name, path in {
        "error": "/hub/nothing",
        "forbidden": "/hub/admin",
        "not-running-never": "/hub/user/user2/",
        "home": "/hub/home",
        "tokens": "/hub/token",
    }.items():
        await page.goto(url + path)
        await visitor.shoot(name)


async def test_a_service_that_is_away_comes_back_by_itself(visitor):
    page = visitor.page
    visitor.stack.kill_service()
    answer = await page.goto(visitor.launch_url)
    assert answer.status == 503
    await expect(page.locator("main [lang=ko]").last).to_contain_text("실행 중인 세션은 계속됩니다")
    await expect(page.locator("main [lang=en]").last).to_contain_text("Running sessions go on")
    await visitor.shoot("service-away")
    await page.locator("html[data-ready=launch]").wait_for(timeout=SLOW_MS)  # the hub looks after its services every 30 s


async def test_korean_once_through(visitor, browser, local):
    async with visit(browser, local, "ko", storage_state=await visitor.page.context.storage_state()) as korean:
        page = korean.page
        await page.goto(f"{local.url}/hub/home")
        await expect(page.locator("html")).to_have_attribute("lang", "ko")
        await korean.shoot("home-empty")
        await korean.open_launch()
        await korean.shoot("launch-local")
        await page.fill("#cpu", "99")
        await page.fill("#gpu", "9")
        await page.click("main #start")
        await expect(page.locator("#errors li")).to_have_count(2)
        await korean.shoot("launch-errors")
        await page.fill("#cpu", "1")
        await page.fill("#gpu", "0")
        await page.fill("#name", "한글 이름")
        await korean.submit()
        await korean.shoot("pending-connecting")
        await korean.until_notebook()
        await page.goto(korean.home_url)
        await expect(korean.card("한글 이름")).to_contain_text("실행 중")
        await korean.shoot("home-running")
        await korean.stop("한글 이름")
        # the hub's own messages too, although the login was in English
        await expect(page.locator(".list-group-item").filter(has_text="한글 이름")).to_contain_text("요청")
        await korean.shoot("home-not-running")
        for name, path in {"error": "/hub/nothing", "forbidden": "/hub/admin", "not-running-never": "/hub/user/user2/"}.items():
            await page.goto(local.url + path)
            await korean.shoot(name)
        await page.get_by_role("button", name="English").click()
        await expect(page.locator("html")).to_have_attribute("lang", "en")
