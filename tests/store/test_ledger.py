from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import pytest_asyncio
from sqlalchemy import event, func, select

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.ledger import ACCOUNTING, FUNDING, INCOME, Balance, Used
from jupyterhub_backendai.core.prices import Billing, Currency
from jupyterhub_backendai.core.queues import QueueFigures
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.errors import Conflict, InvalidParameters, NotFound, QuotaExceeded
from jupyterhub_backendai.store import ledger, models, sessions
from jupyterhub_backendai.store.database import Database
from tests.factories import GIB, add_user, make_queue, make_spec

WON = Currency("KRW", 0)
QUEUE = make_queue(
    "paid", capacity=ResourceSlots({"cpu": 64, "mem": 64 * GIB}), is_free=False, prices=ResourceSlots({"cpu": "100", "mem": "10"})
)
BOSS = Actor("boss", Role.SUPERADMIN, "default", "192.0.2.1")
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest_asyncio.fixture
async def paid(database):
    """kim01 with 1,000 won, on a site where a launch needs credit for the most that it can cost."""
    database.info["billing"] = Billing(WON, "user", "hold")
    user_id = await database.run(add_user, "kim01")
    database.account = f"user:{user_id}"
    await database.run_exclusive(ledger.give_credit, BOSS, database.account, Decimal(1000), "grant 7", AT)
    return database


def admit(database, queue=QUEUE, figures=None, **request):
    request.setdefault("time_s", 3600)
    request.setdefault("server_name", models.new_id())
    return database.run_exclusive(sessions.admit, make_spec(queue=queue.name, **request), queue, figures)


def balance(database):
    return database.run(ledger.get_balance, database.account)


async def entries(database):
    def read(db):
        rows = db.scalars(select(models.LedgerEntry).order_by(models.LedgerEntry.id))
        return [(row.kind, row.source, row.target, str(row.amount), row.reference) for row in rows]

    return await database.run(read)


async def test_a_session_is_held_for_settled_and_charged_once(paid):
    admission = await admit(paid, cpu=2, mem=GIB)
    assert await balance(paid) == Balance(Decimal(790), Decimal(210))
    assert await paid.run(ledger.list_due) == []
    await paid.run_exclusive(sessions.release, admission.session_id, "stopped")
    (due,) = await paid.run(ledger.list_due)
    assert (due.session_id, due.engine, due.began_at) == (admission.session_id, "local", None)
    used = Used(1000)  # 210 * 1000 / 3600 = 58.33
    answers = await asyncio.gather(*(paid.run_exclusive(ledger.settle, due.session_id, used, AT) for _ in range(6)))
    assert [answer.charge for answer in answers if answer] == [58]
    assert await balance(paid) == Balance(Decimal(942), Decimal(0))
    assert await entries(paid) == [
        ("credit", FUNDING, paid.account, "1000", ""),
        ("hold", paid.account, f"held:{paid.account}", "210", due.session_id),
        ("release", f"held:{paid.account}", paid.account, "210", due.session_id),
        ("charge", paid.account, INCOME, "58", due.session_id),
    ]
    assert await paid.run(ledger.list_due) == []
    assert await paid.run_exclusive(ledger.compare) == []


async def test_the_same_admission_again_holds_nothing_more(paid):
    spec = make_spec(queue="paid", time_s=3600)
    for _ in range(2):
        await paid.run_exclusive(sessions.admit, spec, QUEUE, None)
    assert (await balance(paid)).held == 110


async def test_a_node_that_failed_costs_nothing(paid):
    admission = await admit(paid)
    await paid.run_exclusive(sessions.release, admission.session_id)
    found = await paid.run_exclusive(ledger.settle, admission.session_id, Used(1800, ACCOUNTING, is_node_failure=True), AT)
    assert (found.charge, found.refund) == (55, 55)
    assert await balance(paid) == Balance(Decimal(1000), Decimal(0))
    assert [kind for kind, *_ in await entries(paid)] == ["credit", "hold", "release", "charge", "refund"]


async def test_nobody_is_charged_more_than_was_held(paid):
    admission = await admit(paid)
    await paid.run_exclusive(sessions.release, admission.session_id)
    found = await paid.run_exclusive(ledger.settle, admission.session_id, Used(7200, ACCOUNTING), AT)
    assert found.charge == 110


