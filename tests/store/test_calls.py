"""Calls against a rate limit, on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta

from jupyterhub_backendai.store import calls, models
from tests.factories import add_user

AT = datetime(2026, 11, 21, tzinfo=UTC)


def add_limit(db, limit, name="kim01"):
    user_id = add_user(db, name)
    db.add(models.Keypair(access_key=f"AKIA{name}", user_id=user_id, secret_key="-", is_main=True, rate_limit=limit))
    db.flush()


def take(db, after_s=0.0):
    return calls.take(db, "kim01", AT + timedelta(seconds=after_s))


async def test_calls_are_given_until_there_are_none_and_again_in_the_next_window(database):
    await database.run(add_limit, 250)
    given = [await database.run_exclusive(take, number) for number in range(130)]
    assert sum(grant.calls for grant in given) == 250
    assert max(grant.calls for grant in given) == 2
    last = given[-1]
    assert (last.calls, last.limit, last.remaining, last.left_s) == (0, 250, 0, calls.WINDOW_S - 129)
    assert (await database.run_exclusive(take, calls.WINDOW_S)).remaining == 248


async def test_many_at_once_get_no_more_than_there_are(database):
    await database.run(add_limit, 40)
    given = await asyncio.gather(*(database.run_exclusive(take) for _ in range(60)))
    assert sum(grant.calls for grant in given) == 40


async def test_without_a_keypair_the_default_holds(database):
    await database.run(add_user, "kim01")
    assert (await database.run_exclusive(take)).limit == models.DEFAULT_RATE_LIMIT
