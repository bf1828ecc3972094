from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.core.partitions import (
    Association,
    Limits,
    NodeShape,
    PartitionRules,
    Qos,
    Reservation,
    SchedulerFacts,
    ShareFigures,
    UnixGroup,
)
from jupyterhub_backendai.core.policies import build_refusal
from jupyterhub_backendai.core.queues import GPUFigures, QueueFigures
from jupyterhub_backendai.core.scheduler_fit import find_gres, matches
from jupyterhub_backendai.core.scheduler_limits import longest_s
from jupyterhub_backendai.core.scheduler_offers import AccountOffer, find_offer
from jupyterhub_backendai.core.sessions import check_request, default_time_s, parse_request, time_limit_s
from jupyterhub_backendai.core.slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM, ResourceSlots
from jupyterhub_backendai.errors import Forbidden
from tests.factories import GIB, make_queue

NOW = 1_000_000.0
KIM = PosixAccount("kim01", 10001, 10001, "/home/kim01")
LEE = PosixAccount("lee01", 10002, 500, "/home/lee01")
ENFORCES = frozenset({"associations", "limits", "qos"})
KEPT = Reservation("course", NOW - 60, NOW + 7200, users=frozenset({"kim01"}), accounts=frozenset({"paid"}))
FACTS = SchedulerFacts(
    cluster="lab",
    associations={
        "kim01": (
            Association("free", qos=("normal",), is_default=True),
            Association("paid", qos=("normal", "high"), default_qos="normal"),
            Association("gpu", partition="elsewhere", qos=("normal",)),
        )
    },
    accounts={"free": (Limits(together={"cpu": 16}), Limits()), "paid": (Limits(), Limits(together={"gres/gpu": 3}))},
    qos={
        "normal": Qos("normal"),
        "high": Qos("high", Limits(max_wall_s=3600, per_user={"gres/gpu": 2, "gres/gpu:a100": 1}, at_least={"cpu": 2})),
        "part": Qos("part", Limits(max_wall_s=12 * 3600)),
        "closed": Qos("closed", Limits(max_jobs=0)),
    },
    reservations=(KEPT,),
    enforces=ENFORCES,
    features=frozenset({"elsewhere", "v100"}),
)
A100 = NodeShape(64, 1000 * GIB, {"a100": 8}, features=("80g", "a100"), count=2, up=2)
V100 = NodeShape(40, 375 * GIB, {"v100": 2}, {"v100": 16}, ("32g", "v100"), 5, 5)
BIG = NodeShape(128, 3000 * GIB, features=("bigmem",))
FIGURES = QueueFigures(
    "mixed",
    gpus=(GPUFigures("a100", 16, 16, 8), GPUFigures("v100", 10, 10, 2)),
    max_time_s=24 * 3600,
    max_slots=ResourceSlots({CPU: 128, MEM: 3000 * GIB, CUDA_DEVICE: 8, CUDA_SHARES: 1}),
    shares=(ShareFigures("v100", "shard", 8, 80, 80, 8),),
    shapes=(A100, V100, BIG),
    rules=PartitionRules(qos="part"),
    scheduler=FACTS,
    read_at=NOW,
)
QUEUE = make_queue(name="q", engine="slurm", partition="mixed")


def figures(rules: PartitionRules | None = None, **facts) -> QueueFigures:
    return replace(FIGURES, rules=rules or FIGURES.rules, scheduler=replace(FACTS, **facts))


def ask(row=FIGURES, posix=KIM, queue=QUEUE, **fields):
    """The fields that are complained about."""
    request = parse_request({"queue": "q", "project": "p", **fields})
    return {violation.field: violation for violation in check_request(request, queue, row, ("p",), posix)}


@pytest.mark.parametrize("name", ["account", "qos", "reservation", "features", "cluster"])
@pytest.mark.parametrize("row", [None, QueueFigures("q"), replace(FIGURES, scheduler=SchedulerFacts(), shapes=())])
def test_a_choice_that_cannot_be_checked_is_refused(name, row):
    found = ask(row, **{name: "normal"})
    assert list(found) == [name]
    assert isinstance(build_refusal(list(found.values())), Forbidden)


