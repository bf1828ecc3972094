"""A resource group that only the database has: the hub learns its engine from the admission."""

import json

import pytest

from .harness import QUEUES, running_hub

pytestmark = pytest.mark.e2e
EXTRA = """
c.LocalLauncher.auth_state_hook = lambda spawner, state: spawner.environment.update(FROM_AUTH="1")
c.LocalLauncher.pre_spawn_hook = lambda spawner: open("hooked", "w").write(repr(dict(spawner.environment)))
c.Spawner.group_overrides = lambda spawner: {"a": {"groups": [], "spawner_override": {}}}
"""


async def test_a_session_of_it_starts_with_every_hook():
    async with running_hub(extra=EXTRA, queues=QUEUES[1:]) as hub:
        assert "debug" not in json.dumps(json.loads((hub.dir / "options.json").read_text())["settings"]["queues"])
        status, answer = await hub.launch("kim01")
        assert status in {201, 202}, answer
        model = await hub.until_ready("kim01")
        assert model["state"]["admission"]["queue"] == "debug"
        assert "FROM_AUTH" in (hub.dir / "hooked").read_text()
        await hub.stop_server("kim01")
        await hub.until_stopped("kim01")
