import asyncio
import time

import aiohttp
import pytest

from jupyterhub_backendai.client import ServiceClient
from jupyterhub_backendai.core.identity import PosixAccount
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.errors import (
    BackendUnavailable,
    Forbidden,
    InvalidParameters,
    NoPosixAccount,
    QuotaExceeded,
    SchedulerUnavailable,
    Unauthenticated,
)
from jupyterhub_backendai.services.metrics import REFUSALS
from jupyterhub_backendai.store import models, sessions
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import GIB, make_spec
from tests.services.private import figures, people, service, settings

__all__ = ["database", "database_url", "figures", "people", "postgres_url", "service", "settings", "sqlite_template"]


def count_audit(db):
    return [(row.actor, row.action, row.object, row.result) for row in db.query(models.AuditEntry)]


def refused(rule):
    return REFUSALS.labels(rule)._value.get()


async def test_a_local_start(service, people):
    spec = make_spec(gpu=1, mem=2 * GIB, name="첫 실험")
    admission = await service.admit(spec)
    assert (admission.engine, admission.devices, admission.time_s, admission.project) == ("local", (0,), 1800, "default")
    assert admission.posix == PosixAccount("kim01", 5000, 5000, "/home/kim01")
    assert await service.admit(spec) == admission
    [info] = await people.run(sessions.list_live)
    assert (info.id, info.name, info.status, info.posix.name) == (spec.session_id, "첫 실험", SessionStatus.PENDING, "kim01")


async def test_a_slurm_start(service, figures):
    figures.set_row("batch")
    admission = await service.admit(make_spec(queue="batch", cpu=8, gpu=2, time_s=7200))
    assert (admission.engine, admission.partition, admission.account) == ("slurm", "jupyter", "free")
    assert (admission.devices, admission.time_s) == ((), 7200)


@pytest.mark.parametrize(
    ("request_", "error", "fields", "text"),
    [
        ({"queue": "nowhere"}, InvalidParameters, ["queue"], "There is no queue nowhere. Choose one of: local-cpu, batch, vip."),
        ({"environment": "old"}, InvalidParameters, ["environment"], "There is no environment old. Choose one of: default."),
        ({"cpu": 5, "mem": 9 * GIB, "gpu": 3}, InvalidParameters, ["cpu", "mem", "gpu"], "At most 4 CPUs in the queue local-cpu"),
        ({"queue": "vip"}, Forbidden, ["queue"], "not open to the project default"),
        ({"project": "alpha"}, Forbidden, ["project"], "not a member of the project alpha"),
        ({"queue": "batch", "time_s": 7201}, InvalidParameters, ["time"], "At most 2:00"),
        ({"queue": "batch", "cpu": 9}, InvalidParameters, ["cpu"], "At most 8 CPUs"),
    ],
)
async def test_what_does_not_fit_says_which_field_and_the_numbers(service, figures, people, request_, error, fields, text):
    figures.set_row("batch")
    with pytest.raises(error) as caught:
        await service.admit(make_spec(**request_))
    assert type(caught.value) is error
    assert [violation.field for violation in caught.value.violations] == fields
    assert text in str(caught.value)
    assert await people.run(sessions.list_live) == ()


@pytest.mark.parametrize(
    "options",
    [
        {"queue": "local-cpu\nrm"},
        {"queue": "local-cpu", "cpu": "-1"},
        {"queue": "local-cpu", "cpu": "9" * 400},
        {"queue": "local-cpu", "cpu": "1e9"},
        {"queue": "local-cpu", "mem": "NaN"},
        {"queue": "local-cpu", "time": "-5"},
        {"queue": "local-cpu", "name": "a\0b"},
        {"queue": "local-cpu", "project": "'; DROP TABLE users; --"},
        {"queue": {"$ne": ""}},
        {},
        [],
        None,
    ],
)
async def test_hostile_fields_are_refused_in_words(service, people, options):
    body = {**make_spec().to_json(), "options": options}
    with pytest.raises(InvalidParameters):
        await service._call("POST", "/private/sessions", body)
    assert await people.run(sessions.list_live) == ()


