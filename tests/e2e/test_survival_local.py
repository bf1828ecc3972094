"""The embedded default survives what kills its parts."""

from __future__ import annotations

import pytest

from tests.e2e.stack import ask_kernel

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def test_an_open_kernel_outlives_the_hub(local, people):
    user = await people("user1")
    page = await user.submit(queue="interactive")
    assert "/hub/spawn-pending/user1" in page.url, page.read_message()
    await user.until_ready()
    job = await user.job_id()
    async with user.kernel() as socket:
        assert await ask_kernel(socket, 1)
        local.kill_hub()
        try:
            assert await ask_kernel(socket, 2)
        finally:
            local.restart_hub()
        assert await ask_kernel(socket, 3)
        assert (await user.until_ready(), await user.job_id())[1] == job
    await user.end_all()