async def test_a_session_that_lives_again_is_charged_for_all_of_its_time_once(paid):
    admission = await admit(paid)
    await paid.run_exclusive(sessions.release, admission.session_id)
    await paid.run_exclusive(ledger.settle, admission.session_id, Used(1000), AT)
    assert await paid.run_exclusive(sessions.revive, admission.session_id)
    assert await balance(paid) == Balance(Decimal(890), Decimal(110 - 31))  # the rest of it is nobody else's to spend
    await paid.run_exclusive(ledger.adjust_hold, admission.session_id, 60)
    assert await balance(paid) == Balance(Decimal(1000 - 31), Decimal(0))  # nothing of another session's hold
    await paid.run_exclusive(ledger.adjust_hold, admission.session_id, 3600)
    await paid.run_exclusive(sessions.release, admission.session_id)
    await paid.run_exclusive(ledger.settle, admission.session_id, Used(2000), AT)
    assert (await balance(paid)) == Balance(Decimal(1000 - 61), Decimal(0))
    assert await paid.run_exclusive(ledger.compare) == []


async def test_more_time_holds_more(paid):
    admission = await admit(paid)
    await paid.run_exclusive(ledger.adjust_hold, admission.session_id, 7200)
    assert await balance(paid) == Balance(Decimal(780), Decimal(220))
    with pytest.raises(QuotaExceeded) as caught:
        await paid.run_exclusive(ledger.adjust_hold, admission.session_id, 100 * 3600)
    assert [(violation.field, violation.rule) for violation in caught.value.violations] == [("time", "credit")]
    await paid.run_exclusive(ledger.adjust_hold, admission.session_id, 3600)  # its engine did not give it
    assert await balance(paid) == Balance(Decimal(890), Decimal(110))
    await paid.run_exclusive(ledger.adjust_hold, "0" * 32, 7200)  # a free session


async def test_a_launch_that_the_credit_does_not_cover_is_refused_with_the_figures(paid):
    with pytest.raises(QuotaExceeded) as caught:
        await admit(paid, cpu=10)
    (violation,) = caught.value.violations
    assert (violation.rule, violation.params) == ("credit", {"available": "1,000 KRW", "most": "1,010 KRW"})
    assert await balance(paid) == Balance(Decimal(1000), Decimal(0))


async def test_a_price_that_nobody_knows_is_refused_and_a_whole_node_is_held_for(paid):
    queue = make_queue("node", engine="slurm", is_free=False, is_exclusive=True, prices=QUEUE.prices)
    with pytest.raises(QuotaExceeded, match="cannot be said at the moment"):
        await admit(paid, queue)
    figures = QueueFigures("node", is_exclusive=True, max_slots=ResourceSlots({"cpu": 8, "mem": 10 * GIB}))
    await admit(paid, queue, figures)
    assert (await balance(paid)).held == 900


async def test_free_queues_stay_free(paid):
    before, statements = await entries(paid), []
    event.listen(paid.engine, "before_cursor_execute", lambda *details: statements.append(details[2]))
    admission = await admit(paid, make_queue("free"))
    assert statements
    assert not [text for text in statements if "ledger" in text or "bills" in text], "an admission for nothing asks nothing more"
    await paid.run_exclusive(sessions.release, admission.session_id)
    assert await paid.run(ledger.list_due) == []
    assert await entries(paid) == before


@pytest.mark.parametrize("limit", ["none", "zero"])
async def test_other_limits(paid, limit):
    paid.info["billing"] = Billing(WON, "user", limit)
    await admit(paid, cpu=60)
    assert (await balance(paid)).available == -5010
    if limit == "zero":
        with pytest.raises(QuotaExceeded, match="used up"):
            await admit(paid)
    else:
        await admit(paid)


@pytest.mark.parametrize("payer", ["project", "domain"])
async def test_a_project_or_a_domain_pays(paid, payer):
    paid.info["billing"] = Billing(WON, payer, "none")
    await paid.run(add_user, "lee01")
    await admit(paid)
    await admit(paid, user="lee01")
    account = await paid.run(ledger.find_account, "kim01", "default", paid.info["billing"])
    assert account.startswith(f"{payer}:")
    assert account == await paid.run(ledger.find_account, "lee01", "default", paid.info["billing"])
    assert (await paid.run(ledger.get_balance, account)).held == 220
    assert (await paid.run(ledger.describe_account, account))[1] == "default"


