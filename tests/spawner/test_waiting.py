"""Waiting in a line of the service's: a real hub, a fake of our service."""

import pytest

from jupyterhub_backendai.core.scheduling import Wait
from jupyterhub_backendai.core.waiting import PENDING_TIMEOUT, Place

from .harness import running_hub, until

pytestmark = pytest.mark.e2e
THIRD, FIRST = Place(wait=Wait("order", 3)), Place(wait=Wait("resources", 1))


async def test_a_waiting_start_tells_its_place_and_starts_when_its_turn_comes():
    async with running_hub() as hub:
        hub.service.place = THIRD
        hub.service.devices = (1,)
        status, answer = await hub.launch("kokim", gpu="1")
        assert status == 202, answer
        assert await hub.phase("kokim") == "waiting"
        events = await hub.events("kokim", enough=lambda found: found[-1].get("stage") == "waiting")
        assert events[-1]["position"] == 3
        assert events[-1]["reason"]
        hub.service.move(FIRST)
        events = await hub.events("kokim", enough=lambda found: found[-1].get("position") == 1)
        assert not (hub.dir / "home/kokim").exists()  # nothing was started
        hub.service.move(None)
        model = await hub.until_ready("kokim")
        assert (model["state"]["admission"]["is_waiting"], model["state"]["admission"]["devices"]) == (False, [1])
        await until(lambda: "RUNNING" in hub.service.statuses())


async def test_how_a_wait_and_a_session_are_ended():
    async with running_hub() as hub:
        hub.service.place = THIRD
        await hub.launch("kim01")
        await hub.until_phase("kim01", "waiting")
        status, answer = await hub.stop_server("kim01")
        assert status in {202, 204}, answer
        await hub.until_stopped("kim01")
        await until(lambda: hub.service.of("release"))
        assert hub.service.statuses() == ["CANCELLED"]
        # the service ends the wait, and says why
        await hub.launch("lee01")
        await hub.until_phase("lee01", "waiting")
        hub.service.move(Place(is_over=True, reason=PENDING_TIMEOUT))
        await hub.until_stopped("lee01")
        _, page = await hub.call("GET", "/users/lee01/server/progress")
        assert "No place became free" in page
        await until(lambda: len(hub.service.of("release")) == 2)
        assert hub.service.statuses() == ["CANCELLED", "CANCELLED"]
        assert not (hub.dir / "home").exists()
        # somebody had a running session ended, and told the service why
        hub.service.place = None
        await hub.launch("cat")
        await hub.until_ready("cat")
        hub.service.place = Place(reason="The session was idle.")
        await hub.stop_server("cat")
        stopped = await hub.until_stopped("cat")
        assert stopped["state"]["ending"]["why"]["message"] == "The session was idle."
        await until(lambda: len(hub.service.of("release")) == 3)
        assert hub.service.of("report")[-1]["reason"] == "The session was idle."


async def test_a_wait_survives_the_hub_and_the_service_and_has_no_time_limit():
    hook = "c.LocalLauncher.pre_spawn_hook = lambda spawner: open('hooks', 'a').write('x') and None\nc.Spawner.start_timeout = 1"
    token = "c.Spawner.environment = {'KEEP': lambda s: open(s.user.name + '.token', 'w').write(s.api_token) and ''}"
    async with running_hub(extra=f"{hook}\n{token}\nc.LocalLauncher.start_timeout = 60") as hub:
        hub.service.place = THIRD
        await hub.launch("kim01", "lab")
        await hub.until_phase("kim01", "waiting", "lab")
        await hub.launch("lee01")
        await hub.until_phase("lee01", "waiting")
        hub.kill()
        await hub.start()
        status, answer = await hub.stop_server("lee01")
        assert status in {202, 204}, answer
        await hub.until_stopped("lee01")
        await until(lambda: hub.service.of("release"))
        assert hub.service.statuses() == ["CANCELLED"]
        model = await hub.model("kim01", "lab")
        assert (model["pending"], model["ready"]) == ("spawn", False)
        events = await hub.events("kim01", "lab", enough=lambda found: found[-1].get("stage") == "waiting")
        assert events[-1]["position"] == 3
        hub.service.is_away = True
        hub.service.move(FIRST)
        events = await hub.events("kim01", "lab", enough=lambda found: "cannot be reached" in found[-1].get("reason", ""))
        assert events[-1]["stage"] == "waiting"
        hub.service.is_away = False
        events = await hub.events("kim01", "lab", enough=lambda found: found[-1].get("position") == 1)
        hub.service.move(None)
        model = await hub.until_ready("kim01", "lab")
        assert (hub.dir / "hooks").read_text() == "xxx"  # once for each, and once more for who waited on
        # the server has a token of its own again, and it ends with the server
        kept = (hub.dir / "kim01.token").read_text()
        assert (await hub.call("GET", "/user", token=kept))[0] == 200
        _, tokens = await hub.call("GET", "/users/kim01/tokens")
        assert len([entry for entry in tokens["api_tokens"] if entry["note"].startswith("Server at")]) == 1
        await hub.stop_server("kim01", "lab")
        await hub.until_stopped("kim01", "lab")
        assert (await hub.call("GET", "/user", token=kept))[0] == 403
