"""``rest/v1/folders/<id>/uploads``: TUS 1.0.0."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import os
import zlib
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from tusclient.client import TusClient

from jupyterhub_backendai.errors import UploadLocked
from jupyterhub_backendai.services.storage import incoming, writing
from jupyterhub_backendai.services.storage import uploads as engine
from jupyterhub_backendai.store import models
from tests.databases import sqlite_template
from tests.services.public import settings, site
from tests.services.storage.site import FileSite, file_site

__all__ = ["file_site", "settings", "site", "sqlite_template"]
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}


def encode(**metadata: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in metadata.items())


async def begin(of: FileSite, size: int, user: str = "kim01", data: bytes | None = None, **metadata: str) -> Any:
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": encode(**(metadata or {"filename": "a.bin"}))}
    return await of.ask("POST", user=user, headers=headers | (BYTES if data is not None else {}), data=data)


async def patch(of: FileSite, location: str, offset: int, data: bytes, user: str = "kim01", **more: str) -> Any:
    headers = {**TUS, **BYTES, "Upload-Offset": str(offset)} | {key.replace("_", "-"): value for key, value in more.items()}
    return await of.ask("PATCH", location, user, headers=headers, data=data)


async def head(of: FileSite, location: str, user: str = "kim01") -> Any:
    status, _, headers = await of.ask("HEAD", location, user, headers=TUS)
    return status, int(headers.get("Upload-Offset", -1))


def checksum(name: str, data: bytes) -> str:
    digest = zlib.crc32(data).to_bytes(4, "big") if name == "crc32" else hashlib.new(name, data).digest()
    return f"{name} {base64.b64encode(digest).decode()}"


async def test_a_file_arrives_in_pieces(file_site):
    data = bytes(range(256)) * 12_000
    status, _, headers = await begin(file_site, len(data), filename="자료 1.bin")
    location = headers["Location"]
    assert (status, headers["Tus-Resumable"], headers["Upload-Offset"]) == (201, "1.0.0", "0")
    assert "GMT" in headers["Upload-Expires"]
    for at in range(0, len(data), 1_000_000):
        status, body, headers = await patch(file_site, location, at, data[at : at + 1_000_000])
        assert (status, headers.get("Upload-Offset")) == (204, str(min(len(data), at + 1_000_000))), body
    assert file_site.files.read("자료 1.bin") == data
    assert file_site.files.left_overs == []
    status, _, headers = await file_site.ask("HEAD", location, headers=TUS)
    assert (status, headers["Upload-Offset"], headers["Upload-Length"]) == (200, str(len(data)), str(len(data)))
    # what is written down: the room that it took, and who did it
    rows = await file_site.site.db.run(lambda db: (db.query(models.VFolder).one().used_bytes, db.query(models.AuditEntry).all()))
    assert rows[0] == len(data)
    assert [(row.actor, row.action, row.details["path"]) for row in rows[1]] == [("kim01", "upload-file", "자료 1.bin")]


async def test_what_this_speaks(file_site):
    status, _, headers = await file_site.ask("OPTIONS")
    assert (status, headers["Tus-Version"]) == (204, "1.0.0")
    assert set(headers["Tus-Extension"].split(",")) == {"creation", "creation-with-upload", "expiration", "termination", "checksum"}
    assert headers["Tus-Checksum-Algorithm"] == "sha1,sha256,crc32"
    status, _, headers = await file_site.ask("POST", headers={**TUS, "Tus-Resumable": "0.2.2", "Upload-Length": "1"})
    assert (status, headers["Tus-Version"]) == (412, "1.0.0")


async def test_a_small_file_in_one_request(file_site):
    status, _, headers = await begin(file_site, 5, data=b"small", relativePath="가/나/다.txt", filename="다.txt")
    assert (status, headers["Upload-Offset"]) == (201, "5")
    assert file_site.files.read("가/나/다.txt") == b"small"
    status, _, headers = await begin(file_site, 0, filename="none")
    assert (status, file_site.files.read("none")) == (201, b"")
    status, _, headers = await begin(file_site, 10, data=b"half", filename="more")
    assert (status, headers["Upload-Offset"]) == (201, "4")
    assert (await patch(file_site, headers["Location"], 4, b"second"))[0] == 204
    assert file_site.files.read("more") == b"halfsecond"
    assert (await head(file_site, headers["Location"])) == (200, 10)


async def test_a_client_of_somebody_else(file_site, tmp_path):
    data = os.urandom(3_500_000)
    path = tmp_path / "source"
    path.write_bytes(data)
    token = file_site.site.hub.let_in("kim01")

    def upload() -> str:
        client = TusClient(file_site.url + "uploads", headers={"Authorization": f"token {token}"})
        uploader = client.uploader(str(path), chunk_size=1_000_000, metadata={"filename": "그림.png"}, upload_checksum=True)
        uploader.upload(stop_at=1_500_000)
        again = client.uploader(str(path), chunk_size=1_000_000, url=uploader.url, upload_checksum=True)
        assert again.offset == uploader.offset > 0
        again.upload()
        return again.url

    location = await asyncio.to_thread(upload)
    assert file_site.files.read("그림.png") == data
    assert await head(file_site, location) == (200, len(data))


async def test_an_offset_that_is_wrong(file_site):
    _, _, headers = await begin(file_site, 10)
    location = headers["Location"]
    assert (await patch(file_site, location, 0, b"12345"))[0] == 204
    for offset in (0, 4, 6, 10):
        status, answer, _ = await patch(file_site, location, offset, b"x")
        assert (status, answer["error_code"]) == (409, "backendai_upload_offset-mismatch")
    assert (await patch(file_site, location, 5, b"too much"))[0] == 413
    assert await head(file_site, location) == (200, 5)
    for wrong in ("-1", "x", "", "1e3"):
        assert (await patch(file_site, location, 5, b"x", Upload_Offset=wrong))[0] == 400
    assert (await patch(file_site, location, 5, b"x", Content_Type="text/plain"))[0] == 415


@pytest.mark.parametrize("name", ["sha1", "sha256", "crc32"])
async def test_checksums(file_site, name):
    data = os.urandom(2_500_000)
    _, _, headers = await begin(file_site, len(data))
    location = headers["Location"]
    assert (await patch(file_site, location, 0, data[:100], Upload_Checksum=checksum(name, data[:100])))[0] == 204
    status, answer, _ = await patch(file_site, location, 100, data[100:], Upload_Checksum=checksum(name, b"other"))
    assert (status, answer["error_code"]) == (460, "backendai_upload_checksum-mismatch")
    assert await head(file_site, location) == (200, 100)
    assert file_site.files.left_overs != []
    assert (await patch(file_site, location, 100, data[100:], Upload_Checksum=checksum(name, data[100:])))[0] == 204
    assert file_site.files.read("a.bin") == data


async def test_checksums_that_cannot_be_read(file_site):
    _, _, headers = await begin(file_site, 10)
    for wrong in ("md5 AAAA", "sha1 ***", "sha1"):
        status, answer, _ = await patch(file_site, headers["Location"], 0, b"x", Upload_Checksum=wrong)
        assert status in (400, 460), answer
    assert await head(file_site, headers["Location"]) == (200, 0)


async def test_what_was_never_compared_with_its_checksum_does_not_count(file_site):
    """The process that should have done it was killed: its lock runs out, and the upload goes on where it was right."""
    _, _, headers = await begin(file_site, 10)
    location = headers["Location"]
    assert (await patch(file_site, location, 0, b"123"))[0] == 204
    upload_id = location.rpartition("/")[2]
    (file_site.files.root / "work" / upload_id).write_bytes(b"123wrong")

    def leave(db):
        row = db.get(models.Upload, upload_id)
        row.locked_by, row.locked_until = "killed", models.now() - timedelta(seconds=1)
        row.details = {**row.details, "checked": 3}

    await file_site.site.db.run(leave)
    assert await head(file_site, location) == (200, 3)
    assert (await patch(file_site, location, 3, b"4567890"))[0] == 204
    assert file_site.files.read("a.bin") == b"1234567890"


async def test_one_writer_at_a_time(file_site):
    _, _, headers = await begin(file_site, 10)
    location = headers["Location"]
    gate = asyncio.Event()

    async def slowly():
        yield b"12345"
        await gate.wait()
        yield b"67890"

    first = asyncio.create_task(
        file_site.ask("PATCH", location, headers={**TUS, **BYTES, "Upload-Offset": "0", "Content-Length": "10"}, data=slowly())
    )
    async with asyncio.timeout(10):
        while not await file_site.site.db.run(lambda db: db.query(models.Upload.locked_by).scalar()):
            await asyncio.sleep(0.02)
    assert (await patch(file_site, location, 0, b"1"))[0] == 423
    gate.set()
    assert (await first)[0] == 204
    assert file_site.files.read("a.bin") == b"1234567890"


async def test_a_writer_that_stalls_is_overtaken(file_site, monkeypatch):
    monkeypatch.setattr(engine, "LOCK_S", 0.3)
    monkeypatch.setattr(incoming, "LOCK_S", 0.3)
    monkeypatch.setattr(incoming, "RENEW_S", 0.0)
    _, _, headers = await begin(file_site, 10)
    location = headers["Location"]
    upload = file_site.site.application.settings["uploads"]
    from jupyterhub_backendai.services.folder_files import OpenFolder
    from jupyterhub_backendai.store import vfolders

    access = await file_site.site.db.run(vfolders.find_access, "kim01", file_site.folder)
    folder = OpenFolder(access, file_site.files, frozenset())
    stalled = await upload.enter(folder, "kim01", location.rpartition("/")[2])
    async with asyncio.timeout(10):
        while (await patch(file_site, location, 0, b"12345"))[0] == 423:
            await asyncio.sleep(0.05)
    with pytest.raises(UploadLocked):
        await stalled.write(b"late")
    await stalled.abort()
    assert await head(file_site, location) == (200, 5)


async def test_what_is_there_already(file_site):
    assert (await begin(file_site, 3, data=b"old"))[0] == 201
    status, answer, _ = await begin(file_site, 3, data=b"new")
    assert (status, answer["error_code"]) == (409, "backendai_generic_already-exists")
    assert (await begin(file_site, 3, data=b"new", filename="a.bin", on_conflict="replace"))[0] == 201
    assert file_site.files.read("a.bin") == b"new"
    assert (await begin(file_site, 5, data=b"third", filename="a.bin", on_conflict="rename"))[0] == 201
    assert file_site.files.read("a (2).bin") == b"third"
    (file_site.files.root / "data" / "directory").mkdir()
    assert (await begin(file_site, 1, data=b"x", filename="directory", on_conflict="replace"))[0] == 409
    assert (await begin(file_site, 1, data=b"x", filename="b", relativePath="a.bin/b"))[0] == 409
    used = await file_site.site.db.run(lambda db: db.query(models.VFolder).one().used_bytes)
    assert used == 8
    assert file_site.files.left_overs == []


async def test_something_takes_the_name_meanwhile(file_site):
    _, _, headers = await begin(file_site, 4)
    location = headers["Location"]
    (file_site.files.root / "data" / "a.bin").write_bytes(b"of a session")
    assert (await patch(file_site, location, 0, b"mine"))[0] == 409
    assert file_site.files.read("a.bin") == b"of a session"
    assert (await file_site.ask("POST", location + "?on_conflict=bad"))[0] == 400
    status, answer, _ = await file_site.ask("POST", location + "?on_conflict=rename")
    assert (status, answer["offset"]) == (200, 4)
    assert (file_site.files.read("a.bin"), file_site.files.read("a (2).bin")) == (b"of a session", b"mine")


async def test_names_that_are_none(file_site):
    for name in ("../a", "/a", "a/../b", "", "a/", "a\x00b", "\u202ea", "가" * 86):
        status, _, _ = await begin(file_site, 1, filename=name)
        assert status == 400, name
    for header in ("filename ***", "filename /w==", "x" * 20_000):
        assert (await file_site.ask("POST", headers={**TUS, "Upload-Length": "1", "Upload-Metadata": header}))[0] == 400
    for size in ("-1", "x", "1.5", ""):
        assert (await file_site.ask("POST", headers={**TUS, "Upload-Length": size, "Upload-Metadata": encode(filename="a")}))[0] == 400
    assert (await file_site.ask("POST", headers={**TUS, "Upload-Length": str(10**17), "Upload-Metadata": encode(filename="a")}))[0] == 413
    assert file_site.files.left_overs == []


async def test_cancelled(file_site):
    _, _, headers = await begin(file_site, 4)
    location = headers["Location"]
    assert (await patch(file_site, location, 0, b"12"))[0] == 204
    assert (await file_site.ask("POST", location, headers={**TUS, "X-HTTP-Method-Override": "DELETE"}))[0] == 204
    assert file_site.files.left_overs == []
    assert (await head(file_site, location))[0] == 404
    assert (await patch(file_site, location, 2, b"34"))[0] == 404


async def test_the_list_of_what_is_not_finished(file_site):
    assert (await begin(file_site, 4, filename="가"))[0] == 201
    assert (await begin(file_site, 1, data=b"1", filename="b"))[0] == 201
    status, answer, _ = await file_site.ask("GET")
    assert (status, [(item["path"], item["size"]) for item in answer["uploads"]]) == (200, [("가", 4)])


async def test_too_old(file_site):
    _, _, headers = await begin(file_site, 4)
    location = headers["Location"]
    assert (await patch(file_site, location, 0, b"12"))[0] == 204

    def age(db):
        db.query(models.Upload).one().expires_at = models.now() - timedelta(seconds=1)

    await file_site.site.db.run(age)
    assert (await head(file_site, location))[0] == 404
    await file_site.site.application.settings["uploads"].sweep_in_turn()
    assert file_site.files.left_overs == []
    assert await file_site.site.db.run(lambda db: db.query(models.Upload).count()) == 0


async def test_who_may(file_site):
    for user, expected in {"kim01": 201, "jung03": 201, "lee01": 403, "park04": 404, "choi01": 404, "root": 404}.items():
        assert (await begin(file_site, 10, user=user, filename=f"of {user}"))[0] == expected, user
    _, _, headers = await begin(file_site, 10, user="jung03", filename="b")
    location = headers["Location"]
    for user in ("kim01", "park04", "choi01", "root"):
        assert (await head(file_site, location, user))[0] == 404
        assert (await patch(file_site, location, 0, b"x", user))[0] == 404
        assert (await file_site.ask("DELETE", location, user, headers=TUS))[0] == 404
        assert (await file_site.ask("POST", f"{location}?on_conflict=replace", user))[0] == 404
    assert (await patch(file_site, location, 0, b"x", "lee01"))[0] in (403, 404)
    async with aiohttp.ClientSession() as nobody:
        for method in ("POST", "PATCH", "HEAD", "DELETE"):
            async with nobody.request(method, file_site.url + "uploads/" + "0" * 32, headers=TUS) as answer:
                assert answer.status == 401
    # a right that was taken away ends what was begun under it
    await file_site.site.db.run(lambda db: [db.delete(row) for row in db.query(models.VFolderPermission).all()])
    assert (await patch(file_site, location, 0, b"x", "jung03"))[0] == 404


async def test_a_browser_needs_the_token_of_its_page(file_site, site):
    from tests.services.public import Browser

    browser = Browser(site)
    await browser.log_in(site.hub.let_in("kim01"))
    _, page = await browser.get("launch")
    token = page.find("input", {"name": "_xsrf"})["value"]
    headers = {
        **TUS,
        "Upload-Length": "1",
        "Upload-Metadata": encode(filename="a"),
        "Sec-Fetch-Mode": "cors",
        "Sec-Fetch-Site": "cross-site",
    }
    async with browser.http.post(file_site.url + "uploads", headers=headers) as answer:
        assert answer.status == 403
    async with browser.http.post(file_site.url + "uploads", headers={**headers, "X-XSRFToken": token}) as answer:
        assert answer.status == 201
    await browser.http.close()


async def test_no_room_is_said_early_with_numbers(file_site):
    def limit(db):
        db.get(models.UserResourcePolicy, models.DEFAULT_POLICY).max_quota_scope_size_bytes = 1000

    await file_site.site.db.run(limit)
    assert (await begin(file_site, 600, filename="a"))[0] == 201
    status, answer, _ = await begin(file_site, 600, filename="b")
    assert status == 507
    assert "1000" in answer["msg"] or "600" in answer["msg"] or "400" in answer["msg"], answer["msg"]
    assert (await begin(file_site, 400, filename="c"))[0] == 201


async def test_a_disk_that_is_full_keeps_what_has_arrived(file_site, monkeypatch):
    data = os.urandom(3 * writing.GATHER_BYTES)
    _, _, headers = await begin(file_site, len(data))
    location, real, is_full = headers["Location"], os.pwritev, True

    def pwritev(descriptor, pieces, offset, *more):
        if is_full and offset + sum(map(len, pieces)) > 2_000_000:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        return real(descriptor, pieces, offset, *more)

    monkeypatch.setattr(os, "pwritev", pwritev)
    status, answer, _ = await patch(file_site, location, 0, data)
    assert (status, answer["error_code"]) == (507, "backendai_vfolder_storage-full")
    status, offset = await head(file_site, location)
    assert (status, 0 < offset <= 2_000_000) == (200, True)
    is_full = False
    assert (await patch(file_site, location, offset, data[offset:]))[0] == 204
    assert file_site.files.read("a.bin") == data
