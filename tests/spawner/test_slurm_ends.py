"""The end of a job on Slurm: asked for until it is there, and seen where the job only begins anew."""

from __future__ import annotations

import asyncio

import pytest

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.core.sessions import Admission, JobState, JobStatus
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.errors import BackendAIError, SchedulerUnavailable
from jupyterhub_backendai.spawner.launchers import base, slurm
from jupyterhub_backendai.spawner.launchers.slurm import SlurmLauncher

ADMISSION = Admission(
    "1" * 32, "slurm", "jupyter", "jupyter", "free", "default", "default", "lab", ResourceSlots({"cpu": "1"}), "", 60,
    posix=PosixAccount("kim01", 10001, 20001, "/home/kim01"),
)  # fmt: skip


class FakeBackend:
    """A job that ends when it was cancelled so many times; its states are set by the test."""

    def __init__(self, cancels_needed: int = 1) -> None:
        self.state, self.cancels, self.needed = JobState.RUNNING, 0, cancels_needed

    async def status(self, _session_id, job_id, _posix):
        return JobStatus(job_id, self.state, node="n1")

    async def cancel(self, _job_id, _posix, _session_id=""):
        self.cancels += 1
        if self.cancels >= self.needed:
            self.state = JobState.FAILED

    async def refresh(self):
        pass


@pytest.fixture
def start(monkeypatch):
    def start(backend: FakeBackend) -> SlurmLauncher:
        monkeypatch.setattr(SlurmLauncher, "backend", backend)
        launcher = SlurmLauncher()
        launcher.attach(BackendAI(), ADMISSION, lambda: None)
        launcher.job_id, launcher.node = "7", "n1"
        return launcher

    monkeypatch.setattr(slurm, "OVER_FOR_S", 0.0)
    monkeypatch.setattr(slurm, "CANCEL_AGAIN_S", 0.0)
    return start


async def all_ended() -> None:
    async with asyncio.timeout(20):
        while base._ending:
            await asyncio.wait(set(base._ending))


async def test_a_cancel_that_said_it_was_done_and_was_not_is_repeated(start):
    backend = FakeBackend(cancels_needed=3)
    await start(backend).stop()
    await all_ended()
    assert (backend.cancels, backend.state) == (3, JobState.FAILED)


async def test_cancelling_comes_to_an_end_where_the_job_does_not(start, monkeypatch):
    monkeypatch.setattr(slurm, "MOST_CANCELS", 2)
    backend = FakeBackend(cancels_needed=99)
    await start(backend).stop()
    await all_ended()
    assert backend.cancels == 2


async def test_the_job_that_got_the_id_of_a_lost_one_is_left_alone(start):
    backend = FakeBackend()
    backend.state = JobState.GONE
    await start(backend).stop()
    assert backend.cancels == 0


async def test_a_job_that_was_put_back_has_lost_its_server(start, monkeypatch):
    monkeypatch.setattr(slurm, "PUT_BACK_S", 0.0)
    backend = FakeBackend()
    launcher = start(backend)
    assert await launcher.poll() is None
    backend.state = JobState.PENDING
    assert await launcher.poll() == 1
    assert "back into the queue" in launcher.ending.explain("en")
    await all_ended()
    assert backend.cancels == 1  # it must not begin a second time, with nobody to reach it


async def test_a_job_that_has_not_run_yet_was_not_put_back(start, monkeypatch):
    monkeypatch.setattr(slurm, "PUT_BACK_S", 0.0)
    backend = FakeBackend()
    launcher = start(backend)
    launcher.node, backend.state = "", JobState.PENDING
    assert await launcher.poll() is None


async def test_a_scheduler_that_cannot_tell_the_nodes_address_yet_ends_no_start(start, monkeypatch):
    backend, addresses = FakeBackend(), iter([SchedulerUnavailable(), SchedulerUnavailable(), "10.0.0.1"])

    async def node_address(_node):
        answer = next(addresses)
        if isinstance(answer, Exception):
            raise answer
        return answer

    backend.node_address = node_address
    launcher = start(backend)
    launcher.start_timeout, launcher.reported_port = 0, 5555  # the server is there: no time limit ends it
    assert await launcher._until_port() == "http://10.0.0.1:5555"


def test_what_is_shown_of_a_scheduler_that_is_away_is_stale_and_says_its_age(start, monkeypatch):
    launcher, now = start(FakeBackend()), [1000.0]
    monkeypatch.setattr(slurm.time, "monotonic", lambda: now[0])
    reasons = []
    for state in (JobState.UNKNOWN, JobState.UNKNOWN, JobState.PENDING, JobState.UNKNOWN):
        stage = launcher.waiting_stage(JobStatus("7", state))
        reasons.append(str(stage.reason or ""))
        now[0] += 150
    assert "at the moment" in reasons[0]
    assert "2 min old" in reasons[1]
    assert reasons[2] == ""
    assert reasons[3] == reasons[0]


async def test_a_cancel_that_failed_for_whatever_reason_is_repeated(start):
    backend = FakeBackend(cancels_needed=3)
    cancel = backend.cancel

    async def refuse_first(*arguments):
        await cancel(*arguments)
        if backend.cancels == 1:
            raise BackendAIError("slurm_msg_sendto: address:port=10.0.0.1:6818: Unspecified error")

    backend.cancel = refuse_first
    await start(backend).stop()
    await all_ended()
    assert (backend.cancels, backend.state) == (3, JobState.FAILED)
