"""``GET /private/sessions/<id>/limit``: the hub asks for the time limit of now before it ends a local session."""

import pytest

from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.errors import NotFound
from jupyterhub_backendai.store import extensions, sessions
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import make_queue, make_spec
from tests.services.private import figures, people, service, settings

__all__ = ["database", "database_url", "figures", "people", "postgres_url", "service", "settings", "sqlite_template"]


async def test_it_is_the_limit_of_now(service, people):
    spec = make_spec(time_s=600)
    queue = make_queue(extension_time_s=3600)
    await people.run_exclusive(sessions.admit, spec, queue, None)
    assert await service.find_limit(spec.session_id) == 600
    await service.report(spec.session_id, SessionStatus.RUNNING.value)
    await people.run_exclusive(extensions.extend, spec.session_id, 900, queue, None, is_admin=False, actor="kim01")
    assert await service.find_limit(spec.session_id) == 1500


async def test_a_session_that_is_not_known_has_none(service):
    with pytest.raises(NotFound):
        await service.find_limit("0" * 32)
