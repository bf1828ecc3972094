"""What every way to submit must do, on the lab's cluster: the same tests for the helper, the rule of sudo and slurmrestd."""

from __future__ import annotations

import asyncio
import re
import secrets
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from jupyterhub_backendai.backends.base import JobRequest
from jupyterhub_backendai.backends.slurm import SlurmBackend
from jupyterhub_backendai.backends.slurm_verbs import VerbWay
from jupyterhub_backendai.backends.slurm_ways import OperatorUnavailable
from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.core.sessions import JOB_OVER, JobState
from jupyterhub_backendai.errors import (
    BackendAIError,
    BackendUnavailable,
    Conflict,
    InvalidParameters,
    NoPosixAccount,
    SchedulerUnavailable,
    SubmitRefused,
)
from tests.factories import make_slots

from . import jobs
from .jobs import account, reach
from .slurm_worlds import PEOPLE, WORLDS, AsCaller, World, slurmrestd

pytestmark = pytest.mark.slurm

HUB_ID = f"ways-{secrets.token_hex(4)}"


@pytest.fixture(scope="module", params=WORLDS)
def world(request):
    with WORLDS[request.param](HUB_ID) as world:
        yield world
        for name in PEOPLE:
            subprocess.run(["scancel", "-u", name, "-n", world.settings.job_name], check=False)


@pytest.fixture(scope="module")
def rest_world_once():
    """The world of slurmrestd, for the tests that are about it alone."""
    with WORLDS["rest"](HUB_ID) as world:
        world.settings.starting_interval_s = world.settings.steady_interval_s = 0.3
        yield world


@pytest.fixture
async def backend(world: World):
    world.settings.starting_interval_s = world.settings.steady_interval_s = 0.3
    backend = SlurmBackend(world.settings, world.make(world.settings))
    yield backend
    await backend.close()


def make_job(world: World, user: str = "kim01", *, sleep: str = "600", exit_code: str = "0", greeting: str = "", **fields) -> JobRequest:
    environment = {"JUPYTERHUB_API_TOKEN": "s3cret-token", "SLEEP": sleep, "EXIT": exit_code, "GREETING": greeting}
    return jobs.make_job(world.settings.job_name, user, environment=environment, **fields)


async def read_until(backend, job: JobRequest, job_id: str, words: str) -> str:
    log = ""
    async with asyncio.timeout(60):
        while words not in log:
            await asyncio.sleep(0.1)
            log = await backend.read_log(job_id, job.admission.posix, job.admission.session_id)
    return log


def ask(*arguments: str) -> str:
    return subprocess.run(arguments, capture_output=True, text=True, check=False).stdout


async def test_a_job_from_its_start_to_its_end(backend, world):
    """It is its user's, its log can be read, Korean arrives, nothing secret is in what Slurm keeps; others can do nothing to it."""
    job = make_job(world, greeting="안녕하세요, 계산 세션입니다")
    job_id = await backend.submit(job)
    running = await reach(backend, job, job_id, JobState.RUNNING)
    assert (running.user, running.node.startswith("jnode")) == ("kim01", True)
    log = await read_until(backend, job, job_id, "안녕하세요, 계산 세션입니다")
    assert f"started {job.admission.session_id}" in log
    shown = ask("scontrol", "show", "job", "-d", job_id) + ask("scontrol", "write", "batch_script", job_id, "-")
    assert f"Comment={job.admission.session_id}" in shown
    assert "Requeue=0" in shown
    assert "s3cret" not in shown
    with pytest.raises(BackendAIError):
        await backend.cancel(job_id, account("kim02"))
    assert "안녕" not in await backend.read_log(job_id, account("kim02"), job.admission.session_id)
    assert (await reach(backend, job, job_id, JobState.RUNNING)).job_id == job_id
    await backend.cancel(job_id, job.admission.posix, job.admission.session_id)
    over = await reach(backend, job, job_id, *JOB_OVER)
    assert (over.state, over.detail) == (JobState.FAILED, "CANCELLED")
    await backend.cancel(job_id, job.admission.posix)


