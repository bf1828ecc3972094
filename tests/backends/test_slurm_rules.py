from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import pytest

from jupyterhub_backendai.backends import slurm_figures as figures
from jupyterhub_backendai.backends import slurm_rules as rules
from jupyterhub_backendai.backends.slurm_shapes import count_shared
from jupyterhub_backendai.core.partitions import Association, Limits, NodeShape, Qos, ShareFigures
from jupyterhub_backendai.core.scheduler_offers import default_qos
from tests.backends.test_slurm_figures import recorded

GIB = 2**30


def partition(line: str):
    (found,) = figures.parse_partitions(line)
    return found.rules


def test_rules_of_the_labs_partitions():
    found = {one.name: one.rules for one in figures.parse_partitions(recorded("partition"))}
    jupyter, paid = found["jupyter"], found["amd_a100nv_8"]
    assert (jupyter.allow_accounts, jupyter.qos, jupyter.max_nodes, jupyter.default_time_s) == (None, "jupyter_free", 1, 3600)
    assert (jupyter.def_cpus_per_gpu, jupyter.def_mem_per_cpu_bytes, jupyter.is_default) == (4, 4000 * 2**20, True)
    assert (paid.allow_accounts, paid.qos, paid.max_nodes) == (frozenset({"paid"}), "", None)
    assert paid.billing == {"cpu": Decimal("1.0"), "mem": Decimal("0.25"), "gres/gpu": Decimal("25.0")}


def test_rules_that_the_lab_has_not():
    found = partition(
        "PartitionName=p AllowGroups=staff,course DenyAccounts=free AllowQos=a,b DenyQos=c AllocNodes=login[1-2] Hidden=YES RootOnly=YES ReqResv=YES"
        " MinNodes=2 MaxMemPerCPU=2048 MaxCPUsPerNode=16 JobDefaults=DefCpuPerGPU=4,DefMemPerGPU=8000 TRESBillingWeights=Mem=1.0,CPU=x State=UP"
    )
    assert (found.allow_groups, found.groups, found.deny_accounts) == (("course", "staff"), None, frozenset({"free"}))
    assert (found.allow_qos, found.deny_qos, found.alloc_nodes) == (frozenset({"a", "b"}), frozenset({"c"}), "login[1-2]")
    assert (found.is_hidden, found.is_root_only, found.needs_reservation, found.min_nodes) == (True, True, True, 2)
    assert (found.max_mem_per_cpu_bytes, found.max_cpus_per_node, found.def_cpus_per_gpu) == (2 * GIB, 16, 4)
    assert found.billing == {"mem": Decimal(1024)}


@pytest.mark.parametrize(
    ("words", "enforces"),
    [
        ("associations,limits,qos", {"associations", "limits", "qos"}),
        ("limits", {"limits", "associations"}),
        ("safe", {"safe", "limits", "associations"}),
        ("all", {"all", "limits", "associations", "qos"}),
        ("none", set()),
        ("(null)", set()),
    ],
)
def test_what_is_enforced(words, enforces):
    assert rules.parse_enforces({"AccountingStorageEnforce": words}) == enforces


def test_the_recorded_configuration():
    config = rules.parse_config(recorded("config"))
    assert (config["ClusterName"], config["AccountingStorageType"], config["PrivateData"]) == ("lab", "accounting_storage/slurmdbd", "none")
    assert rules.parse_enforces(rules.parse_config("")) == frozenset()


def test_qualities_of_service():
    found = rules.parse_qos(recorded("qos"))
    assert found["normal"] == Qos("normal")
    assert found["jupyter_free"].limits == Limits(max_wall_s=12 * 3600, max_jobs=20, max_submitted=50)
    assert found["qtest"] == Qos(
        "qtest",
        Limits(
            max_wall_s=24 * 3600,
            per_job={"gres/gpu:a100": 1},
            per_user={"cpu": 16, "gres/gpu": 2, "mem": 100 * GIB},
            together={"cpu": 640},
            at_least={"cpu": 2},
            max_jobs=4,
        ),
        frozenset({"DenyOnLimit", "OverPartQOS"}),
    )
    assert rules.parse_qos("garbage\nfoo|bar\n") == {}


def test_associations_with_the_limits_of_those_above():
    people, accounts = rules.parse_associations(recorded("associations"), rules.parse_users(recorded("users")))
    assert people["kim01"] == (Association("free", "", ("normal",), "", True), Association("paid", "", ("normal",)))
    assert [(one.account, one.partition, one.qos, one.default_qos) for one in people["choi01"]] == [
        ("free", "", ("normal",), ""),
        ("paid", "", ("normal",), ""),
        ("qlab", "", ("normal",), ""),
        ("qlab", "bigmem", ("normal", "qtest"), "qtest"),
    ]
    whole, part = people["choi01"][2:]
    assert whole.limits == Limits(max_wall_s=6 * 3600, per_job={"mem": 1500 * 2**20, "node": 1})
    assert part.limits == Limits(max_wall_s=6 * 3600, max_jobs=3)
    assert [limits.together for limits in accounts["qlab"]] == [{"gres/gpu": 4}, {}, {}]
    assert "root" in people


