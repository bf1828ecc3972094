"""What the hub's own addresses do with our spawner: the spawn pages, and the report of the port."""

import pytest

from .harness import ADMIN_TOKEN, running_hub, until
from .test_local import gated_hub

pytestmark = pytest.mark.e2e

GETS = {
    "/spawn": "/services/backendai/launch",
    "/spawn?opt-queue=debug&opt-name=a%26b%0d%0a&x=1&x=2": "/services/backendai/launch?opt-queue=debug&opt-name=a%26b%0D%0A&x=1&x=2",
    "/spawn/kim01?opt-queue=debug": "/services/backendai/launch?opt-queue=debug&user=kim01",
    "/spawn/kim01/work?next=%2Fa&server=evil": "/services/backendai/launch?next=%2Fa&user=kim01&server=work",
}


async def test_the_spawn_pages_lead_to_the_launch_page_and_start_nothing():
    async with running_hub() as hub:
        await hub.call("POST", "/users/kim01")
        for address, target in GETS.items():
            headers = {"Authorization": f"token {ADMIN_TOKEN}"}
            async with hub.http.get(hub.url + address, headers=headers, allow_redirects=False) as response:
                assert (response.status, response.headers["Location"]) == (302, target)
        async with hub.http.post(hub.url + "/spawn/kim01", data={"queue": "debug"}, headers={"Accept-Language": "en"}) as response:
            assert response.status == 405
            assert "launch page" in await response.text()
        _, user = await hub.call("GET", "/users/kim01?include_stopped_servers")
        assert not [server for server in user["servers"].values() if server["name"] or server["pending"] or server["ready"]]
        assert not hub.service.calls


async def test_the_port_is_taken_once_and_only_from_the_server_that_starts():
    keep = "c.Spawner.environment = {'KEEP': lambda s: open(s.user.name + '.token', 'w').write(s.api_token) and ''}"
    async with gated_hub(extra=keep) as hub:
        await hub.launch("kim01", environment="gated")
        await hub.until_phase("kim01", "pending")
        token = (hub.dir / "kim01.token").read_text()

        async def report(body, token=token):
            return (await hub.call("POST", "/batchspawner", token=token, json=body))[0]

        assert await report({"port": 5555}, token="") == 403
        assert await report({"port": 5555}, token=ADMIN_TOKEN) == 403
        for body in (
            {"exec_prefix": "id"},
            {"port": "5555"},
            {"port": True},
            {"port": 22},
            {"port": 70000},
            {"port": 5555.0},
            [5555],
            "5555",
            5555,
        ):
            assert await report(body) == 400, body
        async with hub.http.post(hub.url + "/api/batchspawner", data="{", headers={"Authorization": f"token {token}"}) as response:
            assert response.status == 400
        _, own = await hub.call("POST", "/users/kim01/tokens", json={})
        assert await report({"port": 5555}, token=own["token"]) == 404
        assert await report({"port": 5555, "ip": "10.0.0.1"}) == 201
        assert await report({"port": 5555}) == 201  # its answer was lost, so it asked again
        assert await report({"port": 5556}) == 409
        assert (await hub.model("kim01"))["state"]["child"]["port"] == 5555
        assert (await hub.model("kim01"))["state"]["child"]["node"] in {"", "127.0.0.1"}
        await hub.stop_server("kim01")
        await hub.until_stopped("kim01")
        assert await report({"port": 5555}) == 403
        hub.open()
        await hub.launch("kim01")
        await hub.until_ready("kim01")
        token = (hub.dir / "kim01.token").read_text()
        assert await report({"port": 5555}, token=token) == 409


async def test_a_hub_with_another_port_handler_refuses_to_work():
    extra = """
from jupyterhub_backendai.spawner import ports
import batchspawner.api
c.JupyterHub.extra_handlers = [(ports.PATH, batchspawner.api.BatchSpawnerAPIHandler)]
"""
    async with running_hub(extra=extra) as hub:
        status, _ = await hub.launch("kim01")
        assert status == 500
        assert "must be served by jupyterhub_backendai alone" in hub.log.read_text()


@pytest.mark.parametrize("where", ["before", "after"])
async def test_importing_batchspawner_in_the_configuration_changes_nothing(where):
    extra = "import batchspawner" if where == "before" else "import jupyterhub_backendai.spawner.spawner, batchspawner"
    async with running_hub(extra=extra) as hub:
        await hub.launch("kim01")
        await hub.until_ready("kim01")


PLAIN = """
import batchspawner
c.JupyterHub.spawner_class = batchspawner.SlurmSpawner
c.SlurmSpawner.batch_submit_cmd = "printenv JUPYTERHUB_API_TOKEN > token; echo 7"
c.SlurmSpawner.batch_query_cmd = "echo RUNNING 127.0.0.1"
c.SlurmSpawner.batch_cancel_cmd = "true"
c.SlurmSpawner.exec_prefix = ""
c.SlurmSpawner.startup_poll_interval = 0.1
"""


async def test_a_hub_with_batchspawners_own_class_gets_the_port_and_nothing_else():
    """This package is merely installed there; its handler came with the entry point."""
    async with running_hub(extra=PLAIN) as hub:
        await hub.launch("nobody")
        token_file = hub.dir / "token"
        token = await until(lambda: token_file.exists() and token_file.read_text().strip(), what="the job")
        headers = {"json": {"port": 5555, "exec_prefix": "touch stolen; sudo"}, "token": token}
        assert (await hub.call("POST", "/batchspawner", **headers))[0] == 201
        await hub.stop_server("nobody")
        await hub.until_stopped("nobody")
        assert not (hub.dir / "stolen").exists()
