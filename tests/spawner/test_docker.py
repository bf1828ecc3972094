"""What the engine, as root, is never asked to do: links over real files, containers of system accounts."""

import time
from types import SimpleNamespace

import pytest

from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.core.sessions import JobState, JobStatus
from jupyterhub_backendai.core.vfolder_mounts import Mount
from jupyterhub_backendai.errors import BackendUnavailable, Forbidden, InvalidParameters, NoPosixAccount, StartFailed
from jupyterhub_backendai.spawner.launchers.docker import DockerLauncher, check_links


@pytest.mark.parametrize("place", ["/home/work/kept", "/home/work/kept/input", "/data/x"])
def test_nothing_in_the_sites_own_mounts_gives_way_to_a_link(place):
    with pytest.raises(InvalidParameters):
        check_links(["/home/work/free", place], ["/home/work/kept", "/data/"])


def test_places_of_the_image_do():
    check_links(["/home/work/kept2", "/home/work/in"], ["/home/work/kept", "/home/work/in/put"])


async def test_it_is_asked_before_there_is_a_container(monkeypatch):
    launcher = DockerLauncher(user=SimpleNamespace(name="kim01", escaped_name="kim01"), volumes={"/srv/kept": "/home/work"})
    mount = Mount("f" * 32, "data", "/x/data/in", "in", False, "in")
    monkeypatch.setattr(DockerLauncher, "admission", SimpleNamespace(mounts=(mount,), posix=None), raising=False)
    with pytest.raises(InvalidParameters):
        await launcher.create_object()


@pytest.mark.parametrize(
    ("posix", "error"),
    [(None, NoPosixAccount), (PosixAccount("root", 0, 0, "/root"), Forbidden), (PosixAccount("bin", 2, 2, "/bin"), Forbidden)],
)
def test_no_container_is_a_system_accounts(monkeypatch, posix, error):
    launcher = DockerLauncher(user=SimpleNamespace(name="kim01", escaped_name="kim01"))
    monkeypatch.setattr(DockerLauncher, "admission", SimpleNamespace(posix=posix), raising=False)
    with pytest.raises(error):
        launcher._account_ids()


class Engine:
    """A backend that has one answer for each question, in order."""

    def __init__(self, *answers):
        self.answers, self.removed = list(answers), []

    async def find_container(self, session_id):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def cancel(self, job_id, posix, session_id):
        self.removed.append(session_id)


@pytest.mark.parametrize("found", [None, JobStatus("c" * 64, JobState.PENDING)])
async def test_a_start_that_a_killed_hub_left_half_made_is_cleared_away(monkeypatch, found):
    engine = Engine(BackendUnavailable(), found)  # an engine that is away for a moment proves nothing
    monkeypatch.setattr(DockerLauncher, "backend", engine)
    monkeypatch.setattr(DockerLauncher, "interval_s", 0.01)
    launcher = DockerLauncher(user=SimpleNamespace(name="kim01", escaped_name="kim01"))
    monkeypatch.setattr(DockerLauncher, "admission", SimpleNamespace(session_id="a" * 32, time_s=60), raising=False)
    with pytest.raises(StartFailed, match="Start it again"):
        await launcher.resume()
    assert engine.removed == ["a" * 32]


async def test_one_that_runs_has_its_time_limit_again(monkeypatch):
    monkeypatch.setattr(DockerLauncher, "backend", Engine(JobStatus("c" * 64, JobState.RUNNING)))
    monkeypatch.setattr(DockerLauncher, "until_serving", serve)
    monkeypatch.setattr(DockerLauncher, "admission", SimpleNamespace(session_id="a" * 32, time_s=60), raising=False)
    launcher = DockerLauncher(user=SimpleNamespace(name="kim01", escaped_name="kim01"))
    assert await launcher.resume() == "http://172.17.0.2:8888"
    assert 50 < launcher.deadline - time.time() <= 60
    launcher.disarm()


async def serve(_launcher):
    return "http://172.17.0.2:8888"
