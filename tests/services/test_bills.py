"""Bills as the owner, a member of the project, the domain's administrator, a stranger and a superadministrator meet them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import pytest_asyncio

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.ledger import RECORDS, Used
from jupyterhub_backendai.core.prices import Billing
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.store import ledger, models, sessions
from tests.factories import GIB, add_user, make_queue, make_spec
from tests.services.admin.conftest import admin, member, nobody, open_browser, people, root, settings, site, sqlite_template

__all__ = ["admin", "member", "nobody", "people", "root", "settings", "site", "sqlite_template"]
BOSS = Actor("root", Role.SUPERADMIN)
QUEUE = make_queue("small", capacity=ResourceSlots({"cpu": 64, "mem": 64 * GIB}), is_free=False, prices=ResourceSlots({"cpu": "1000"}))
OWN = "bills"
OTHERS = ["bills?scope=user&name=kim01", "bills?scope=project&name=default/default", "bills?scope=domain&name=default"]


@pytest_asyncio.fixture
async def billed(site, people):
    """kim01 has had 10,000 won, and one session that cost 500; the name of it is a trap."""

    def fill(db):
        add_user(db, "stranger", role=Role.USER)
        user_id = db.query(models.User).filter_by(name="kim01").one().id
        ledger.give_credit(db, BOSS, f"user:{user_id}", Decimal(10_000), "grant <b>7</b>", datetime.now(UTC))
        return user_id

    site.user_id = await site.db.run_exclusive(fill)
    await site.application.settings["groups"].ready()
    spec = make_spec(queue="small", time_s=3600, name="=1+1", cpu=1)
    await site.db.run_exclusive(sessions.admit, spec, QUEUE, None)
    await site.db.run_exclusive(sessions.release, spec.session_id, "stopped")
    await site.db.run_exclusive(ledger.settle, spec.session_id, Used(1800, RECORDS), datetime.now(UTC))
    site.session_id = spec.session_id
    return site


def texts(page, selector):
    return [" ".join(item.text.split()) for item in page.select(selector)]


async def test_the_owner_sees_the_own_credit_and_statement(billed, member):
    response, page = await member.get(OWN)
    assert response.status == 200
    assert texts(page, "[data-payer] dd") == ["9,500 KRW", "0 KRW"]
    assert texts(page, "#total") == ["500 KRW"]
    (row,) = page.select("#lines tbody tr")
    assert "=1+1" in row.text
    assert "30 min *" in " ".join(row.text.split())
    assert page.select_one("#from-records")
    assert page.select_one("#movements td:nth-of-type(2)").text == "grant <b>7</b>"
    assert not page.select("[style], script:not([nonce])")
    assert response.headers["Cache-Control"] == "no-store"


async def test_another_month_is_empty_and_says_so(billed, member):
    response, page = await member.get("bills?month=2020-02")
    assert response.status == 200
    assert "Nothing was charged in this month." in page.text
    assert texts(page, "#totals dd")[0] == "0 KRW"


async def test_the_file_has_every_line_and_no_formula(billed, member):
    async with member.http.get(f"{billed.url}bills.csv") as response:
        text = (await response.read()).decode("utf-8-sig")
        assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    lines = text.splitlines()
    assert lines[0].startswith("session,name,charged_at,user,domain,project,queue,seconds,slots,source")
    assert lines[1].split(",")[1] == "'=1+1"
    assert lines[1].endswith("records,500,0,500")
    assert lines[2] == "total,,,,,,,,,,500,0,500"


@pytest.mark.parametrize("query", ["scope=site", "month=2026-13", "page=0", "page=x", "scope=user&name=nobody"])
async def test_what_is_no_statement(billed, member, query):
    assert (await member.get(f"bills?{query}"))[0].status in (400, 404)


@pytest.mark.parametrize("name", ["stranger", "lee01"])
async def test_other_peoples_statements_are_not_there(billed, name):
    browser = await open_browser(billed, name)
    for path in (*OTHERS, "bills.csv?scope=user&name=kim01", "admin/bills", "rest/v1/admin/bills"):
        assert (await browser.get(path))[0].status == 404, path
    response, page = await browser.get(OWN)
    assert response.status == 200
    assert not page.select("#lines")
    await browser.http.close()


async def test_a_member_sees_no_statement_of_the_project(billed, member):
    for path in OTHERS[1:]:
        assert (await member.get(path))[0].status == 404


async def test_who_is_not_logged_in_is_sent_to_the_login(billed, nobody):
    assert (await nobody.get(OWN))[0].status == 302
    async with nobody.http.get(f"{billed.url}rest/v1/bills") as response:
        assert response.status == 401


@pytest.mark.parametrize("who", ["admin", "root"])
async def test_administrators_see_people_projects_and_the_domain(billed, admin, root, who):
    browser = {"admin": admin, "root": root}[who]
    for path in OTHERS:
        response, page = await browser.get(path)
        assert (response.status, texts(page, "#total")) == (200, ["500 KRW"])
        assert not page.select("[data-payer]")
    response, page = await browser.get("admin/bills?q=kim")
    assert texts(page, "#accounts tbody td.num") == ["9,500 KRW", "0 KRW", "9,500 KRW"]
    assert bool(page.find("form", action=lambda value: value and value.endswith("/credit"))) == (who == "root")


async def test_an_administrator_who_is_none_any_more_reads_no_more(billed, admin):
    """The pages of one's own believe what was read a moment ago; other people's statements do not."""
    assert (await admin.get(OTHERS[0]))[0].status == 200

    def demote(db):
        db.query(models.User).filter_by(role=Role.ADMIN).update({"role": Role.USER})

    await billed.db.run_exclusive(demote)
    for path in (*OTHERS, "bills.csv?scope=user&name=kim01", "rest/v1/bills/statement?scope=domain&name=default"):
        assert (await admin.get(path))[0].status == 404, path
    assert (await admin.get(OWN))[0].status == 200


async def give(browser, **fields):
    _, page = await browser.get("admin/bills")
    form = page.find("form", action=lambda value: value and value.endswith("admin/bills/credit"))
    data = {field["name"]: field.get("value", "") for field in form.find_all("input")}
    return await browser.post("admin/bills/credit", {**data, **fields})


def balance(site):
    return site.db.run(lambda db: ledger.get_balance(db, f"user:{site.user_id}").total)


async def test_a_superadministrator_gives_credit_once(billed, root):
    response, _ = await give(root, name="kim01", amount="2500", note="grant 8", reference="twice")
    assert (response.status, response.headers["Location"].endswith("admin/bills?q=kim01&notice=credited")) == (303, True)
    await give(root, name="kim01", amount="2500", note="grant 8", reference="twice")
    assert await balance(billed) == 12_000
    await give(root, name="kim01", amount="-2000")
    assert await balance(billed) == 10_000


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"name": "kim01", "amount": "viel"}, 400),
        ({"name": "kim01", "amount": "0.5"}, 400),
        ({"name": "kim01", "amount": "NaN"}, 400),
        ({"name": "nobody", "amount": "1"}, 404),
        ({"name": "kim01", "amount": "1", "note": "x" * 300}, 400),
    ],
)
async def test_credit_that_is_refused_keeps_what_was_typed(billed, root, fields, status):
    response, page = await give(root, **fields)
    assert response.status == status
    assert page.select("#errors")
    assert page.select_one("#f-name")["value"] == fields["name"]
    assert await balance(billed) == 9500


async def test_a_domains_administrator_gives_no_credit(billed, admin):
    xsrf = (await admin.get("admin/bills"))[1].find("input", {"name": "_xsrf"})["value"]
    response, _ = await admin.post("admin/bills/credit", {"_xsrf": xsrf, "name": "kim01", "amount": "1"})
    assert response.status == 404
    assert (await admin.post("admin/bills/credit", {"name": "kim01", "amount": "1"}))[0].status == 403


async def test_a_launch_beyond_the_credit_is_refused_where_the_site_says_so(billed, member):
    billed.db.info["billing"] = Billing(limit="hold")
    with pytest.raises(Exception, match="of the credit is available"):
        await billed.db.run_exclusive(sessions.admit, make_spec(queue="small", time_s=36000, server_name="big"), QUEUE, None)
