"""A batch session in Chromium: typed on the launch page, followed on its own page, ended."""

import pytest
from playwright.async_api import expect

from jupyterhub_backendai.core.sessions import JobState
from tests.batch_engine import FakeBatchEngine
from tests.databases import sqlite_template
from tests.services.browsing import AXE, RUN, SHOTS, chromium, open_page, shoot, watch
from tests.services.public import settings, site

__all__ = ["chromium", "settings", "site", "sqlite_template"]
pytestmark = pytest.mark.browser


async def test_from_the_form_to_the_exit_code(chromium, site):
    engine = site.application.settings["backends"]["local"] = FakeBatchEngine(name="local")
    runner = site.application.settings["batch_runner"]
    page = await open_page(chromium, site, language="ko", bypass_csp=True)
    await page.context.add_init_script(AXE.read_text())
    complaints = watch(page)
    await page.goto(site.launch)
    await expect(page.locator("#command")).to_be_hidden()
    await page.locator("#session_type-batch").check()
    await expect(page.locator("#interface")).to_be_hidden()
    await page.locator("#command").fill("python train.py --epochs 3\necho done")
    await page.locator("#name").fill("딥러닝 학습")
    assert await page.evaluate(RUN, []) == []
    await page.screenshot(path=SHOTS / "launch-batch-ko.png", full_page=True)
    await page.locator("#start").click()
    await expect(page.locator("h1")).to_have_text("딥러닝 학습")
    assert "/sessions/" in page.url
    session_id = page.url.rpartition("/")[2]
    await runner.look()
    engine.logs[session_id] = "\n".join(f"epoch {number}: loss {1 / (number + 1):.4f}" for number in range(60))
    engine.end(session_id, JobState.RUNNING, node="node01")
    await runner.look()
    await expect(page.locator("#log")).to_contain_text("epoch 59", timeout=10_000)  # it looks by itself
    await expect(page.locator("main [role=status] .bai-state.run")).to_be_visible()
    assert await page.evaluate(RUN, []) == []
    await shoot(page, "batch", "ko")
    engine.end(session_id, JobState.FAILED, exit_code=1)
    await runner.look()
    await expect(page.locator("#exit-code")).to_have_text("1", timeout=10_000)
    await page.locator("#again").click()
    await expect(page.locator("#command")).to_have_value("python train.py --epochs 3\necho done")
    assert complaints == []
    await page.context.close()
