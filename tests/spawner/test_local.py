"""Whole starts on the local launcher: a real hub, a real server, a fake of our service."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

from jupyterhub_backendai.backends.processes import Process
from jupyterhub_backendai.errors import NotFound, QuotaExceeded, Violation

from .harness import running_hub, until

pytestmark = pytest.mark.e2e


async def test_start_answer_and_stop():
    async with running_hub() as hub:
        hub.service.devices = (1,)
        status, answer = await hub.launch("kim01", gpu="1")
        assert status in {201, 202}, answer
        events = await hub.events("kim01")
        assert [event["stage"] for event in events if "stage" in event][-1] in {"starting", "connecting"}
        assert events[-1].get("ready"), events
        model = await hub.until_ready("kim01")
        state = model["state"]
        pid = int(state["child"]["job_id"])
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert b"CUDA_VISIBLE_DEVICES=1" in environment
        assert not [entry for entry in environment if b"TOKEN" in entry]
        assert os.readlink(f"/proc/{pid}/cwd") == str(hub.dir / "home/kim01/workspace")
        assert not list((hub.dir / "home/kim01/.backendai").iterdir())
        async with hub.http.get(f"http://127.0.0.1:{state['child']['port']}/user/kim01/api") as response:
            assert response.status == 200
        await until(lambda: "RUNNING" in hub.service.statuses())
        status, _ = await hub.stop_server("kim01")
        assert status in {202, 204}
        await hub.until_stopped("kim01")
        assert not Process.of(int(pid)).is_alive()
        await until(lambda: hub.service.of("release"))
        assert hub.service.statuses()[-1] == "TERMINATED"
        assert len(hub.service.of("release")) == 1


def gate(hub_dir: str):
    """An environment whose program waits for a file before it starts."""
    script = f'while [ ! -e {hub_dir}/gate ]; do sleep 0.05; done; exec "{sys.executable}" "$@"'
    return {"name": "gated", "command": ["sh", "-c", script, "sh"]}


@contextlib.asynccontextmanager
async def gated_hub(**kwargs):
    """A hub with an environment that does not go on before ``hub.open()``."""
    directory = tempfile.mkdtemp(prefix="backendai-gate-")
    os.chmod(directory, 0o755)
    try:
        async with running_hub(environments=[gate(directory), {"name": "default"}], **kwargs) as hub:
            hub.open = lambda: Path(directory, "gate").touch()
            yield hub
    finally:
        Path(directory, "gate").touch()
        shutil.rmtree(directory)


async def test_a_refused_request_names_every_violation_in_the_users_language():
    async with running_hub() as hub:
        status, answer = await hub.launch("kim01", cpu="-3", mem="x\ny", time="soon", queue="no such")
        assert status == 400
        lines = answer["message"].split("\n")
        assert len(lines) == 4, answer
        assert "Choose a queue." in lines
        assert not hub.service.calls
        hub.service.refusal = QuotaExceeded(
            violations=[Violation("At most %(n)s GPUs.", {"n": 2}, "gpu"), Violation("<b>full</b>", {}, "queue")]
        )
        status, answer = await hub.launch("kim01")
        assert (status, answer["message"]) == (412, "At most 2 GPUs.\n<b>full</b>")
        hub.service.refusal = NotFound("There is no queue %(queue)s.", queue="debug")
        status, answer = await hub.launch("kim01")
        assert (status, answer["message"]) == (404, "There is no queue debug.")
        assert not hub.service.of("release")
        status, page = await hub.call("GET", "/users/kim01/server/progress")
        assert "There is no queue debug." in page


SLOW_FAILURE = """
import asyncio
from jupyterhub_backendai.errors import SchedulerUnavailable
from jupyterhub_backendai.spawner.launchers.local import LocalLauncher

async def submit(self):
    await asyncio.sleep(0.8)
    raise SchedulerUnavailable

async def stop(self, now=False):
    await asyncio.sleep(0.6)