@pytest.mark.parametrize("change", [{"session_id": "../x"}, {"session_id": ""}, {"user": None, "options": 5}, {"server_name": "x" * 300}])
async def test_a_request_that_is_none_of_the_hubs(service, change):
    with pytest.raises(InvalidParameters):
        await service._call("POST", "/private/sessions", {**make_spec().to_json(), **change})


async def test_a_full_queue_refuses_with_numbers(service):
    await service.admit(make_spec(cpu=3))
    before = refused("capacity")
    with pytest.raises(QuotaExceeded) as caught:
        await service.admit(make_spec("lee01", cpu=2, mem=2 * GIB))
    assert str(caught.value) == "The queue local-cpu has 4 CPUs and 3 are in use; you asked for 2, at most 1 would fit now."
    assert refused("capacity") == before + 1


async def test_slurm_needs_a_unix_account_and_the_refusal_is_kept(service, figures, people):
    figures.set_row("batch")
    with pytest.raises(NoPosixAccount):
        await service.admit(make_spec("lee01", queue="batch"))
    assert await people.run(count_audit) == [("lee01", "session.start", "backendai_session_no-posix-account", "refused")]


async def test_only_refusals_of_rights_are_kept(service, people):
    for spec in (make_spec(project="secret"), make_spec(cpu=99), make_spec("stranger")):
        with pytest.raises((Forbidden, InvalidParameters)):
            await service.admit(spec)
    assert [actor for actor, *_ in await people.run(count_audit)] == ["kim01", "stranger"]


@pytest.mark.parametrize(
    ("row", "is_admitted"),
    [
        (None, False),
        ({"age_s": 60, "error": "down"}, True),
        ({"age_s": 600, "error": "down"}, False),
        ({"age_s": 600}, True),
    ],
)
async def test_a_scheduler_that_is_away(service, figures, row, is_admitted):
    if row is not None:
        figures.set_row("batch", **row)
    if is_admitted:
        await service.admit(make_spec(queue="batch"))
        return
    with pytest.raises(SchedulerUnavailable) as caught:
        await service.admit(make_spec(queue="batch"))
    assert caught.value.transient
    await service.admit(make_spec())  # local queues go on


async def test_a_closed_partition(service, figures):
    figures.set_row("batch", is_open=False)
    with pytest.raises(InvalidParameters, match="closed at the moment"):
        await service.admit(make_spec(queue="batch"))


async def test_without_the_secret_nothing_is_answered(service, settings, people):
    stranger = ServiceClient(settings.private_url, "wrong")
    with pytest.raises(Unauthenticated):
        await stranger.admit(make_spec())
    await stranger.close()
    assert await people.run(sessions.list_live) == ()


async def test_a_wrong_method_is_no_crash(service, settings):
    connector = aiohttp.UnixConnector(settings.private_url.removeprefix("unix://"))
    async with aiohttp.ClientSession(connector=connector, headers={"Authorization": "Bearer " + "s" * 32}) as http:
        async with http.get("http://service/private/sessions") as response:
            assert response.status == 405
        async with http.post("http://service/private/sessions", data=b"{not json") as response:
            assert response.status == 400


async def test_twenty_at_once_for_four_slots(service, people):
    from tests.factories import add_user

    def add_people(db):
        for number in range(20):
            add_user(db, f"user{number}")

    await people.run(add_people)
    answers = await asyncio.gather(*(service.admit(make_spec(f"user{number}")) for number in range(20)), return_exceptions=True)
    assert sum(1 for answer in answers if isinstance(answer, QuotaExceeded)) == 16
    assert sum(1 for answer in answers if not isinstance(answer, Exception)) == 4


async def test_a_database_that_is_away_is_503_and_then_works(service, people, monkeypatch):
    """Without the table nothing can be admitted; once it is back the same start is."""
    from sqlalchemy import text

    def rename(db, old, new):
        db.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    spec = make_spec()
    await people.run(rename, "users", "away")
    began = time.monotonic()
    try:
        with pytest.raises(BackendUnavailable):
            await service.admit(spec)
    finally:
        await people.run(rename, "away", "users")
    assert time.monotonic() - began < 20
    assert (await service.admit(spec)).session_id == spec.session_id
