"""Batch sessions from admission to their end, on both databases, with an engine that does what the test says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_backendai.core.identity import Actor, Role
from jupyterhub_backendai.core.queues import QueueFigures
from jupyterhub_backendai.core.sessions import BATCH, JobState, SessionStatus
from jupyterhub_backendai.core.statistics import parse_period
from jupyterhub_backendai.errors import SubmitRefused
from jupyterhub_backendai.services.batch_runner import BatchRunner
from jupyterhub_backendai.services.groups import ResourceGroups
from jupyterhub_backendai.services.schedule import Scheduler
from jupyterhub_backendai.store import batch, models, sessions
from jupyterhub_backendai.store.statistics import load_statistics
from tests.batch_engine import FakeBatchEngine
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import GIB, make_slots, make_spec
from tests.services.private import figures, people, settings

__all__ = ["database", "database_url", "figures", "people", "postgres_url", "settings", "sqlite_template"]


class Site:
    """The parts that run batch sessions, and one engine behind two queues: ours to schedule, and its own."""

    def __init__(self, settings, db):
        self.db, self.engine = db, FakeBatchEngine()
        settings.queues = [{**settings.queues[0], "scheduler": "fifo"}, *settings.queues[1:]]
        self.queues = settings.list_queues()
        self.groups = ResourceGroups(settings, db)
        self.scheduler = Scheduler(db, self.groups)
        backends = {"local": self.engine, "slurm": self.engine}
        self.runner, self.other = (BatchRunner(settings, db, self.groups, backends, self.scheduler) for _ in range(2))

    async def start(self, user="kim01", queue="local-cpu", command="true", **request):
        spec = make_spec(user, queue=queue, session_type=BATCH, command=command, **request)
        spec = replace(spec, server_name=batch.server_name(spec.session_id))
        found = figures_of(queue)
        await self.db.run_exclusive(sessions.admit, spec, self.queues[queue], found)
        return spec.session_id

    async def find(self, session_id):
        return await self.db.run(sessions.get, session_id)


def figures_of(queue):
    return QueueFigures(queue, max_slots=make_slots(8, 64 * GIB, 2)) if queue == "batch" else None


@pytest.fixture
async def site(settings, people):
    site = Site(settings, people)
    await site.groups.ready()
    return site


@pytest.mark.parametrize("queue", ["local-cpu", "batch"])
async def test_a_session_is_handed_over_once_runs_and_ends(site, queue):
    session_id = await site.start(queue=queue, command="echo one\necho two", name="training")
    await site.runner.look()
    await site.runner.look()
    (job,) = site.engine.submitted
    assert (job.script, job.user, job.environment) == ("echo one\necho two", "kim01", {"BACKENDAI_SESSION_ID": session_id})
    assert job.admission.posix.name == "kim01"
    site.engine.end(session_id, JobState.RUNNING, node="n1")
    await site.runner.look()
    found = await site.find(session_id)
    assert (found.status, found.node, found.job_id, found.is_batch) == (SessionStatus.RUNNING, "n1", "1", True)
    site.engine.end(session_id, JobState.DONE, exit_code=0)
    await site.runner.look()
    found = await site.find(session_id)
    assert (found.status, found.exit_code, found.status_reason, found.is_live) == (SessionStatus.TERMINATED, 0, "", False)
    assert found.started_at <= found.terminated_at
    at = datetime.now(UTC)
    counted = await site.db.run(load_statistics, Actor("root", Role.SUPERADMIN), parse_period({}, at), "resource_group", at)
    assert counted.total.sessions == 1


@pytest.mark.parametrize(
    ("end", "status", "words", "code"),
    [
        ({"exit_code": 3}, SessionStatus.ERROR, "The commands ended with an error.", 3),
        ({"signal": 9}, SessionStatus.ERROR, "The commands were ended by a signal.", None),
        ({"detail": "TIMEOUT"}, SessionStatus.ERROR, "The session reached its time limit.", None),
        (
            {"detail": "OUT_OF_MEMORY", "exit_code": 0, "signal": 125},
            SessionStatus.ERROR,
            "The session used more memory than it had asked for.",
            0,
        ),
        ({"detail": "CANCELLED", "ended_by": 0}, SessionStatus.CANCELLED, "The session's job was cancelled by an administrator.", None),
    ],
)
async def test_how_a_session_failed(site, end, status, words, code):
    session_id = await site.start()
    await site.runner.look()
    site.engine.end(session_id, JobState.FAILED, **end)
    await site.runner.look()
    found = await site.find(session_id)
    assert (found.status, found.status_reason, found.exit_code, found.is_live) == (status, words, code, False)


async def test_an_answer_that_was_lost_starts_nothing_twice(site):
    session_id = await site.start()
    site.engine.loses_answer = True
    await site.runner.look()
    site.engine.loses_answer = False
    assert (await site.find(session_id)).job_id == ""
    await site.other.look()  # the lease is the first one's
    await site.runner.look()
    assert ((await site.find(session_id)).job_id, len(site.engine.submitted)) == ("1", 1)


async def test_an_engine_that_was_away_gets_it_when_it_is_back(site):
    session_id = await site.start()
    site.engine.is_away = True
    for _ in range(3):
        await site.runner.look()
    site.engine.is_away = False
    for _ in range(3):
        await site.runner.look()
    assert ((await site.find(session_id)).job_id, len(site.engine.submitted)) == ("1", 1)


async def test_what_the_engine_refuses_is_over_with_its_words(site):
    site.engine.error = SubmitRefused("The scheduler refused the job: %(reason)s", reason="no")
    session_id = await site.start()
    await site.runner.look()
    found = await site.find(session_id)
    assert (found.status, found.status_reason, found.is_live) == (SessionStatus.ERROR, "The scheduler refused the job: no", False)


async def test_another_service_goes_on_where_the_first_one_ended(site):
    session_id = await site.start()
    await site.runner.look()
    await site.runner._lease.give_back()
    site.engine.end(session_id, JobState.DONE, exit_code=0)
    await site.other.look()
    assert (await site.find(session_id)).status is SessionStatus.TERMINATED


async def test_ended_before_it_was_handed_over_and_while_it_ran(site):
    early, running = await site.start(), await site.start()
    assert await site.db.run_exclusive(batch.tell_to_end, early, "enough")
    await site.runner.look()
    site.engine.end(running, JobState.RUNNING, node="n")
    await site.runner.look()
    assert not await site.db.run_exclusive(batch.tell_to_end, running, "enough")
    await site.runner.look()
    assert (await site.find(running)).is_live
    await site.runner.look()
    found = [await site.find(session_id) for session_id in (early, running)]
    assert [(info.status, info.status_reason, info.is_live) for info in found] == [(SessionStatus.CANCELLED, "enough", False)] * 2
    assert (len(site.engine.submitted), site.engine.cancelled) == (1, ["1"])


@pytest.mark.parametrize("queue", ["local-cpu", "batch"])
async def test_dependencies_and_start_times_hold_back_what_depends(site, queue):
    first = await site.start(queue=queue, name="prepare")
    second = await site.start(queue=queue, depends_on=("prepare",))
    later = await site.start(
        "lee01" if queue == "local-cpu" else "kim01", queue, starts_at="+3600", project="alpha" if queue == "local-cpu" else ""
    )
    for _ in range(2):
        await site.scheduler.schedule()
        await site.runner.look()
    assert [job.admission.session_id for job in site.engine.submitted] == [first]
    assert (await site.find(second)).wait.word == "dependency"
    assert (await site.find(later)).wait.word == "start-time"
    site.engine.end(first, JobState.DONE, exit_code=0)
    await site.runner.look()
    await site.scheduler.schedule()
    await site.runner.look()
    assert [job.admission.session_id for job in site.engine.submitted] == [first, second]

    def bring_forward(db):
        db.get(models.ComputeSession, later).starts_at = models.now() - timedelta(seconds=1)

    await site.db.run(bring_forward)
    await site.scheduler.schedule()
    await site.runner.look()
    assert [job.admission.session_id for job in site.engine.submitted] == [first, second, later]


async def test_what_depends_on_a_failure_never_starts(site):
    first = await site.start(name="prepare")
    second = await site.start(depends_on=("prepare",))
    await site.runner.look()
    site.engine.end(first, JobState.FAILED, exit_code=1)
    await site.runner.look()
    await site.scheduler.schedule()
    assert (await site.find(second)).wait.word == "dependency-failed"
    assert await site.db.run_exclusive(batch.tell_to_end, second, "")


async def test_batch_sessions_wait_in_the_groups_line_like_others(site):
    first, second = await site.start(cpu=4), await site.start("lee01", cpu=4, project="alpha")
    await site.runner.look()
    await site.scheduler.schedule()
    assert (await site.find(second)).wait.word == "resources"
    site.engine.end(first, JobState.DONE, exit_code=0)
    await site.runner.look()
    await site.scheduler.schedule()
    await site.runner.look()
    assert [job.admission.session_id for job in site.engine.submitted] == [first, second]


@pytest.mark.parametrize(
    ("limits", "patience_s", "words"),
    [({}, 3600, "that you wanted to wait"), ({"pending_timeout_s": 600}, 3600, "that the queue lets sessions wait"), ({}, 0, "")],
    ids=["own", "queue", "none"],
)
async def test_a_job_that_waits_longer_than_it_may_is_given_up(site, limits, patience_s, words):
    site.groups._queues = {**site.groups.queues(), "batch": replace(site.queues["batch"], **limits)}
    session_id = await site.start(queue="batch", patience_s=patience_s)
    await site.runner.look()
    site.engine.end(session_id, JobState.PENDING)
    await site.runner.look()
    assert (await site.find(session_id)).status is SessionStatus.PENDING
    earlier = datetime.now(UTC) - timedelta(seconds=3700)
    await site.db.run(lambda db: setattr(db.get_one(models.ComputeSession, session_id), "created_at", earlier))
    for _ in range(3):
        await site.runner.look()
    found = await site.find(session_id)
    if not words:
        assert found.status is SessionStatus.PENDING
        return
    assert words in found.status_reason
    site.engine.end(session_id, JobState.FAILED, detail="CANCELLED by 5000")
    await site.runner.look()
    found = await site.find(session_id)
    assert found.status is SessionStatus.CANCELLED
    assert words in found.status_reason
