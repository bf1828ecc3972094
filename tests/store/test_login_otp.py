"""One code is good once, however many processes try it; and so is a recovery code."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from jupyterhub_backendai.core import recovery as codes
from jupyterhub_backendai.store import models, otp, recovery

from .conftest import database, database_url, postgres_url, sqlite_template

__all__ = ["database", "database_url", "postgres_url", "sqlite_template"]
ROOT = Path(__file__).parents[2]
PROCESSES, TIMES = 16, 25


async def test_sixteen_processes_try_one_code_four_hundred_times(database, database_url):
    await database.run(otp.set_confirmed, "kim01", "sealed")
    arguments = ("-m", "tests.store.take_code", database_url, "kim01", "57", str(PROCESSES), str(TIMES))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    answers = json.loads((await process.communicate())[0])
    assert len({pid for pid, _ in answers}) == PROCESSES
    assert sum(taken for _, taken in answers) == 1
    assert not await database.run(otp.consume_step, "kim01", 56, 0)  # nor an older one
    assert await database.run(otp.consume_step, "kim01", 58, 0)


async def test_a_recovery_code_tried_many_times_at_once(database):
    await database.run(recovery.replace_codes, "kim01", "00" * 16, [f"{number:064}" for number in range(codes.COUNT)], models.now())
    taken = await asyncio.gather(*(database.run(recovery.use_code, "kim01", f"{3:064}", models.now()) for _ in range(40)))
    assert sum(taken) == 1
    assert await database.run(recovery.count_codes, "kim01") == 9
    assert not await database.run(recovery.use_code, "lee01", f"{4:064}", models.now())  # another's
    await database.run(recovery.replace_codes, "kim01", "11" * 16, ["f" * 64], models.now())
    assert not await database.run(recovery.use_code, "kim01", f"{4:064}", models.now())  # the old ones ended
    assert await database.run(recovery.get_salt, "kim01") == "11" * 16
