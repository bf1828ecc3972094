"""Statements, above all: that of a month of simulated jobs is, to the last digit, what an independent sum says."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.ledger import ACCOUNTING, RECORDS, Used
from jupyterhub_backendai.core.partitions import NodeShape
from jupyterhub_backendai.core.prices import Billing, Currency
from jupyterhub_backendai.core.queues import Queue, QueueFigures
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.core.statements import list_cells, parse_month, step_month
from jupyterhub_backendai.errors import InvalidParameters, NotFound
from jupyterhub_backendai.store import ledger, models, statements
from tests.factories import GIB, add_user

FIRST, UNTIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
BOSS = Actor("boss", Role.SUPERADMIN, "default")
EUR = Currency("EUR", 2)
SHAPES = (NodeShape(64, 512 * GIB, {"a100": 8}), NodeShape(40, 160 * GIB, {"v100": 2}))
QUEUES = {
    "cpu": {"cpu": "0.0123", "mem": "0.00217"},
    "gpu": {"cpu": "0.01", "mem": "0.001", "cuda.device:a100": "1.99", "cuda.device:v100": "0.333333333", "cuda.shares": "0.7"},
    "node": {"cpu": "0.02", "mem": "0.003", "cuda.device:a100": "1.5", "cuda.device:v100": "0.5", "node": "0.25"},
    "free": {},
}


def make_jobs(seed, count):
    """Jobs as an engine would have run them; what each is asked for, and what accounting or our records say of it."""
    dice = random.Random(seed)
    for number in range(count):
        queue = dice.choices(list(QUEUES), (6, 4, 1, 1))[0]
        gpu_type = dice.choice(("a100", "v100")) if queue != "cpu" else ""
        asked = {"cpu": dice.randint(1, 16), "mem": dice.choice((GIB, 3 * GIB // 2, 7 * GIB, dice.randint(1, 64 * GIB)))}
        if queue == "gpu":
            asked |= {"cuda.device": dice.randint(0, 2)} if dice.random() < 0.7 else {"cuda.shares": Decimal(dice.randint(1, 8)) / 8}
        limit_s = dice.choice((600, 3600, 12 * 3600, dice.randint(60, 86400)))
        job = {"queue": queue, "gpu_type": gpu_type, "asked": asked, "limit_s": limit_s, "user": number % 3}
        job["seconds"] = dice.choice((0, limit_s, limit_s + 37, dice.randint(0, limit_s)))
        job["source"] = dice.choice((ACCOUNTING, RECORDS))
        job["got"] = {"cpu": asked["cpu"] + dice.randint(0, 1), "mem": asked["mem"]} if job["source"] == ACCOUNTING else {}
        if job["got"] and "cuda.device" in asked:
            job["got"]["cuda.device"] = asked["cuda.device"]
        if job["got"] and queue == "node":
            job["got"] = {"cpu": 64 if gpu_type == "a100" else 40, "mem": GIB}
        job["failed"] = dice.random() < 0.03
        job["at"] = FIRST + timedelta(seconds=dice.randint(-86400, 32 * 86400))
        yield job


def price_of(job):
    """What a job costs in cents, without a line of the program: everything in fractions, rounded half up once."""
    prices = {name: Fraction(price) for name, price in QUEUES[job["queue"]].items()}

    def per_hour(slots):
        total = Fraction(0)
        for name, amount in slots.items():
            price = prices.get(f"{name}:{job['gpu_type']}", prices.get(name, Fraction(0)))
            total += price * Fraction(amount) / (2**30 if name == "mem" else 1)
        return total

    def cents(rate, seconds):
        return int(rate * seconds * 100 / 3600 + Fraction(1, 2))

    if job["queue"] == "node":
        cpus, gib, gpus = (64, 512, 8) if job["gpu_type"] == "a100" else (40, 160, 2)
        asked = got = {"cpu": cpus, "mem": gib * GIB, "cuda.device": gpus, "node": 1}
    else:
        asked, got = job["asked"], {**job["asked"], **job["got"]}
    return 0 if job["failed"] else min(cents(per_hour(got), job["seconds"]), cents(per_hour(asked), job["limit_s"]))


def simulate(db, jobs, people):
    """Admit and settle every job in the ledger."""
    for job in jobs:
        name = job["queue"]
        prices = ResourceSlots(QUEUES[name])
        queue = Queue(name, "slurm", is_free=not prices, prices=prices)
        figures = QueueFigures(name, is_exclusive=name == "node", shapes=SHAPES if name == "node" else ())
        user, user_id = people[job["user"]]
        payer = ledger.Payer(user_id, user, "default", "default", "p1")
        offer = ledger.prepare(db, payer, queue, figures, ResourceSlots(job["asked"]), job["gpu_type"], job["limit_s"])
        if offer is None:
            continue
        session_id = models.new_id()
        ledger.hold(db, session_id, payer, offer, name, "", job["at"])
        used = Used(job["seconds"], job["source"], ResourceSlots(job["got"]), is_node_failure=job["failed"])
        ledger.settle(db, session_id, used, job["at"])


@pytest.mark.parametrize("seed", [1])
async def test_the_statement_of_a_month_is_an_independent_sum_to_the_last_digit(database, seed):
    count = 4_000 if database.engine.dialect.name == "sqlite" else 500
    database.info["billing"] = Billing(EUR, "user", "none")
    people = [(name, await database.run(add_user, name)) for name in ("kim01", "lee01", "park04")]
    jobs = list(make_jobs(seed, count))
    for start in range(0, count, 1000):
        await database.run_long(simulate, jobs[start : start + 1000], people)
    for number, (name, _) in enumerate(people):
        cents = sum(price_of(job) for job in jobs if job["user"] == number and FIRST <= job["at"] < UNTIL)
        subject = await database.run(statements.find_subject, BOSS, "user", name)
        found = await database.run(statements.load_statement, subject, FIRST, UNTIL)
        assert found.total == Decimal(cents) / 100
        assert found.total == sum(Decimal(row[-1]) for row in list_cells(found)[1:-1]) == Decimal(list_cells(found)[-1][-1])
        assert found.closing - found.opening == -found.total
        assert sum(total.amount for total in found.sum_by("queue")) == found.total
    subject = await database.run(statements.find_subject, BOSS, "domain", "default")
    found = await database.run(statements.load_statement, subject, FIRST, UNTIL)
    assert found.total == Decimal(sum(price_of(job) for job in jobs if FIRST <= job["at"] < UNTIL)) / 100
    assert found.closing is None
    assert await database.run_exclusive(ledger.compare) == []


@pytest.fixture
async def month(database):
    """kim01 has 100 euros of credit from February, and in March one charge and 20 more."""
    database.info["billing"] = Billing(EUR, "user", "none")
    user_id = await database.run(add_user, "kim01")
    await database.run(add_user, "lee01", "alpha")
    await database.run(add_user, "park04", role=Role.ADMIN)

    def fill(db):
        account = f"user:{user_id}"
        ledger.give_credit(db, BOSS, account, Decimal(100), "grant", FIRST - timedelta(days=3))
        ledger.give_credit(db, BOSS, account, Decimal(20), "more", FIRST + timedelta(days=3))
        project = db.query(models.Project).filter_by(name="default").one()
        queue = Queue("cpu", "slurm", is_free=False, prices=ResourceSlots({"cpu": "1"}))
        for at in (FIRST + timedelta(days=1), UNTIL):
            payer = ledger.Payer(user_id, "kim01", "default", "default", project.id)
            session_id = models.new_id()
            offer = ledger.prepare(db, payer, queue, None, ResourceSlots({"cpu": 4}), "", 3600)
            ledger.hold(db, session_id, payer, offer, "cpu", "work", at)
            ledger.settle(db, session_id, Used(1800), at)

    await database.run_exclusive(fill)
    return database


async def read(database, scope, name, viewer=BOSS):
    subject = await database.run(statements.find_subject, viewer, scope, name)
    return await database.run(statements.load_statement, subject, FIRST, UNTIL)


async def test_balances_before_and_after(month):
    found = await read(month, "user", "kim01")
    assert (found.opening, found.closing, found.total, found.credit) == (100, 118, 2, 20)
    assert [(movement.amount, movement.note) for movement in found.movements] == [(20, "more")]
    (line,) = found.lines
    assert (line.user, line.queue, line.name, line.seconds, line.amount, line.source) == ("kim01", "cpu", "work", 1800, 2, RECORDS)
    assert [(total.name, total.sessions, total.amount) for total in found.sum_by("project")] == [("default", 1, 2)]


@pytest.mark.parametrize(
    ("viewer", "may"),
    [
        (BOSS, {"user", "project", "domain"}),
        (Actor("park04", Role.ADMIN, "default"), {"user", "project", "domain"}),
        (Actor("other", Role.ADMIN, "other"), set()),
        (Actor("kim01", Role.USER, "default"), {"user"}),
        (Actor("lee01", Role.USER, "default"), set()),
    ],
    ids=["superadmin", "domain admin", "admin of another", "owner", "stranger"],
)
async def test_who_may_read_whose(month, viewer, may):
    for scope, name in (("user", "kim01"), ("project", "default/default"), ("domain", "default")):
        if scope in may:
            assert (await read(month, scope, name, viewer)).total == 2
        else:
            with pytest.raises(NotFound):
                await read(month, scope, name, viewer)


async def test_what_is_not_there_is_not_found(month):
    for scope, name in (("user", "nobody"), ("project", "default/none"), ("domain", "none"), ("site", "income")):
        with pytest.raises(NotFound):
            await read(month, scope, name)


async def test_accounts_by_who_looks(month):
    found = await month.run(statements.list_accounts, BOSS, "kim")
    assert [(subject.name, balance.total) for subject, balance in found] == [("kim01", 116)]
    assert await month.run(statements.list_accounts, Actor("x", Role.ADMIN, "other")) == []
    with pytest.raises(NotFound):
        await month.run(statements.list_accounts, Actor("kim01", Role.USER, "default"))


@pytest.mark.parametrize(("payer", "names"), [("user", ["lee01"]), ("project", ["alpha"]), ("domain", ["default"])])
async def test_who_pays_for_somebody(month, payer, names):
    month.info["billing"] = Billing(EUR, payer)
    assert [subject.name for subject, _ in await month.run(statements.list_payers, "lee01")] == names
    assert await month.run(statements.list_payers, "nobody") == []


def test_months():
    assert parse_month("", FIRST) == (2026, 3)
    assert parse_month("2025-12", FIRST) == (2025, 12)
    assert [step_month(2026, 1, by) for by in (-1, 0, 11, 12)] == [(2025, 12), (2026, 1), (2026, 12), (2027, 1)]
    for text in ("2026", "2026-13", "2026-3", "next", "0000-01"):
        with pytest.raises(InvalidParameters):
            parse_month(text, FIRST)
