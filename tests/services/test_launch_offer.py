"""What the launch page says of the chosen queue: whole nodes, choices of the scheduler, the price; with and without scripts."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import pytest_asyncio

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.prices import Billing
from jupyterhub_backendai.store import ledger
from tests.databases import sqlite_template
from tests.services.admin.conftest import add_people
from tests.services.offering import QUEUES, show_rows
from tests.services.public import Browser, browser, close_site, nobody, open_site, settings, site
from tests.services.test_summary import text

__all__ = ["browser", "nobody", "settings", "site", "sqlite_template"]


@pytest_asyncio.fixture
async def offering(settings, site):
    """A site whose queues have prices, shares and choices; lee01 is nobody's colleague there."""
    settings.queues = QUEUES
    await close_site(site)
    fresh = await open_site(settings, site.hub, site.engine, site.db)
    show_rows(fresh)
    yield fresh
    await close_site(fresh)


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


# -- where queues have prices, shares and choices


async def test_the_price_and_what_is_left(offering):
    site = offering
    site.settings.bill_limit = "hold"
    kim01 = Browser(site)
    await kim01.log_in(site.hub.let_in("kim01"))
    query = "queue=jupyter&cpu=4&mem=16g&shares=0.5&time=2h"
    _, page = await kim01.get(f"launch/parts?{query}")
    assert text(page.find(id="sum-price")) == "864 KRW an hour CPUs 40 KRW Memory 24 KRW GPU shares 800 KRW"
    assert text(page.find(id="sum-most")) == "1,728 KRW for 2 h"
    assert "up to 1,728 KRW, and 0 KRW of the credit is available" in text(page.find(id="sum-short"))
    await site.db.run_exclusive(give, "kim01", 2000)
    _, page = await kim01.get(f"launch/parts?{query}")
    assert text(page.find(id="sum-balance")) == "2,000 KRW; then at least 272 KRW"
    assert page.find(id="sum-short") is None
    _, page = await kim01.get(f"launch?{query}")  # the same without scripts
    assert text(page.find(id="sum-balance")) == "2,000 KRW; then at least 272 KRW"
    _, page = await kim01.get("launch/parts?queue=mixed&cpu=4")
    assert (text(page.find(id="sum-price")), page.find(id="sum-balance")) == ("free", None)
    await kim01.http.close()


async def test_nobody_sees_another_ones_credit(offering):
    site = offering
    await site.db.run_exclusive(give, "kim01", 2000)
    lee01 = Browser(site)
    await lee01.log_in(site.hub.let_in("lee01"))
    _, page = await lee01.get("launch/parts?queue=jupyter&user=kim01&project=default")
    assert page.find(id="sum-balance") is None
    assert "2,000" not in page.text
    await lee01.http.close()


async def test_who_pays_is_named(offering):
    offering.settings.bill_to = "project"
    await offering.db.run_exclusive(give, "kim01", 5000, "project")
    kim01 = Browser(offering)
    await kim01.log_in(offering.hub.let_in("kim01"))
    _, page = await kim01.get("launch/parts?queue=jupyter&time=1h&mem=1g")
    assert text(page.find(id="sum-balance")).startswith("5,000 KRW of the project; then at least 4,988")
    await kim01.http.close()


async def test_the_credit_of_a_project_is_told_to_its_members_only(offering):
    offering.settings.bill_to, offering.settings.bill_limit = "project", "hold"
    await offering.db.run(add_people)

    def give_project(db):
        account = ledger.find_account(db, "lee01", "vips", Billing(payer="project"))
        ledger.give_credit(db, Actor("root", Role.SUPERADMIN), account, Decimal(7_654), "", datetime.now(UTC))

    await offering.db.run_exclusive(give_project)
    for name, sees in (("lee01", True), ("kim01", False)):
        browser = Browser(offering)
        await browser.log_in(offering.hub.let_in(name))
        for path in ("launch/parts", "launch"):
            _, page = await browser.get(f"{path}?queue=jupyter&project=vips&time=1h&mem=1g")
            assert ("7,654" in page.text) is sees, (name, path)
        await browser.http.close()


async def test_prices_and_shares_stand_in_the_table(offering):
    kim01 = Browser(offering)
    await kim01.log_in(offering.hub.let_in("kim01"))
    for path in ("launch", "queues", "summary"):
        _, page = await kim01.get(path)
        row = page.select_one("tr[data-queue=jupyter]")
        assert "shares 6.25/10" in text(row.select_one("[data-cell=gpus]"))
        words = "An hour: CPUs 10 KRW, Memory (GiB) 1.5 KRW, GPUs 2,000 KRW, GPU shares 1,600 KRW"
        assert words in text(row.select_one("[data-cell=about]"))
        assert "GPUs (a100) 3,000 KRW" in text(page.select_one("tr[data-queue=amd_a100nv_8]"))
    await kim01.http.close()