def test_what_somebody_may_choose():
    offer = find_offer(QUEUE, FIGURES, KIM)
    assert offer.accounts == (AccountOffer("free", ("normal",), "normal", True), AccountOffer("paid", ("normal", "high"), "normal"))
    assert (offer.qos, offer.clusters, offer.is_known) == (("normal", "high"), ("lab",), True)
    assert offer.reservations == (KEPT,)
    assert offer.features == ("32g", "80g", "a100", "bigmem", "v100")
    nothing = find_offer(QUEUE, FIGURES, LEE)
    assert (nothing.accounts, nothing.reservations, nothing.is_known) == ((), (), False)
    assert find_offer(QUEUE, FIGURES, None).reservations == ()


def test_the_sites_account_of_a_project_is_not_changed():
    queue = replace(QUEUE, accounts={"p": "paid", "*": "free"})
    assert [one.name for one in find_offer(queue, FIGURES, KIM, "p").accounts] == ["paid"]
    assert [one.name for one in find_offer(queue, FIGURES, KIM, "other").accounts] == ["free", "paid"]
    assert list(ask(queue=queue, account="free")) == ["account"]
    assert ask(queue=queue, account="paid") == {}


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({}, []),
        ({"account": "paid", "qos": "high", "cpu": 2, "time": "1:00:00"}, []),
        ({"account": "free", "qos": "high"}, ["qos"]),
        ({"qos": "high"}, ["qos"]),
        ({"account": "gpu"}, ["account"]),
        ({"account": "root"}, ["account"]),
        ({"account": "paid", "reservation": "course"}, []),
        ({"reservation": "course"}, ["reservation"]),
        ({"account": "paid", "reservation": "other"}, ["reservation"]),
        ({"features": "a100&80g"}, []),
        ({"features": "a100&32g"}, ["features"]),
        ({"features": "bigmem|v100"}, []),
        ({"features": "elsewhere|v100"}, []),
        ({"features": "elsewhere"}, ["features"]),
        ({"features": "nothing|v100"}, ["features"]),
        ({"features": "nothing"}, ["features"]),
        ({"cluster": "lab"}, []),
        ({"cluster": "other"}, ["cluster"]),
    ],
)
def test_choices_of_ones_own(fields, refused):
    assert list(ask(**fields)) == refused


def test_a_person_of_whom_nothing_is_known_is_left_to_the_scheduler():
    assert ask(posix=LEE) == {}
    assert list(ask(posix=LEE, account="free", qos="normal", reservation="course")) == ["account", "qos", "reservation"]
    assert ask(figures(associations=None), gpu=2) == {}


@pytest.mark.parametrize(
    ("rules", "fields", "refused"),
    [
        (PartitionRules(allow_accounts=frozenset({"paid"})), {}, ["account"]),
        (PartitionRules(allow_accounts=frozenset({"paid"})), {"account": "paid"}, []),
        (PartitionRules(allow_accounts=frozenset({"paid"})), {"account": "free"}, ["account"]),
        (PartitionRules(deny_accounts=frozenset({"free"})), {}, ["account"]),
        (PartitionRules(allow_accounts=frozenset({"free"}), deny_accounts=frozenset({"free"})), {}, []),
        (PartitionRules(allow_qos=frozenset({"high"})), {"account": "paid", "qos": "high", "cpu": 2, "time": "60"}, []),
        (PartitionRules(allow_qos=frozenset({"normal"})), {"account": "paid", "qos": "high"}, ["qos"]),
        (PartitionRules(deny_qos=frozenset({"high"})), {"account": "paid", "qos": "high"}, ["qos"]),
        (PartitionRules(needs_reservation=True), {}, ["reservation"]),
        (PartitionRules(needs_reservation=True), {"account": "paid", "reservation": "course"}, []),
        (PartitionRules(is_root_only=True), {}, ["queue"]),
        (PartitionRules(min_nodes=2), {}, ["queue"]),
        (PartitionRules(allow_groups=("g",), groups=(UnixGroup("g", 500, frozenset()),)), {}, ["queue"]),
        (PartitionRules(allow_groups=("g",), groups=(UnixGroup("g", 500, frozenset({"kim01"})),)), {}, []),
        (PartitionRules(allow_groups=("g",), groups=None), {}, []),
    ],
)
def test_what_a_partition_demands(rules, fields, refused):
    assert list(ask(figures(rules), **fields)) == refused


