"""One session and all sessions in Chromium: more time, a log that is followed, warnings, notifications, phones, axe."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.async_api import expect

from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.errors import Conflict
from jupyterhub_backendai.store import ends, models, sessions
from tests.databases import sqlite_template
from tests.services.browsing import AXE, RUN, chromium, open_page, shoot, watch
from tests.services.public import settings, site
from tests.services.test_own_sessions import HOUR, Engine, add_past, permits, start

__all__ = ["chromium", "permits", "settings", "site", "sqlite_template"]
pytestmark = pytest.mark.browser
# Notifications as a test can see them; the permission is what the context was given.
NOTES = """window.notes = []; window.Notification = class extends EventTarget {
  static permission = "default";
  static async requestPermission() { Notification.permission = "granted"; return "granted"; }
  constructor(title, options) { super(); window.notes.push([title, options.body]); } };"""


@pytest.fixture
def engine(permits, site):
    engine = site.application.settings["backends"]["local"] = Engine(name="local")
    return engine


async def open_watched(chromium, site, language="en"):
    page = await open_page(chromium, site, language=language, bypass_csp=True)
    await page.context.add_init_script(AXE.read_text())
    await page.context.add_init_script(NOTES)
    return page, watch(page)


async def test_a_session_is_given_more_time(engine, chromium, site):
    session_id = await start(site, name="모델 학습", ago_s=2 * HOUR - 420)
    engine.logs[session_id] = "\n".join(f"epoch {number}: 손실 {1 / (number + 1):.4f}" for number in range(80))
    page, complaints = await open_watched(chromium, site, "ko")
    await page.goto(f"{site.url}sessions/{session_id}")
    await expect(page.locator("#warning")).to_be_visible()
    await expect(page.locator("#log")).to_contain_text("epoch 79")
    await page.wait_for_function(
        "() => { const log = document.getElementById('log'); return log.scrollTop + log.clientHeight >= log.scrollHeight - 4 }"
    )
    assert await page.evaluate(RUN, []) == []
    await shoot(page, "session-warning", "ko")
    await page.locator("#time").select_option("7200")
    await page.locator("#extend button").click()
    await expect(page.locator("#warning")).to_have_count(0)
    await expect(page.locator("#time-limit")).to_contain_text("4")
    assert engine.extended == {session_id: 4 * HOUR}
    # the log goes on, unless it is not followed
    engine.logs[session_id] += "\nepoch 80: 손실 0.01"
    await expect(page.locator("#log")).to_contain_text("epoch 80", timeout=60_000)
    await page.locator("#follow").uncheck()
    engine.refusal = Conflict("Slurm said no.")
    await page.locator("#extend button").click()
    await expect(page.locator("#refusal")).to_contain_text("Slurm said no.")
    await expect(page.locator("#refusal")).to_be_focused()
    assert await page.evaluate(RUN, []) == []
    assert complaints == []
    await page.context.close()


async def test_warnings_stand_on_the_summary_and_are_told_once(engine, chromium, site):
    session_id = await start(site, name="idle one", ago_s=600)
    await site.db.run_exclusive(ends.foresee, session_id, datetime.now(UTC) + timedelta(seconds=300), "idle")
    page, complaints = await open_watched(chromium, site)
    await page.goto(f"{site.url}summary")
    warning = page.locator("#end-warnings .alert")
    await expect(warning).to_contain_text("Nobody seems to use it")
    assert await page.evaluate("window.notes") == []  # nobody asked for them
    await page.locator("#end-notify").click()
    await expect(page.locator("#end-notify-state")).to_have_text("This browser tells you before a session ends.")
    assert await page.evaluate(RUN, []) == []
    await shoot(page, "summary-warning", "en")
    await page.evaluate("import('/services/backendai/static/js/endings.js').then(m => m.look(document.getElementById('end-warnings')))")
    ((title, body),) = await page.evaluate("window.notes")
    assert (title, "ended in 5 min" in body) == ("idle one", True)
    await page.evaluate("import('/services/backendai/static/js/endings.js').then(m => m.look(document.getElementById('end-warnings')))")
    assert len(await page.evaluate("window.notes")) == 1
    await warning.get_by_role("link").click()
    await page.locator("#keep").click()
    await expect(page.locator("#warning")).to_have_count(0)
    assert (await site.db.run(ends.load_course, session_id)).kept_at
    assert complaints == []
    await page.context.close()


async def test_all_sessions_are_pages(engine, chromium, site):
    await add_past(site, 130)
    await site.db.run(lambda db: db.query(models.ComputeSession).filter_by(name="run 128").update({"status_reason": "가" * 200}))
    page, complaints = await open_watched(chromium, site, "ko")
    await page.goto(f"{site.url}sessions")
    await expect(page.locator("#history tbody tr")).to_have_count(50)
    assert await page.evaluate(RUN, []) == []
    await shoot(page, "history", "ko")
    await page.locator("#pages a[rel=next]").click()
    await expect(page).to_have_url(re.compile(r"page=2"))
    await expect(page.locator("html[data-ready=history]")).to_have_count(1)
    await page.locator("#state").select_option("failed")  # applies by itself, from its first page on
    await expect(page.locator("#count")).to_contain_text("44")
    await expect(page.locator("#history tbody tr")).to_have_count(44)
    await page.locator("#history tbody tr").first.get_by_role("link").last.click()
    await expect(page).to_have_url(re.compile(r"launch\?again="))
    await page.go_back()
    await expect(page.locator("#state")).to_have_value("failed")
    assert complaints == []
    await page.context.close()


async def test_an_ended_session_says_why(engine, chromium, site):
    session_id = await start(site, name="out of memory")
    engine.logs[session_id] = "MemoryError\n" * 3
    words = {"message": "The session used more memory than it had asked for.", "advice": "Start it again with more memory.", "params": {}}
    await site.db.run(ends.report, session_id, SessionStatus.ERROR, words["message"], "", "", words)
    await site.db.run_exclusive(sessions.release, session_id)
    page, complaints = await open_watched(chromium, site)
    await page.goto(f"{site.url}sessions/{session_id}")
    await expect(page.locator("#reason")).to_have_text(f"{words['message']} {words['advice']}")
    await expect(page.locator("#log")).to_contain_text("MemoryError")
    await expect(page.locator("#extend")).to_have_count(0)
    assert await page.evaluate(RUN, []) == []
    await shoot(page, "session-ended", "en")
    async with page.expect_download() as download:
        await page.locator("#download").click()
    assert (await (await download.value).path()).read_text() == engine.logs[session_id]
    assert complaints == []
    await page.context.close()
