"""What a launcher makes of what its engine says: stages, ends, and the port."""

import asyncio
import contextlib
import itertools
import time
from dataclasses import replace

import pytest
from jupyterhub.objects import Server

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.reasons import explain_end
from jupyterhub_backendai.core.sessions import Admission, JobState, JobStatus, SessionStatus
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.core.waits import History
from jupyterhub_backendai.errors import BackendUnavailable, StartFailed, SubmitRefused
from jupyterhub_backendai.spawner.expecting import Expecting
from jupyterhub_backendai.spawner.launchers.base import Ending, Launcher, Stage
from jupyterhub_backendai.spawner.launchers.slurm import SlurmLauncher
from jupyterhub_backendai.spawner.reports import Reports

ADMISSION = Admission("a" * 32, "slurm", "gpu", "p", "", "prj", "default", "lab", ResourceSlots({"cpu": 1}), "", 60)
PENDING = JobStatus("7", JobState.PENDING, reason="Resources", position=2, start_at=1e9)
RUNNING = JobStatus("7", JobState.RUNNING, node="n1")
UNKNOWN = JobStatus("7", JobState.UNKNOWN)


class ScriptedLauncher(SlurmLauncher):
    """Slurm's launcher on an engine that says one thing after the other, and the last for ever."""

    interval_s = 0.01

    def play(self, *statuses, submission="7"):
        self.script, self.submission = list(statuses), submission
        self.cancelled, self.saved = [], []
        self.attach(BackendAI(), ADMISSION, lambda: self.saved.append(self.get_state()))
        return self

    async def ask(self):
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]

    async def submit(self):
        if isinstance(self.submission, Exception):
            raise self.submission
        if isinstance(self.submission, asyncio.Future):
            return await self.submission
        return self.submission

    async def address(self, node):
        return {"n1": "127.0.0.1", "six": "::1"}[node]

    async def refresh(self):
        pass

    async def until_serving(self):
        return await Launcher.until_serving(self)

    async def _until_answer(self, base):
        self.answered = base

    async def cancel(self, now):
        self.cancelled.append(self.job_id)


def launcher(*statuses, **kwargs) -> ScriptedLauncher:
    return ScriptedLauncher().play(*statuses, **kwargs)


async def read_stages(one) -> list:
    found = []
    with contextlib.suppress(asyncio.CancelledError):
        async for stage in one.stages():
            found.append(stage)  # noqa: PERF401 - what was read before the cancel counts
    return found


async def test_stages_are_shown_once_each_and_to_everybody():
    one = launcher(PENDING, PENDING, PENDING, UNKNOWN, PENDING, RUNNING, RUNNING)
    readers = [asyncio.create_task(read_stages(one)) for _ in range(2)]
    one.show = lambda stage, show=one.show: (show(stage), shown.append(stage))
    shown = []
    start = asyncio.create_task(one.start())
    while one.stage.name != "starting":
        await asyncio.sleep(0)
    one.receive_port(5555)
    assert await start == "http://127.0.0.1:5555"
    for reader in readers:
        reader.cancel()
    for stages in await asyncio.gather(*readers):
        assert stages[0].name == "submitting"
        assert all(before != after for before, after in itertools.pairwise(stages))
    names = [stage.name for stage in shown]
    assert sorted(set(names), key=names.index) == ["waiting", "starting", "connecting"]
    waiting = shown[0].to_event("en")
    assert (waiting["position"], waiting["start_at"], waiting["stage"]) == (2, 1e9, "waiting")
    assert waiting["message"] == "Waiting in the queue gpu, position 2."
    assert waiting["reason"].startswith("Next in line")
    late = asyncio.create_task(read_stages(one))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    late.cancel()
    assert [stage.name for stage in await late] == ["connecting"]


async def test_an_unreachable_scheduler_keeps_the_stage_and_kills_nothing():
    one = launcher(RUNNING, UNKNOWN)
    start = asyncio.create_task(one.start())
    while not (one.stage.reason and one.stage.name == "starting"):
        await asyncio.sleep(0)
    assert "cannot be reached" in one.stage.to_event("en")["reason"]
    assert await one.poll() is None
    start.cancel()


@pytest.mark.parametrize(
    ("detail", "words", "status"),
    [
        ("TIMEOUT", "time limit", SessionStatus.TERMINATED),
        ("CANCELLED by 0", "cancelled", SessionStatus.TERMINATED),
        ("OUT_OF_MEMORY", "more memory", SessionStatus.ERROR),
        ("NODE_FAIL", "node", SessionStatus.ERROR),
        ("FAILED", "failed", SessionStatus.ERROR),
    ],
)
async def test_a_job_that_ends_before_its_server_answers_says_why(detail, words, status):
    over = JobStatus("7", JobState.FAILED, detail=detail)
    one = launcher(RUNNING, over)
    with pytest.raises(StartFailed, match=words):
        await one.start()
    assert one.ending.status is status
    assert Ending.from_json(one.ending.to_json()) == one.ending


async def test_the_first_reason_stays():
    timeout = JobStatus("7", JobState.FAILED, detail="TIMEOUT")
    one = launcher(timeout, timeout, JobStatus("7", JobState.GONE))  # a poll may look twice
    assert [await one.poll() for _ in range(3)] == [1, 1, 1]
    assert one.ending.why == explain_end(JobStatus("7", JobState.FAILED, detail="TIMEOUT"))


async def test_a_server_that_never_reports_is_given_up():
    one = launcher(RUNNING)
    one.start_timeout = 0
    with pytest.raises(StartFailed, match="did not report within 0 seconds"):
        await one.start()


