from __future__ import annotations

import random
from decimal import Decimal

import pytest

from jupyterhub_backendai.core import ledger
from jupyterhub_backendai.core.ledger import ACCOUNTING, RECORDS, Accounted, Balance, Running, Used
from jupyterhub_backendai.core.partitions import NodeShape
from jupyterhub_backendai.core.prices import Billing, Currency
from jupyterhub_backendai.core.queues import Queue, QueueFigures
from jupyterhub_backendai.core.slots import ResourceSlots

GIB = 2**30
WON = Currency("KRW", 0)
QUEUE = Queue("q", "slurm", is_free=False, prices=ResourceSlots({"cpu": "3600", "mem": "36"}))
NODES = QueueFigures("q", is_exclusive=True, shapes=(NodeShape(64, 64 * GIB), NodeShape(32, 64 * GIB), NodeShape(32, 16 * GIB)))


def make_terms(figures=None, **slots):
    return ledger.make_terms(QUEUE, figures, ResourceSlots(slots or {"cpu": 1}), "", 3600, WON)


def test_all_accounts_together_are_always_nothing():
    dice, balances = random.Random(7), {}
    for number in range(300):
        terms = make_terms(cpu=dice.randint(1, 9))
        account = f"user:{number % 5}"
        hold = ledger.Entry(ledger.HOLD, account, ledger.held_id(account), terms.most)
        used = Used(dice.randint(0, 4000), is_node_failure=dice.random() < 0.2)
        found = ledger.settle(account, terms, terms.most, Decimal(0), Decimal(0), used, WON)
        ledger.apply(balances, [hold, *found.entries])
        assert sum(balances.values()) == 0
        assert ledger.balance_of(account, balances).held == 0
        assert all(entry.amount > 0 for entry in found.entries)


def test_settling_again_with_the_same_usage_does_nothing():
    terms, used = make_terms(), Used(100)
    first = ledger.settle("a", terms, terms.most, Decimal(0), Decimal(0), used, WON)
    assert [(entry.kind, entry.amount) for entry in first.entries] == [("release", 3600), ("charge", 100)]
    assert ledger.settle("a", terms, Decimal(0), first.charge, first.refund, used, WON).entries == ()


def test_a_later_answer_corrects_what_was_charged():
    terms = make_terms()
    less = ledger.settle("a", terms, Decimal(0), Decimal(100), Decimal(0), Used(60), WON)
    assert [(entry.kind, entry.amount) for entry in less.entries] == [("refund", 40)]
    more = ledger.settle("a", terms, Decimal(0), Decimal(100), Decimal(40), Used(150), WON)
    assert (more.charge - more.refund, [(entry.kind, entry.amount) for entry in more.entries]) == (150, [("charge", 90)])


def test_whatever_was_settled_before_what_is_paid_in_the_end_is_what_is_due():
    dice, terms = random.Random(11), make_terms()
    for _ in range(200):
        charged, refunded, balances = Decimal(0), Decimal(0), {}
        for _ in range(4):  # a session that came back to life, an accounting that answers late
            used = Used(dice.randint(0, 3600), is_node_failure=dice.random() < 0.3)
            found = ledger.settle("a", terms, Decimal(0), charged, refunded, used, WON)
            ledger.apply(balances, found.entries)
            charged, refunded = found.charge, found.refund
            due = 0 if used.is_node_failure else used.seconds
            assert charged - refunded == due == -balances.get("a", 0)
            assert ledger.settle("a", terms, Decimal(0), charged, refunded, used, WON).entries == ()


@pytest.mark.parametrize(
    ("used", "slots"),
    [
        (Used(1), {"cpu": 64, "mem": 64 * GIB, "node": 1}),
        (Used(1, ACCOUNTING, ResourceSlots({"cpu": 64, "mem": GIB})), {"cpu": 64, "mem": 64 * GIB, "node": 1}),
        (Used(1, ACCOUNTING, ResourceSlots({"cpu": 32, "mem": GIB})), {"cpu": 32, "mem": 16 * GIB, "node": 1}),
        (Used(1, ACCOUNTING, ResourceSlots({"cpu": 7})), {"cpu": 32, "mem": 16 * GIB, "node": 1}),
    ],
    ids=["our records", "the largest", "two alike: the cheaper", "no such node"],
)
def test_of_a_whole_node_the_one_that_it_was_is_billed(used, slots):
    assert {name: amount for name, amount in ledger.measure(make_terms(NODES), used).items() if amount} == slots


