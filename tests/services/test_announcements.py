from datetime import timedelta

import pytest

from jupyterhub_backendai.store import models
from jupyterhub_backendai.store.models import now
from tests.databases import sqlite_template
from tests.services.public import browser, nobody, settings, site

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]


def announce(db, title, **fields):
    row = models.Announcement(title={"en": title, "ko": f"{title}!"}, body={"en": "<b>Line</b>\nLine"}, **fields)
    db.add(row)
    db.flush()
    return row.id


def titles(page):
    return [item.find("strong").text for item in page.select(".bai-news")]


@pytest.mark.parametrize("path", ["summary", "launch"])
async def test_what_is_current_stands_above_the_page_until_it_is_put_away(browser, site, path):
    await site.db.run(announce, "Plain")
    await site.db.run(announce, "Grave", level="danger", ends_at=now() + timedelta(hours=1))
    await site.db.run(announce, "Past", ends_at=now() - timedelta(hours=1))
    await site.db.run(announce, "Later", starts_at=now() + timedelta(hours=1))
    await site.db.run(announce, "Withdrawn", is_active=False)
    _, page = await browser.get(path)
    assert titles(page) == ["Grave", "Plain"]
    assert "<b>Line</b>" in page.select_one(".bai-news-body").text
    form = page.select_one(".bai-news form")
    fields = {field["name"]: field["value"] for field in form.select("input")}
    response, _ = await browser.post("announcements/read", fields)
    assert (response.status, response.headers["Location"]) == (303, f"/services/backendai/{path}")
    _, page = await browser.get(path)
    assert titles(page) == ["Plain"]
    _, page = await browser.get("summary")
    assert "Grave" in page.find(id="read").text


async def test_nobody_is_led_away_and_a_bad_id_is_nothing(browser, site):
    found = await site.db.run(announce, "Plain")
    _, page = await browser.get("summary")
    token = page.find("input", attrs={"name": "_xsrf"})["value"]
    for target in ("https://evil.example/", "//evil.example/", "/hub/logout"):
        response, _ = await browser.post("announcements/read", {"_xsrf": token, "id": "x; y=1", "next": target})
        assert response.headers["Location"] == "/services/backendai/summary"
    response, _ = await browser.post("announcements/read", {"id": found})
    assert response.status == 403
    _, page = await browser.get("summary")
    assert titles(page) == ["Plain"]


async def test_a_login_comes_first(nobody):
    response, _ = await nobody.post("announcements/read", {"id": "0" * 32})
    assert response.status in (401, 403)