async def test_a_job_that_fails_leaves_its_exit_code_and_its_log(backend, world):
    job = make_job(world, sleep="0", exit_code="3", greeting="last words")
    job_id = await backend.submit(job)
    over = await reach(backend, job, job_id, *JOB_OVER)
    assert (over.state, over.exit_code) == (JobState.FAILED, 3 if world.has_accounting else None)
    await read_until(backend, job, job_id, "last words")


async def test_a_refusal_comes_in_words(backend, world):
    with pytest.raises(SubmitRefused) as caught:
        await backend.submit(make_job(world, slots=make_slots(1, 10 * 2**40, 0)))
    assert "emory" in caught.value.params["reason"] or "node configuration" in caught.value.params["reason"]
    assert caught.value.advice
    with pytest.raises(SubmitRefused):
        await backend.submit(make_job(world, partition="nosuch"))
    with pytest.raises(NoPosixAccount):
        await backend.submit(make_job(world, posix=None))
    with pytest.raises(BackendAIError):
        await backend.submit(make_job(world, posix=PosixAccount("root", 0, 0, "/root")))


async def test_a_stop_while_it_is_submitted_loses_nothing(backend, world):
    job = make_job(world)
    task = asyncio.create_task(backend.submit(job))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    found = await reach(backend, job, "", JobState.PENDING, JobState.RUNNING)
    await backend.cancel(found.job_id, job.admission.posix, job.admission.session_id)
    await reach(backend, job, found.job_id, *JOB_OVER)


async def test_an_operator_gives_more_time_and_drains(backend, world):
    job = make_job(world)
    job_id = await backend.submit(job)
    await reach(backend, job, job_id, JobState.RUNNING)
    await backend.extend(job_id, job.admission.posix, 1200)
    assert "TimeLimit=00:20:00" in ask("scontrol", "show", "job", job_id)
    with pytest.raises(Conflict):
        await backend.extend(job_id, account("kim02"), 1800)
    assert "TimeLimit=00:20:00" in ask("scontrol", "show", "job", job_id)
    await backend.cancel(job_id, job.admission.posix, job.admission.session_id)


async def test_a_way_that_is_blocked_is_away_for_a_while_and_no_more(backend, world):
    """Whoever carries the request is not there: the job may be submitted again later, nobody is told that it was refused."""
    changed = world.change(helper_socket="/nonexistent/socket", slurm_sudo_command=["/usr/bin/true"], slurm_rest_url="http://127.0.0.1:1")
    with pytest.raises(BackendUnavailable) as caught:
        await SlurmBackend(changed, world.make(changed)).submit(make_job(world))
    assert caught.value.transient
    assert await world.make(changed).check()


async def test_a_controller_that_is_away_is_no_refusal(world):
    """Neither a start nor a stop is believed to have been answered; and the session may be handed over once the controller is back."""
    conf = Path(ask("scontrol", "show", "config").partition("SLURM_CONF")[2].splitlines()[0].strip(" ="))
    lines = [
        re.sub(r"^(SlurmctldPort|MessageTimeout)=.*", r"\1=1", line)
        for line in conf.read_text().splitlines()
        if not line.startswith("SlurmctldHost")
    ]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "slurm.conf")
        path.write_text("\n".join(["SlurmctldHost=localhost(127.0.0.1)", "MessageTimeout=1", *lines]) + "\n")
        for other in ("gres.conf", "cgroup.conf"):
            Path(directory, other).write_text((conf.parent / other).read_text())
        for place in (Path(directory), *Path(directory).iterdir()):
            place.chmod(0o755)
        job = make_job(world)
        with world.away(path) as changes:
            way = world.make(world.change(**changes))
            for call in (way.submit(job), way.cancel("1", job.admission.posix)):
                with pytest.raises(SchedulerUnavailable) as caught:
                    await call
                assert caught.value.transient
    way = world.make(world.settings)
    await way.cancel(await way.submit(job), job.admission.posix, job.admission.session_id)