async def test_sixteen_at_once_spend_exactly_what_there_is(database_url):
    """Everybody of a project starts at once, in a thread each: as many get in as the credit covers, and not one more."""
    paid = Database(database_url, threads=16)
    paid.info["billing"] = Billing(WON, "project", "hold")
    for number in range(16):
        await paid.run(add_user, f"user{number:02}")
    account = await paid.run(ledger.find_account, "user00", "default", paid.info["billing"])
    await paid.run_exclusive(ledger.give_credit, BOSS, account, Decimal(605), "", AT)
    starts = (admit(paid, user=f"user{number:02}") for number in range(16))
    answers = await asyncio.gather(*starts, return_exceptions=True)
    assert sum(not isinstance(answer, Exception) for answer in answers) == 5
    assert all("credit" in str(answer) for answer in answers if isinstance(answer, Exception))
    assert await paid.run(ledger.get_balance, account) == Balance(Decimal(55), Decimal(550))
    live = await paid.run(sessions.list_live)
    ends = (paid.run_exclusive(end, info.id) for info in (*live, *live, *live))
    await asyncio.gather(*ends)
    assert await paid.run(ledger.get_balance, account) == Balance(Decimal(605 - 5 * 31), Decimal(0))
    assert await paid.run_exclusive(ledger.compare) == []
    await paid.close()


def end(db, session_id):
    sessions.release(db, session_id)
    ledger.settle(db, session_id, Used(1000), AT)


@pytest.mark.parametrize(
    ("actor", "account", "amount", "error"),
    [
        (Actor("kim01", Role.USER, "default"), None, "10", NotFound),
        (Actor("lee01", Role.ADMIN, "default"), None, "10", NotFound),
        (BOSS, "user:nobody", "10", NotFound),
        (BOSS, "site:income", "10", NotFound),
        (BOSS, None, "0", InvalidParameters),
        (BOSS, None, "0.5", InvalidParameters),
        (BOSS, None, "Infinity", InvalidParameters),
        (BOSS, None, "1e15", InvalidParameters),
    ],
)
async def test_credit_that_is_not_given(paid, actor, account, amount, error):
    with pytest.raises(error):
        await paid.run_exclusive(ledger.give_credit, actor, account or paid.account, Decimal(amount), "", AT)
    assert (await balance(paid)).total == 1000


async def test_credit_is_given_taken_and_audited(paid):
    assert (await paid.run_exclusive(ledger.give_credit, BOSS, paid.account, Decimal(-300), "mistake", AT)).total == 700

    def read(db):
        rows = db.scalars(select(models.AuditEntry).where(models.AuditEntry.action == "ledger.credit").order_by(models.AuditEntry.at))
        return [(row.actor, row.object, row.details["amount"]) for row in rows]

    assert await paid.run(read) == [("boss", paid.account, "1000"), ("boss", paid.account, "-300")]


async def test_the_same_act_twice_gives_credit_once(paid):
    for _ in range(2):
        after = await paid.run_exclusive(ledger.give_credit, BOSS, paid.account, Decimal(5), "", AT, "act-1")
    assert after.total == 1005


@pytest.mark.parametrize("other", [Decimal(6), Decimal(-5)])
async def test_a_reference_of_another_act_is_refused_in_words(paid, other):
    await paid.run_exclusive(ledger.give_credit, BOSS, paid.account, Decimal(5), "", AT, "act-1")
    with pytest.raises(Conflict, match="act-1"):
        await paid.run_exclusive(ledger.give_credit, BOSS, paid.account, other, "", AT, "act-1")
    assert (await balance(paid)).total == 1005


async def test_a_balance_that_is_not_its_entries_is_found_and_mended(paid):
    await paid.run(lambda db: db.execute(models.LedgerAccount.__table__.update().values(available=Decimal(7))) and None)
    wrong = [(paid.account, Balance(Decimal(7)), Balance(Decimal(1000)))]
    assert await paid.run_exclusive(ledger.compare, is_mending=True) == wrong
    assert await paid.run_exclusive(ledger.compare) == []
    assert await balance(paid) == Balance(Decimal(1000))


async def test_what_records_say_of_a_session_that_is_due(paid):
    admission = await admit(paid)
    await paid.run(sessions.report, admission.session_id, SessionStatus.RUNNING)
    await paid.run(sessions.report, admission.session_id, SessionStatus.TERMINATED, "done")
    await paid.run_exclusive(sessions.release, admission.session_id)
    (due,) = await paid.run(ledger.list_due)
    assert due.began_at <= due.ended_at <= due.released_at < datetime.now(UTC) + timedelta(seconds=1)
    assert due.reason == "done"
    assert await paid.run(lambda db: db.scalar(select(func.count()).select_from(models.SessionBill))) == 1
