"""Mails that a session is about to end: once for each end, in its owner's language, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.services.end_mails import EndMails
from jupyterhub_backendai.store import ends, models, sessions
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import add_user, make_queue, make_spec
from tests.fakes import Postbox

__all__ = ["database", "database_url", "postgres_url", "sqlite_template"]


@pytest.fixture
async def session_id(database):
    await database.run(add_user, "kim01", email="kim01@example.org", language="en")
    await database.run(add_user, "lee01", email="")
    for user, name in (("lee01", "other"), ("kim01", "training")):
        spec = make_spec(user, time_s=7200, name=name, server_name="work")
        await database.run_exclusive(sessions.admit, spec, make_queue(max_sessions=9), None)
        await database.run(sessions.report, spec.session_id, SessionStatus.RUNNING)
    return spec.session_id


async def test_one_mail_for_each_end(database, session_id):
    box = Postbox()
    mails = EndMails(BackendAI(site_name="Neuron", public_hub_url="https://hub.example.org/hub/"), database, box)
    info = await database.run(sessions.get, session_id)
    end = info.started_at.timestamp() + 7200
    assert await mails.look(end - 1000) == 0
    assert await mails.look(end - 600) == 1
    assert await mails.look(end - 540) == 0
    (mail,) = box.mails
    assert (mail.to, mail.subject) == ("kim01@example.org", "Neuron: Your session training ends in 10 min")
    assert "It reaches its time limit in 10 min" in mail.text
    assert f"https://hub.example.org/services/backendai/sessions/{session_id}" in mail.text
    # more time is another end, and so is one that a policy has in store
    await database.run(lambda db: db.query(models.ComputeSession).update({"time_limit_s": 10800}))
    assert await mails.look(end - 500) == 0
    assert await mails.look(end + 3000) == 1
    await database.run_exclusive(ends.foresee, session_id, datetime.fromtimestamp(end + 3200, UTC) + timedelta(), "idle")
    assert await mails.look(end + 3010) == 1
    assert "Nobody seems to use it" in box.mails[-1].text