def give(db, user, amount, payer="user"):
    account = ledger.find_account(db, user, "default", Billing(payer=payer))
    ledger.give_credit(db, Actor("root", Role.SUPERADMIN), account, Decimal(amount), "", datetime.now(UTC))


async def options_of(browser, path):
    _, page = await browser.get(path)
    selects = page.find(id="choices").find_all("select")
    return {select["id"]: [option.text.strip() for option in select.find_all("option")] for select in selects}


async def test_each_person_sees_the_own_choices(offering):
    kim01, lee01 = Browser(offering), Browser(offering)
    await kim01.log_in(offering.hub.let_in("kim01"))
    assert await options_of(kim01, "launch?opt-queue=jupyter") == {"account": ["automatic: free", "free", "paid"]}
    found = await options_of(kim01, "launch/parts?queue=jupyter&account=paid")
    assert found["qos"] == ["automatic: normal", "normal", "high"]
    found = await options_of(kim01, "launch?opt-queue=mixed")
    assert found["reservation"] == ["none", "course, until 2096-10-02 07:06 UTC"]
    assert found["features"] == ["any", "32g", "80g", "a100", "bigmem", "v100"]
    await lee01.log_in(offering.hub.let_in("lee01"))  # no Unix account: nothing to choose
    assert await options_of(lee01, "launch?opt-queue=jupyter") == {}
    await kim01.http.close()
    await lee01.http.close()


async def test_choices_of_another_queue_are_forgotten_when_it_is_switched(offering):
    kim01 = Browser(offering)
    await kim01.log_in(offering.hub.let_in("kim01"))
    query = "launch/parts?queue=jupyter&account=paid&qos=high&reservation=course&features=bigmem"
    _, page = await kim01.get(f"{query}&switched=1")
    chosen = {option.find_parent("select")["id"]: option["value"] for option in page.select("#choices option[selected]")}
    assert chosen == {"account": "paid", "qos": "high"}
    found = await options_of(kim01, query)  # a link with them is shown as it came
    assert set(found) == {"account", "qos", "reservation", "features"}
    await kim01.http.close()


async def test_what_is_chosen_is_started_and_what_is_not_offered_is_refused(offering):
    kim01 = Browser(offering)
    await kim01.log_in(offering.hub.let_in("kim01"))
    fields = {**await kim01.form("?opt-queue=jupyter"), "account": "paid", "qos": "high", "shares": "0.25"}
    response, page = await kim01.post("launch", fields)
    assert response.status == 303, text(page.find(id="errors"))
    options = offering.hub.starts[0][2]["user_options"]
    assert (options["account"], options["qos"], options["shares"]) == ("paid", "high", "0.25")
    for wrong in ({"account": "other"}, {"qos": "root"}, {"shares": "0.3"}, {"shares": "0.5", "gpu": "1"}, {"features": "nosuch"}):
        response, page = await kim01.post("launch", {**fields, **wrong})
        assert response.status in (400, 403), wrong
        assert page.select(f"#errors a[href='#{next(iter(wrong))}']"), text(page.find(id="errors"))
    assert len(offering.hub.starts) == 1
    await kim01.http.close()


async def test_a_start_without_credit_is_refused_before_the_hub_is_asked(offering):
    offering.settings.bill_limit = "hold"
    kim01 = Browser(offering)
    await kim01.log_in(offering.hub.let_in("kim01"))
    response, page = await kim01.post("launch", {**await kim01.form(), "queue": "jupyter"})
    assert (400 <= response.status < 500, offering.hub.starts) == (True, [])
    assert "of the credit is available" in text(page.find(id="errors"))
    response, _ = await kim01.post("launch", {**await kim01.form(), "queue": "mixed"})
    assert response.status == 303
    await kim01.http.close()


@pytest.mark.parametrize(
    ("name", "sees_vip", "accounts"),
    [("kim01", False, ["automatic: free", "free", "paid"]), ("lee01", True, []), ("park04", False, []), ("root", False, [])],
    ids=["owner", "member of the other project", "domain administrator", "superadministrator"],
)
async def test_whoever_asks_is_told_of_the_own_queues_credit_and_choices_only(offering, name, sees_vip, accounts):
    site = offering
    site.settings.queues = [*QUEUES, {"name": "vip", "engine": "local", "capacity": {"cpu": 4}, "projects": ["vips"]}]
    fresh = await open_site(site.settings, site.hub, site.engine, site.db)
    await site.db.run(add_people)
    await site.db.run_exclusive(give, "kim01", 2000)
    browser = Browser(fresh)
    await browser.log_in(fresh.hub.let_in(name))
    _, page = await browser.get("launch/parts?queue=vip&project=vips")
    assert (text(page.find(id="sum-price")) == "free") is sees_vip
    _, page = await browser.get("launch/parts?queue=jupyter")
    assert (page.find(id="sum-balance") is not None) is (name == "kim01")
    assert (await options_of(browser, "launch/parts?queue=jupyter")).get("account", []) == accounts
    await browser.http.close()
    await close_site(fresh)
