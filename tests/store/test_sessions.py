import asyncio
import json
import sys
from pathlib import Path

import pytest
from sqlalchemy import insert

from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.core.slots import CUDA_DEVICE, ResourceSlots
from jupyterhub_backendai.errors import Conflict, Forbidden, InvalidParameters, NoPosixAccount, NotFound, QuotaExceeded
from jupyterhub_backendai.store import models, sessions
from tests.factories import GIB, add_user, make_queue, make_slots, make_spec

ROOT = Path(__file__).parents[2]
QUEUE = make_queue()


@pytest.fixture
async def people(database):
    await database.run(add_user, "kim01")
    await database.run(add_user, "lee01", "alpha", "beta", posix=False)
    return database


def admit(database, spec, queue=QUEUE, figures=None):
    return database.run_exclusive(sessions.admit, spec, queue, figures)


async def test_an_admission_says_everything_that_a_launcher_needs(people):
    queue = make_queue("paid", "slurm", partition="cas_v100_4", accounts={"*": "paid"}, gpu_type="v100", default_time_s=1800)
    spec = make_spec(queue="paid", gpu=1, name="내 실험")
    admission = await admit(people, spec, queue)
    assert (admission.session_id, admission.engine, admission.partition, admission.account) == (
        spec.session_id,
        "slurm",
        "cas_v100_4",
        "paid",
    )
    assert (admission.project, admission.gpu_type, admission.time_s, admission.devices) == ("default", "v100", 1800, ())
    assert admission.posix.name == "kim01"
    info = await people.run(sessions.get, spec.session_id)
    assert (info.user, info.name, info.status, info.slots) == ("kim01", "내 실험", SessionStatus.PENDING, spec.request.slots)
    assert info.is_live
    assert info.created_at.tzinfo is not None


async def test_asking_twice_gives_the_same_answer_and_counts_once(people):
    spec = make_spec(cpu=4, gpu=1)
    assert await admit(people, spec) == await admit(people, spec)
    assert (await people.run(sessions.list_usage))["local-cpu"].slots == spec.request.slots


async def test_the_first_project_is_the_default(people):
    assert (await admit(people, make_spec("lee01"))).project == "alpha"
    assert (await admit(people, make_spec("lee01", "two", project="beta"))).project == "beta"


async def test_another_users_session_id_is_refused(people):
    spec = make_spec()
    await admit(people, spec)
    with pytest.raises(Conflict):
        await admit(people, make_spec("lee01", session_id=spec.session_id))


async def test_a_session_that_is_over_is_not_admitted_again(people):
    spec = make_spec()
    await admit(people, spec)
    await people.run_exclusive(sessions.release, spec.session_id)
    with pytest.raises(Conflict):
        await admit(people, spec)


@pytest.mark.parametrize(
    ("spec", "queue", "error", "rules"),
    [
        (make_spec("nobody"), QUEUE, Forbidden, []),
        (make_spec("lee01", queue="s"), make_queue("s", "slurm"), NoPosixAccount, []),
        (make_spec(project="secret"), QUEUE, Forbidden, ["project"]),
        (make_spec(), make_queue(projects=("vip",)), Forbidden, ["queue"]),
        (make_spec(cpu=5), QUEUE, InvalidParameters, ["queue-limit"]),
        (make_spec(cpu=5, gpu=9), QUEUE, InvalidParameters, ["queue-limit", "queue-limit"]),
        (make_spec(time_s=7200), make_queue(max_time_s=3600), InvalidParameters, ["queue-limit"]),
        (make_spec(), make_queue(max_sessions=0), QuotaExceeded, ["sessions"]),
    ],
)
async def test_refusals(people, spec, queue, error, rules):
    with pytest.raises(error) as caught:
        await admit(people, spec, queue)
    assert type(caught.value) is error
    assert [violation.rule for violation in caught.value.violations] == rules
    assert await people.run(sessions.list_live) == ()