def test_the_default_quality_of_service():
    facts = type("Facts", (), {"qos": rules.parse_qos(recorded("qos"))})
    assert default_qos(Association("a", qos=("normal", "qtest"), default_qos="qtest"), facts) == "qtest"
    assert default_qos(Association("a", qos=("qtest",)), facts) == "qtest"
    assert default_qos(Association("a", qos=("jupyter_free", "normal")), facts) == "normal"
    assert default_qos(Association("a", qos=("jupyter_free", "qtest")), facts) == ""


def test_reservations():
    seminar, course, notkim = rules.parse_reservations(recorded("reservation"))
    assert (course.name, course.users, course.accounts, course.partition) == ("course", frozenset({"kim01", "lee01"}), None, "")
    assert (course.nodes, course.is_active, course.flags) == (frozenset({"jnode05"}), False, frozenset({"IGNORE_JOBS", "SPEC_NODES"}))
    assert course.ends_at == datetime.fromisoformat("2026-11-21T12:53:13").timestamp()
    assert (seminar.accounts, seminar.users, seminar.partition, seminar.is_active) == (frozenset({"paid"}), None, "jupyter", True)
    assert (notkim.users, notkim.not_users) == (None, frozenset({"kim01"}))
    assert rules.parse_reservations("No reservations in the system\n") == ()
    assert rules.parse_reservations("ReservationName=$(x) StartTime=now\n") == ()


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("jnode05", ["jnode05"]),
        ("jnode[01-03,7],big1", ["jnode01", "jnode02", "jnode03", "jnode7", "big1"]),
        ("r[1-2]n[08-09]", ["r1n08", "r1n09", "r2n08", "r2n09"]),
        ("(null)", []),
        ("n[1-999999999]", []),
        ("", []),
    ],
)
def test_lists_of_nodes(text, names):
    assert rules.expand_nodes(text) == names


def mixed():
    lines = "PartitionName=mixed State=UP OverSubscribe=NO\nPartitionName=other State=UP OverSubscribe=EXCLUSIVE MaxMemPerCPU=1000\n"
    return figures.measure(figures.parse_partitions(lines), figures.parse_nodes(recorded("node-mixed")), "")


def test_mixed_nodes_in_one_partition():
    row = mixed()["mixed"]
    assert row.shapes == (
        NodeShape(64, 500 * GIB, {"a100": 4, "v100": 2}, {"a100": 32, "v100": 8}, ("80g", "a100"), count=2, up=1, idle=0),
        NodeShape(32, 125 * GIB, {"h100": 1}, {"h100": 100}, (), count=1, up=1, idle=0),
        NodeShape(128, 4000 * GIB, {}, {}, ("bigmem", "odd+name"), count=2, up=1, idle=1),
    )
    assert row.features == ("80g", "a100", "bigmem", "odd+name")
    assert [(gpu.type, gpu.total, gpu.free, gpu.per_node) for gpu in row.gpus] == [("a100", 4, 3, 4), ("h100", 1, 0, 1), ("v100", 2, 2, 2)]


def test_parts_of_gpus():
    row = mixed()["mixed"]
    assert row.shares == (
        ShareFigures("h100", "mps", 100, 100, 75, 100),
        ShareFigures("a100", "shard", 8, 32, 24, 8),  # a GPU that is taken whole has no part to give
        ShareFigures("v100", "shard", 4, 8, 8, 4),
    )
    jupyter = figures.measure(figures.parse_partitions(recorded("partition")), figures.parse_nodes(recorded("node-shard")), "")["jupyter"]
    assert jupyter.shares == (ShareFigures("v100", "shard", 8, 16, 12, 8),)  # AllocTRES, for GresUsed says 1


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("gpu:v100:0(IDX:N/A),shard:v100:2(IDX:0-1)", {"v100": 2}),
        ("gpu:v100:1(IDX:0),shard:v100:1(IDX:1)", {"v100": 1}),
        ("gpu:v100:0(IDX:N/A),shard:v100:0(IDX:N/A)", {"v100": 0}),
        ("shard:v100:3(IDX:0,2-3),shard:a100:1(IDX:5)", {"v100": 3, "a100": 1}),
        ("gpu:a100:0,shard:a100:6(4/8,0/8,2/8)", {"a100": 2}),
        ("gpu:v100:1,shard:0", {}),
        ("", {}),
    ],
)
def test_gpus_that_give_parts(text, counts):
    assert count_shared(text, "shard") == counts


def test_parts_of_two_gpus_leave_none_whole():
    (node,) = figures.parse_nodes(recorded("node-shard").replace("shard:v100:1(IDX:0)", "shard:v100:2(IDX:0-1)"))
    assert node.gpus_free == {"v100": 0}
    assert node.parts_free == {"v100": 12}


def test_whole_nodes_give_no_parts_and_memory_has_its_limit():
    row = mixed()["other"]
    assert (row.shares, row.is_exclusive, row.max_slots.amount("cuda.shares")) == ((), True, 0)
    assert [shape.mem_bytes for shape in row.shapes] == [64 * 1000 * 2**20, 32 * 1000 * 2**20]