LocalLauncher.submit, LocalLauncher.stop = submit, stop
"""


async def test_a_start_that_fails_just_when_the_hub_stops_waiting_is_no_success():
    async with running_hub(extra=SLOW_FAILURE) as hub:  # the hub waits for 1 s
        status, answer = await hub.launch("kim01")
        assert status == 503, (status, answer)
        assert "scheduler cannot be reached" in answer["message"]


async def test_a_service_that_is_away_refuses_starts_and_gets_the_release_later():
    async with running_hub() as hub:
        hub.service.is_away = True
        status, answer = await hub.launch("kim01")
        assert status == 503, (answer, hub.log.read_text()[-3000:])
        assert "not possible right now" in answer["message"]
        hub.service.is_away = False
        await until(lambda: hub.service.of("release"))  # it might have been admitted before the answer was lost
        await hub.launch("lee01")
        await hub.until_ready("lee01")
        hub.service.is_away = True
        await hub.stop_server("lee01")
        await hub.until_stopped("lee01")
        before = len(hub.service.of("release"))
        hub.service.is_away = False
        await until(lambda: len(hub.service.of("release")) > before)
        assert hub.service.statuses()[-1] == "TERMINATED"


async def test_a_running_server_survives_the_hub():
    async with running_hub() as hub:
        await hub.launch("kim01", time="1h")
        model = await hub.until_ready("kim01")
        hub.kill()
        port = model["state"]["child"]["port"]
        async with hub.http.get(f"http://127.0.0.1:{port}/user/kim01/api") as response:
            assert response.status == 200
        await hub.start()
        again = await hub.until_ready("kim01")
        assert again["state"]["child"] == model["state"]["child"]
        await hub.stop_server("kim01")
        await hub.until_stopped("kim01")
        assert not Process.of(int(model["state"]["child"]["job_id"])).is_alive()


async def test_the_token_of_a_stopped_server_is_no_longer_valid_after_a_restart():
    async with running_hub(
        extra="c.Spawner.environment = {'KEEP': lambda s: open(s.user.name + '.token', 'w').write(s.api_token) and ''}"
    ) as hub:
        await hub.launch("kim01")
        await hub.until_ready("kim01")
        token = (hub.dir / "kim01.token").read_text()
        hub.kill()
        await hub.start()
        await hub.until_ready("kim01")
        assert (await hub.call("GET", "/user", token=token))[0] == 200
        await hub.stop_server("kim01")
        await hub.until_stopped("kim01")
        assert (await hub.call("GET", "/user", token=token))[0] == 403


async def test_a_start_goes_on_after_the_hub_was_killed():
    async with gated_hub() as hub:
        status, _ = await hub.launch("kim01", environment="gated")
        assert status == 202
        await hub.until_phase("kim01", "pending")
        before = await hub.model("kim01")
        hub.kill()
        await hub.start()
        model = await hub.model("kim01")
        assert model["pending"] == "spawn"
        assert not model["ready"]
        events = await hub.events("kim01", enough=lambda found: found[-1].get("stage") in {"starting", "connecting"})
        assert events[-1]["stage"] == "starting"  # as soon as the new hub has asked after the process
        hub.open()
        after = await hub.until_ready("kim01")
        assert after["state"]["child"]["job_id"] == before["state"]["child"]["job_id"]
        await until(lambda: "RUNNING" in hub.service.statuses())
        assert not hub.service.of("release")
        os.kill(int(after["state"]["child"]["job_id"]), signal.SIGKILL)  # it is polled, as after any start
        await hub.until_stopped("kim01")
        await until(lambda: hub.service.of("release"))


async def test_a_start_whose_process_was_not_yet_saved_goes_on():
    hold = "from jupyterhub_backendai.spawner.launchers.base import Launcher; import os\n"
    hold += "if not os.path.exists('second'): Launcher.save = property(lambda s: lambda: None, lambda s, v: None)"
    async with gated_hub(extra=hold) as hub:
        await hub.launch("kim01", environment="gated")
        await hub.until_phase("kim01", "submitting")
        await until(lambda: list((hub.dir / "home/kim01/log").iterdir()) if (hub.dir / "home/kim01/log").exists() else None)
        hub.kill()
        (hub.dir / "second").touch()
        await hub.start()
        hub.open()
        model = await hub.until_ready("kim01")
        assert model["state"]["child"]["job_id"]


async def test_stop_while_an_adopted_start_waits():
    async with gated_hub() as hub:
        await hub.launch("kim01", environment="gated")
        await hub.until_phase("kim01", "pending")
        pid = (await hub.model("kim01"))["state"]["child"]["job_id"]
        hub.kill()
        await hub.start()
        status, answer = await hub.stop_server("kim01")
        assert status in {202, 204}, answer
        await hub.until_stopped("kim01")
        assert not Process.of(int(pid)).is_alive()
        await until(lambda: hub.service.of("release"))
        assert hub.service.statuses()[-1] == "CANCELLED"


async def test_named_servers_stopped_while_they_start_leave_nothing():
    async with gated_hub() as hub:
        for number in range(6):
            await hub.launch("kim01", f"s{number}", environment="gated")
        for number in range(6):
            await hub.stop_server("kim01", f"s{number}")
        for number in range(6):
            await hub.until_stopped("kim01", f"s{number}")
        await until(lambda: len(hub.service.of("release")) == 6)
        assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(hub.dir / "home").encode() in read_bytes(path)]


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def test_a_start_that_fails_shows_the_end_of_its_log():
    script = "echo '<script>alert(1)</script> no such module'; exit 3"
    async with running_hub(environments=[{"name": "broken", "command": ["sh", "-c", script]}]) as hub:
        await hub.launch("kim01", environment="broken")
        await hub.until_stopped("kim01")
        _, page = await hub.call("GET", "/users/kim01/server/progress")
        event = json.loads(page.split("data: ")[1])
        assert event["failed"]
        assert "exit code 3" in event["message"]
        assert '<pre class="job-log">&lt;script&gt;alert(1)&lt;/script&gt; no such module' in event["html_message"]
        await until(lambda: hub.service.of("release"))
        assert hub.service.statuses()[-1] == "ERROR"
        assert "exit code 3" in hub.service.of("report")[-1]["reason"]


async def test_a_server_that_is_killed_from_outside_is_told_apart():
    async with running_hub() as hub:
        await hub.launch("kim01")
        model = await hub.until_ready("kim01")
        os.kill(int(model["state"]["child"]["job_id"]), signal.SIGKILL)
        await until(lambda: hub.service.of("release"))
        assert "SIGKILL" in hub.service.of("report")[-1]["reason"]
        stopped = await hub.until_stopped("kim01")
        assert "SIGKILL" in stopped["state"]["ending"]["why"]["params"]["signal"]


@pytest.mark.parametrize("restart", [False, True])
async def test_the_time_limit_holds(restart):
    async with running_hub(extra="import jupyterhub_backendai.core.fields as f; f.MIN_TIME_S = 1") as hub:
        hub.service.time_s = 6
        await hub.launch("kim01")
        model = await hub.until_ready("kim01")
        if restart:
            hub.kill()
            await hub.start()
        await hub.until_stopped("kim01")
        assert not Process.of(int(model["state"]["child"]["job_id"])).is_alive()
        await until(lambda: hub.service.of("release"))
        assert hub.service.statuses()[-1] == "TERMINATED"
        last = hub.service.of("report")[-1]
        assert "time limit" in last["reason"]
        assert (last["why"]["params"], hub.service.of("release")[-1]["why"]) == ({"time": "0:00"}, last["why"])


async def test_a_session_that_was_given_more_time_goes_on_over_a_restart():
    async with running_hub(extra="import jupyterhub_backendai.core.fields as f; f.MIN_TIME_S = 1") as hub:
        hub.service.time_s, hub.service.limit_s = 6, 12
        await hub.launch("kim01")
        model = await hub.until_ready("kim01")
        first = model["state"]["child"]["deadline"]
        await until(lambda: hub.service.of("limit"))

        async def limit():
            state = (await hub.model("kim01"))["state"]
            return (round(state["child"]["deadline"] - first), state["admission"]["time_s"]) == (6, 12)

        await until(limit)
        hub.kill()
        await hub.start()
        await hub.until_stopped("kim01")
        assert len(hub.service.of("limit")) >= 2  # asked again by the next hub
        await until(lambda: hub.service.of("release"))
        assert "time limit" in hub.service.of("report")[-1]["reason"]


async def test_a_session_that_does_not_answer_lives_through_a_restart_of_the_hub():
    """The hub itself would stop it after http_timeout; only its engine knows whether it is over."""
    async with running_hub() as hub:
        await hub.launch("kim01")
        model = await hub.until_ready("kim01")
        job = Process.of(int(model["state"]["child"]["job_id"]))
        os.kill(job.pid, signal.SIGSTOP)
        try:
            hub.kill()
            await hub.start()
            await until(lambda: "still running" in hub.log.read_text())
            assert "does not appear to be running" not in hub.log.read_text()
            assert (await hub.until_ready("kim01"))["state"]["session_id"] == model["state"]["session_id"]
        finally:
            os.kill(job.pid, signal.SIGCONT)
        assert job.is_alive()
        os.kill(job.pid, signal.SIGKILL)  # and its end is seen all the same
        await hub.until_stopped("kim01")


async def test_local_sessions_do_not_run_as_root():
    if os.geteuid() != 0:
        pytest.skip("needs root")
    async with running_hub(as_root=True) as hub:
        status, answer = await hub.launch("kim01")
        assert status == 403, answer
        assert "do not run as root" in answer["message"]


async def test_site_settings_reach_the_launcher():
    extra = """
