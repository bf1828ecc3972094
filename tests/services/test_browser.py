"""Our scripts in a real browser: the table that refreshes itself, and the start that is followed."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from dataclasses import replace as change
from pathlib import Path
from types import SimpleNamespace

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import expect

from jupyterhub_backendai import templating
from tests.databases import sqlite_template
from tests.services.browsing import SHOTS, chromium, serve_hub_files, watch
from tests.services.public import V100, browser, nobody, settings, site

__all__ = ["browser", "chromium", "nobody", "settings", "site", "sqlite_template"]
pytestmark = pytest.mark.browser


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "ko"])
async def test_refresh_keeps_focus_scroll_and_what_was_typed(chromium, site, size, scheme, language):
    token = site.hub.let_in("kim01")
    context = await chromium.new_context(
        viewport={"width": size[0], "height": size[1]},
        locale=language,
        color_scheme=scheme,
        reduced_motion="reduce",
        extra_http_headers={"Authorization": f"token {token}"},
    )
    await serve_hub_files(context)
    page = await context.new_page()
    complaints = watch(page)
    await page.goto(site.launch)
    await page.locator("html[data-ready=launch]").wait_for()
    await page.locator("input[value=v100]").check()
    await page.fill("#mem", "3 GiB")
    await page.fill("#name", "내 세션")
    # Room below, so that a page that grows or shrinks by a line does not move the scroll position by its end.
    await page.evaluate("document.body.style.minHeight = '200vh'")
    await page.evaluate(
        "document.getElementById('mem').focus({preventScroll: true}); window.scrollTo({top: 60, behavior: 'instant'}); window.mark = 1"
    )
    before = await page.evaluate("window.scrollY")
    site.engine.rows = {"cas_v100": change(V100, nodes_idle=0, waiting=41)}
    await site.figures.read()
    await page.evaluate("document.getElementById('refresh').click()")
    await expect(page.locator("tr[data-queue=v100] [data-cell=waiting]")).to_have_text("41")
    await expect(page.locator("#table-status")).not_to_be_empty()
    kept = await page.evaluate(
        "[document.activeElement.id, window.scrollY, window.mark, document.getElementById('mem').value,"
        " document.getElementById('name').value, document.querySelector('input[name=queue]:checked').value]"
    )
    assert before == 60
    assert kept == ["mem", before, 1, "3 GiB", "내 세션", "v100"]
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    await page.screenshot(path=SHOTS / f"launch-{size[0]}-{scheme}-{language}.png", full_page=True)
    assert complaints == []
    await context.close()


async def test_a_service_that_stops_answering_is_said(chromium, site):
    token = site.hub.let_in("kim01")
    context = await chromium.new_context(extra_http_headers={"Authorization": f"token {token}"})
    page = await context.new_page()
    await page.goto(site.launch)
    await page.locator("html[data-ready=launch]").wait_for()
    await page.route("**/queues**", lambda route: route.abort())
    await page.click("#refresh")
    await expect(page.locator("#table-trouble")).to_be_visible()
    await expect(page.locator("tr.bai-stale")).to_have_count(2)
    await context.close()


@dataclass
class FakePendingHub:
    """The hub around the page of a start: its page, its event stream and its model of the server, as a test lets them be."""

    streams: list[list[dict]] = field(default_factory=list)
    models: list[tuple[int, dict]] = field(default_factory=list)
    deleted: list[tuple[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    opened: int = 0
    is_ready: bool = False
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    reloaded: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self):
        app = web.Application()
        app.router.add_get("/hub/spawn-pending/kim01/work", self._page)
        app.router.add_get("/hub/home", self._home)
        app.router.add_get("/hub/pages/{name}", self._other)
        app.router.add_get("/progress", self._progress)
        app.router.add_get("/hub/api/users/kim01/servers/work", self._model)
        app.router.add_delete("/hub/api/users/kim01/servers/{name}", self._delete)
        app.router.add_static("/services/backendai/static", templating.STATIC)
        app.router.add_static("/hub/static", Path(templating.DATA_FILES_PATH, "static"))
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _home(self, request):
        return web.Response(text="HOME", content_type="text/html")

    async def _page(self, request):
        if self.is_ready:
            self.reloaded.set()
            return web.Response(text="NOTEBOOK", content_type="text/html")
        return self._render("spawn_pending.html")

    async def _other(self, request):
        self.asked.append(request.path)
        return self._render(f"{request.match_info['name']}.html")

    def _render(self, template):
        nonce = templating.new_nonce()
        user = SimpleNamespace(name="kim01", escaped_name="kim01", json_escaped_name="kim01")
        spawner = SimpleNamespace(name="work", display_name="내 <b>작업</b>", user_options={"queue": "v100", "cpu": "2"})
        text = templating.make_environment().get_template(template).render(
            base_url="/hub/", prefix="/", user=user, spawner=spawner, progress_url="/progress?_xsrf=tok", xsrf_token="tok", language="ko",
            nonce=nonce, parsed_scopes=(), no_spawner_check=True, static_url=lambda path, include_version=True: f"/hub/static/{path}",
        )  # fmt: skip
        return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": templating.page_policy(nonce)})

    async def _progress(self, request):
        self.opened += 1
        if not self.streams:
            return web.Response(status=503)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in self.streams.pop(0):
            if event is None:
                await self.hold.wait()
            else:
                self.is_ready = self.is_ready or event.get("ready", False)
                await response.write(f"data: {web.json_response(event).text}\n\n".encode())
        return response

    async def _model(self, request):
        assert request.headers["X-XSRFToken"] == "tok"
        status, model = self.models.pop(0) if self.models else (503, {})
        return web.json_response(model, status=status)

    async def _delete(self, request):
        self.deleted.append((request.match_info["name"], request.headers["X-XSRFToken"]))
        self.hold.set()
        with contextlib.suppress(TimeoutError):  # the hub takes a second, in which nobody should go anywhere
            await asyncio.wait_for(self.reloaded.wait(), 1)
        return web.Response(status=202)


@pytest_asyncio.fixture
async def pending():
    hub = FakePendingHub()
    runner = await hub.start()
    yield hub
    hub.hold.set()
    await runner.cleanup()


WAITING = {
    "progress": 20,
    "message": "큐에서 대기",
    "stage": "waiting",
    "position": 2,
    "reason": "다른 작업이 앞에 있습니다.",
    "start_at": 1795000000,
}


async def open_pending(chromium, hub):
    page = await (await chromium.new_context(locale="ko")).new_page()
    complaints = watch(page)
    await page.goto(f"{hub.url}/hub/spawn-pending/kim01/work")
    return page, complaints


async def test_stages_fill_and_the_page_comes_back_after_a_restart_of_the_hub(chromium, pending):
    pending.streams = [[{"progress": 5, "message": "제출", "stage": "submitting"}, WAITING, None]]
    page, complaints = await open_pending(chromium, pending)
    now = page.locator("#stages li.now")
    await expect(now).to_contain_text("큐에서 대기")
    await expect(now).to_contain_text("대기 순서 2번째")
    await expect(now).to_contain_text("다른 작업이 앞에 있습니다.")
    await expect(now).to_contain_text("예상 시작: 2026")
    await expect(page.locator("#stages li.done")).to_have_count(1)
    await page.screenshot(path=SHOTS / "pending.png")
    # The hub goes: the stream ends, then the proxy says 503 for everything.
    pending.models = [(503, {}), (200, {"pending": "spawn", "ready": False})]
    pending.hold.set()
    await expect(page.locator("#message")).to_contain_text("연결이 끊겼습니다", timeout=15_000)
    pending.hold.clear()
    pending.streams = [
        [{**WAITING, "position": 1}, {"progress": 60, "message": "시작", "stage": "starting"}, {"progress": 100, "ready": True, "url": "/"}]
    ]
    await expect(page.locator("body")).to_have_text("NOTEBOOK", timeout=15_000)
    assert complaints == []


async def test_cancel_cancels_this_start_and_no_other(chromium, pending):
    # for a moment the hub calls a start that it interrupts ready: nobody is sent there
    pending.streams = [[WAITING, None, {"progress": 100, "ready": True, "url": "/"}]]
    page, _ = await open_pending(chromium, pending)
    await expect(page.locator("#stages li.now")).to_contain_text("대기")
    await page.click("#cancel")
    await page.wait_for_url("**/hub/home")
    assert (pending.deleted, pending.reloaded.is_set()) == ([("work", "tok")], False)


@pytest.mark.parametrize("size", [(1280, 900), (390, 844)], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_that_only_wait(chromium, pending, size, scheme):
    context = await chromium.new_context(viewport={"width": size[0], "height": size[1]}, locale="ko", color_scheme=scheme)
    page = await context.new_page()
    complaints = watch(page)
    for name in ("maintenance", "stop_pending"):
        await page.goto(f"{pending.url}/hub/pages/{name}")
        await page.screenshot(path=SHOTS / f"{name}-{size[0]}-{scheme}-ko.png", full_page=True)
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    if size[0] > 1000:  # the page of a session that stops looks again by itself
        before = len(pending.asked)
        await page.wait_for_event("framenavigated", timeout=10_000)
        assert len(pending.asked) == before + 1
    assert complaints == []
    await context.close()


async def test_a_failure_shows_the_log_as_text_and_what_to_do(chromium, pending):
    log = "<p>시간 제한</p><pre class='job-log'>&lt;script&gt;x&lt;/script&gt;</pre><img src=x onerror='window.hacked=1'>"
    pending.streams = [[WAITING, {"progress": 100, "failed": True, "message": "Spawn failed: 시간 제한", "html_message": log}]]
    page, _ = await open_pending(chromium, pending)
    await expect(page.locator("#failure")).to_be_visible()
    await expect(page.locator(".job-log")).to_have_text("<script>x</script>")
    await expect(page.locator("#title")).to_have_text("세션이 시작되지 않았습니다")
    await expect(page.locator("#stages li.failed")).to_have_count(1)
    assert "opt-queue=v100" in await page.locator("#again").get_attribute("href")
    assert await page.evaluate("window.hacked") is None
    await page.screenshot(path=SHOTS / "pending-failed.png")
