from __future__ import annotations

import asyncio
import contextlib
import json

import pytest

from jupyterhub_backendai.backends.helper import Helper, HelperUnavailable
from jupyterhub_backendai.errors import NoPosixAccount


@contextlib.asynccontextmanager
async def stand_in(path, answer: bytes | None):
    """A server that answers every line with the same bytes, or accepts and says nothing."""
    asked = []

    async def serve(reader, writer):
        asked.append(await reader.readline())
        if answer is None:
            await asyncio.Event().wait()
        writer.write(answer)
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield asked
    finally:
        server.close()


async def test_an_answer_and_an_error(tmp_path):
    path = str(tmp_path / "helper.sock")
    async with stand_in(path, b'{"ok": true, "job_id": "7"}\n') as asked:
        assert await Helper(path).call("submit", user="kim01") == {"job_id": "7"}
        assert json.loads(asked[0]) == {"verb": "submit", "user": "kim01"}
    async with stand_in(path, json.dumps(NoPosixAccount().to_problem()).encode() + b"\n"):
        with pytest.raises(NoPosixAccount):
            await Helper(path).call("mkdir")


@pytest.mark.parametrize("answer", [b"", b"nonsense\n", b"[]\n", b"x" * 3_000_000, None])
async def test_a_helper_that_does_not_answer_says_so_in_words(tmp_path, answer):
    path = str(tmp_path / "helper.sock")
    async with stand_in(path, answer):
        with pytest.raises(HelperUnavailable, match="helper does not answer"):
            await Helper(path, timeout_s=0.5).call("mkdir")


async def test_a_helper_that_is_away(tmp_path):
    with pytest.raises(HelperUnavailable) as caught:
        await Helper(str(tmp_path / "nothing")).call("mkdir")
    assert caught.value.status == 503
