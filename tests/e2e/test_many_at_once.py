"""Twenty at once where four fit."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from tests.e2e.marks import PLATFORM
from tests.e2e.stack import until

pytestmark = PLATFORM


async def test_four_of_twenty_get_a_gpu(people):
    users = [await people("user1"), await people("user2", "ko")]
    for user in users:
        user.token = user.token or await user.take_token()
        await user.end_all()  # what a test that failed left behind would hold a GPU
    starts = [(user, f"many{number}") for number in range(10) for user in users]
    answers = await asyncio.gather(*(user.start(name, queue="gpu", gpu="1", cpu="1", mem="512m") for user, name in starts))
    try:
        # Who was not answered within the hub's second is refused later: the hub takes the start back.
        taken = [start for start, (status, _) in zip(starts, answers, strict=True) if status in {201, 202}]
        refused = [answer["message"] for status, answer in answers if status == 412]
        assert len(taken) + len(refused) == len(starts), answers
        assert all(len(re.findall(r"\d+", message)) >= 2 for message in refused), refused
        ready = await asyncio.gather(*(until_decided(*start) for start in taken))
        started = [start for start, is_ready in zip(taken, ready, strict=True) if is_ready]
        assert len(started) == 4, answers
        devices = sorted([devices_of(await user.job_id(name)) for user, name in started])
        assert devices == ["0", "1", "2", "3"]
    finally:
        for user in users:
            await user.end_all()


async def until_decided(user, name: str) -> bool:
    """Whether a start that the hub took became a session."""

    async def decision() -> str:
        model = await user.model(name)
        return "ready" if model.get("ready") else "" if model.get("pending") else "refused"

    return await until(decision, 60, f"a decision about {user.name}/{name}") == "ready"


def devices_of(pid: str) -> str:
    """The GPUs that a session's process sees."""
    environment = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return next(line.partition("=")[2] for line in environment if line.startswith("CUDA_VISIBLE_DEVICES="))