async def test_a_port_that_comes_before_the_engine_says_running_waits_for_the_node():
    one = launcher(PENDING, PENDING, PENDING, JobStatus("7", JobState.RUNNING, node="six"))
    one.receive_port(6000)
    assert await one.start() == "http://[::1]:6000"


async def test_each_thing_learnt_is_saved_at_once():
    one = launcher(PENDING, RUNNING)
    start = asyncio.create_task(one.start())
    while not one.node:
        await asyncio.sleep(0)
    one.receive_port(5555)
    await start
    assert one.saved == [
        {"job_id": "7", "node": "", "port": 0},
        {"job_id": "7", "node": "n1", "port": 0},
        {"job_id": "7", "node": "n1", "port": 5555},
    ]


async def test_a_start_that_is_cancelled_before_sbatch_answers_still_ends_its_job():
    answer = asyncio.get_running_loop().create_future()
    one = launcher(PENDING, submission=answer)
    start = asyncio.create_task(one.start())
    while one._submission is None:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    start.cancel()
    stop = asyncio.create_task(one.stop())
    await asyncio.sleep(0)
    assert not one.cancelled
    answer.set_result("8")
    await stop
    assert one.cancelled == ["8"]


async def test_a_refused_job_needs_no_end_and_a_lost_answer_is_looked_for():
    one = launcher(PENDING, submission=SubmitRefused("no"))
    with pytest.raises(SubmitRefused):
        await one.start()
    await one.stop()
    assert not one.cancelled
    one = launcher(PENDING, submission=BackendUnavailable())
    with pytest.raises(BackendUnavailable):
        await one.start()
    await one.stop()
    while not one.cancelled:
        await asyncio.sleep(0)


async def test_reports_are_made_in_order_until_they_are_taken(caplog, monkeypatch):
    import logging

    monkeypatch.setattr("jupyterhub_backendai.spawner.reports.FIRST_PAUSE_S", 0.01)
    taken, answers = [], [BackendUnavailable(), BackendUnavailable(), None]

    async def slow():
        if error := answers.pop(0):
            raise error
        taken.append("slow")

    async def refused():
        taken.append("refused")
        raise SubmitRefused("no")

    async def quick():
        taken.append("quick")

    reports = Reports(logging.getLogger("test"))
    for name, call in (("slow", slow), ("refused", refused), ("quick", quick)):
        last = reports.send(name, call)
    await last
    assert taken == ["slow", "refused", "quick"]
    assert "trying again" in caplog.text


def test_a_server_object_is_what_the_address_is_made_of():
    assert Server(proto="http", ip="127.0.0.1", port=5, base_url="/user/a/").url == "http://127.0.0.1:5/user/a/"


@pytest.mark.parametrize(("by_wish", "words"), [(True, "you wanted to wait"), (False, "the queue lets sessions wait")])
async def test_a_job_that_waits_too_long_is_given_up_and_one_that_runs_is_not(by_wish, words):
    one = launcher(UNKNOWN, UNKNOWN, PENDING)
    one.admission = replace(ADMISSION, give_up_at=1.0, gives_up_by_wish=by_wish)
    with pytest.raises(StartFailed, match=words):
        await one.start()
    assert one.ending.status is SessionStatus.CANCELLED
    late = launcher(RUNNING)
    late.admission = replace(ADMISSION, give_up_at=1.0)
    late.receive_port(5555)
    assert await late.start() == "http://127.0.0.1:5555"


class FixedService:
    """Says one thing of the past, or is away; counts how often it is asked."""

    def __init__(self, history):
        self.history, self.asked = history, []

    async def find_history(self, *key):
        self.asked.append(key)
        if self.history is None:
            raise BackendUnavailable
        return self.history


async def test_the_expected_start_is_asked_for_once_and_follows_the_scheduler():
    past = History(tuple((60.0 * number, round(1 - number / 20, 6)) for number in range(1, 21)), 20, "size")
    service, now = FixedService(past), time.time()
    admission = replace(ADMISSION, waits_since=now - 120)
    waiting = Stage("waiting", position=2)
    expecting = [Expecting() for _ in range(50)]
    stages = await asyncio.gather(*(one.add(waiting, admission, service) for one in expecting))
    assert len(service.asked) == 1
    assert len({tuple(stage.expected.items()) for stage in stages}) == 1
    expected = stages[0].expected
    assert (expected["low_s"], expected["middle_s"], expected["high_s"], expected["past"]) == (120, 540, 1020, 20)
    assert stages[0].to_event("en")["since"] == admission.waits_since
    again = await expecting[0].add(waiting, admission, service)
    assert again == stages[0], "no event each second"
    sooner = await expecting[0].add(replace(waiting, start_at=now + 300), admission, service)
    assert sooner.expected["high_at"] == pytest.approx(now + 300, abs=2)
    held = await expecting[0].add(replace(waiting, is_foreseeable=False), admission, service)
    assert held.expected is None
    running = Stage("starting")
    assert await expecting[0].add(running, admission, service) is running


async def test_without_the_service_nothing_is_expected_and_nothing_waits():
    service = FixedService(None)
    admission = replace(ADMISSION, waits_since=time.time())
    for _ in range(3):
        assert (await Expecting().add(Stage("waiting"), admission, service)).expected is None
    assert len(service.asked) == 1
    alone = await Expecting().add(Stage("waiting", start_at=time.time() + 600), admission, service)
    assert (alone.expected["past"], alone.expected["by_scheduler"]) == (0, True)
