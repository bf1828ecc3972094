"""Codes of other servers are taken once, on both databases, however many ask."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from sqlalchemy import func, select

from jupyterhub_backendai.config import BackendAI
from jupyterhub_backendai.identity.factors import FactorAnswer, FactorQuestion, Guarded
from jupyterhub_backendai.services.factors import connect_factor
from jupyterhub_backendai.store.database import Database
from jupyterhub_backendai.store.models import UsedCode, now
from jupyterhub_backendai.store.used_codes import KEEP, take_code


async def test_a_code_is_taken_once_by_its_owner(database: Database) -> None:
    at = now()
    taken = [
        await database.run_exclusive(take_code, *pair, at) for pair in (("kim01", "1"), ("kim01", "1"), ("lee01", "1"), ("kim0", "11"))
    ]
    assert taken == [True, False, True, True]


async def test_a_day_later_it_may_come_round_again(database: Database) -> None:
    at = now()
    assert await database.run_exclusive(take_code, "kim01", "123456", at)
    assert await database.run_exclusive(take_code, "lee01", "123456", at)
    assert not await database.run_exclusive(take_code, "kim01", "123456", at + KEEP)
    assert await database.run_exclusive(take_code, "kim01", "123456", at + KEEP + timedelta(seconds=1))
    assert await database.run(lambda db: db.scalar(select(func.count()).select_from(UsedCode))) == 1  # what is stale was removed


async def test_two_services_and_a_hundred_tries_take_one(database: Database, tmp_path: Path) -> None:
    class TakesAll:
        joins_password = wants_password = asks_first = False

        async def verify(self, question: object) -> FactorAnswer:
            return FactorAnswer("ok")

        async def close(self) -> None: ...

    other = Database(database.engine.url.render_as_string(hide_password=False))
    (tmp_path / "otp-secret").write_text("x")
    (tmp_path / "otp-secret").chmod(0o600)
    settings = BackendAI(otp_backend="radius", otp_servers=["127.0.0.1"], otp_secret_file=str(tmp_path / "otp-secret"))
    doors = [connect_factor(settings, one, None) for one in (database, other)]
    for door in doors:
        assert isinstance(door, Guarded)
        door._factor = TakesAll()
    answers = await asyncio.gather(*(doors[number % 2].verify(FactorQuestion("kim01", "123456")) for number in range(100)))
    await other.close()
    assert [answer.outcome for answer in answers].count("ok") == 1
    assert {answer.reason for answer in answers} == {"", "used-code"}
