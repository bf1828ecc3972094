"""More time in the database, on both: whoever is first, nobody gets more than is permitted, and the hold follows."""

import asyncio

import pytest

from jupyterhub_backendai.core.prices import Billing
from jupyterhub_backendai.core.sessions import SessionStatus
from jupyterhub_backendai.core.slots import ResourceSlots
from jupyterhub_backendai.errors import BackendAIError, Conflict, InvalidParameters, NotFound, QuotaExceeded
from jupyterhub_backendai.store import extensions, models, sessions
from tests.databases import database, database_url, postgres_url, sqlite_template
from tests.factories import add_user, make_queue, make_spec

__all__ = ["database", "database_url", "postgres_url", "sqlite_template"]
HOUR = 3600
PERMITS = {"extension_time_s": 4 * HOUR}


async def start(database, queue, **fields):
    spec = make_spec(time_s=2 * HOUR, **fields)
    await database.run_exclusive(sessions.admit, spec, queue, None)
    await database.run(sessions.report, spec.session_id, SessionStatus.RUNNING)
    return spec.session_id


async def extend(database, session_id, add_s, queue, longest_s=None, is_admin=False):
    return await database.run_exclusive(extensions.extend, session_id, add_s, queue, longest_s, is_admin=is_admin, actor="kim01")


async def limit(database, session_id):
    return (await database.run(sessions.get, session_id)).time_limit_s


async def test_many_at_once_get_what_is_permitted_and_no_more(database):
    await database.run(add_user)
    queue = make_queue(**PERMITS)
    session_id = await start(database, queue)
    found = await asyncio.gather(*(extend(database, session_id, HOUR, queue) for _ in range(12)), return_exceptions=True)
    assert sum(not isinstance(one, BaseException) for one in found) == 4
    assert all(isinstance(one, extensions.Extension | InvalidParameters) for one in found)
    assert await limit(database, session_id) == 6 * HOUR
    done = next(one for one in found if not isinstance(one, BaseException))
    await database.run_exclusive(extensions.take_back, done, "kim01", "Slurm said no.")
    assert await limit(database, session_id) == 5 * HOUR
    assert await database.run(extensions.offer_s, session_id, queue, None) == HOUR
    acts = await database.run(lambda db: [row.result for row in db.query(models.AuditEntry).filter_by(action="session.extend")])
    assert sorted(acts) == ["ok"] * 4 + ["refused"]


async def test_only_what_runs_and_as_long_as_the_policy_lets_it_live(database):
    def fill(db):
        user_id = add_user(db)
        db.add(models.KeypairResourcePolicy(name="short", max_session_lifetime_s=3 * HOUR))
        db.flush()
        db.add(models.Keypair(access_key="AK1", user_id=user_id, secret_key="x", is_main=True, resource_policy="short"))

    await database.run(fill)
    queue = make_queue(**PERMITS)
    session_id = await start(database, queue)
    with pytest.raises(InvalidParameters) as refused:
        await extend(database, session_id, 2 * HOUR, queue, 3 * HOUR, is_admin=True)
    assert [violation.rule for violation in refused.value.violations] == ["queue-limit", "quota-limit"]
    assert await database.run(extensions.offer_s, session_id, queue, None) == HOUR
    await extend(database, session_id, HOUR, queue)
    await database.run_exclusive(sessions.release, session_id)
    with pytest.raises(Conflict):
        await extend(database, session_id, 60, queue)
    with pytest.raises(NotFound):
        await extend(database, "0" * 32, 60, queue)
    assert await database.run(extensions.offer_s, session_id, queue, None) == 0


async def test_the_hold_follows_both_ways_and_credit_refuses(database):
    database.info["billing"] = Billing(limit="hold")
    user_id = await database.run(add_user)
    account = f"user:{user_id}"
    await database.run(lambda db: db.add(models.LedgerAccount(id=account, available=1000)))
    queue = make_queue(is_free=False, prices=ResourceSlots({"cpu": 100}), **PERMITS)
    session_id = await start(database, queue)

    async def balance():
        row = await database.run(lambda db: db.get(models.LedgerAccount, account))
        return row.available, row.held

    assert await balance() == (800, 200)
    done = await extend(database, session_id, 2 * HOUR, queue)
    assert await balance() == (600, 400)
    await database.run_exclusive(extensions.take_back, done, "kim01", "no")
    assert await balance() == (800, 200)
    await database.run(lambda db: db.query(models.LedgerAccount).update({"available": 50}))
    with pytest.raises(QuotaExceeded) as refused:
        await extend(database, session_id, HOUR, queue)
    assert [violation.field for violation in refused.value.violations] == ["time"]
    assert await limit(database, session_id) == 2 * HOUR
    assert isinstance(refused.value, BackendAIError)
