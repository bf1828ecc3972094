import pytest

from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.errors import InvalidParameters, NotFound
from jupyterhub_backendai.store import sessions
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import make_spec
from tests.services.private import figures, people, service, settings

__all__ = ["database", "database_url", "figures", "people", "postgres_url", "service", "settings", "sqlite_template"]


@pytest.fixture
async def session_id(service):
    return (await service.admit(make_spec())).session_id


async def test_a_session_comes_up(service, people, session_id):
    await service.report(session_id, "SCHEDULED", job_id="17")
    await service.report(session_id, "RUNNING", node="node1")
    info = await people.run(sessions.get, session_id)
    assert (info.status, info.job_id, info.node) == (SessionStatus.RUNNING, "17", "node1")
    assert info.started_at >= info.created_at


async def test_a_failure_says_why_and_holds_its_slots_until_released(service, people, session_id):
    await service.report(session_id, "ERROR", reason="TIMEOUT\0")
    info = await people.run(sessions.get, session_id)
    assert (info.status, info.status_reason, info.is_live) == (SessionStatus.ERROR, "TIMEOUT", True)


async def test_a_late_report_of_a_session_that_is_over_is_ignored(service, people, session_id):
    await service.release(session_id, "stopped")
    await service.report(session_id, "RUNNING")
    assert (await people.run(sessions.get, session_id)).status is SessionStatus.CANCELLED


@pytest.mark.parametrize(
    "fields", [{"status": "LOST"}, {"status": None}, {"status": ["RUNNING"]}, {"status": "RUNNING", "node": "n" * 300}]
)
async def test_what_is_no_report(service, session_id, fields):
    with pytest.raises(InvalidParameters):
        await service.report(session_id, **fields)


@pytest.mark.parametrize("session_id", ["0" * 32, "..", "x"])
async def test_a_session_that_is_none(service, session_id):
    with pytest.raises(NotFound):
        await service.report(session_id, "RUNNING")