async def test_every_amount_that_does_not_fit_is_named_at_once(people):
    await admit(people, make_spec(cpu=3, mem=7 * GIB, gpu=2))
    with pytest.raises(QuotaExceeded) as caught:
        await admit(people, make_spec("lee01", cpu=2, mem=2 * GIB, gpu=1))
    assert [violation.field for violation in caught.value.violations] == ["cpu", "mem", "gpu"]


@pytest.mark.parametrize("close", ["user", "domain", "project"])
async def test_who_is_closed_starts_nothing(people, close):
    def change(db):
        if close == "user":
            db.query(models.User).filter_by(name="kim01").one().status = models.UserStatus.INACTIVE
        elif close == "domain":
            db.get(models.Domain, "default").is_active = False
        else:
            db.query(models.Project).filter_by(name="default").one().is_active = False

    await people.run(change)
    with pytest.raises(Forbidden):
        await admit(people, make_spec())


async def test_a_released_sessions_slots_and_device_go_to_the_next(people):
    first, second = make_spec(gpu=1), make_spec("lee01", gpu=1)
    assert (await admit(people, first)).devices == (0,)
    assert (await admit(people, second)).devices == (1,)
    assert await people.run_exclusive(sessions.release, first.session_id, "stopped")
    assert (await admit(people, make_spec(gpu=1))).devices == (0,)


async def test_release_happens_once_and_never_complains(people):
    spec = make_spec()
    await admit(people, spec)
    answers = await asyncio.gather(*(people.run_exclusive(sessions.release, spec.session_id, "stopped") for _ in range(5)))
    assert sorted(answers) == [False, False, False, False, True]
    assert not await people.run_exclusive(sessions.release, "0" * 32)
    info = await people.run(sessions.get, spec.session_id)
    assert (info.status, info.status_reason, info.is_live) == (SessionStatus.CANCELLED, "stopped", False)


async def test_a_new_session_of_a_server_replaces_what_an_old_one_left(people):
    old, new = make_spec(cpu=4), make_spec(cpu=4)
    await admit(people, old)
    await admit(people, new)
    assert [info.id for info in await people.run(sessions.list_live)] == [new.session_id]
    assert (await people.run(sessions.get, old.session_id)).status is SessionStatus.CANCELLED


async def test_a_refused_start_replaces_nothing(people):
    old = make_spec()
    await admit(people, old)
    with pytest.raises(InvalidParameters):
        await admit(people, make_spec(cpu=99))
    assert [info.id for info in await people.run(sessions.list_live, "kim01")] == [old.session_id]


async def test_reports_go_forward_only(people):
    spec = make_spec()
    await admit(people, spec)

    async def report(status, **fields):
        await people.run(sessions.report, spec.session_id, status, **fields)
        return await people.run(sessions.get, spec.session_id)

    assert (await report(SessionStatus.SCHEDULED, job_id="17")).job_id == "17"
    info = await report(SessionStatus.RUNNING, node="node1")
    assert (info.status, info.node, info.job_id) == (SessionStatus.RUNNING, "node1", "17")
    started_at = info.started_at
    assert started_at is not None
    assert (await report(SessionStatus.PREPARING)).status is SessionStatus.RUNNING
    info = await report(SessionStatus.ERROR, reason="TIMEOUT")
    assert (info.status, info.status_reason, info.is_live) == (SessionStatus.ERROR, "TIMEOUT", True)
    assert info.terminated_at is not None
    assert (await report(SessionStatus.RUNNING, node="node2")).node == "node1"
    await people.run_exclusive(sessions.release, spec.session_id, "stopped")
    info = await people.run(sessions.get, spec.session_id)
    assert (info.status, info.status_reason, info.is_live, info.started_at) == (SessionStatus.ERROR, "TIMEOUT", False, started_at)


async def test_a_report_of_an_unknown_session_is_not_found(people):
    with pytest.raises(NotFound):
        await people.run(sessions.report, "0" * 32, SessionStatus.RUNNING)


