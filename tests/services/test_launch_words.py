"""What the launch page says of nodes, shares, prices and choices, word by word."""

from dataclasses import replace
from decimal import Decimal

import pytest

from jupyterhub_backendai.core.partitions import Reservation, ShareFigures
from jupyterhub_backendai.core.prices import Billing, Currency
from jupyterhub_backendai.core.queues import GPUFigures, Queue, QueueFigures, queue_from_json
from jupyterhub_backendai.core.scheduler_offers import AccountOffer, Offer
from jupyterhub_backendai.core.sessions import parse_request
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.services.launch_choices import keep_offered, list_choices
from jupyterhub_backendai.services.launch_nodes import describe_shares, describe_whole_node, list_kinds, show_part
from jupyterhub_backendai.services.launch_quote import Credit, build_quote, describe_prices
from tests.services.offering import A100, CPU_ONLY, QUEUES, ROWS, V100

NONE = ResourceSlots()
KRW = Currency()


def make_queue(name: str, **changes) -> Queue:
    definition = next(dict(entry) for entry in QUEUES if entry["name"] == name)
    return replace(queue_from_json(definition.pop("name"), definition.pop("engine"), definition), **changes)


def ask(queue: Queue, **fields: str):
    return parse_request({"queue": queue.name, **fields})


def plain(text: str) -> str:
    return text.replace("\u00a0", " ")


def test_a_part_is_never_more_than_it_is():
    assert [show_part(Decimal(1) / parts) for parts in (1, 3, 8, 100)] == ["1", "0.333", "0.125", "0.01"]


def test_shares_of_one_type_and_of_several():
    row = ROWS["jupyter"]
    assert describe_shares(row, "", "en").words == "A part of one GPU, in steps of 0.125; at most 1. Not together with whole GPUs."
    both = replace(row, shares=(*row.shares, ShareFigures("a100", "mps", 100, 800, 800, 50)))
    found = describe_shares(both, "", "en")
    assert (found.step, found.most) == ("0.01", "1")
    assert "a100: a part of one GPU, in steps of 0.01; at most 0.5" in found.words
    assert describe_shares(both, "a100", "en").most == "0.5"
    assert describe_shares(both, "v100", "en").step == "0.125"
    assert describe_shares(ROWS["mixed"], "", "en") is None
    assert describe_shares(None, "", "en") is None


def test_a_whole_node_is_what_is_billed():
    queue, row = make_queue("amd_a100nv_8"), ROWS["amd_a100nv_8"]
    assert describe_whole_node(queue, row, NONE, "", "en").endswith("You get, and pay for, the whole node: 64 CPUs, 8 GPUs (a100).")
    free = replace(queue, is_free=True, prices=NONE)
    assert describe_whole_node(free, row, NONE, "", "en").endswith("You get the whole node: 64 CPUs, 8 GPUs (a100).")
    priced = replace(queue, prices=ResourceSlots({"cpu": 1, "mem": 2}))
    assert describe_whole_node(priced, row, NONE, "", "en").endswith("64 CPUs, 8 GPUs (a100), 1000 GiB of memory.")
    mixed = replace(ROWS["mixed"], is_exclusive=True)
    assert "the largest has 64 CPUs, 8 GPUs" in describe_whole_node(queue, mixed, NONE, "", "en")
    assert describe_whole_node(queue, None, NONE, "", "en") == ""
    assert describe_whole_node(make_queue("jupyter"), ROWS["jupyter"], NONE, "", "en") == ""


def test_the_size_of_an_exclusive_queue_of_our_own_is_in_the_configuration():
    queue = Queue("own", "local", is_exclusive=True, is_free=False, capacity=ResourceSlots({"cpu": 8, "cuda.device": 2}), gpu_type="demo")
    assert describe_whole_node(queue, None, NONE, "", "en").endswith("8 CPUs, 2 GPUs (demo).")


def test_kinds_of_nodes():
    assert [(kind.count, kind.cpus, kind.mem, kind.gpus) for kind in list_kinds(ROWS["mixed"])] == [
        (1, 64, "1000 GiB", "8 × a100"),
        (2, 56, "2.9 TiB", ""),
        (5, 40, "375 GiB", "2 × v100"),
    ]
    assert (A100.count, CPU_ONLY.count, V100.count) == (1, 2, 5)


@pytest.mark.parametrize(
    ("changes", "row", "price"),
    [
        ({"is_free": True, "prices": NONE}, ROWS["amd_a100nv_8"], "free"),
        ({"prices": NONE}, ROWS["amd_a100nv_8"], "paid: your project is charged"),
        ({"is_exclusive": True}, None, "known once the nodes have been read"),
        ({}, ROWS["amd_a100nv_8"], "24,640 KRW an hour"),
    ],
)
def test_the_price_of_an_hour(changes, row, price):
    queue = make_queue("amd_a100nv_8", **changes)
    assert build_quote(queue, row, ask(queue, gpu_type="a100"), None, KRW, "en").price == price


