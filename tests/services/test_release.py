import asyncio

import pytest

from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.errors import QuotaExceeded
from jupyterhub_backendai.store import sessions
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import make_spec
from tests.services.private import figures, people, service, settings

__all__ = ["database", "database_url", "figures", "people", "postgres_url", "service", "settings", "sqlite_template"]


async def test_what_is_released_can_be_had_by_the_next(service, people):
    spec = make_spec(cpu=4, gpu=2)
    await service.admit(spec)
    await service.report(spec.session_id, "RUNNING")
    with pytest.raises(QuotaExceeded):
        await service.admit(make_spec("lee01"))
    await asyncio.gather(*(service.release(spec.session_id, "stopped by its owner") for _ in range(4)))
    assert (await service.admit(make_spec("lee01", gpu=1))).devices == (0,)
    info = await people.run(sessions.get, spec.session_id)
    assert (info.status, info.status_reason) == (SessionStatus.TERMINATED, "stopped by its owner")


async def test_why_a_session_failed_stays(service, people):
    spec = make_spec()
    await service.admit(spec)
    await service.report(spec.session_id, "ERROR", reason="OUT_OF_MEMORY")
    await service.release(spec.session_id, "stopped")
    info = await people.run(sessions.get, spec.session_id)
    assert (info.status, info.status_reason, info.is_live) == (SessionStatus.ERROR, "OUT_OF_MEMORY", False)


async def test_a_session_that_was_never_admitted_holds_nothing(service):
    await service.release("0" * 32, "never started")