def test_the_default_accounts_refusal_names_the_others():
    violation = ask(figures(PartitionRules(allow_accounts=frozenset({"paid"}))))["account"]
    assert violation.params == {"queue": "q", "account": "free", "accounts": "paid"}
    assert "no other" in ask(figures(PartitionRules(allow_accounts=frozenset({"nobodys"}))))["account"].message
    queue = replace(QUEUE, accounts={"p": "others"})
    assert ask(queue=queue)["account"].params == {"user": "kim01", "account": "others"}
    assert ask(figures(enforces=frozenset()), queue=queue) == {}


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"cpu": 16}, []),
        ({"cpu": 17}, ["cpu"]),  # the account's limit of everybody together
        ({"account": "paid", "cpu": 17}, []),
        ({"account": "paid", "gpu": 3}, []),
        ({"account": "paid", "gpu": 4}, ["gpu"]),  # of the account above
        ({"account": "paid", "qos": "high", "cpu": 2, "gpu": 3, "time": "60"}, ["gpu"]),
        ({"account": "paid", "qos": "high", "cpu": 2, "gpu": 2, "gpu_type": "a100", "time": "60"}, ["gpu"]),
        ({"account": "paid", "qos": "high", "cpu": 2, "gpu": 2, "gpu_type": "v100", "time": "60"}, []),
        ({"account": "paid", "qos": "high", "cpu": 1, "time": "60"}, ["cpu"]),
        ({"time": "12:00:00"}, []),
        ({"time": "13:00:00"}, ["time"]),  # the partition's quality of service
        ({"account": "paid", "reservation": "course", "time": "2:00:00"}, []),
        ({"account": "paid", "reservation": "course", "time": "2:01:00"}, ["time"]),
    ],
)
def test_limits_that_one_session_alone_exceeds(fields, refused):
    assert list(ask(**fields)) == refused


def test_limits_count_only_where_they_are_enforced():
    assert ask(figures(enforces=frozenset({"associations"})), cpu=17, time="13:00:00") == {}
    assert ask(figures(qos=None), cpu=17) == {}


def test_the_first_quality_of_service_that_names_a_limit_settles_it():
    qos = {**FACTS.qos, "high": replace(FACTS.qos["high"], flags=frozenset({"OverPartQOS"}))}
    fields = {"account": "paid", "qos": "high", "cpu": 2, "time": "2:00:00"}
    assert ask(**fields) == {}
    assert ask(figures(qos=qos), **fields)["time"].params == {"name": "high (QOS)", "most": "1:00", "asked": "2:00"}


@pytest.mark.parametrize(
    ("least", "fields", "refused"),
    [
        ({"billing": 10, "node": 1}, {}, []),
        ({"gres/gpu": 1}, {}, ["gpu"]),
        ({"gres/gpu": 1}, {"gpu": 1}, []),
        ({"gres/gpu:a100": 1}, {"gpu": 1}, []),  # any may be one
        ({"gres/gpu:a100": 1}, {}, ["gpu"]),
        ({"gres/gpu:a100": 1}, {"gpu": 1, "gpu_type": "a100"}, []),
        ({"mem": 8 * GIB}, {"mem": "4g"}, ["mem"]),
    ],
)
def test_the_least_of_a_quality_of_service(least, fields, refused):
    qos = {**FACTS.qos, "normal": Qos("normal", Limits(at_least=least))}
    assert list(ask(figures(qos=qos), **fields)) == refused


def test_the_sites_own_quality_of_service_counts():
    assert list(ask(figures(site_qos="closed"))) == ["queue"]
    assert ask(figures(site_qos="unknown"), cpu=17) == {}


def test_without_a_time_a_session_gets_no_more_than_it_may():
    request = parse_request({"queue": "q", "project": "p", "account": "paid", "qos": "high", "cpu": 2})
    rules = replace(FIGURES, rules=PartitionRules())
    queue = replace(QUEUE, default_time_s=7200)
    assert longest_s(request, queue, rules, "p", KIM) == ("high (QOS)", 3600)
    assert time_limit_s(request, queue, rules, "p", KIM) == 3600
    assert time_limit_s(request, queue, None) == 7200


@pytest.mark.parametrize(
    ("own", "of_slurm", "usual"), [(3600, None, 3600), (3600, 1800, 1800), (7200, 1800, 7200), (3600, 10**6, 24 * 3600)]
)
def test_the_usual_time_is_the_sites_else_slurms(own, of_slurm, usual):
    assert default_time_s(replace(QUEUE, default_time_s=own), replace(FIGURES, default_time_s=of_slurm)) == usual


