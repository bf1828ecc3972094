"""The launch page in Chromium where queues have shares of GPUs, whole nodes, kinds of nodes and prices."""

import pytest
import pytest_asyncio
from playwright.async_api import expect

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.store.records import RECORDS
from tests.databases import sqlite_template
from tests.services.browsing import AXE, RUN, chromium, open_page, shoot, tab_to, watch
from tests.services.offering import plain_settings, settings, show_rows
from tests.services.public import site

__all__ = ["chromium", "plain_settings", "settings", "site", "sqlite_template"]
pytestmark = pytest.mark.browser


@pytest_asyncio.fixture
async def offering(site):
    show_rows(site)
    return site


async def open_launch(page, site, query=""):
    await page.goto(f"{site.launch}{query}")
    await page.locator("html[data-ready=launch]").wait_for()


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_a_form_with_shares_and_its_price(chromium, offering, language):
    page = await open_page(chromium, offering, language=language, bypass_csp=True)
    await page.context.add_init_script(AXE.read_text())
    complaints = watch(page)
    await open_launch(page, offering, "?opt-queue=jupyter&opt-cpu=4&opt-mem=16g&opt-time=2h")
    shares = page.locator("#shares")
    await expect(shares).to_be_visible()
    assert [await shares.get_attribute(name) for name in ("step", "max", "min")] == ["0.125", "1", "0"]
    await expect(page.locator("#sum-most")).to_contain_text("128 KRW")  # 2 × (4 × 10 + 16 × 1.5)
    await tab_to(page, "#shares")
    for _ in range(4):
        await page.keyboard.press("ArrowUp")
    assert await shares.input_value() == "0.5"
    await expect(page.locator("#sum-price")).to_contain_text("864 KRW")  # 40 + 24 + 0.5 × 1600
    await expect(page.locator("#sum-most")).to_contain_text("1,728 KRW")
    await expect(page.locator("#sum-gpu")).to_contain_text("0.5")
    assert await page.evaluate(RUN, []) == []
    await shoot(page, "launch-shares", language)
    await page.locator("#start").click()
    await page.wait_for_url("**/hub/spawn-pending/**")
    [(_, _, body)] = offering.hub.starts
    assert (body["user_options"]["queue"], body["user_options"]["shares"], body["user_options"]["gpu"]) == ("jupyter", "0.5", "0")
    assert complaints == []
    await page.context.close()


@pytest.mark.parametrize("language", ["en", "ko"])
async def test_an_exclusive_queue_and_its_price(chromium, offering, language):
    page = await open_page(chromium, offering, language=language, bypass_csp=True)
    await page.context.add_init_script(AXE.read_text())
    complaints = watch(page)
    await open_launch(page, offering, "?opt-queue=jupyter")
    await expect(page.locator("#sum-node")).to_have_count(0)
    await page.locator("input[value=amd_a100nv_8]").check()
    await page.fill("#gpu", "1")
    note = page.locator("#sum-node")
    await expect(note).to_contain_text({"en": "64 CPUs", "ko": "CPU 64개"}[language])
    await expect(note).to_contain_text("(a100)")
    await expect(page.locator("#shares-box")).to_be_hidden()
    price, most = page.locator("#sum-price"), page.locator("#sum-most")
    await expect(most).to_contain_text("49,280 KRW")  # two hours of 64 × 10 + 8 × 3000, though one CPU and one GPU were asked for
    await expect(price).to_contain_text("24,640 KRW")
    await page.fill("#time", "1:30")
    await expect(most).to_contain_text("36,960 KRW")
    await page.fill("#time", "nonsense")
    await expect(page.locator("#sum-short")).to_be_visible()
    await page.fill("#time", "49h")
    await expect(page.locator("[data-problem]")).to_contain_text("2-1:00")
    await page.fill("#time", "1:30")
    await expect(page.locator("[data-problem]")).to_have_count(0)
    assert await page.evaluate(RUN, []) == []
    await shoot(page, "launch-exclusive", language)
    assert complaints == []
    await page.context.close()


async def test_mixed_nodes_and_choices(chromium, offering):
    page = await open_page(chromium, offering, bypass_csp=True)
    await page.context.add_init_script(AXE.read_text())
    complaints = watch(page)
    await open_launch(page, offering, "?opt-queue=jupyter")
    await expect(page.locator("#kinds details")).to_have_count(0)
    await page.locator("input[value=mixed]").check()
    await expect(page.locator("#kinds summary")).to_be_visible()
    await page.locator("#kinds summary").click()
    await expect(page.locator("#kinds tbody tr")).to_have_count(3)
    await page.locator("#gpu_type").select_option("v100")
    await expect(page.locator("#gpu-help")).to_contain_text("2")
    assert await page.evaluate(RUN, []) == []
    await shoot(page, "launch-mixed", "en")
    assert complaints == []
    await page.context.close()


async def test_a_preset_with_shares(chromium, offering):
    await offering.application.settings["groups"].ready()
    for name, slots in (("part", {"cpu": "2", "mem": "4g", "cuda.shares": "0.25"}), ("plain", {"cpu": "1", "mem": "1g"})):
        await offering.db.run(RECORDS["resource_presets"].add, Actor("root", Role.SUPERADMIN), {"name": name, "resource_slots": slots})
    page = await open_page(chromium, offering)
    complaints = watch(page)
    await open_launch(page, offering, "?opt-queue=jupyter")
    await page.locator("#presets button[value=part]").click()
    assert [await page.input_value(f"#{name}") for name in ("cpu", "gpu", "shares")] == ["2", "0", "0.25"]
    await expect(page.locator("#sum-preset")).to_have_text("part")
    await expect(page.locator("#sum-price")).to_contain_text("426 KRW")  # 2 × 10 + 4 × 1.5 + 0.25 × 1600
    await page.locator("#presets button[value=plain]").click()
    assert await page.input_value("#shares") == ""
    await expect(page.locator("#sum-preset")).to_have_text("plain")
    await page.locator("#shares").press("e")  # no number: the browser would send nothing at all
    await page.locator("#start").click()
    await expect(page.locator("#shares")).to_be_focused()
    assert offering.hub.starts == []
    await open_launch(page, offering, "?opt-queue=amd_a100nv_8&preset=plain")
    await expect(page.locator("#shares-box")).to_be_hidden()
    assert complaints == []
    await page.context.close()


async def test_a_price_without_scripts(chromium, offering):
    page = await open_page(chromium, offering, java_script_enabled=False)
    await page.goto(f"{offering.launch}?opt-queue=jupyter")
    await page.locator("input[value=amd_a100nv_8]").check()
    await page.fill("#time", "3h")
    await page.locator("#refresh").click()
    await expect(page.locator("#sum-most")).to_contain_text("73,920 KRW")
    await expect(page.locator("#sum-node")).to_contain_text("64 CPUs, 8 GPUs (a100)")
    assert await page.input_value("#time") == "3h"
    await page.context.close()