def test_what_cannot_be_read_has_no_price():
    quote = build_quote(make_queue("jupyter"), ROWS["jupyter"], None, None, KRW, "en")
    assert (quote.price, quote.most) == ("–", "")
    assert quote.warning == "The price is shown when the amounts can be read."


def test_money_in_another_currency_with_all_its_digits():
    queue = make_queue("jupyter", prices=ResourceSlots({"cpu": "0.0125"}))
    quote = build_quote(queue, ROWS["jupyter"], ask(queue, cpu="3", time="90m"), None, Currency("EUR", 2), "en")
    assert (quote.price, quote.most, quote.parts) == ("0.0375 EUR an hour", "0.06 EUR for 1 h 30 min", [])
    assert plain(describe_prices(queue, Currency("EUR", 2), "en")) == "An hour: CPUs 0.0125 EUR"


def test_prices_of_what_a_queue_has_not_are_not_told():
    queue = make_queue(
        "jupyter", prices=ResourceSlots({"cuda.device:a100": 9, "cuda.device:v100": 5, "cuda.shares": 4, "node": 7, "cpu": 1})
    )
    assert plain(describe_prices(queue, KRW, "en", ["v100"])) == "An hour: CPUs 1 KRW, GPUs (v100) 5 KRW, GPU shares 4 KRW, Node 7 KRW"
    assert plain(describe_prices(queue, KRW, "en", [])) == "An hour: CPUs 1 KRW, Node 7 KRW"
    assert "a100" in describe_prices(queue, KRW, "en", None)


@pytest.mark.parametrize(
    ("limit", "available", "words", "refused"),
    [
        ("none", 0, "", False),
        ("none", 100, "100 KRW; then at least -400 KRW", False),
        ("hold", 100, "100 KRW; then at least -400 KRW", True),
        ("hold", 500, "500 KRW; then at least 0 KRW", False),
        ("zero", 1, "1 KRW; then at least -499 KRW", False),
        ("zero", 0, "0 KRW; then at least -500 KRW", True),
    ],
)
def test_what_is_left_of_the_credit(limit, available, words, refused):
    credit = Credit(Billing(limit=limit), Decimal(available))
    assert credit.describe(Decimal(500), "en") == words
    assert bool(credit.check(Decimal(500))) is refused


ACCOUNTS = (AccountOffer("free", ("normal",), "normal", is_default=True), AccountOffer("paid", ("normal", "high"), "normal"))


def options(offer, queue, row=None, **values):
    return {
        choice.name: ([option.label for option in choice.options], choice.value)
        for choice in list_choices(offer, queue, row, values, "en", 1_000_000.0)
    }


def test_one_way_is_no_choice():
    queue = make_queue("jupyter")
    assert options(Offer(accounts=ACCOUNTS[:1], clusters=("one",)), queue) == {}
    assert options(Offer(clusters=("one", "two")), queue) == {"cluster": (["automatic", "one", "two"], "")}


def test_what_the_site_or_the_scheduler_takes_is_named():
    offer = Offer(accounts=ACCOUNTS)
    assert options(offer, make_queue("jupyter"))["account"][0][0] == "automatic: free"
    queue = make_queue("jupyter", accounts={"*": "paid"})
    assert options(offer, queue)["account"][0][0] == "automatic: paid"
    assert options(offer, queue)["qos"][0] == ["automatic: normal", "normal", "high"]
    assert "qos" not in options(offer, queue, account="free")


def test_reservations_of_this_queue_with_their_times():
    kept = [
        Reservation("now", None, 1_000_600.0),
        Reservation("soon", 1_000_060.0, 1_000_600.0, partition="jupyter"),
        Reservation("elsewhere", None, None, partition="bigmem"),
        Reservation("always", None, None),
    ]
    labels, _ = options(Offer(reservations=tuple(kept)), make_queue("jupyter"))["reservation"]
    assert labels == ["none", "now, until 1970-01-12 13:56 UTC", "soon, from 1970-01-12 13:47 UTC", "always"]


def test_features_that_all_nodes_have_are_no_choice():
    offer, queue = Offer(features=("a100", "bigmem", "both")), make_queue("mixed")
    shapes = tuple(replace(shape, features=(*shape.features, "both")) for shape in (A100, CPU_ONLY))
    row = QueueFigures("mixed", shapes=shapes, gpus=(GPUFigures("a100", 8, 8, 8),))
    assert options(offer, queue, row)["features"][0] == ["any", "a100", "bigmem"]


def test_a_link_is_shown_as_it_came_and_forgotten_with_the_queue():
    offer, queue = Offer(accounts=ACCOUNTS, features=("a100", "80g")), make_queue("jupyter")
    link = {"account": "strange", "qos": "root", "reservation": "x", "features": "a100&80g", "cluster": "y"}
    assert {name: value for name, (_, value) in options(offer, queue, **link).items()} == link
    assert keep_offered(offer, queue, link) == {"account": "", "qos": "", "reservation": "", "features": "a100&80g", "cluster": ""}
    assert keep_offered(offer, queue, {**link, "account": "paid", "qos": "high", "features": "a100|b"}) == {
        "account": "paid", "qos": "high", "reservation": "", "features": "", "cluster": "",
    }  # fmt: skip
