"""The history of waits in the database, what was told and how good it was, and what owners of waiting sessions want."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from jupyterhub_backendai.core.queues import Queue
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.core.waits import Accuracy, Expectation
from jupyterhub_backendai.errors import NotFound
from jupyterhub_backendai.store import models, sessions, waits
from tests.factories import add_user, make_queue, make_spec
from tests.factories_waits import add_past_session

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def add_session(db, user_id, **fields):
    return add_past_session(db, user_id, at=NOW, **fields)


async def test_waits_are_read_from_sessions_as_long_as_the_queue_held_them(database):
    def fill(db):
        kim = add_user(db)
        add_session(db, kim, wait_s=60)
        add_session(db, kim, wait_s=30, has_begun=False)
        add_session(db, kim, ago_s=500, released_at=None, began_at=None, started_at=None, status=SessionStatus.PENDING)
        add_session(db, kim, wait_s=4000, ago_s=7200, starts_at=NOW - timedelta(seconds=3600))
        add_session(db, kim, wait_s=20, ago_s=7200, starts_at=NOW, has_begun=False)
        add_session(db, kim, depends_on=["other"])
        add_session(db, kim, has_begun=False, status=SessionStatus.ERROR)
        add_session(db, kim, queue="other")
        add_session(db, kim, ago_s=90 * 86400)
        return waits.load_past(db, "v100", NOW)

    found = await database.run(fill)
    assert sorted((wait.wait_s, wait.has_begun) for wait in found) == [(30.0, False), (60.0, True), (400.0, True), (500.0, False)]
    assert {wait.size for wait in found} == {"cpu-small"}


async def test_older_rows_without_the_moment_count_by_their_start(database):
    def fill(db):
        add_session(db, add_user(db), began_at=None)
        return waits.load_past(db, "v100", NOW)

    assert [wait.wait_s for wait in await database.run(fill)] == [67.0]


async def test_what_was_told_is_compared_with_what_came(database):
    told = Expectation(50, 60, 70, 20).to_json()

    def fill(db):
        kim = add_user(db)
        for wait_s in (55, 65, 90):
            add_session(db, kim, wait_s=wait_s, told=told)
        add_session(db, kim, wait_s=5000)
        return waits.load_accuracy(db, "v100", NOW)

    assert await database.run(fill) == Accuracy(3, 2, 5.0)


async def test_the_moment_a_job_begins_is_kept_once(database):
    await database.run(add_user)
    queue, spec = Queue("v100", "slurm"), make_spec(queue="v100", patience_s=3600, wants_mail=True)
    admission = await database.run_exclusive(sessions.admit, spec, queue, None)
    row = await database.run(_row, spec.session_id)
    assert (row.patience_s, row.wants_mail, row.began_at) == (3600, True, None)
    assert admission.give_up_at == pytest.approx(row.created_at.timestamp() + 3600)
    assert admission.gives_up_by_wish
    await database.run(sessions.report, spec.session_id, SessionStatus.PREPARING)
    began_at = (await database.run(_row, spec.session_id)).began_at
    assert began_at
    await database.run(sessions.report, spec.session_id, SessionStatus.RUNNING)
    assert (await database.run(_row, spec.session_id)).began_at == began_at


async def test_a_queue_may_be_less_patient_than_its_people(database):
    await database.run(add_user)
    queue = Queue("v100", "slurm", pending_timeout_s=600)
    patient = await database.run_exclusive(sessions.admit, make_spec(queue="v100", server_name="a", patience_s=3600), queue, None)
    other = await database.run_exclusive(sessions.admit, make_spec(queue="v100", server_name="b"), queue, None)
    hasty = await database.run_exclusive(sessions.admit, make_spec(queue="v100", server_name="c", patience_s=60), queue, None)
    assert [one.gives_up_by_wish for one in (patient, other, hasty)] == [False, False, True]
    assert patient.give_up_at - hasty.give_up_at == pytest.approx(540, abs=5)
    endless = await database.run_exclusive(sessions.admit, make_spec(server_name="d"), make_queue(), None)
    assert endless.give_up_at is None


async def test_wishes_are_the_owners_and_change_while_it_waits(database):
    await database.run(add_user)
    await database.run(add_user, "lee01")
    spec = make_spec(queue="v100")
    await database.run_exclusive(sessions.admit, spec, Queue("v100", "slurm"), None)
    assert await database.run(lambda db: waits.change_wishes(db, spec.session_id, "kim01", 7200, wants_mail=True))
    row = await database.run(_row, spec.session_id)
    assert (row.patience_s, row.wants_mail) == (7200, True)
    for session_id, user in ((spec.session_id, "lee01"), (models.new_id(), "kim01")):
        with pytest.raises(NotFound):
            await database.run(lambda db, who=(session_id, user): waits.change_wishes(db, *who, None, wants_mail=False))
    await database.run(sessions.report, spec.session_id, SessionStatus.RUNNING)
    assert await database.run(lambda db: waits.change_wishes(db, spec.session_id, "kim01", None, wants_mail=False)) is None


async def test_a_mail_is_due_once_and_only_when_there_is_something_to_say(database):
    def fill(db):
        kim = add_user(db, email="kim01@example.org", language="ko")
        live = {"released_at": None, "wants_mail": True}
        ready = add_past_session(db, kim, name="훈련", wait_s=600, status=SessionStatus.RUNNING, **live)
        add_past_session(db, kim, status=SessionStatus.PENDING, began_at=None, started_at=None, **live)
        add_past_session(db, kim, status=SessionStatus.RUNNING, session_type="batch", **live)
        failed = add_past_session(db, kim, ago_s=1800, has_begun=False, wants_mail=True, status_reason="why")
        add_past_session(db, kim, status=SessionStatus.RUNNING, released_at=None)
        add_past_session(db, kim, ago_s=3 * 86400, has_begun=False, wants_mail=True)
        return ready, failed

    ready, failed = await database.run(fill)
    due = await database.run(waits.list_mails_due)
    assert [mail.session_id for mail in due] == [ready, failed]
    assert (due[0].to, due[0].language, due[0].name, due[0].wait_s) == ("kim01@example.org", "ko", "훈련", 600.0)
    assert (due[1].has_begun, due[1].reason) == (False, "why")
    assert [await database.run(waits.take_mail, ready) for _ in range(2)] == [True, False]
    assert [mail.session_id for mail in await database.run(waits.list_mails_due)] == [failed]


def _row(db, session_id):
    return db.scalars(select(models.ComputeSession).where(models.ComputeSession.id == session_id)).one()
