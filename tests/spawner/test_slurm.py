"""Whole starts on the lab's Slurm: a real hub (not root), the real helper, real jobs of real users; our service is a fake."""

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from jupyterhub_backendai.core.identity import PosixAccount

from .harness import running_hub, until

LAB = Path(os.environ.get("BACKENDAI_LAB", "/var/tmp/backendai-lab"))

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0 or not (LAB / "slurm").exists(), reason="needs the lab's Slurm, as root"),
]


def account(name: str) -> PosixAccount:
    entry = pwd.getpwnam(name)
    return PosixAccount(entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def squeue(*arguments: str) -> list[str]:
    return subprocess.run(["squeue", "-h", *arguments], capture_output=True, text=True, check=True).stdout.split()


def jobs_of(hub, *states: str) -> list[str]:
    """The jobs of this hub that are not over."""
    return squeue("-n", f"backendai-{hub.hub_id}", "-o", "%i", *(("-t", ",".join(states)) if states else ()))


@contextlib.asynccontextmanager
async def slurm_hub(**kwargs):
    directory = Path(tempfile.mkdtemp(prefix="backendai-helper-"))
    directory.chmod(0o755)
    user_root = str(LAB / "scratch/{user}")
    helper = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterhub_backendai.helper", "--socket", str(directory / "helper.sock")),
            *("--allow-user", "nobody", "--user-root", user_root),
        ]
    )
    hub_id = directory.name[-8:]
    settings = {"hub_id": hub_id, "user_root": user_root, "helper_socket": str(directory / "helper.sock"), "steady_interval_s": 2.0}
    try:
        await until((directory / "helper.sock").exists)
        async with running_hub(**settings, **kwargs) as hub:
            hub.hub_id = hub_id
            hub.service.posix = account("kim01")
            yield hub
    finally:
        helper.terminate()
        helper.wait()
        subprocess.run(["scancel", "-n", f"backendai-{hub_id}"], check=False)
        shutil.rmtree(directory)


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


async def until_no_jobs(hub):
    await until(lambda: not jobs_of(hub), 40, "the end of all jobs")


async def test_start_and_stop_as_the_users_own_job():
    async with slurm_hub() as hub:
        hub.service.posix = account("UPPER")
        status, answer = await hub.launch("upper", queue="jupyter", mem="512m", interface="notebook")
        assert status in {201, 202}, answer
        events = await hub.events("upper")
        assert events[-1].get("ready"), events
        model = await hub.until_ready("upper")
        job_id = model["state"]["child"]["job_id"]
        assert squeue("-j", job_id, "-o", "%u %P %T") == ["UPPER", "jupyter", "RUNNING"]
        port, node = model["state"]["child"]["port"], model["state"]["child"]["node"]
        assert node
        async with hub.http.get(f"http://127.0.0.1:{port}/user/upper/api") as response:
            assert response.status == 200
        session_id = model["state"]["session_id"]
        workspace = LAB / "scratch/UPPER/workspace"
        assert squeue("-j", job_id, "-o", "%Z") == [str(workspace)]
        environ = next(path for path in Path("/proc").glob("[0-9]*/environ") if session_id.encode() in read(path.with_name("cmdline")))
        assert os.readlink(environ.with_name("cwd")) == str(workspace)
        names = {entry.partition(b"=")[0] for entry in environ.read_bytes().split(b"\0")}
        assert not [name for name in names if b"TOKEN" in name or b"JUPYTERHUB" in name or b"BACKENDAI" in name]
        assert not list((LAB / "scratch/UPPER/.backendai").glob(f"{session_id}*"))
        await until(lambda: "RUNNING" in hub.service.statuses())
        assert {"job_id": job_id, "node": node}.items() <= hub.service.of("report")[-1].items()
        await hub.stop_server("upper")
        await hub.until_stopped("upper")
        await until_no_jobs(hub)
        await until(lambda: hub.service.of("release"))