async def test_sudo_lets_the_platform_do_this_one_thing():
    """Another file of options, another program, another person, root: all of them are refused by sudo itself."""
    with WORLDS["sudo"](HUB_ID) as world:
        command = world.settings.slurm_sudo_command
        assert await world.make(world.settings).check() == []
        for user, words in (
            ("lee01", command),
            ("root", command),
            ("slurm", command),
            ("kim01", [*command[:-1], "/tmp/options"]),
            ("kim01", [*command, "--operate"]),
            ("kim01", ["/bin/sh", "-c", "id"]),
            ("kim01", command[:4]),
        ):
            done = subprocess.run(
                [*AsCaller.program, "-n", "-u", user, "--", *words], capture_output=True, text=True, input="", check=False
            )
            assert (done.returncode, done.stdout) == (1, ""), (user, words)
            assert "password is required" in done.stderr
        with pytest.raises(InvalidParameters):
            await AsCaller(command, "{user}", "").call("mkdir", user="#0", uid=0)
        without = AsCaller(command, "{user}", "")
        with pytest.raises(OperatorUnavailable):
            await VerbWay("sudo", without).extend("1", account("kim01"), 60)


@pytest.mark.parametrize("version", ["v0.0.36", "v0.0.37"])
async def test_older_versions_of_slurmrestd_do_the_same(rest_world_once, version):
    """The newest is what the other tests speak."""
    world = rest_world_once
    way = world.make(world.change(slurm_rest_version=version))
    backend = SlurmBackend(world.settings, way)
    try:
        job = make_job(world)
        job_id = await backend.submit(job)
        await reach(backend, job, job_id, JobState.RUNNING)
        assert "Requeue=0" in ask("scontrol", "show", "job", job_id)
        await backend.extend(job_id, job.admission.posix, 1200)
        assert {"TimeLimit=00:20:00", f"JobName={world.settings.job_name}"} <= set(ask("scontrol", "show", "job", job_id).split())
        with pytest.raises(BackendAIError):
            await backend.cancel(job_id, account("kim02"))
        await backend.cancel(job_id, job.admission.posix, job.admission.session_id)
        await backend.cancel("4000000000", job.admission.posix)
    finally:
        await backend.close()


async def test_slurmrestd_at_a_socket_with_tokens_of_scontrols(rest_world_once):
    world = rest_world_once
    conf = Path(ask("scontrol", "show", "config").partition("SLURM_CONF")[2].splitlines()[0].strip(" ="))
    with slurmrestd(conf, at_socket=True) as url:
        assert url.startswith("unix://")
        way = world.make(world.change(slurm_rest_url=url, slurm_rest_key_file=""))
        assert await way.check() == []
        job = make_job(world)
        await way.cancel(await way.submit(job), job.admission.posix, job.admission.session_id)


async def test_what_slurmrestd_does_not_know_us_for(rest_world_once, tmp_path):
    world = rest_world_once
    (tmp_path / "key").write_bytes(b"x" * 32)
    way = world.make(world.change(slurm_rest_key_file=str(tmp_path / "key")))
    job = make_job(world)
    for _ in range(2):
        with pytest.raises(SchedulerUnavailable):
            await way.submit(job)
    with pytest.raises(InvalidParameters):
        await world.make(world.change(slurm_rest_version="v9")).submit(job)
    with pytest.raises(OperatorUnavailable):
        await world.make(world.change(slurm_rest_operator="")).extend("1", job.admission.posix, 60)
    with pytest.raises(OperatorUnavailable):  # Slurm 22.05 has no call for it
        await world.make(world.settings).drain("jnode01", "why")


async def test_a_batch_session_fetches_its_lines(rest_world_once):
    """With the programs that are shipped: what a person wrote is in nothing that Slurm has."""
    world = rest_world_once
    backend = SlurmBackend(world.settings, world.make(world.change(slurm_rest_programs="", slurm_rest_python=sys.executable)))
    try:
        job = replace(
            make_job(world),
            command=["/usr/bin/python3"],
            script='echo 나의 일괄 작업; test -n "$SLEEP" && exit 4',
            environment={"SLEEP": "1"},
        )
        job_id = await backend.submit(job)
        over = await reach(backend, job, job_id, *JOB_OVER)
        assert over.state is JobState.FAILED
        assert await read_until(backend, job, job_id, "나의 일괄 작업") == "나의 일괄 작업\n"
        assert "나의" not in ask("scontrol", "show", "job", "-d", job_id) + ask("scontrol", "write", "batch_script", job_id, "-")
    finally:
        await backend.close()
