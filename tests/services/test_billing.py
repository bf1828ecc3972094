"""The biller: what is charged from which source, and credit that runs out; on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.ledger import ACCOUNTING, CREDIT_USED_UP, RECORDS, Accounted, Balance
from jupyterhub_backendai.core.prices import Billing, Currency
from jupyterhub_backendai.core.queues import QueueFigures
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.errors import BackendUnavailable
from jupyterhub_backendai.services.billing import Biller
from jupyterhub_backendai.store import batch, ends, ledger, models, sessions
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import GIB, add_user, make_queue, make_spec
from tests.fakes import FakeEngine, Postbox

__all__ = ["database", "database_url", "postgres_url", "sqlite_template"]
NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
QUEUE = make_queue("paid", engine="slurm", is_free=False, prices=ResourceSlots({"cpu": "3600", "cuda.device:a100": "36000"}))
FIGURES = QueueFigures("paid", max_slots=ResourceSlots({"cpu": 64, "mem": 64 * GIB, "cuda.device": 4}))


class Engine(FakeEngine):
    """Slurm as far as bills go."""

    usage = None
    asked = ()

    async def read_usage(self, job_ids, cluster=""):
        self.asked = (*self.asked, (tuple(job_ids), cluster))
        if self.error:
            raise self.error
        return self.usage


class Hub:
    """Stops what it is asked to."""

    def __init__(self):
        self.stopped, self.status = [], 202

    async def stop_server(self, user, server):
        self.stopped.append((user, server))
        return self.status, None


class Runner:
    woken = 0

    def wake(self):
        self.woken += 1


class World:
    def __init__(self, database, tmp_path, **settings):
        self.db, self.engine, self.hub, self.mail, self.runner = database, Engine(), Hub(), Postbox(), Runner()
        self.settings = BackendAI(state_dir=str(tmp_path), **settings)
        database.info["billing"] = self.settings.make_billing()
        self.biller = Biller(self.settings, database, self.hub, {"slurm": self.engine}, self.runner, self.mail)

    async def start(self, began_s=1000, over_s=None, job_id="7", **request):
        """A session that began so many seconds ago, and perhaps was over so many seconds ago."""
        request.setdefault("time_s", 3600)
        request.setdefault("server_name", models.new_id())
        spec = make_spec(queue="paid", **request)
        await self.db.run_exclusive(sessions.admit, spec, QUEUE, FIGURES)
        values = {"job_id": job_id, "status": SessionStatus.RUNNING, "started_at": NOW - timedelta(seconds=began_s)}
        if over_s is not None:
            over = NOW - timedelta(seconds=over_s)
            values |= {"status": SessionStatus.TERMINATED, "terminated_at": over, "released_at": over}

        def write(db):
            db.execute(update(models.ComputeSession).where(models.ComputeSession.id == spec.session_id).values(values))

        await self.db.run(write)
        return spec.session_id

    async def look(self, after_s=0):
        return await self.biller.look(NOW.timestamp() + after_s)

    async def bill(self, session_id):
        return await self.db.run(lambda db: db.get_one(models.SessionBill, session_id))

    async def balance(self):
        return await self.db.run(ledger.get_balance, self.account)


@pytest.fixture
async def make_world(database, tmp_path):
    async def make(credit=0, **settings):
        world = World(database, tmp_path, **settings)
        user_id = await database.run(add_user, "kim01", email="kim01@example.org", language="en")
        world.account = f"user:{user_id}"
        if credit:
            boss = Actor("boss", Role.SUPERADMIN)
            await database.run_exclusive(ledger.give_credit, boss, world.account, Decimal(credit), "", NOW)
        return world

    return make


async def test_accounting_has_the_word_about_time_and_slots(make_world):
    world = await make_world()
    session_id = await world.start(began_s=1000, over_s=100, cpu=2)
    world.engine.usage = {"7": Accounted("7", True, 500, ResourceSlots({"cpu": 4}), user="kim01")}
    assert await world.look() == 1
    bill = await world.bill(session_id)
    assert (bill.charged, bill.used_s, bill.source, bill.used_slots["cpu"]) == (2000, 500, ACCOUNTING, 4)
    assert await world.balance() == Balance(Decimal(-2000), Decimal(0))
    assert await world.look() == 0
    assert world.engine.asked == ((("7",), ""),)


@pytest.mark.parametrize(
    ("usage", "job_id"),
    [(None, "7"), ({}, ""), ({"7": Accounted("7", True, 5, user="lee01")}, "7")],
    ids=["none kept", "no job", "not theirs"],
)
async def test_without_accounting_our_records_are_charged_and_say_so(make_world, usage, job_id):
    world = await make_world()
    session_id = await world.start(began_s=1000, over_s=700, job_id=job_id)
    world.engine.usage = usage
    assert await world.look() == 1
    bill = await world.bill(session_id)
    assert (bill.charged, bill.used_s, bill.source) == (300, 300, RECORDS)


async def test_without_accounting_a_node_that_failed_is_known_from_our_records(make_world):
    world = await make_world()
    session_id = await world.start(began_s=1000, over_s=700)
    reason = "The node of the session failed. Start it again."
    await world.db.run(lambda db: setattr(db.get_one(models.ComputeSession, session_id), "status_reason", reason))
    assert await world.look() == 1
    bill = await world.bill(session_id)
    assert (bill.charged, bill.refunded, bill.source) == (300, 300, RECORDS)


async def test_an_accounting_that_is_away_or_late_is_waited_for(make_world):
    world = await make_world(bill_wait_s=3600.0)
    session_id = await world.start(began_s=1000, over_s=100)
    world.engine.error = BackendUnavailable()
    assert await world.look() == 0
    assert await world.look(3000) == 0
    world.engine.error, world.engine.usage = None, {}
    assert await world.look(400) == 0
    world.engine.usage = {"7": Accounted("7", False, 80, user="kim01")}
    assert await world.look(3000) == 0
    assert await world.look(4000) == 1
    assert (await world.bill(session_id)).source == RECORDS


async def test_what_was_charged_from_records_is_charged_from_an_accounting_that_answers_later(make_world):
    world = await make_world(bill_wait_s=10.0)
    session_id = await world.start(began_s=1000, over_s=700)
    world.engine.error = BackendUnavailable()
    assert await world.look() == 1
    assert ((await world.bill(session_id)).charged, await world.balance()) == (300, Balance(Decimal(-300)))
    assert await world.db.run_exclusive(ledger.reopen_records) == 1
    assert await world.look(60) == 1, "it is still away: nothing changes"
    assert await world.balance() == Balance(Decimal(-300))
    await world.db.run_exclusive(ledger.reopen_records)
    world.engine.error, world.engine.usage = None, {"7": Accounted("7", True, 250, user="kim01")}
    await world.look(120)
    bill = await world.bill(session_id)
    assert (bill.charged - bill.refunded, bill.source, await world.balance()) == (250, ACCOUNTING, Balance(Decimal(-250)))
    assert await world.db.run_exclusive(ledger.reopen_records) == 0
    assert await world.db.run_exclusive(ledger.compare) == []


async def test_a_session_that_never_began_and_a_node_that_failed_cost_nothing(make_world):
    world = await make_world()
    failed = await world.start(over_s=10)
    waited = await world.start(over_s=10, job_id="8")
    world.engine.usage = {
        "7": Accounted("7", True, 500, is_node_failure=True, user="kim01"),
        "8": Accounted("8", True, 0, user="kim01"),
    }
    assert await world.look() == 2
    assert [((await world.bill(id_)).charged, (await world.bill(id_)).refunded) for id_ in (failed, waited)] == [(500, 500), (0, 0)]
    assert await world.balance() == Balance()


async def test_the_type_of_gpu_that_it_got_is_charged(make_world):
    world = await make_world()
    session_id = await world.start(over_s=0, cpu=1, gpu=1)
    assert (await world.bill(session_id)).most == 39600
    usage = Accounted("7", True, 1000, ResourceSlots({"cpu": 1, "cuda.device": 1}), "v100", user="kim01")
    world.engine.usage = {"7": usage}
    await world.look()
    assert (await world.bill(session_id)).charged == 1000


async def test_people_are_warned_once_at_each_mark_and_then_their_sessions_end(make_world):
    world = await make_world(3600, bill_limit="zero", credit_warnings_s=[1800, 600])
    session_id = await world.start(began_s=1000, name="work", server_name="work")
    await world.look()
    assert (world.mail.mails, world.hub.stopped) == ([], [])
    await world.look(1000)
    await world.look(1060)
    (mail,) = world.mail.mails
    assert (mail.to, "26 min" in mail.text, "work" in mail.text) == ("kim01@example.org", True, True)
    course = await world.db.run(ends.load_course, session_id)
    assert (course.policy_end, round((course.policy_ends_at - NOW).total_seconds())) == ("credit", 2600)
    await world.db.run_exclusive(ends.foresee, session_id, None, "")  # the idle checker sees nothing
    assert (await world.db.run(ends.load_course, session_id)).policy_end == "credit"
    await world.look(2100)
    assert len(world.mail.mails) == 2
    await world.look(2600)
    assert world.hub.stopped == [("kim01", "work")]
    info = await world.db.run(sessions.get, session_id)
    assert (info.status, info.status_reason) == (SessionStatus.TERMINATING, CREDIT_USED_UP)
    assert world.mail.mails[-1].subject.endswith("A session was ended: its credit is used up")


async def test_more_credit_takes_the_warning_back(make_world):
    world = await make_world(3600, bill_limit="zero")
    session_id = await world.start(began_s=1000)
    await world.look(1000)
    assert (await world.db.run(ends.load_course, session_id)).policy_end == "credit"
    boss = Actor("boss", Role.SUPERADMIN)
    await world.db.run_exclusive(ledger.give_credit, boss, world.account, Decimal(100000), "", NOW)
    await world.look(1060)
    assert (await world.db.run(ends.load_course, session_id)).policy_end == ""
    await world.db.run_exclusive(ledger.give_credit, boss, world.account, Decimal(-100000), "", NOW)
    await world.look(1120)
    assert len(world.mail.mails) == 2


async def test_a_hub_that_does_not_end_it_is_asked_again(make_world):
    world = await make_world(1000, bill_limit="zero")
    await world.start(began_s=1000, server_name="")
    world.hub.status = 500
    await world.look()
    world.hub.status = 202
    await world.look(60)
    assert world.hub.stopped == [("kim01", ""), ("kim01", "")]


async def test_a_batch_session_is_told_to_end(make_world):
    world = await make_world(1000, bill_limit="zero")
    session_id = models.new_id()
    name = batch.server_name(session_id)
    await world.start(began_s=1000, session_id=session_id, server_name=name, session_type="batch", command="true")
    await world.look()
    info = await world.db.run(sessions.get, session_id)
    assert (info.status, info.status_reason, world.runner.woken) == (SessionStatus.TERMINATING, CREDIT_USED_UP, 1)


async def test_nobody_is_ended_where_balances_may_go_below_zero(make_world):
    world = await make_world(1)
    await world.start(began_s=3000)
    await world.look()
    assert (world.hub.stopped, world.mail.mails) == ([], [])


def test_the_settings_are_checked():
    assert BackendAI(currency="EUR", currency_digits=2).make_billing() == Billing(Currency("EUR", 2))
    with pytest.raises(ValueError, match="who pays"):
        Billing(payer="me")
