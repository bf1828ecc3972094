"""What scontrol says of nodes and partitions: a garbled answer is none, and the last good address is kept while nobody answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyterhub_backendai.backends import slurm
from jupyterhub_backendai.backends.commands import CommandResult
from jupyterhub_backendai.backends.slurm import SlurmBackend
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.errors import SchedulerUnavailable

ASSETS = Path(__file__).parent.parent / "assets" / "slurm" / "22.05"
GOOD, NODES, PARTITIONS = ((ASSETS / f"{name}.txt").read_text() for name in ("node-shard", "node", "partition"))


class Answering(SlurmBackend):
    """Slurm's part is played by one answer."""

    answer = CommandResult(0, GOOD, "")

    async def _run(self, _arguments):
        return self.answer


@pytest.mark.parametrize("output", ["", GOOD[: len(GOOD) // 2], "\ufffd\x00" * 40, GOOD.replace("jnode01", "jnode02")])
async def test_a_garbled_answer_is_no_address(output):
    backend = Answering(BackendAI())
    backend.answer = CommandResult(0, output, "")
    with pytest.raises(SchedulerUnavailable):
        await backend.node_address("jnode01")


async def test_the_last_good_address_is_kept_while_nobody_answers(monkeypatch):
    monkeypatch.setattr(slurm, "ADDRESS_AGE_S", -1.0)
    backend = Answering(BackendAI())
    assert await backend.node_address("jnode01") == "127.0.0.1"
    backend.answer = CommandResult(1, "", "Unable to contact slurm controller")
    assert await backend.node_address("jnode01") == "127.0.0.1"


class Figures(SlurmBackend):
    """Slurm's recorded answers about its queues, as ``garble`` leaves them."""

    garble = staticmethod(lambda _what, text: text)

    async def _run(self, arguments):
        what = arguments[-1] if arguments[-2:-1] == ["show"] else ""
        text = {"partition": PARTITIONS, "node": NODES, "reservation": "No reservations in the system\n"}.get(what, "")
        return CommandResult(0, self.garble(what, text), "")


@pytest.mark.parametrize("what", ["partition", "node"])
@pytest.mark.parametrize("garble", [lambda _: "", lambda text: text[:99], lambda text: text.swapcase(), lambda _: "\ufffd\x00\n"])
async def test_garbled_figures_are_none(what, garble):
    """A cluster without a node would be one where every request is too large."""
    backend = Figures(BackendAI())
    try:
        assert (await backend.capacity())["jupyter"].max_slots["cpu"] > 0
        other = Figures(BackendAI())
        other.garble = lambda asked, text: garble(text) if asked == what else text
        with pytest.raises(SchedulerUnavailable):
            await other.capacity()
        await other.close()
    finally:
        await backend.close()
