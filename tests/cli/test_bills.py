import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest_asyncio

from jupyterhub_backendai.core.ledger import Used
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.store import ledger, models, sessions
from tests.cli.listener import database, parts, run
from tests.factories import GIB, make_queue, make_spec

__all__ = ["database", "parts", "run"]
QUEUE = make_queue("small", capacity=ResourceSlots({"cpu": 64, "mem": 64 * GIB}), is_free=False, prices=ResourceSlots({"cpu": "1000"}))


@pytest_asyncio.fixture
async def account(run, database):
    """kim01's, charged 500 won this month."""
    spec = make_spec(queue="small", time_s=3600)
    await database.run_exclusive(sessions.admit, spec, QUEUE, None)
    await database.run_exclusive(sessions.release, spec.session_id)
    await database.run_exclusive(ledger.settle, spec.session_id, Used(1800), datetime.now(UTC))
    return await database.run(lambda db: f"user:{db.query(models.User).filter_by(name='kim01').one().id}")


async def test_credit_is_given_and_listed(run, account):
    status, out, _ = await run("bill", "credit", "kim01", "10000", "--note", "grant", "--reference", "a")
    assert (status, "9500" in out) == (0, True)
    await run("bill", "credit", "kim01", "10000", "--reference", "a")
    status, out, _ = await run("bill", "list", "--search", "kim", "--json")
    assert (status, [item["balance"] for item in json.loads(out)]) == (0, ["9500"])
    assert (await run("bill", "credit", "nobody", "1"))[0] == 1
    assert "amount" in (await run("bill", "credit", "kim01", "viel"))[2]


async def test_a_statement(run, account):
    status, out, _ = await run("bill", "statement", "project", "default/default")
    assert (status, "records" in out, "total" in out) == (0, True, True)
    assert json.loads((await run("bill", "statement", "user", "kim01", "--json"))[1])["total"] == "500"
    assert (await run("bill", "statement", "user", "kim01", "--csv"))[1].splitlines()[-1].endswith("500,0,500")
    assert (await run("bill", "statement", "user", "nobody"))[0] == 1


async def test_balances_are_checked(run, account, database):
    assert (await run("bill", "check"))[0] == 0
    await database.run(lambda db: db.execute(models.LedgerAccount.__table__.update().values(available=Decimal(1))) and None)
    assert (await run("bill", "check"))[0] == 1
    assert (await run("bill", "check", "--mend"))[0] == 0
    assert (await run("bill", "check"))[0] == 0
    assert (await database.run(ledger.get_balance, account)).total == -500