async def test_a_queued_start_is_adopted_after_kill_9():
    async with slurm_hub() as hub:
        await hub.launch("kim01", queue="jupyter", mem="512m", name="x", gpu="0", cpu="1")
        await hub.until_phase("kim01", "pending")
        job_id = (await hub.model("kim01"))["state"]["child"]["job_id"]
        hub.kill()
        await hub.start()
        model = await hub.until_ready("kim01")
        assert model["state"]["child"]["job_id"] == job_id
        assert len(jobs_of(hub)) == 1


async def test_a_held_start_is_adopted_tells_its_reason_and_goes_on():
    async with slurm_hub() as hub:
        with full_queue("cas_v100_2"):
            await hub.launch("kim01", queue="cas_v100_2", mem="512m")
            events = await hub.events("kim01", enough=lambda found: found[-1].get("reason"))
            assert events[-1]["stage"] == "waiting"
            job_id = (await hub.model("kim01"))["state"]["child"]["job_id"]
            hub.kill()
            await hub.start()
            events = await hub.events("kim01", enough=lambda found: found[-1].get("reason"))
            assert events[-1]["position"] == 1, events
            assert jobs_of(hub, "PENDING") == [job_id]
        model = await hub.until_ready("kim01")
        assert model["state"]["child"]["job_id"] == job_id


@contextlib.contextmanager
def full_queue(partition: str):
    """Every node of a partition is taken by jobs of somebody else."""
    nodes = list_nodes(partition)
    command = [
        "runuser",
        "-u",
        "lee01",
        "--",
        "sbatch",
        "--parsable",
        "-p",
        partition,
        "-A",
        "paid",
        "--exclusive",
        "-t",
        "10",
        "-D",
        "/tmp",
    ]
    jobs = []
    try:
        for node in nodes:
            wrap = [*command, "-w", node, "-o", "/dev/null", "--wrap", "sleep 600"]
            jobs.append(subprocess.run(wrap, capture_output=True, text=True, check=True).stdout.strip())
        yield
    finally:
        subprocess.run(["scancel", *jobs], check=False)


def list_nodes(partition: str) -> list[str]:
    return subprocess.run(["sinfo", "-h", "-N", "-p", partition, "-o", "%N"], capture_output=True, text=True, check=True).stdout.split()


async def test_the_hub_dies_between_the_answer_of_sbatch_and_the_commit():
    hold = "from jupyterhub_backendai.spawner.launchers.base import Launcher; import os\n"
    hold += "if not os.path.exists('second'): Launcher.save = property(lambda s: lambda: None, lambda s, v: None)"
    async with slurm_hub(extra=hold) as hub:
        with full_queue("cas_v100_2"):  # else it runs and reports its port to a hub that was told to forget it
            await hub.launch("kim01", queue="cas_v100_2", mem="512m")
            await hub.until_phase("kim01", "submitting")
            job_id = (await until(lambda: jobs_of(hub)))[0]
            hub.kill()
        (hub.dir / "second").touch()
        await hub.start()
        model = await hub.until_ready("kim01")
        assert model["state"]["child"]["job_id"] == job_id


async def test_a_job_that_starts_while_the_hub_is_down_gets_its_port_through():
    async with slurm_hub() as hub:
        with full_queue("cas_v100_2"):
            await hub.launch("kim01", queue="cas_v100_2", mem="512m")
            await hub.until_phase("kim01", "pending")
            hub.kill()
        with socket.create_server(("127.0.0.1", hub.hub_port)) as door:
            door.setblocking(False)
            async with asyncio.timeout(60):
                in_vain, _ = await asyncio.get_running_loop().sock_accept(door)  # the program reports, and gets no answer
            in_vain.close()
        await hub.start()
        await hub.until_ready("kim01")


