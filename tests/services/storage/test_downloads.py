"""``GET rest/v1/folders/<id>/download``."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import zipfile
from urllib.parse import quote

import pytest

from jupyterhub_backendai.services.storage import sending
from tests.databases import sqlite_template
from tests.services.public import settings, site
from tests.services.storage.site import FileSite, file_site
from tests.spawner.harness import until

__all__ = ["file_site", "settings", "site", "sqlite_template"]
BIG = os.urandom(5_000_001)


def put(of: FileSite, name: str, data: bytes = BIG) -> None:
    path = of.files.root / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


async def get(of: FileSite, path: str, user: str = "kim01", method: str = "GET", **headers: str) -> tuple:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return await of.ask(method, f"download?path={quote(path)}", user, headers=headers)


async def test_a_file_comes_whole_as_an_attachment_that_no_browser_shows(file_site):
    put(file_site, "논문/결과 1.html")
    status, body, headers = await get(file_site, "논문/결과 1.html")
    assert (status, body) == (200, BIG)
    assert headers["Content-Disposition"] == f"attachment; filename=\"__ 1.html\"; filename*=UTF-8''{quote('결과 1.html')}"
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    status, body, headers = await get(file_site, "논문/결과 1.html", method="HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(BIG)))


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [("bytes=0-0", 0, 1), ("bytes=100-", 100, len(BIG)), ("bytes=-5", len(BIG) - 5, len(BIG)), ("bytes=1000-99999999", 1000, len(BIG))],
)
async def test_a_part(file_site, asked, begin, end):
    put(file_site, "a")
    status, body, headers = await get(file_site, "a", Range=asked)
    assert (status, headers["Content-Range"]) == (206, f"bytes {begin}-{end - 1}/{len(BIG)}")
    assert body == BIG[begin:end]


async def test_a_part_of_what_has_changed_is_the_whole(file_site):
    put(file_site, "a", b"old one")
    _, _, headers = await get(file_site, "a")
    etag = headers["ETag"]
    assert (await get(file_site, "a", Range="bytes=0-2", If_Range=etag))[:2] == (206, b"old")
    assert (await get(file_site, "a", If_None_Match=etag))[:2] == (304, b"")
    put(file_site, "a", b"new text")
    assert (await get(file_site, "a", Range="bytes=0-2", If_Range=etag))[:2] == (200, b"new text")


async def test_what_is_no_part(file_site):
    put(file_site, "a", b"12345")
    status, answer, headers = await get(file_site, "a", Range="bytes=5-")
    assert (status, headers["Content-Range"]) == (416, "bytes */5")
    assert answer["error_code"] == "backendai_generic_range-not-satisfiable"
    for asked in ("bytes=0-1,3-4", "bytes=3-1", "lines=1-2", "bytes=-", "bytes=x-y"):
        assert (await get(file_site, "a", Range=asked))[:2] == (200, b"12345")
    put(file_site, "none", b"")
    assert (await get(file_site, "none"))[:2] == (200, b"")


async def test_one_connection_serves_many_downloads(file_site):
    """What is told to tornado after a body that it did not see (a private name of it) leaves the connection in order."""
    put(file_site, "a")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(file_site.site.url.split(":")[2].split("/")[0]))
    token = file_site.site.hub.let_in("kim01")
    path = file_site.url.partition("127.0.0.1")[2].partition("/")[2]
    for _ in range(3):
        writer.write(f"GET /{path}download?path=a HTTP/1.1\r\nHost: x\r\nAuthorization: token {token}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"200 OK" in head
        assert await reader.readexactly(len(BIG)) == BIG
    writer.close()


async def test_a_directory_several_things_and_the_whole_folder_as_zip(file_site):
    put(file_site, "자료/하나", b"1")
    put(file_site, "자료/깊은/둘", b"2" * 2_000_000)
    put(file_site, "셋", b"3")
    wanted = {
        "?path=%EC%9E%90%EB%A3%8C": ("자료.zip", {"자료/하나", "자료/깊은/둘"}),
        "?path=%EC%85%8B&path=%EC%9E%90%EB%A3%8C/%ED%95%98%EB%82%98": ("data.zip", {"셋", "하나"}),
        "": ("data.zip", {"자료/하나", "자료/깊은/둘", "셋"}),
        "?path=%EC%85%8B&archive=1": ("셋.zip", {"셋"}),
    }
    for query, (name, inside) in wanted.items():
        status, body, headers = await file_site.ask("GET", f"download{query}")
        assert (status, headers["Content-Length"]) == (200, str(len(body)))
        assert quote(name) in headers["Content-Disposition"] or name in headers["Content-Disposition"]
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            assert archive.testzip() is None
            assert set(archive.namelist()) == inside


async def test_who_may(file_site):
    put(file_site, "a", b"text")
    for user, expected in {"kim01": 200, "lee01": 200, "jung03": 200, "park04": 404, "choi01": 404, "root": 404}.items():
        for query in ("download?path=a", "download", "download?path=a&archive=1"):
            assert (await file_site.ask("GET", query, user))[0] == expected, (user, query)
    async with __import__("aiohttp").ClientSession() as nobody, nobody.get(f"{file_site.url}download?path=a") as answer:
        assert answer.status == 401


async def test_without_the_permission_of_the_host_nobody_downloads(file_site):
    from jupyterhub_backendai.store import models
    from tests.services.storage.site import ALL, HOST

    put(file_site, "a", b"text")

    def take_away(db):
        policy = db.get(models.KeypairResourcePolicy, models.DEFAULT_POLICY)
        policy.allowed_vfolder_hosts = {HOST: [item for item in ALL if item != "download-file"]}

    await file_site.site.db.run(take_away)
    status, answer, _ = await file_site.ask("GET", "download?path=a")
    assert (status, HOST in answer["msg"], "download-file" in answer["msg"]) == (403, True, True)


async def test_paths_that_lead_nowhere(file_site):
    put(file_site, "a", b"text")
    for path, expected in {"b": 404, "a/b": 404, "../a": 400, "/etc/passwd": 400, "a//b": 400, "%00": 400}.items():
        assert (await file_site.ask("GET", f"download?path={path}"))[0] == expected, path
    assert (await file_site.ask("GET", "download?path_ref=***"))[0] == 400


async def test_whoever_goes_away_leaves_nothing_open(file_site):
    put(file_site, "a", os.urandom(30_000_000))
    for _ in range(5):
        async with file_site.of("kim01").get(f"{file_site.url}download?path=a") as answer:
            await answer.content.readexactly(1000)
            answer.close()
    await until(lambda: not open_files(file_site), 10, "the end of all readings")


def open_files(of: FileSite) -> list[str]:
    links = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            links.append(os.readlink(f"/proc/self/fd/{name}"))
    return [link for link in links if str(of.files.root) in link]


async def test_whoever_reads_nothing_is_let_go(file_site, monkeypatch):
    monkeypatch.setattr(sending, "IDLE_S", 0.2)
    put(file_site, "a", os.urandom(30_000_000))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(file_site.site.url.split(":")[2].split("/")[0]), limit=1024)
    token, path = file_site.site.hub.let_in("kim01"), file_site.url.partition("127.0.0.1")[2].partition("/")[2]
    writer.write(f"GET /{path}download?path=a HTTP/1.1\r\nHost: x\r\nAuthorization: token {token}\r\n\r\n".encode())
    await until(lambda: open_files(file_site), 10, "the beginning")
    await until(lambda: not open_files(file_site), 10, "the end of its patience")
    received = 0
    while data := await asyncio.wait_for(reader.read(1_000_000), 10):
        received += len(data)
    assert received < 30_000_000
    writer.close()


async def test_a_file_that_becomes_shorter_is_not_taken_for_whole(file_site, monkeypatch):
    put(file_site, "a", os.urandom(30_000_000))
    async with file_site.of("kim01").get(f"{file_site.url}download?path=a") as answer:
        await answer.content.readexactly(1000)
        os.truncate(file_site.files.root / "data" / "a", 10)
        with pytest.raises(Exception, match=r"(?i)payload|closed"):
            await answer.read()
