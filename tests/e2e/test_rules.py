"""The rules of a policy through every door: the form's POST, the hub's REST; set on the command line, seen on the pages."""

from __future__ import annotations

import pytest

from tests.e2e.marks import PLATFORM
from tests.e2e.stack import words
from tests.e2e.test_administration import run

pytestmark = PLATFORM
POLICY = "keypair-resource-policy"


@pytest.fixture
async def one_session_each(local):
    """A policy of one session for everybody, while a test runs."""
    status, _, err = await run(local, POLICY, "set", "default", "--max-concurrent-sessions", "1", "--total-resource-slots", "cpu=2")
    assert status == 0, err
    yield
    back = ("--max-concurrent-sessions", "infinity", "--total-resource-slots", "")
    status, _, err = await run(local, POLICY, "set", "default", *back)
    assert status == 0, err


@pytest.mark.usefixtures("one_session_each")
async def test_every_limit_that_is_hit_is_said_at_every_door(local, people):
    user = await people("user1")
    await user.end_all()
    status, answer = await user.start("first", queue="interactive", cpu="1", mem="1g")
    assert status in (201, 202), answer
    await user.until_ready("first")
    status, answer = await user.start("second", queue="interactive", cpu="2", mem="1g")
    assert status == 412, answer
    page = await user.submit(queue="interactive", cpu="2", mem="1g", name="third")
    assert page.status == 412
    for text in (answer["message"], words(page)):
        assert "default" in text  # who set it
        assert "1 of 1" in text or "at most 1" in text.lower(), text
    await user.end_all()
    status, answer = await user.start("second", queue="interactive", cpu="1", mem="1g")
    assert status in (201, 202), answer
    await user.end_all()
