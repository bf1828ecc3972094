"""Uploads and downloads through a real worker on a real directory: what the fake in the other tests stands for."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest_asyncio

from jupyterhub_backendai.services.storage.hosts import Storage
from jupyterhub_backendai.store import vfolders
from tests.databases import sqlite_template
from tests.services.public import settings, site
from tests.services.storage.site import HOST, FileSite, file_site
from tests.services.storage.test_plain import form
from tests.services.storage.test_tus import begin, head, patch

__all__ = ["file_site", "settings", "site", "sqlite_template"]


@pytest_asyncio.fixture
async def data(file_site: FileSite, tmp_path: Path):
    """The folder's files; its worker is of the tests' own account."""
    (tmp_path / "host").mkdir()
    storage = Storage({HOST: str(tmp_path / "host")})
    file_site.site.application.settings["storage"] = storage
    file_site.site.application.settings["uploads"]._storage = storage
    access = await file_site.site.db.run(vfolders.find_access, "kim01", file_site.folder)
    await storage.make_folder(access.folder, [])
    yield Path(storage.path(access.folder))
    storage.close()


async def test_uploads(file_site, data):
    content = os.urandom(2_500_000)
    status, _, headers = await begin(file_site, len(content), filename="가/나.bin", relativePath="가/나.bin")
    location = headers["Location"]
    assert status == 201
    assert (await patch(file_site, location, 0, content[:1_500_000]))[0] == 204
    assert not (data / "가").exists()
    assert len(list((data.parent / "work").iterdir())) == 1
    assert (await patch(file_site, location, 1_500_000, content[1_500_000:]))[0] == 204
    assert (data / "가/나.bin").read_bytes() == content
    assert await head(file_site, location) == (200, len(content))
    assert (await begin(file_site, 1, data=b"x", filename="나.bin", directory="가"))[0] == 409
    assert (await begin(file_site, 1, data=b"x", filename="나.bin", directory="가", on_conflict="replace"))[0] == 201
    status, answer, _ = await file_site.ask("POST", "upload?path=가&on_conflict=rename", data=form(("나.bin", b"second")))
    assert (status, [item["path"] for item in answer["files"]]) == (201, ["가/나 (2).bin"])
    assert ((data / "가/나.bin").read_bytes(), (data / "가/나 (2).bin").read_bytes()) == (b"x", b"second")
    _, _, headers = await begin(file_site, 9, filename="never")
    assert (await file_site.ask("DELETE", headers["Location"], headers={"Tus-Resumable": "1.0.0"}))[0] == 204
    assert list((data.parent / "work").iterdir()) == []


async def test_an_upload_does_not_go_through_a_link(file_site, data, tmp_path):
    (tmp_path / "outside").mkdir()
    (data / "way").symlink_to(tmp_path / "outside")
    (data / "file").symlink_to(tmp_path / "outside" / "new")
    for name in ("way/a", "file"):
        for how in ("fail", "replace"):
            status, answer, _ = await begin(file_site, 1, data=b"x", filename=name, relativePath=name, on_conflict=how)
            assert status in (404, 409) or (name, how) == ("file", "replace"), answer
    assert list((tmp_path / "outside").iterdir()) == []


async def test_downloads(file_site, data, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (data / "디렉터리").mkdir()
    (data / "디렉터리" / "파일").write_bytes(b"text")
    (data / "inside").symlink_to("디렉터리/파일")
    (data / "out").symlink_to(tmp_path / "secret")
    (data / "absolute").symlink_to("/etc/passwd")
    os.mkfifo(data / "fifo")
    (data / os.fsdecode(b"\xff")).write_bytes(b"no text")
    answers = {"디렉터리/파일": (200, b"text"), "inside": (200, b"text"), "out": 404, "absolute": 404, "fifo": 404, "none": 404}
    for path, expected in answers.items():
        status, body, _ = await file_site.ask("GET", f"download?path={path}")
        assert (status, body) == expected if isinstance(expected, tuple) else status == expected, path
    assert (await file_site.ask("GET", "download?path_ref=_w"))[:2] == (200, b"no text")
    status, body, headers = await file_site.ask("GET", "download")
    assert (status, headers["Content-Length"]) == (200, str(len(body)))
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {"디렉터리/파일", "%FF", "NOT IN THIS ARCHIVE.txt"}
    status, answer, _ = await file_site.ask("GET", "entries?path=")
    assert status == 200
    assert {(row[0], row[1], row[2]) for row in answer["entries"]} >= {("디렉터리", "", "DIRECTORY"), ("\ufffd", "_w", "FILE")}
    assert (await file_site.ask("GET", "entries", "park04"))[0] == 404
    assert (await file_site.ask("GET", "entries?path=none"))[0] == 404