c.Spawner.environment = {"FROM_SPAWNER": "1"}
c.LocalProcessSpawner.environment = {"FROM_LOCAL": "2"}
c.Spawner.start_timeout = 77
c.LocalLauncher.pre_spawn_hook = lambda spawner: spawner.environment.update(FROM_HOOK=type(spawner).__name__)
c.Spawner.group_overrides = lambda spawner: {"a": {"groups": [], "spawner_override": {}}}
c.LocalLauncher.post_stop_hook = lambda spawner: open("stopped", "w").write(f"{spawner.start_timeout} {spawner.environment['FROM_HOOK']}")
"""
    async with running_hub(extra=extra) as hub:
        await hub.launch("kim01")
        await hub.until_ready("kim01")
        await hub.stop_server("kim01")
        await hub.until_stopped("kim01")
        assert (hub.dir / "stopped").read_text() == "77 LocalLauncher"


async def test_the_hub_stays_free_while_the_service_says_nothing_and_gives_back_what_it_asked_for():
    async with running_hub() as hub:
        hub.service.hold = asyncio.Event()
        status, _ = await hub.launch("kim01")
        assert status == 202
        assert (await hub.call("GET", "/users/kim01"))[0] == 200
        async with hub.http.get(hub.url + "/health") as response:
            assert response.status == 200
        assert await hub.phase("kim01") == "admitting"
        assert not hub.service.hold.is_set()  # all that was answered before the service said a word
        hub.kill()  # and the next hub knows what it had asked for
        hub.service.hold.set()
        await hub.start()
        await until(lambda: hub.service.of("release"))
        assert hub.service.of("release")[0]["id"] == hub.service.of("admit")[0]["id"]
        await hub.until_stopped("kim01")


async def test_a_hub_without_the_launcher_of_a_running_session_starts_and_lets_it_run():
    extra = "import os\nif os.path.exists('second'): c.BackendAISpawner.launchers = {}"
    async with running_hub(extra=extra) as hub:
        await hub.launch("kim01")
        model = await hub.until_ready("kim01")
        hub.kill()
        (hub.dir / "second").touch()
        await hub.start()
        await hub.until_ready("kim01")
        assert Process.of(int(model["state"]["child"]["job_id"])).is_alive()
        status, answer = await hub.launch("lee01")
        assert status == 400
        assert "launcher" in answer["message"]
