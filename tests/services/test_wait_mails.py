"""Mails to those whose session is ready or failed: once, in their language, and only when they have something to say."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.core.waiting import GAVE_UP
from jupyterhub_backendai.identity.mail import make_mailer
from jupyterhub_backendai.services.wait_mails import STOPPED, WaitMails
from jupyterhub_backendai.store import models
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import add_user
from tests.factories_waits import add_past_session
from tests.fakes import Postbox
from tests.smtp import mail_server, text_of

__all__ = ["database", "database_url", "postgres_url", "sqlite_template"]


@pytest.fixture
def postbox():
    return Postbox()


@pytest.fixture
def mails(database, postbox):
    settings = BackendAI(site_name="Lab", public_hub_url="https://hub.example.org/hub/")
    return WaitMails(settings, database, postbox)


def add(db, user="kim01", language="en", email="kim01@example.org", **fields):
    user_id = add_user(db, user, email=email, language=language)
    return add_past_session(db, user_id, wants_mail=True, **fields)


RUNNING = {"status": SessionStatus.RUNNING, "released_at": None, "server_name": "train"}


async def test_a_session_that_is_ready_is_told_once(database, mails, postbox):
    await database.run(lambda db: add(db, name="Train", wait_s=7300, **RUNNING))
    assert [await mails.look() for _ in range(2)] == [1, 0]
    [mail] = postbox.mails
    assert (mail.to, mail.subject) == ("kim01@example.org", "Lab: Train is ready")
    assert mail.text.splitlines()[:5] == [
        "Hello kim01,",
        "",
        "your session Train in the queue v100 is ready. It waited for 2 h 1 min.",
        "",
        "https://hub.example.org/user/kim01/train/",
    ]


async def test_why_it_failed_is_said_with_its_values(database, mails, postbox):
    why = {"message": "The node %(node)s failed.", "advice": "Start it again.", "params": {"node": "n1"}}
    await database.run(lambda db: add(db, has_begun=False, ending=why, wait_s=600))
    await database.run(lambda db: add(db, "lee01", has_begun=False, status_reason=GAVE_UP, wait_s=600))
    assert await mails.look() == 2
    first, second = postbox.mails
    assert "did not start" in first.subject
    assert "The node n1 failed. Start it again." in first.text
    assert GAVE_UP in second.text
    assert "https://hub.example.org/hub/home" in second.text


@pytest.mark.parametrize(
    "fields",
    [
        {"wait_s": 20, **RUNNING},  # who sees it anyway
        {"has_begun": False, "wait_s": 900, "status_reason": STOPPED},  # who stopped it themselves
        {"wait_s": 900, "email": "", **RUNNING},
    ],
    ids=["soon", "own", "no-address"],
)
async def test_nobody_is_told_what_they_know(database, mails, postbox, fields):
    session_id = await database.run(lambda db: add(db, **fields))
    assert await mails.look() == 0
    assert not postbox.mails
    assert await database.run(lambda db: db.get_one(models.ComputeSession, session_id).mailed_at)


async def test_a_batch_session_is_told_of_when_it_is_over(database, mails, postbox):
    session_id = await database.run(lambda db: add(db, session_type="batch", wait_s=5, status=SessionStatus.RUNNING, released_at=None))
    assert await mails.look() == 0

    def end(db):
        row = db.get_one(models.ComputeSession, session_id)
        row.status, row.terminated_at = SessionStatus.TERMINATED, datetime.now(UTC) - timedelta(seconds=1)

    await database.run(end)
    assert await mails.look() == 1
    assert f"https://hub.example.org/services/backendai/sessions/{session_id}" in postbox.mails[0].text


async def test_two_services_send_one_mail(database, mails, postbox):
    await database.run(lambda db: add(db, wait_s=900, **RUNNING))
    other = WaitMails(mails._settings, database, postbox)
    assert sum(await asyncio.gather(mails.look(), other.look(), mails.look())) == 1
    assert len(postbox.mails) == 1


async def test_a_mail_goes_out_when_the_service_hears_of_it(database):
    async with mail_server() as server:
        fields = {"mail_server": server.address, "mail_tls": "none", "mail_from": "hub@example.org"}
        settings = BackendAI(site_name="연구소", **fields)
        mailer = make_mailer(settings)
        mails = WaitMails(settings, database, mailer, interval_s=3600)
        work = asyncio.create_task(mails.run())
        await database.run(lambda db: add(db, name="훈련", wait_s=900, **RUNNING))
        async with asyncio.timeout(60):
            while not server.came:
                mails.wake()
                await asyncio.sleep(0.02)
        work.cancel()
        await mailer.close()
    assert (server.came[0]["To"], server.came[0]["Subject"]) == ("kim01@example.org", "연구소: 훈련 is ready")
    assert "훈련" in text_of(server.came[0])
    assert "http" not in text_of(server.came[0]), "no address was given to make a link of"


@pytest.mark.parametrize("params", [{"other": 1}, {"n": "x"}])
async def test_words_that_do_not_fit_their_values_stop_no_mail(database, mails, postbox, params):
    """A hub of another version: one mail that cannot be written would be lost, and all that come after it would be late."""
    over = {
        "status": SessionStatus.ERROR,
        "has_begun": False,
        "status_reason": "It failed.",
        "ending": {"message": "%(n)d left", "params": params},
    }
    await database.run(lambda db: add(db, wait_s=7300, **over))
    assert await mails.look() == 1
    assert "It failed." in postbox.mails[0].text
