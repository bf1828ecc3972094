"""The launch page about waiting: how long it usually is, for how long to wait, and a mail when it is over."""

import pytest
from playwright.async_api import expect
from sqlalchemy import select

from jupyterhub_backendai.store import models
from tests.databases import sqlite_template
from tests.factories import make_slots
from tests.factories_waits import add_past_session
from tests.services.browsing import AXE, RUN, chromium, open_page, shoot, watch
from tests.services.public import browser, nobody, settings, site
from tests.services.test_summary import text

__all__ = ["browser", "chromium", "nobody", "settings", "site", "sqlite_template"]


@pytest.fixture
async def past(site):
    """Twenty sessions of the queue v100 that waited 1 to 20 minutes."""

    def fill(db):
        kim = db.scalars(select(models.User.id).where(models.User.name == "kim01")).one()
        for minutes in range(1, 21):
            add_past_session(db, kim, "v100", 60.0 * minutes, ago_s=86400.0)

    await site.db.run(fill)


async def test_how_long_it_usually_is_stands_by_the_queue_and_by_what_is_asked(browser, past):
    _, page = await browser.get("launch?opt-queue=v100")
    by_queue = {row["data-queue"]: row for row in page.select("#queues tbody tr")}
    assert text(by_queue["v100"].select_one(".bai-waits")) == "Wait: usually 2 min to 20 min (of 20 sessions)"
    assert by_queue["small"].select_one(".bai-waits") is None, "nobody can say"
    assert text(page.find(id="sum-wait")) == "usually 2 min to 20 min (of 20 sessions)"
    for path in ("queues?queue=v100", "launch/parts?queue=v100&cpu=1&mem=1g"):
        _, page = await browser.get(path)
        assert "usually 2 min to 20 min" in text(page), path


async def test_what_one_wishes_goes_with_the_start(browser, site):
    _, page = await browser.get("launch?opt-queue=small")
    assert page.find(id="mail") is None, "a site that sends no mail"
    assert not page.find(id="wait-box").has_attr("open")
    site.settings.mail_server = "localhost:25"
    _, page = await browser.get("launch?opt-queue=small&opt-patience=4h&opt-mail=yes")
    assert page.find(id="patience")["value"] == "4h"
    assert page.find(id="mail").has_attr("checked")
    assert page.find(id="wait-box").has_attr("open")
    fields = {**await browser.form("?opt-queue=small"), "patience": "3d", "mail": "yes"}
    response, _ = await browser.post("launch", fields)
    assert response.status == 303
    options = site.hub.starts[-1][2]["user_options"]
    assert (options["patience"], options["mail"]) == (str(3 * 86400), "yes")


@pytest.mark.parametrize(("field", "value"), [("patience", "for ever"), ("patience", "10s"), ("mail", "maybe")])
async def test_wishes_that_cannot_be_are_refused_beside_the_field(browser, site, field, value):
    fields = {**await browser.form("?opt-queue=small"), field: value}
    response, page = await browser.post("launch", fields)
    assert (response.status, site.hub.starts) == (400, [])
    assert field in str(page.select("#errors a"))


async def test_seconds_of_a_session_before_become_words(browser):
    _, page = await browser.get("launch?opt-patience=14400")
    assert page.find(id="patience")["value"] == "4:00"


@pytest.mark.browser
async def test_in_a_browser_the_wait_follows_what_is_asked(site, past, chromium):
    def add_gpus(db):
        kim = db.scalars(select(models.User.id).where(models.User.name == "kim01")).one()
        for _ in range(10):
            add_past_session(db, kim, "v100", 7200.0, ago_s=86400.0, slots=make_slots(1, gpu=1))

    await site.db.run(add_gpus)
    site.settings.mail_server = "localhost:25"
    page = await open_page(chromium, site, bypass_csp=True)
    complaints = watch(page)
    await page.goto(f"{site.launch}?opt-queue=v100")
    await page.locator("html[data-ready=launch]").wait_for()
    await expect(page.locator("#sum-wait")).to_have_text("usually 2 min to 20 min (of 20 sessions)")
    await page.fill("#gpu", "1")
    await expect(page.locator("#sum-wait")).to_have_text("usually about 2 h (of 10 sessions)")
    async with page.expect_response("**/launch/parts?**"):
        await page.locator("#wait-box summary").focus()  # leaving the field asks once more
    await page.keyboard.press("Enter")
    await page.fill("#patience", "3d")
    await page.check("#mail")
    await page.wait_for_function("!document.querySelector('[aria-busy]') && !document.getAnimations().length")
    await page.add_script_tag(path=AXE)
    assert await page.evaluate(RUN, []) == []
    await shoot(page, "launch-waits", "en")
    assert not complaints
