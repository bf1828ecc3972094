"""Logs are read for many who ask at once: each once at a time, and only a few of all."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from jupyterhub_backendai.errors import BackendUnavailable
from jupyterhub_backendai.services.own_sessions import MOST_READINGS, load_recent_log


class Engine:
    """Counts the readings, and how many go on at once."""

    def __init__(self):
        self.count = self.now = self.most = 0
        self.go_on = asyncio.Event()
        self.log = ""

    async def read_server_log(self, session_id, job_id, posix, user):
        self.count, self.now = self.count + 1, self.now + 1
        self.most = max(self.most, self.now)
        await self.go_on.wait()
        self.now -= 1
        if self.log is None:
            raise BackendUnavailable
        return self.log


@pytest.fixture
def parts():
    return SimpleNamespace(application=SimpleNamespace(settings={}), backends={"slurm": Engine()})


def session(number: int = 0, *, is_live: bool = True):
    return SimpleNamespace(id=f"{number:032x}", engine="slurm", job_id="7", is_batch=False, posix=None, user="kim01", is_live=is_live)


@pytest.mark.parametrize("log", ["", "a line", None])
async def test_who_asks_for_a_log_that_is_being_read_waits_for_that_reading(parts, log):
    """An empty log is not kept, and each reading may be a process: nobody starts a hundred of them."""
    engine = parts.backends["slurm"]
    engine.log = log
    asked = [asyncio.ensure_future(load_recent_log(parts, session())) for _ in range(100)]
    await asyncio.sleep(0)
    asked[0].cancel()  # a browser that went away takes nothing from the others
    await asyncio.sleep(0)
    engine.go_on.set()
    answers = (await asyncio.gather(*asked, return_exceptions=True))[1:]
    assert all(isinstance(answer, BackendUnavailable) if log is None else answer == log for answer in answers)
    assert engine.count == 1


async def test_a_few_logs_are_read_at_once(parts):
    engine = parts.backends["slurm"]
    asked = [asyncio.ensure_future(load_recent_log(parts, session(number))) for number in range(50)]
    await asyncio.sleep(0.01)
    assert engine.now == MOST_READINGS
    engine.go_on.set()
    await asyncio.gather(*asked)
    assert (engine.count, engine.most) == (50, MOST_READINGS)


async def test_the_last_lines_of_a_session_that_is_over_are_there_at_once(parts):
    """A program asks for the log as soon as it hears of the end, and then never again."""
    engine = parts.backends["slurm"]
    engine.go_on.set()
    engine.log = "half"
    assert [await load_recent_log(parts, session()) for _ in range(3)] == ["half"] * 3
    engine.log = "half and the end"
    assert await load_recent_log(parts, session(is_live=False)) == "half and the end"
    assert engine.count == 2
