"""Uploads that are cut off: connections at any byte, and the service itself at every step. In the end the file is whole, or is not there."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest_asyncio
from tornado.testing import bind_unused_port

from jupyterhub_backendai.store import models
from tests.databases import sqlite_template
from tests.services.public import settings, site
from tests.services.storage.killed_service import PLACES
from tests.services.storage.site import FileSite, file_site
from tests.services.storage.test_tus import BYTES, TUS, begin, encode, head, patch

__all__ = ["file_site", "settings", "site", "sqlite_template"]
STEPS = ["before:unlock", *(f"after:{what}" for what in PLACES if what != "unlock")]


async def cut(of: FileSite, location: str, offset: int, data: bytes, sent: int) -> None:
    """A PATCH of all the rest, whose connection ends after ``sent`` bytes of it."""
    host = of.site.url.split("/")[2]
    _, writer = await asyncio.open_connection(*host.split(":"))
    headers = {
        **TUS,
        **BYTES,
        "Upload-Offset": str(offset),
        "Content-Length": str(len(data) - offset),
        "Host": host,
        "Authorization": f"token {of.site.hub.let_in('kim01')}",
    }
    writer.write(f"PATCH {location} HTTP/1.1\r\n".encode() + b"".join(f"{k}: {v}\r\n".encode() for k, v in headers.items()) + b"\r\n")
    writer.write(data[offset : offset + sent])
    await writer.drain()
    if sent % 2:
        writer.transport.abort()  # a reset, not an end
    else:
        writer.close()


async def test_connections_cut_at_any_byte(file_site):
    """What hypothesis would choose, in one running service: the offsets are random and printed when it fails."""
    seed = int.from_bytes(os.urandom(4))
    chance = random.Random(seed)
    for number in range(6):
        data = chance.randbytes(chance.choice([1, 70_000, 1_048_576, 1_048_577, 3_000_000]))
        _, _, headers = await begin(file_site, len(data), filename=f"file {number}")
        location, offset, cuts = headers["Location"], 0, []
        for _ in range(chance.randrange(1, 5)):
            sent = chance.randrange(0, max(1, len(data) - offset))
            cuts.append((offset, sent))
            await cut(file_site, location, offset, data, sent)
            offset = await settled(file_site, location)
            assert offset <= len(data)
        async with asyncio.timeout(20):
            while offset < len(data):
                await patch(file_site, location, offset, data[offset:])
                offset = await settled(file_site, location)
        assert file_site.files.read(f"file {number}") == data, (seed, cuts)
    assert file_site.files.left_overs == []


async def settled(of: FileSite, location: str) -> int:
    """The offset, when nobody writes any more."""
    async with asyncio.timeout(20):
        while True:
            status, offset = await head(of, location)
            held = await of.site.db.run(lambda db: db.get(models.Upload, location.rpartition("/")[2]).locked_by)
            if status == 200 and not held:
                return offset
            await asyncio.sleep(0.02)


class Killed:
    """The service in a process of its own, on the same database and directories."""

    def __init__(self, of: FileSite) -> None:
        self.of = of
        probe, self.port = bind_unused_port()
        probe.close()
        self.base = f"http://127.0.0.1:{self.port}/services/backendai/rest/v1/folders/{of.folder}/"

    async def start(self) -> None:
        state = self.of.site.settings.state_dir
        self.process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "tests.services.storage.killed_service"],
            *[state, self.of.site.hub.url, str(self.of.storage.root), str(self.port)],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )

    async def run(self, step: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{step}\n".encode())
        await self.expect("ready")

    async def expect(self, word: str) -> None:
        assert self.process.stdout is not None
        found = await asyncio.wait_for(self.process.stdout.readline(), 30)
        assert found.decode().strip() == word

    async def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        await self.expect("ended")


@pytest_asyncio.fixture
async def killed(file_site: FileSite) -> AsyncIterator[Killed]:
    found = Killed(file_site)
    await found.start()
    yield found
    if found.process.returncode is None:
        found.process.stdin.close()
        try:
            await asyncio.wait_for(found.process.wait(), 5)
        except TimeoutError:
            found.process.kill()


async def test_killed_at_every_step_and_gone_on(file_site, killed):
    """Each file is sent by a client that only knows what it was answered. The bytes are right, nothing is left over, and what is
    counted is what is there.
    """
    data = os.urandom(2_500_000)
    http = file_site.of("kim01")
    sizes = 0
    for step in STEPS:
        name = step.replace(":", " ")
        location = await send_until_killed(killed, http, step, name, data)
        await let_locks_run_out(file_site)
        await killed.run("-")
        await go_on(killed, http, name, data, location)
        await killed.end()
        assert file_site.files.read(name) == data, step
        sizes += len(data)
    await file_site.site.db.run(lambda db: [setattr(row, "expires_at", models.now()) for row in db.query(models.Upload)])
    await file_site.site.application.settings["uploads"].sweep()
    assert file_site.files.left_overs == []
    assert await file_site.site.db.run(lambda db: (db.query(models.Upload).count(), db.query(models.VFolder).one().used_bytes)) == (
        0,
        sizes,
    )


async def send_until_killed(killed: Killed, http: aiohttp.ClientSession, step: str, name: str, data: bytes) -> str:
    """The upload's address, "" where no answer said one."""
    location = ""
    await killed.run(step)
    try:
        headers = {**TUS, "Upload-Length": str(len(data)), "Upload-Metadata": encode(filename=name)}
        async with http.post(killed.base + "uploads", headers=headers) as answer:
            assert answer.status == 201
            location = answer.headers["Location"]
        half = len(data) // 2
        for begin_at, end_at in ((0, half), (half, len(data))):
            headers = {**TUS, **BYTES, "Upload-Offset": str(begin_at)}
            url = killed.base.partition("/services")[0] + location
            async with http.patch(url, headers=headers, data=data[begin_at:end_at]) as answer:
                assert answer.status == 204, await answer.text()
    except aiohttp.ClientError:
        pass
    await killed.expect("ended")
    return location


async def go_on(killed: Killed, http: aiohttp.ClientSession, name: str, data: bytes, location: str) -> None:
    base = killed.base.partition("/services")[0]
    if location:
        async with asyncio.timeout(20):
            while True:
                async with http.head(base + location, headers=TUS) as answer:
                    if answer.status == 423:
                        continue
                    status, offset = answer.status, int(answer.headers.get("Upload-Offset", 0))
                    break
        if status == 200 and offset == len(data):
            return
        if status != 200:
            location = ""
    if not location:
        headers = {**TUS, "Upload-Length": str(len(data)), "Upload-Metadata": encode(filename=name)}
        async with http.post(base + killed.base.partition(str(killed.port))[2] + "uploads", headers=headers) as answer:
            assert answer.status == 201, await answer.text()
            location, offset = answer.headers["Location"], 0
    headers = {**TUS, **BYTES, "Upload-Offset": str(offset)}
    async with http.patch(base + location, headers=headers, data=data[offset:]) as answer:
        assert answer.status == 204, await answer.text()


async def let_locks_run_out(of: FileSite) -> None:
    def age(db):
        for row in db.query(models.Upload):
            if row.locked_until:
                row.locked_until = models.now() - timedelta(seconds=1)

    await of.site.db.run(age)
