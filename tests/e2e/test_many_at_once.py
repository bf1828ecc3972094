"""Twenty at once where four fit."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def test_four_of_twenty_get_a_gpu(people):
    users = [await people("user1"), await people("user2", "ko")]
    for user in users:
        user.token = user.token or await user.take_token()
        await user.end_all()  # what a test that failed left behind would hold a GPU
    starts = [(user, f"many{number}") for number in range(10) for user in users]
    answers = await asyncio.gather(*(user.start(name, queue="gpu", gpu="1", cpu="1", mem="512m") for user, name in starts))
    try:
        started = [start for start, (status, _) in zip(starts, answers, strict=True) if status in {201, 202}]
        refused = [answer["message"] for status, answer in answers if status == 412]
        assert (len(started), len(refused)) == (4, 16), answers
        assert all(len(re.findall(r"\d+", message)) >= 2 for message in refused), refused
        for user, name in started:
            await user.until_ready(name)
        devices = sorted([devices_of(await user.job_id(name)) for user, name in started])
        assert devices == ["0", "1", "2", "3"]
    finally:
        for user in users:
            await user.end_all()


def devices_of(pid: str) -> str:
    """The GPUs that a session's process sees."""
    environment = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return next(line.partition("=")[2] for line in environment if line.startswith("CUDA_VISIBLE_DEVICES="))
