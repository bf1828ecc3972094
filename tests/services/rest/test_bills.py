"""``rest/v1/bills`` and ``rest/v1/admin/bills``."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
import pytest_asyncio

from jupyterhub_backendai.core.ledger import Used
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.store import ledger, models, sessions
from tests.factories import GIB, make_queue, make_spec
from tests.services.rest.people import ROOT, admin_site, settings, site, sqlite_template

__all__ = ["admin_site", "settings", "site", "sqlite_template"]
QUEUE = make_queue("small", capacity=ResourceSlots({"cpu": 64, "mem": 64 * GIB}), is_free=False, prices=ResourceSlots({"cpu": "1000"}))
STATEMENT = "bills/statement?scope={}&name={}"
SUBJECTS = (("user", "kim01"), ("project", "default/alpha"), ("domain", "default"))


@pytest_asyncio.fixture
async def billed(admin_site):
    """kim01 has 9,500 won left of 10,000."""
    db = admin_site.site.db

    def fill(session):
        user_id = session.query(models.User).filter_by(name="kim01").one().id
        ledger.give_credit(session, ROOT, f"user:{user_id}", Decimal(10_000), "grant", datetime.now(UTC))

    await db.run_exclusive(fill)
    spec = make_spec(queue="small", time_s=3600, project="alpha")
    await db.run_exclusive(sessions.admit, spec, QUEUE, None)
    await db.run_exclusive(sessions.release, spec.session_id)
    await db.run_exclusive(ledger.settle, spec.session_id, Used(1800), datetime.now(UTC))
    return admin_site


async def test_the_owner(billed):
    status, found, _ = await billed.owner.get("bills")
    account = {"scope": "user", "name": "kim01", "available": "9500", "held": "0", "balance": "9500", "currency": "KRW"}
    assert (status, found) == (200, {"payer": "user", "limit": "none", "accounts": [account]})
    status, found, _ = await billed.owner.get("bills/statement")
    assert (status, found["total"], found["opening"], found["closing"]) == (200, "500", "0", "9500")
    (line,) = found["lines"]
    assert (line["seconds"], line["source"], line["amount"], line["slots"]["cpu"]) == (1800, "records", "500", "1")
    assert [item["amount"] for item in found["credit"]] == ["10000"]
    assert (await billed.owner.get("bills/statement?format=csv"))[1].endswith("500,0,500\r\n")


async def test_who_may_read_which_statement(billed):
    for scope, name in SUBJECTS:
        path = STATEMENT.format(scope, name)
        for caller, status in (
            (billed.root, 200),
            (billed.admin, 200),
            (billed.stranger, 404),
            (billed.member, 404),
            (billed.outsider, 401),
        ):
            assert (await caller.get(path))[0] == status, (scope, status)
        assert (await billed.owner.get(path))[0] == (200 if scope == "user" else 404)
        assert (await billed.root.get(f"admin/{path}"))[1]["total"] == "500"
        assert (await billed.owner.get(f"admin/{path}"))[0] == 404


async def test_the_list_of_who_pays(billed):
    for caller, names in ((billed.root, {"kim01"}), (billed.admin, {"kim01"}), (billed.stranger, set())):
        status, found, _ = await caller.get("admin/bills?q=kim")
        assert (status, {item["name"] for item in found["items"]}) == (200, names)
    for caller, status in ((billed.owner, 404), (billed.member, 404), (billed.outsider, 401)):
        assert (await caller.get("admin/bills"))[0] == status


async def test_credit(billed):
    body = {"name": "kim01", "amount": "500", "note": "more", "reference": "order-7"}
    for _ in range(2):
        status, found, _ = await billed.root.ask("POST", "admin/bills/credit", body)
        assert (status, found["balance"]) == (200, "10000")
    for caller, status in ((billed.admin, 404), (billed.stranger, 404), (billed.owner, 404), (billed.member, 404), (billed.outsider, 401)):
        assert (await caller.ask("POST", "admin/bills/credit", body))[0] == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "kim01"}, 400),
        ({"name": "kim01", "amount": "1.5"}, 400),
        ({"name": "kim01", "amount": "1", "note": "a\nb"}, 400),
        ({"name": "kim01", "amount": "1", "note": "a\ud800"}, 400),
        ({"name": "kim01", "amount": "1", "note": "a\x9b2J"}, 400),
        ({"name": "kim\ud800", "amount": "1"}, 400),
        ({"name": "kim01", "amount": "1", "reference": "ü"}, 400),
        ({"name": "nobody", "amount": "1"}, 404),
        ({"scope": "site", "name": "income", "amount": "1"}, 404),
    ],
)
async def test_credit_that_is_refused(billed, body, status):
    assert (await billed.root.ask("POST", "admin/bills/credit", body))[0] == status
    assert (await billed.owner.get("bills"))[1]["accounts"][0]["balance"] == "9500"


async def test_balances_are_compared_with_their_entries_and_mended(billed):
    assert (await billed.root.ask("POST", "admin/bills/check"))[1] == {"wrong": [], "mended": False, "again": 0}
    await billed.site.db.run(lambda db: db.execute(models.LedgerAccount.__table__.update().values(available=Decimal(1))) and None)
    status, found, _ = await billed.root.ask("POST", "admin/bills/check", {"mend": True})
    assert (status, [(item["noted"], item["counted"]) for item in found["wrong"]]) == (200, [("1", "9500")])
    assert (await billed.root.ask("POST", "admin/bills/check"))[1]["wrong"] == []
    assert (await billed.admin.ask("POST", "admin/bills/check"))[0] == 404
