import json
from dataclasses import dataclass, field

import pytest

from jupyterhub_backendai.core.nodes import Node, NodeState
from jupyterhub_backendai.services.nodes import NodesReader
from tests.cli.listener import database, run
from tests.factories import GIB, make_slots
from tests.fakes import FakeEngine

__all__ = ["database", "run"]


@dataclass
class FakeCluster(FakeEngine):
    acts: list[tuple] = field(default_factory=list)

    async def nodes(self):
        slots, used = make_slots(8, 32 * GIB, 2), make_slots(2, 8 * GIB, 1)
        return [Node("n1", "slurm", NodeState.BUSY, "MIXED", slots, used, {"v100": (2, 1)}, 1.5, ("gpu",))]

    async def drain(self, node, reason):
        self.acts.append((node, reason))

    async def resume(self, node):
        self.acts.append((node, None))


class AwayEngine(FakeEngine):
    async def nodes(self):
        raise OSError("away")


@pytest.fixture
def cluster():
    return FakeCluster()


@pytest.fixture
def parts(database, cluster):
    return {"nodes": NodesReader(database, {"slurm": cluster, "other": AwayEngine()})}


async def test_nodes_are_listed_and_shown(run):
    status, out, err = await run("node", "list")
    assert (status, "The engine other does not answer" in err) == (0, True)
    _, line = out.splitlines()
    assert line.split() == [
        "n1",
        "slurm",
        "busy",
        "cpu=8,cuda.device=2,mem=32GiB",
        "cpu=2,cuda.device=1,mem=8GiB",
        "v100",
        "1/2",
        "1.5",
        "0",
        "gpu",
        "-",
    ]
    assert json.loads((await run("node", "list", "--json"))[1])[0]["name"] == "n1"
    status, out, _ = await run("node", "show", "n1")
    assert (status, "state          busy" in out) == (0, True)
    assert (await run("node", "show", "nowhere"))[0] == 1


async def test_a_node_is_drained_and_used_again(run, cluster):
    assert (await run("node", "drain", "n1"))[0] == 2
    assert (await run("node", "drain", "n1", "--reason", "fan broken", "--yaml"))[0] == 0
    assert (await run("node", "resume", "n1"))[0] == 0
    assert cluster.acts == [("n1", "fan broken"), ("n1", None)]