async def test_a_session_whose_server_is_up_after_all_comes_back(people):
    spec = make_spec()
    await admit(people, spec)
    await people.run_exclusive(sessions.release, spec.session_id)
    assert await people.run_exclusive(sessions.revive, spec.session_id)
    info = await people.run(sessions.get, spec.session_id)
    assert (info.status, info.is_live, info.terminated_at) == (SessionStatus.RUNNING, True, None)


async def test_a_session_whose_server_has_another_one_stays_over(people):
    old, new = make_spec(), make_spec()
    await admit(people, old)
    await admit(people, new)
    assert not await people.run_exclusive(sessions.revive, old.session_id)


async def test_counts_for_metrics(people):
    await admit(people, make_spec())
    await admit(people, make_spec("lee01"))
    assert await people.run(sessions.count_live) == {("PENDING", "local-cpu", "local"): 2}


@pytest.mark.parametrize(("count", "gpus"), [(20, 0), (20, 1), (200, 2)])
async def test_many_at_once_from_several_processes_get_exactly_what_there_is(database, database_url, count, gpus):
    def add_people(db):
        for number in range(count):
            add_user(db, f"user{number:03}")

    await database.run(add_people)
    share = count // 4
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.store.admit_many", database_url, str(first), str(share), str(gpus)),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for first in range(0, count, share)
    ]
    for process in processes:
        assert await process.stdout.readline() == b"ready\n"
    answers = [json.loads(output) for output, _ in await asyncio.gather(*(process.communicate(b"go\n") for process in processes))]
    admitted = [devices for answer in answers for devices in answer["admitted"]]
    assert [other for answer in answers for other in answer["others"]] == []
    assert len(admitted) == 4
    assert {name: sum(answer["refused"].get(name, 0) for answer in answers) for name in answers[0]["refused"]} == {
        "QuotaExceeded": count - 4
    }
    assert sorted(device for devices in admitted for device in devices) == list(range(4 * gpus))
    held = (await database.run(sessions.list_usage))["local-cpu"]
    assert (held.sessions, held.slots) == (4, make_slots(4, 4 * GIB, 4 * gpus))


async def test_over_sessions_slow_nothing_however_many_they_are(database):
    """Admission and the list of live sessions read the live rows only: the plan uses the partial indexes, whatever the table holds."""
    queries = {
        "ix_sessions_live_queue": "SELECT slots FROM sessions WHERE queue = 'q' AND released_at IS NULL",
        "uq_sessions_live_server": "SELECT id FROM sessions WHERE user_id = 'u' AND server_name = '' AND released_at IS NULL",
    }
    is_sqlite = database.engine.dialect.name == "sqlite"

    def fill(db):
        user_id, moment = add_user(db), models.now()
        fields = {"domain": "default", "project": "default", "engine": "local", "environment": "e", "interface": "lab", "time_limit_s": 60}
        times = {"created_at": moment, "released_at": moment}
        rows = [{"id": models.new_id(), "user_id": user_id, "queue": "q", "slots": make_slots(), **fields, **times} for _ in range(5000)]
        db.execute(insert(models.ComputeSession), rows)
        db.connection().exec_driver_sql("ANALYZE")

    def plan(db, query):
        rows = db.connection().exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' if is_sqlite else ''}{query}")
        return " ".join(str(column) for row in rows for column in row)

    await database.run(fill)
    for index, query in queries.items():
        # PostgreSQL may take the other partial index: both hold the live rows alone.
        assert (index if is_sqlite else "_live_") in await database.run(plan, query)


async def test_slots_are_kept_exactly(people):
    slots = ResourceSlots({"cuda.shares": "0.1", CUDA_DEVICE: 0, "cpu": "1", "mem": str(1 << 50)})

    def add(db):
        user = db.query(models.User).filter_by(name="kim01").one()
        fields = {"domain": "default", "project": "default", "queue": "q", "engine": "local", "environment": "e", "interface": "lab"}
        db.add(models.ComputeSession(id="a" * 32, user_id=user.id, slots=slots, time_limit_s=60, **fields))

    await people.run(add)
    assert (await people.run(sessions.get, "a" * 32)).slots == slots
