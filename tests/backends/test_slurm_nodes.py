from __future__ import annotations

import pytest

from jupyterhub_backendai import backends
from jupyterhub_backendai.backends.slurm import SlurmBackend
from jupyterhub_backendai.backends.slurm_nodes import build_update, parse_nodes, parse_state, show_update
from jupyterhub_backendai.backends.slurm_verbs import VerbWay
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.nodes import NodeState
from jupyterhub_backendai.errors import Conflict, Forbidden, NotFound, SchedulerUnavailable
from tests.backends.test_slurm_figures import recorded
from tests.helperd import running_helper

MIB = 2**20


def nodes():
    return {node.name: node for node in parse_nodes(recorded("node"))}


def test_slots_load_and_partitions():
    found = nodes()
    assert list(found)[:3] == ["a8n01", "bm01", "jnode01"]
    node = found["a8n01"]
    assert (node.state, node.partitions, node.engine) == (NodeState.BUSY, ("amd_a100nv_8",), "slurm")
    assert {name: int(amount) for name, amount in node.slots.items()} == {"cpu": 64, "mem": 1024000 * MIB, "cuda.device": 8}
    assert 0 < node.used["cpu"] <= 64
    assert node.gpus["a100"][0] == 8
    assert found["bm01"].gpus == {}
    assert "cuda.device" not in found["bm01"].slots
    assert node.load is not None


def test_the_reason_is_what_an_operator_wrote_and_nothing_of_it_counts():
    node = nodes()["jnode05"]
    assert node.reason == "State=IDLE Gres=gpu:h100:9 broken fan"
    assert node.state is NodeState.DRAINED
    assert node.gpus == {"v100": (2, 0)}


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("IDLE", "idle"),
        ("IDLE+PLANNED", "idle"),
        ("MIXED", "busy"),
        ("ALLOCATED", "busy"),
        ("MIXED+DRAIN", "draining"),
        ("ALLOCATED+MAINTENANCE", "draining"),
        ("IDLE+DRAIN", "drained"),
        ("DOWN+DRAIN", "down"),
        ("IDLE*", "down"),
        ("MIXED*+DRAIN", "down"),
        ("SOMETHING_NEW", "unknown"),
        ("", "unknown"),
    ],
)
def test_states(word, state):
    assert parse_state(word).value == state


def test_lines_that_are_no_node():
    assert parse_nodes("") == []
    assert parse_nodes("slurm_load_node error: x\nNodeName=a,b State=IDLE\nNodeName=-x State=IDLE\n") == []
    (node,) = parse_nodes("NodeName=n10 State=IDLE CPULoad=N/A Reason=no date\n")
    assert (node.load, node.reason) == (None, "no date")
    assert [node.name for node in parse_nodes("NodeName=n10 State=IDLE\nNodeName=n9 State=IDLE")] == ["n9", "n10"]


def test_the_command_names_one_node():
    assert build_update("scontrol", "n1", None) == ["scontrol", "update", "NodeName=n1", "State=RESUME"]
    assert show_update("n1", "new fan; today") == "scontrol update NodeName=n1 State=DRAIN 'Reason=new fan; today'"
    for name in ("n[1-5]", "n1,n2", "ALL nodes", "-x", ""):
        with pytest.raises(ValueError, match="name of a node"):
            build_update("scontrol", name, None)


class FakeHelper:
    def __init__(self, error):
        self.error, self.calls = error, []

    async def call(self, verb, **fields):
        self.calls.append((verb, fields))
        if self.error:
            raise self.error
        return {}


async def test_without_the_right_it_says_what_to_type():
    backend = SlurmBackend(BackendAI(), VerbWay("helper", FakeHelper(Forbidden())))
    with pytest.raises(Conflict, match="scontrol update NodeName=n1 State=DRAIN 'Reason=new fan'"):
        await backend.drain("n1", "new fan")
    with pytest.raises(NotFound):
        await backend.resume("n1,n2")
    backend = SlurmBackend(BackendAI(), VerbWay("helper", helper := FakeHelper(None)))
    await backend.drain("n1", "new fan")
    await backend.resume("n1")
    assert helper.calls == [("drain", {"node": "n1", "reason": "new fan"}), ("resume", {"node": "n1"})]


async def test_a_controller_that_is_away(tmp_path):
    backend = SlurmBackend(BackendAI(slurm_bin=str(tmp_path)), VerbWay("helper", FakeHelper(None)))
    with pytest.raises(SchedulerUnavailable):
        await backend.nodes()


async def test_this_machine():
    (node,) = await backends.connect(BackendAI(), "local").nodes()
    assert node.slots["cpu"] >= 1
    assert 0 < node.used["mem"] < node.slots["mem"]
    assert node.used["cpu"] <= node.slots["cpu"]
    assert node.load is not None


@pytest.mark.slurm
async def test_the_labs_nodes_are_drained_and_used_again():
    with running_helper("--allow-drain") as helper:
        backend = SlurmBackend(BackendAI(helper_socket=str(helper.socket)))

        async def look():
            return next(node for node in await backend.nodes() if node.name == "bm01")

        before = await look()
        assert int(before.slots["cpu"]) == 56
        try:
            await backend.drain("bm01", "a test, for a second")
            assert (await look()).state in {NodeState.DRAINED, NodeState.DRAINING}
            assert (await look()).reason == "a test, for a second"
        finally:
            await backend.resume("bm01")
        assert "DRAIN" not in (await look()).detail  # for a moment the controller has not heard of it
        with pytest.raises(Conflict, match="Slurm did not change the node"):
            await backend.resume("nowhere")


@pytest.mark.slurm
def test_a_helper_without_the_option_drains_nothing():
    with running_helper() as helper:
        answer = helper.ask_raw(b'{"verb": "drain", "node": "bm01", "reason": "no"}')
        assert answer["error_code"] == "backendai_generic_forbidden"