async def test_a_running_server_survives_and_is_ended_from_outside():
    async with slurm_hub() as hub:
        await hub.launch("kim01", queue="jupyter", mem="512m")
        model = await hub.until_ready("kim01")
        hub.kill()
        await hub.start()
        assert (await hub.until_ready("kim01"))["state"]["child"] == model["state"]["child"]
        subprocess.run(["scancel", model["state"]["child"]["job_id"]], check=True)
        stopped = await hub.until_stopped("kim01")
        assert "cancelled" in stopped["state"]["ending"]["why"]["message"]
        await until(lambda: hub.service.of("release"))
        assert "cancelled by an administrator" in hub.service.of("report")[-1]["reason"]


async def test_twenty_stops_while_queued_leave_no_job():
    async with slurm_hub() as hub:
        with full_queue("cas_v100_2"):
            for number in range(20):
                await hub.launch("kim01", f"s{number}", queue="cas_v100_2", mem="512m")
                if number % 2:
                    await hub.stop_server("kim01", f"s{number}")
            await asyncio.gather(*(hub.stop_server("kim01", f"s{number}") for number in range(0, 20, 2)))
            for number in range(20):
                await hub.until_stopped("kim01", f"s{number}")
            await until_no_jobs(hub)
            await until(lambda: len(hub.service.of("release")) == 20)
            assert set(hub.service.statuses()) <= {"PENDING", "CANCELLED"}


async def test_what_slurm_refuses_is_told_with_its_words():
    async with slurm_hub() as hub:
        status, answer = await hub.launch("kim01", queue="jupyter", mem="9000g")
        assert status == 400, (status, answer)
        assert answer["message"]
        assert not jobs_of(hub)


async def test_no_posix_account_is_a_clear_refusal():
    async with slurm_hub() as hub:
        hub.service.posix = None
        status, answer = await hub.launch("guest01", queue="jupyter")
        assert status == 403
        assert "Unix account" in answer["message"]


async def test_an_environment_that_cannot_run_shows_the_end_of_the_job_log():
    async with slurm_hub(environments=[{"name": "broken", "command": ["/nonexistent/python"]}]) as hub:
        await hub.launch("kim01", queue="jupyter", mem="512m", environment="broken")
        await hub.until_stopped("kim01")
        _, page = await hub.call("GET", "/users/kim01/server/progress")
        event = json.loads(page.split("data: ")[1])
        assert event["failed"], page
        assert "cannot run /nonexistent/python" in event["html_message"], event


THIEF = """
import json, select, socket, sys
stolen = tried = 0
port = int(sys.stdin.readline())
while not select.select([sys.stdin], [], [], 0)[0]:  # until it is closed
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        for host in ("0.0.0.0", "127.0.0.1"):
            with socket.socket() as thief:
                thief.setsockopt(socket.SOL_SOCKET, option, 1)
                try:
                    thief.bind((host, port))
                    thief.listen()
                    stolen += 1
                except OSError:
                    tried += 1
    if tried + stolen == 4:
        print("trying", flush=True)
    select.select([sys.stdin], [], [], 0.001)
print(json.dumps([tried, stolen]), flush=True)
"""


async def test_a_neighbour_on_the_node_never_gets_the_port():
    neighbour = account("lee01")
    async with slurm_hub() as hub:
        thief = subprocess.Popen(
            ["/usr/bin/python3", "-c", THIEF], user=neighbour.uid, group=neighbour.gid, extra_groups=[], cwd="/", text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            await hub.launch("kim01", queue="jupyter", mem="512m")

            async def reported():
                return ((await hub.model("kim01")).get("state") or {}).get("child", {}).get("port")

            port = await until(reported, 40)
            thief.stdin.write(f"{port}\n")
            thief.stdin.flush()
            assert thief.stdout.readline() == "trying\n"
            assert not (await hub.model("kim01"))["ready"]  # it was tried before the server answered
            await hub.until_ready("kim01")
            tried, stolen = json.loads(thief.communicate(timeout=10)[0])
        finally:
            thief.kill()
            thief.wait()
        assert (tried > 10, stolen) == (True, 0)
