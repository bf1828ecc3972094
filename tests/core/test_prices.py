from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from jupyterhub_backendai.core.partitions import NodeShape
from jupyterhub_backendai.core.prices import (
    NODE,
    Billing,
    Currency,
    billed_slots,
    check_prices,
    cost,
    hourly_rate,
    is_price_known,
    is_priced,
    list_costs,
    list_nodes,
    most_cost,
    read_prices,
)
from jupyterhub_backendai.core.queues import GPUFigures, Queue, QueueFigures, queue_from_json, queue_to_json
from jupyterhub_backendai.core.slots import ResourceSlots

GIB = 2**30
PRICES = ResourceSlots({"cpu": "10.5", "mem": "1.25", "cuda.device": "1000", "cuda.device:a100": "2000", "cuda.shares": "900", NODE: "50"})
QUEUE = Queue("gpu", "slurm", is_free=False, prices=PRICES)
FIGURES = QueueFigures(
    "gpu",
    gpus=(GPUFigures("a100", 8, 8, 8), GPUFigures("v100", 2, 2, 2)),
    is_exclusive=True,
    max_slots=ResourceSlots({"cpu": 64, "mem": 512 * GIB, "cuda.device": 8}),
)


@pytest.mark.parametrize(
    ("amount", "digits", "rounded"),
    [
        ("0.5", 0, "1"),
        ("1.5", 0, "2"),
        ("2.5", 0, "3"),
        ("-2.5", 0, "-3"),
        ("2.4999999999999999999999999999999999999999", 0, "2"),
        ("0.005", 2, "0.01"),
        ("0.004999", 2, "0.00"),
        ("123456789012345678901234567890.5", 0, "123456789012345678901234567891"),
    ],
)
def test_money_is_rounded_half_up(amount, digits, rounded):
    assert str(Currency("EUR", digits).round(Fraction(amount))) == rounded


@pytest.mark.parametrize(
    ("amount", "digits", "text"),
    [
        ("1234.5", 2, "1,234.50 EUR"),
        ("0.125", 2, "0.125 EUR"),
        ("7", 0, "7 EUR"),
        ("-3", 0, "-3 EUR"),
        ("1e40", 2, f"{10**40:,}.00 EUR"),
        ("0.0000001", 0, "0.000000 EUR"),
    ],
)
def test_money_for_people(amount, digits, text):
    assert Currency("EUR", digits).format(Decimal(amount)) == text


@pytest.mark.parametrize(
    ("slots", "gpu_type", "rate"),
    [
        ({"cpu": 4, "mem": 16 * GIB}, "", "62.00"),
        ({"cpu": 1, "cuda.device": 2}, "v100", "2010.5"),
        ({"cpu": 1, "cuda.device": 2}, "a100", "4010.5"),
        ({"cpu": 1, "cuda.device": 2}, "h100", "2010.5"),
        ({"cpu": 1, "cuda.device": 2}, "", "4010.5"),
        ({"cuda.shares": "0.5"}, "", "450"),
        ({"mem": 1}, "", Decimal("1.25") / 1 / GIB),
        ({"rocm.device": 4}, "", "0"),
    ],
)
def test_the_rate_is_exact(slots, gpu_type, rate):
    found = hourly_rate(PRICES, ResourceSlots(slots), gpu_type)
    assert Fraction(found) == (Fraction(5, 4) / GIB if slots == {"mem": 1} else Fraction(rate))


def test_what_each_slot_adds():
    assert list_costs(PRICES, {"cpu": Decimal(2), "mem": Decimal(GIB), "disk": Decimal(1)}) == {"cpu": Decimal(21), "mem": Decimal("1.25")}


def test_an_exclusive_queue_bills_the_largest_node_that_has_the_type():
    asked = ResourceSlots({"cpu": 1, "mem": GIB, "cuda.device": 1})
    assert billed_slots(QUEUE, FIGURES, asked) == {"cpu": 64, "mem": 512 * GIB, "cuda.device": 8, NODE: 1}
    assert billed_slots(QUEUE, FIGURES, asked, "v100")["cuda.device"] == 2
    shapes = (NodeShape(64, 512 * GIB, {"a100": 8}), NodeShape(96, 256 * GIB), NodeShape(32, 128 * GIB, {"v100": 2}))
    mixed = replace(FIGURES, shapes=shapes)
    assert billed_slots(QUEUE, mixed, asked, "v100") == {"cpu": 32, "mem": 128 * GIB, "cuda.device": 2, NODE: 1}
    assert billed_slots(QUEUE, mixed, asked) == {"cpu": 96, "mem": 512 * GIB, "cuda.device": 8, NODE: 1}
    assert len(list_nodes(QUEUE, mixed)) == 3
    assert billed_slots(Queue("gpu", "slurm", is_exclusive=False), FIGURES, asked) == asked


def test_nobody_knows_the_price_of_a_node_that_was_not_read():
    assert not is_price_known(Queue("gpu", "slurm", is_exclusive=True), None)
    assert is_price_known(Queue("gpu", "slurm"), None)
    assert is_price_known(QUEUE, FIGURES)


def test_a_cost_is_rounded_once():
    rate = Decimal("10.5") + Decimal("0.1")
    assert most_cost(rate, 3600, Currency("EUR", 2)) == Decimal("10.60")
    assert cost(rate, 1, Currency("EUR", 2)) == Decimal("0.00")
    assert cost(rate, 1, Currency("EUR", 6)) == Decimal("0.002944")


def test_free_queues_stay_free():
    assert is_priced(QUEUE)
    assert not is_priced(Queue("free", "slurm", prices=PRICES))
    assert not is_priced(Queue("nothing", "slurm", is_free=False))
    assert [violation.rule for violation in check_prices(Queue("free", "slurm", prices=PRICES))] == ["free"]


@pytest.mark.parametrize("price", ["-1", "NaN", "Infinity", "1.0000000001", "1e3", "", "eins", True, None, "1000000000000.0.0"])
def test_what_is_no_price(price):
    queue = Queue("q", "slurm", is_free=False, prices=read_prices({"cpu": price}))
    assert [violation.field for violation in check_prices(queue)] == ["prices.cpu"]


def test_prices_survive_their_definition():
    assert queue_from_json("gpu", "slurm", queue_to_json(QUEUE)) == QUEUE
    assert queue_from_json("q", "slurm", {"prices": {"cpu": 0.1}}).prices["cpu"] == Decimal("0.1")


@pytest.mark.parametrize("values", [{"payer": "nobody"}, {"limit": "some"}, {"currency": Currency("EUR", 7)}])
def test_words_of_billing_that_there_are_not(values):
    with pytest.raises(ValueError, match=r"\w"):
        Billing(**values)
