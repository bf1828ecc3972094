"""The service as a real process: its port, its sockets, its end."""

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from tornado.testing import bind_unused_port

from jupyterhub_backendai.client import ServiceClient
from jupyterhub_backendai.errors import InvalidParameters, Unauthenticated
from jupyterhub_backendai.services.app import end_tasks
from jupyterhub_backendai.services.process import PidFile, open_private
from jupyterhub_backendai.store.database import upgrade
from tests.databases import sqlite_template
from tests.fakes import FakeHub
from tests.services.public import settings

__all__ = ["settings", "sqlite_template"]
LIMIT_S = 30
# A hub for a moment: it starts the service, prints its id and waits to be killed.
HUB = "import subprocess, sys, time; p = subprocess.Popen(sys.argv[1:], start_new_session=True); print(p.pid, flush=True); time.sleep(600)"


async def until(condition, limit_s=LIMIT_S):
    async with asyncio.timeout(limit_s):
        while not (value := await condition() if asyncio.iscoroutinefunction(condition) else condition()):
            await asyncio.sleep(0.05)
        return value


class Machine:
    """Starts services on one port and ends whatever is left."""

    def __init__(self, settings, hub_url):
        held, self.port = bind_unused_port()
        held.close()
        self.settings = settings
        self.config = Path(settings.state_dir, "jupyterhub_config.py")
        self.config.write_text(
            f"c = get_config()\nc.BackendAI.state_dir = {settings.state_dir!r}\nc.BackendAI.queues = {settings.queues[:1]!r}\n"
        )
        self.environment = {
            **os.environ,
            "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{self.port}",
            "JUPYTERHUB_SERVICE_PREFIX": "/services/backendai/",
            "JUPYTERHUB_SERVICE_NAME": "backendai",
            "JUPYTERHUB_API_URL": hub_url,
            "JUPYTERHUB_API_TOKEN": "service-token",
            "JUPYTERHUB_CLIENT_ID": "service-backendai",
        }
        self.command = [sys.executable, "-m", "jupyterhub_backendai.services.app", "--config", str(self.config)]
        self.processes = []

    def start(self, *prefix, **pipes):
        command = [*prefix, *self.command]
        process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, start_new_session=True, **pipes)
        self.processes.append(process)
        return process

    async def health(self):
        try:
            async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{self.port}/services/backendai/health") as response:
                return response.status, await response.json()
        except (aiohttp.ClientError, OSError):
            return 0, {}

    async def is_up(self):
        return (await self.health())[0] == 200

    def close(self):
        for process in self.processes:
            process.kill()
            process.communicate()


@pytest_asyncio.fixture
async def machine(settings):
    hub = FakeHub()
    runner = await hub.start()
    hub.let_in("backendai", "service-token", kind="service")
    machine = Machine(settings, hub.url)
    yield machine
    machine.close()
    await runner.cleanup()


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
async def test_a_clean_stop(machine, kind):
    process = machine.start()
    await until(machine.is_up)
    private = Path(machine.settings.state_dir, "private.sock")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    process.send_signal(kind)
    assert await asyncio.to_thread(process.wait, LIMIT_S) == 0
    assert not private.exists()
    assert not list(Path(machine.settings.state_dir).glob("service-*.pid"))


async def test_work_that_loses_its_cancellation_ends_all_the_same():
    cancelled = []

    async def work():
        while len(cancelled) < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(True)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    await asyncio.wait_for(end_tasks([task]), LIMIT_S)
    assert len(cancelled) == 2


async def test_it_dies_with_the_hub(machine):
    hub = machine.start(sys.executable, "-c", HUB)
    pid = int(await asyncio.to_thread(hub.stdout.readline))
    await until(machine.is_up)
    hub.kill()
    await until(lambda: not is_alive(pid))


async def test_the_port_is_taken_back_from_a_predecessor(machine):
    old = machine.start()
    await until(machine.is_up)
    new = machine.start()
    assert await asyncio.to_thread(old.wait, LIMIT_S) == 0
    await until(machine.is_up)
    assert new.poll() is None
    client = ServiceClient(machine.settings.private_url, "wrong")
    with pytest.raises(Unauthenticated):
        await client.release("0" * 32)
    await client.close()


async def test_a_predecessor_that_does_not_listen_to_reason_is_killed(machine):
    old = machine.start()
    await until(machine.is_up)
    old.send_signal(signal.SIGSTOP)
    machine.start()
    assert await asyncio.to_thread(old.wait, LIMIT_S) == -signal.SIGKILL
    await until(machine.is_up)


async def test_after_kill_9_it_starts_again(machine):
    old = machine.start()
    await until(machine.is_up)
    old.kill()
    old.wait()
    assert Path(machine.settings.state_dir, "private.sock").exists()
    machine.start()
    await until(machine.is_up)


async def test_it_waits_for_a_strangers_port_and_kills_nobody(machine):
    stranger = socket.create_server(("127.0.0.1", machine.port))
    process = machine.start(stderr=subprocess.PIPE)
    line = b""
    while b"is taken; waiting" not in line:  # after what it says of its folders
        line = await asyncio.to_thread(process.stderr.readline)
        assert line
    assert process.poll() is None
    stranger.close()
    await until(machine.is_up)


async def test_it_listens_without_a_database_and_recovers(machine):
    path = Path(machine.settings.state_dir, "backendai.sqlite")
    path.unlink()
    machine.start()

    async def says_why():
        status, answer = await machine.health()
        return status == 503 and "db upgrade" in answer["reason"]

    await until(says_why)
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{machine.port}/services/backendai/") as response:
        assert response.status == 200
    upgrade(machine.settings.database_url)
    await until(machine.is_up)


async def test_a_configuration_that_cannot_be_read_is_said(machine):
    machine.config.write_text("c = get_config()\nc.BackendAI.queues = 5\n")
    done = await asyncio.to_thread(
        subprocess.run, machine.command, env=machine.environment, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert done.returncode == 1
    assert "queues" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_pid_file_names_no_stranger(tmp_path):
    file = PidFile(tmp_path / "service.pid")
    assert file.find_other() is None
    file.write()
    assert file.find_other() is None
    (tmp_path / "service.pid").write_text(json.dumps({"pid": os.getppid(), "started": "boot:1"}))
    assert file.find_other() is None
    for text in ("", "{}", "[]", '{"pid": "x", "started": 1}'):
        (tmp_path / "service.pid").write_text(text)
        assert file.find_other() is None
    file.remove()


@pytest.mark.parametrize("url", ["http://0.0.0.0:9999", "http://example.org:80", "http://127.0.0.1", "ftp://127.0.0.1:1"])
def test_the_private_listener_is_never_open_to_others(url):
    with pytest.raises(InvalidParameters):
        open_private(url)


def test_a_loopback_port_will_do():
    held, port = bind_unused_port()
    held.close()
    [listener] = open_private(f"http://127.0.0.1:{port}")
    assert listener.getsockname() == ("127.0.0.1", port)
    listener.close()