@pytest.mark.parametrize(
    ("kept", "is_offered"),
    [
        (KEPT, True),
        (replace(KEPT, ends_at=NOW), False),
        (replace(KEPT, users=frozenset({"lee01"})), False),
        (replace(KEPT, accounts=frozenset({"nobodys"})), False),
        (replace(KEPT, users=None), True),
        (replace(KEPT, accounts=None), True),
        (replace(KEPT, users=None, accounts=None), False),
        (replace(KEPT, users=None, accounts=None, not_users=frozenset({"lee01"})), True),
        (replace(KEPT, users=None, accounts=None, not_users=frozenset({"kim01"})), False),
        (replace(KEPT, users=None, accounts=None, not_accounts=frozenset({"free"})), True),
        (replace(KEPT, groups=("staff",)), False),
    ],
)
def test_whose_reservation_it_is(kept, is_offered):
    assert bool(find_offer(QUEUE, figures(reservations=(kept,)), KIM).reservations) is is_offered


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"account": "paid", "cpu": 128, "gpu": 1}, "gpu"),
        ({"account": "paid", "cpu": 64, "gpu": 1}, None),
        ({"account": "paid", "mem": "1000g", "gpu": 2, "gpu_type": "v100"}, "gpu"),
        ({"account": "paid", "cpu": 64, "features": "v100"}, "features"),
        ({"account": "paid", "cpu": 64, "shares": "0.5"}, "cpu"),
        ({"account": "paid", "cpu": 40, "shares": "0.5"}, None),
    ],
)
def test_what_no_node_has_at_once(fields, field):
    found = ask(**fields)
    assert list(found) == ([field] if field else [])
    if field:
        assert found[field].params["nodes"].startswith("64 CPU, 1000 GiB, 8 × a100 (80g, a100); 40 CPU, 375 GiB, 2 × v100")


def test_one_amount_that_is_too_much_is_said_of_it_alone():
    assert list(ask(account="paid", gpu=3, gpu_type="v100")) == ["gpu"]
    assert list(ask(account="paid", cpu=200)) == ["cpu"]


def test_features_are_read_from_left_to_right():
    assert [matches(text, ("a", "c")) for text in ("a", "b", "a&b", "a|b", "b&a|c", "c|a&b")] == [True, False, False, True, True, False]


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"shares": "0.5"}, None, ""),
        ({"shares": "1"}, None, ""),
        ({"shares": "1.125"}, "shares", "most"),
        ({"shares": "0.3"}, "shares", "0.25, 0.375"),
        ({"shares": "0.05"}, "shares", "0.125"),
        ({"shares": "0.99"}, "shares", "0.875, 1"),
        ({"shares": "0.5", "gpu": 1}, "shares", "not both"),
        ({"shares": "0.5", "gpu_type": "a100"}, "gpu_type", "v100"),
    ],
)
def test_shares_of_gpus(fields, field, words):
    found = ask(**fields)
    assert list(found) == ([field] if field else [])
    if field:
        assert words in f"{found[field].message} {found[field].params}"


def test_the_sites_own_limit_of_shares():
    queue = replace(QUEUE, max_slots=ResourceSlots({CUDA_SHARES: "0.5"}))
    assert ask(queue=queue, shares="0.5") == {}
    assert ask(queue=queue, shares="0.625")["shares"].params["most"] == "0.5"
    assert ask(queue=replace(QUEUE, max_slots=ResourceSlots({CUDA_SHARES: "0"})), shares="0.125")["shares"].params["most"] == "0"


def test_shares_where_there_are_none():
    assert list(ask(None, shares="0.5")) == ["shares"]
    assert list(ask(replace(FIGURES, shares=()), shares="0.5")) == ["shares"]


@pytest.mark.parametrize(
    ("fields", "per_gpu", "gres"),
    [
        ({"shares": "0.5"}, 8, "shard:4"),
        ({"shares": "0.5", "gpu_type": "v100"}, 8, "shard:v100:4"),
        ({"shares": "0.333"}, 3, "shard:1"),
        ({"shares": "0.667"}, 3, "shard:2"),
        ({"shares": "0.3"}, 8, ""),
        ({"gpu": "1"}, 8, ""),
    ],
)
def test_shares_become_parts(fields, per_gpu, gres):
    row = replace(FIGURES, shares=(replace(FIGURES.shares[0], per_gpu=per_gpu, most=per_gpu),))
    request = parse_request({"queue": "q", **fields})
    assert find_gres(request, QUEUE, row) == gres
    assert Decimal(request.slots.amount(CUDA_SHARES)) == Decimal(fields.get("shares", "0"))


def test_mps_is_another_word_for_parts():
    row = replace(FIGURES, shares=(ShareFigures("", "mps", 100, 200, 200, 100),))
    assert find_gres(parse_request({"queue": "q", "shares": "0.25"}), QUEUE, row) == "mps:25"
