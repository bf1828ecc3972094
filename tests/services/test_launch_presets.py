from urllib.parse import parse_qs, urlsplit

import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.store.records import RECORDS
from tests.databases import sqlite_template
from tests.factories import GIB, make_slots
from tests.services.launching import limit
from tests.services.public import Browser, browser, nobody, settings, site
from tests.services.test_summary import add_session, text

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]
ROOT = Actor("root", Role.SUPERADMIN)
PRESETS = [
    {"name": "small", "labels": {"en": "Small <b>", "ko": "작게"}, "resource_slots": {"cpu": "2", "mem": "4g"}, "position": "1"},
    {"name": "huge", "resource_slots": {"cpu": "64", "mem": "512g"}, "position": "2"},
    {"name": "v-gpu", "resource_slots": {"cpu": "4", "mem": "16g", "cuda.device": "1"}, "resource_group": "v100", "shared_memory_bytes": "1g"},
    {"name": "odd", "resource_slots": {"cpu": "1", "mem": "1073741825"}, "position": "4"},
    {"name": "shares", "resource_slots": {"cpu": "1", "mem": "1g", "cuda.shares": "0.5"}, "position": "5"},
    {"name": "vips", "resource_slots": {"cpu": "1", "mem": "1g"}, "resource_group": "vip"},
]  # fmt: skip


async def add_presets(site, *presets):
    await site.application.settings["groups"].ready()
    for preset in presets or PRESETS:
        await site.db.run(RECORDS["resource_presets"].add, ROOT, preset)


def cards(page):
    return {card.find("button")["value"]: card for card in page.select("#presets .bai-preset")}


async def test_without_presets_the_form_is_as_before(browser):
    _, page = await browser.get("launch")
    assert cards(page) == {}
    assert text(page.find(id="sum-preset")) == "custom"


async def test_presets_of_the_queue_are_offered_in_words(browser, site):
    await add_presets(site)
    _, page = await browser.get("launch?opt-queue=small")
    found = cards(page)
    assert list(found) == ["small", "huge", "odd", "shares"]
    assert text(found["small"].find("button")) == "Small <b> CPUs 2 · Memory 4 GiB"
    _, page = await browser.get("launch?opt-queue=v100")
    found = cards(page)
    assert "v-gpu" in found
    assert "1 GiB of it shared memory" in text(found["v-gpu"])
    assert "vips" not in found


async def test_what_cannot_be_had_is_grey_and_says_why(browser, site):
    await add_presets(site)
    _, page = await browser.get("launch?opt-queue=small")
    found = cards(page)
    assert not found["small"].find("button").has_attr("disabled")
    button = found["huge"].find("button")
    assert button.has_attr("disabled")
    reason = page.find(id=button["aria-describedby"])
    assert "At most 4 CPUs in the queue small; you asked for 64." in text(reason)
    assert "At most 8 GiB" in text(reason)
    assert "gives no shares of GPUs" in text(found["shares"])


async def test_what_others_hold_counts(browser, site):
    await add_presets(site)
    await site.db.run(add_session, "lee01", slots=make_slots(3, 3 * GIB))
    _, page = await browser.get("launch?opt-queue=small")
    assert "4 CPUs and 3 are in use; you asked for 2, at most 1 would fit now" in text(cards(page)["small"])


async def test_a_policy_makes_a_preset_grey_and_is_named(browser, site):
    await add_presets(site)
    await site.db.run(limit, keypair={"cpu": "1"})
    _, page = await browser.get("launch?opt-queue=small")
    found = cards(page)
    assert "The keypair policy default allows 1 of cpu" in text(found["small"])
    assert not found["odd"].find("button").has_attr("disabled")


