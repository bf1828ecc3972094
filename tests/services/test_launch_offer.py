"""What the launch page says of the chosen queue: whole nodes, choices of the scheduler, the price; with and without scripts."""

import pytest

from tests.databases import sqlite_template
from tests.services.public import Browser, browser, nobody, settings, site
from tests.services.test_summary import text

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]


async def test_a_free_queue_of_shared_nodes(browser):
    _, page = await browser.get("launch?opt-queue=small")
    assert text(page.find(id="sum-price")) == "free"
    assert page.find(id="sum-node") is None
    assert page.find(id="shares-box").has_attr("hidden")
    assert page.find(id="choices").find("select") is None


async def test_an_exclusive_queue_says_what_one_gets_and_pays(browser):
    for path in ("launch?opt-queue=v100", "launch/parts?queue=v100"):
        _, page = await browser.get(path)
        words = text(page.find(id="sum-node"))
        assert words.startswith("This queue gives whole nodes. You get, and pay for, the whole node: 8 CPUs, 2 GPUs (v100)."), words


async def test_shares_that_were_typed_stay_in_sight_where_there_are_none(browser, site):
    fields = {**await browser.form(), "queue": "small", "shares": "0.5"}
    response, page = await browser.post("launch", fields)
    assert (response.status, site.hub.starts) == (400, [])
    assert "no shares of GPUs" in text(page.find(id="shares-error"))
    assert not page.find(id="shares-box").has_attr("hidden")
    assert page.find(id="shares")["value"] == "0.5"


async def test_a_link_fills_what_the_scheduler_is_told_and_the_server_decides(browser, site):
    fields = await browser.form("?opt-queue=v100&opt-account=paid&opt-qos=high&opt-shares=0.25&opt-features=a100")
    assert [fields[name] for name in ("account", "qos", "shares", "features")] == ["paid", "high", "0.25", "a100"]
    response, page = await browser.post("launch", fields)
    assert (response.status, site.hub.starts) == (403, [])
    assert {link["href"] for link in page.select("#errors a")} >= {"#account", "#qos", "#features"}
    assert page.find(id="account")["aria-invalid"] == "true"


async def test_parts_by_script_need_the_token(browser):
    headers = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
    token = (await browser.form())["_xsrf"]
    for path in ("launch/parts?queue=v100", "presets?queue=v100"):
        response, _ = await browser.get(path, headers=headers)
        assert response.status == 302
        response, _ = await browser.get(path, headers={**headers, "X-XSRFToken": token})
        assert response.status == 200


@pytest.mark.parametrize("query", ["", "queue=nosuch", "queue=vip", "queue=v100&cpu=x&mem=%00&time=9999999999&shares=1e9"])
async def test_parts_of_anything(browser, query):
    response, page = await browser.get(f"launch/parts?{query}")
    assert response.status == 200
    assert page.find(id="quote")


async def test_a_login_comes_first(nobody):
    response, _ = await nobody.get("launch/parts?queue=small")
    assert response.status == 302


async def test_somebody_whom_the_platform_does_not_know(nobody, site):
    await nobody.log_in(site.hub.let_in("guest"))
    response, _ = await nobody.get("launch/parts?queue=small")
    assert response.status == 403


async def test_in_korean(site):
    korean = Browser(site, "ko")
    await korean.log_in(site.hub.let_in("kim01"))
    response, page = await korean.get("launch?opt-queue=v100")
    assert response.status == 200
    assert page.find(id="quote")
    await korean.http.close()