def test_what_accounting_does_not_name_is_billed_as_it_was_asked_for():
    terms = make_terms(cpu=4, mem=GIB)
    assert ledger.measure(terms, Used(1, ACCOUNTING, ResourceSlots({"cpu": 2}))) == {"cpu": 2, "mem": GIB}


ACCOUNT = Accounted("7", True, 50, user="kim01")
RUNS = Accounted("7", False, 50, user="kim01")


@pytest.mark.parametrize(
    ("age_s", "accounted", "is_asked", "is_answered", "source"),
    [
        (0, None, False, True, RECORDS),
        (0, ACCOUNT, True, True, ACCOUNTING),
        (0, RUNS, True, True, None),
        (100_000, RUNS, True, True, RECORDS),
        (599, None, True, True, None),
        (601, None, True, True, RECORDS),
        (601, None, True, False, None),
        (90_000, None, True, False, RECORDS),
        (0, Accounted("7", True, 50, user="lee01"), True, True, None),
    ],
)
def test_where_the_usage_is_known_from(age_s, accounted, is_asked, is_answered, source):
    used = ledger.decide_usage(Used(60), age_s, accounted, is_asked=is_asked, is_answered=is_answered, user="kim01", wait_s=86400)
    assert (used.source if used else None) == source
    assert used is None or used.seconds == (50 if source == ACCOUNTING else 60)


def test_how_long_credit_lasts():
    rate = Decimal(3600)
    running = [
        Running("a", rate, Decimal(100_000), 100),
        Running("b", rate, Decimal(50), 100),
        Running("c", rate, Decimal(900), 60, is_live=False),
    ]
    assert ledger.spend(running, WON) == 100 + 50 + 60
    assert ledger.seconds_left(Balance(Decimal(410)), running, WON) == 100
    assert ledger.seconds_left(Balance(Decimal(400), Decimal(10)), running, WON) == 100
    assert ledger.seconds_left(Balance(Decimal(-5)), running, WON) == 0
    assert ledger.seconds_left(Balance(), running[2:], WON) is None


@pytest.mark.parametrize(("left_s", "mark"), [(None, None), (4000, None), (3600, 3600), (700, 3600), (600, 600), (0, 600)])
def test_marks(left_s, mark):
    assert ledger.find_mark(left_s, (3600, 600)) == mark


@pytest.mark.parametrize(
    ("limit", "available", "most", "is_refused"),
    [
        ("none", -10, 10, False),
        ("hold", 10, 10, False),
        ("hold", 9, 10, True),
        ("hold", -1, 0, False),
        ("zero", 1, 10, False),
        ("zero", 0, 10, True),
        ("zero", -5, 0, False),
    ],
)
def test_credit_that_does_not_cover_a_start(limit, available, most, is_refused):
    found = ledger.check_credit(Decimal(available), Decimal(most), Billing(WON, "user", limit))
    assert bool(found) == is_refused
    assert all(violation.rule == ledger.RULE for violation in found)


def test_what_a_session_has_paid_before_it_is_settled_anew_is_not_spent_twice():
    """Or all that runs on the account would be ended once old sessions are charged anew."""
    rate = Decimal(3600)
    again = Running("a", rate, Decimal(1000), 1000, is_live=False, paid=Decimal(1000))
    live = Running("b", rate, Decimal(500), 100)
    assert ledger.spend([again, live], WON) == 100
    assert ledger.seconds_left(Balance(Decimal(300), Decimal(0)), [again, live], WON) == 200


@pytest.mark.parametrize(
    ("used", "charge"),
    [
        (Used(5000, ACCOUNTING), 3600),  # Slurm took its time
        (Used(20_000, RECORDS), 3600),  # ours say when we heard of the end
        (Used(20_000, ACCOUNTING), 20_000),
        (Used(3600, ACCOUNTING, ResourceSlots({"cpu": 2})), 3600),  # a core has two threads
        (Used(3600, ACCOUNTING, ResourceSlots({"cpu": 1, "cuda.device": 1})), 7200),
    ],
)
def test_what_somebody_changed_at_the_engine_is_charged_beyond_the_hold(used, charge):
    """Tried: the owner of a job that waits gives it another TimeLimit by scontrol, and Slurm takes that."""
    queue = Queue("q", "slurm", is_free=False, prices=ResourceSlots({"cpu": "3600", "cuda.device": "3600"}))
    terms = ledger.make_terms(queue, None, ResourceSlots({"cpu": 1}), "", 3600, WON)
    assert ledger.settle("a", terms, terms.most, Decimal(0), Decimal(0), used, WON).charge == charge