async def test_what_a_policy_refuses_is_said_beside_the_fields(browser, site):
    await site.db.run(limit, keypair={"cpu": "1"}, project={"mem": "2g"}, sessions=0, lifetime_s=600)
    fields = {**await browser.form(), "queue": "small", "cpu": "2", "mem": "3g", "time": "1h"}
    response, page = await browser.post("launch", fields)
    assert 400 <= response.status < 500
    assert site.hub.starts == []
    assert "allows 1 of cpu" in text(page.find(id="cpu-error"))
    assert "The project default may have 2 GiB of mem" in text(page.find(id="mem-error"))
    assert "lets a session live at most 0:10" in text(page.find(id="time-error"))
    links = [link["href"] for link in page.select("#errors a")]
    assert links == ["#cpu", "#time", "#mem"]
    assert "allows 0 sessions at a time" in text(page.find(id="errors"))
    assert page.find(id="cpu")["value"] == "2"


@pytest.mark.parametrize("link", ["launch?preset=v-gpu", "launch?opt-queue=v100&preset=v-gpu&opt-name=x&opt-time=30m"])
async def test_a_link_with_a_preset_fills_the_form(browser, site, link):
    await add_presets(site)
    response, _ = await browser.get(link)
    assert response.status == 302
    target = response.headers["Location"]
    fields = await browser.form(target.partition("launch")[2])
    got = {name: fields[name] for name in ("queue", "cpu", "mem", "gpu")}
    assert got == {"queue": "v100", "cpu": "4", "mem": "16 GiB", "gpu": "1"}
    if "opt-name" in link:
        assert (fields["name"], fields["time"]) == ("x", "30m")


async def test_a_button_keeps_what_was_typed_and_no_token_stays_in_the_address(browser, site):
    await add_presets(site)
    fields = await browser.form()
    response, _ = await browser.get("launch", params={**fields, "name": "내 세션", "preset": "odd"})
    query = parse_qs(urlsplit(response.headers["Location"]).query)
    assert (query["opt-name"], query["opt-mem"], "_xsrf" in query, "preset" in query) == (["내 세션"], ["1073741825"], False, False)
    _, page = await browser.get(f"launch?{urlsplit(response.headers['Location']).query}")
    assert [name for name, card in cards(page).items() if card.find("button")["aria-pressed"] == "true"] == ["odd"]
    assert text(page.find(id="sum-preset")) == "odd"
    assert site.hub.starts == []


async def test_a_preset_that_is_gone_is_said(browser, site):
    response, page = await browser.get("launch?preset=nosuch%3Cb%3E")
    assert response.status == 400
    assert "There is no preset nosuch<b> any more." in text(page.find(id="errors"))


async def test_the_cards_alone(browser, site):
    await add_presets(site)
    response, page = await browser.get("presets?queue=v100&cpu=4&mem=16384m&gpu=1")
    assert response.status == 200
    assert cards(page)["v-gpu"].find("button")["aria-pressed"] == "true"
    _, page = await browser.get("presets?queue=vip")
    assert cards(page) == {}


async def test_a_project_of_others_is_nothing_to_the_cards(browser, site):
    await add_presets(site)
    for path in ("launch?opt-queue=small&opt-project=vips", "presets?queue=small&project=vips"):
        response, page = await browser.get(path)
        assert (response.status, "small" in cards(page)) == (200, True)


async def test_quick_start(browser, site):
    await add_presets(site)
    _, page = await browser.get("summary")
    links = {text(link): link["href"] for link in page.select(".bai-preset a")}
    assert links["Small <b> CPUs 2 · Memory 4 GiB"] == "/services/backendai/launch?preset=small"
    assert not [words for words in links if words.startswith("vips")]


async def test_in_korean(site):
    await add_presets(site)
    korean = Browser(site, "ko")
    await korean.log_in(site.hub.let_in("kim01"))
    _, page = await korean.get("launch?opt-queue=small")
    assert text(cards(page)["small"]).startswith("작게")
    await korean.http.close()


async def test_a_login_comes_first(nobody):
    response, _ = await nobody.get("presets?queue=small")
    assert response.status == 302
