"""The backend of containers against the lab's engine: what it says of one that runs, ended, is gone, and of an engine that is away."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest

from jupyterhub_backendai.backends.docker import (
    HUB_LABEL,
    OUT_OF_MEMORY,
    SESSION_LABEL,
    DockerBackend,
    EngineUnavailable,
    container_name,
    parse_status,
)
from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.sessions import JobState
from jupyterhub_backendai.errors import BackendUnavailable, Conflict
from tests import lab
from tests.spawner.harness import until

pytestmark = pytest.mark.docker
Start = Callable[..., tuple[str, str]]


@pytest.fixture
def settings(tmp_path: Path) -> BackendAI:
    return BackendAI(docker_url=f"unix://{lab.DOCKER_SOCKET}", hub_id=f"t{secrets.token_hex(4)}", state_dir=str(tmp_path))


@pytest.fixture
def backend(settings: BackendAI) -> DockerBackend:
    return DockerBackend(settings)


@pytest.fixture
def start(settings: BackendAI) -> Iterator[Start]:
    """Start a container of a session; (session id, container id). All are gone afterwards."""
    client, made = docker.APIClient(settings.docker_url, timeout=30), []

    def run(*command: str, **limits: object) -> tuple[str, str]:
        session_id = uuid.uuid4().hex
        labels = {HUB_LABEL: settings.job_name, SESSION_LABEL: session_id}
        host = client.create_host_config(binds=["/usr:/usr:ro"], init=True, **limits)
        container = client.create_container(
            lab.DOCKER_IMAGE, list(command), name=container_name(session_id), labels=labels, host_config=host
        )
        made.append(container["Id"])
        client.start(container)
        return session_id, container["Id"]

    yield run
    for container in made:
        try:
            client.remove_container(container, force=True)
        except docker.errors.NotFound:
            continue
    client.close()


async def status(backend: DockerBackend, session_id: str, job_id: str):
    await backend.refresh()
    return await backend.status(session_id, job_id, None)


async def until_over(backend: DockerBackend, session_id: str, job_id: str):
    async def is_over():
        found = await status(backend, session_id, job_id)
        return found if found.state in {JobState.DONE, JobState.FAILED, JobState.GONE} else None

    return await until(is_over, 30, "the end of the container")


async def test_a_container_runs_prints_ends_and_is_removed(backend: DockerBackend, start: Start):
    session_id, job_id = start("/bin/sh", "-c", "echo 안녕; sleep 600")
    assert (await status(backend, session_id, job_id)).state is JobState.RUNNING
    assert await until(lambda: backend.read_log(job_id, None), 20, "its first line") == "안녕\n"
    assert (await backend.find_address(job_id)).count(".") == 3
    await backend.cancel("", None, session_id)  # by its name: the id may never have been learnt
    assert (await status(backend, session_id, job_id)).state is JobState.GONE
    assert await backend.read_log(job_id, None) == ""
    await backend.cancel(job_id, None, session_id)  # twice is no error


async def test_the_exit_code_of_one_that_ended_by_itself(backend: DockerBackend, start: Start):
    session_id, job_id = start("/bin/sh", "-c", "exit 3")
    found = await until_over(backend, session_id, job_id)
    assert (found.state, found.exit_code, found.detail) == (JobState.FAILED, 3, "")
    session_id, job_id = start("/bin/sh", "-c", "exit 0")
    assert (await until_over(backend, session_id, job_id)).state is JobState.DONE


async def test_memory_that_was_too_little_is_said(backend: DockerBackend, start: Start):
    eat = "import sys; x = bytearray(400 * 2**20); print(len(x))"
    session_id, job_id = start("/usr/bin/python3", "-c", eat, mem_limit=64 * 2**20, memswap_limit=64 * 2**20)
    found = await until_over(backend, session_id, job_id)
    assert (found.state, found.detail) == (JobState.FAILED, OUT_OF_MEMORY)


async def test_an_end_stays_known_after_the_container_was_removed(backend: DockerBackend, start: Start):
    session_id, job_id = start("/bin/sh", "-c", "exit 7")
    await until_over(backend, session_id, job_id)
    await backend.cancel(job_id, None, session_id)
    assert (await status(backend, session_id, job_id)).exit_code == 7


async def test_an_engine_that_is_away_proves_nothing(tmp_path: Path):
    away = DockerBackend(BackendAI(docker_url=f"unix://{tmp_path}/nobody.sock", state_dir=str(tmp_path)))
    assert (await away.status("a" * 32, "b" * 64, None)).state is JobState.UNKNOWN
    for call in (away.statuses(), away.nodes(), away.cancel("b" * 64, None, "a" * 32), away.read_log("b" * 64, None)):
        with pytest.raises(EngineUnavailable) as caught:
            await call
        assert isinstance(caught.value, BackendUnavailable)


async def test_one_that_was_never_made_is_not_called_gone_before_its_id_is_known(backend: DockerBackend):
    assert (await status(backend, "c" * 32, "")).state is JobState.UNKNOWN
    assert (await status(backend, "c" * 32, "d" * 64)).state is JobState.GONE


async def test_a_list_that_was_read_before_the_container_was_made_proves_nothing(backend: DockerBackend, start: Start):
    assert await backend.statuses() == {}
    session_id, job_id = start("/bin/sh", "-c", "sleep 600")
    assert (await backend.status(session_id, job_id, None)).state is JobState.RUNNING
    found = await backend.find_container(session_id)
    assert found
    assert (found.job_id, found.state) == (job_id, JobState.RUNNING)
    assert await backend.find_container("e" * 32) is None


async def test_a_stranger_by_the_name_of_a_sessions_container_is_not_it(backend: DockerBackend, start: Start, tmp_path: Path):
    session_id, job_id = start("/bin/sh", "-c", "sleep 600")
    other = DockerBackend(BackendAI(docker_url=f"unix://{lab.DOCKER_SOCKET}", hub_id="other", state_dir=str(tmp_path)))
    assert await other.find_container(session_id) is None
    assert (await other.status(session_id, job_id, None)).state is JobState.GONE


async def test_only_containers_of_this_hub_are_read(settings: BackendAI, backend: DockerBackend, start: Start, tmp_path: Path):
    session_id, _ = start("/bin/sh", "-c", "sleep 600")
    assert set(await backend.statuses()) == {session_id}
    other = DockerBackend(BackendAI(docker_url=settings.docker_url, hub_id="other", state_dir=str(tmp_path)))
    assert await other.statuses() == {}


async def test_the_engines_machine_is_a_node(backend: DockerBackend):
    [node] = await backend.nodes()
    assert node.engine == "docker"
    assert node.slots.amount("cpu") > 0


async def test_batch_sessions_are_refused_in_words(backend: DockerBackend):
    with pytest.raises(Conflict, match="another queue"):
        await backend.submit(None)


@pytest.mark.parametrize(
    ("word", "state"),
    [("created", JobState.PENDING), ("running", JobState.RUNNING), ("paused", JobState.RUNNING), ("dead", JobState.FAILED)],
)
def test_words_of_the_engine(word: str, state: JobState):
    assert parse_status({"Id": "x", "State": word}).state is state


def test_a_word_that_nobody_knows_is_unknown():
    assert parse_status({"Id": "x", "State": "dreaming"}).state is JobState.UNKNOWN
