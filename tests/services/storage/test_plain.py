"""``POST rest/v1/folders/<id>/upload``: an ordinary form with files."""

from __future__ import annotations

import os

import aiohttp
import pytest

from tests.databases import sqlite_template
from tests.services.public import settings, site
from tests.services.storage.site import FileSite, file_site

__all__ = ["file_site", "settings", "site", "sqlite_template"]


def form(*files: tuple[str, bytes], **fields: str) -> aiohttp.FormData:
    data = aiohttp.FormData(quote_fields=False)
    for name, value in fields.items():
        data.add_field(name, value)
    for name, content in files:
        data.add_field("file", content, filename=name)
    return data


async def send(of: FileSite, *files: tuple[str, bytes], query: str = "", user: str = "kim01", accept: str = "*/*", **fields: str) -> tuple:
    return await of.ask("POST", f"upload{query}", user, data=form(*files, **fields), headers={"Accept": accept})


async def test_files_and_directories_by_their_names(file_site):
    big = os.urandom(4_000_000)
    status, answer, _ = await send(file_site, ("자료.bin", big), ("가/나/다.txt", b"text"), ("none", b""), path="위")
    assert status == 201, answer
    assert [item["path"] for item in answer["files"]] == ["위/자료.bin", "위/가/나/다.txt", "위/none"]
    assert [item["size"] for item in answer["files"]] == [4_000_000, 4, 0]
    assert file_site.files.read("위/자료.bin") == big
    assert file_site.files.read("위/가/나/다.txt") == b"text"
    assert file_site.files.left_overs == []


async def test_what_is_there_is_kept_unless_it_is_to_give_way(file_site):
    await send(file_site, ("a", b"old"))
    status, answer, _ = await send(file_site, ("a", b"new"), ("b", b"other"))
    assert (status, [item["field"] for item in answer["violations"]]) == (409, ["a"])
    assert (file_site.files.read("a"), file_site.files.read("b")) == (b"old", b"other")
    assert (await send(file_site, ("a", b"new"), on_conflict="replace"))[0] == 201
    status, answer, _ = await send(file_site, ("a", b"third"), query="?on_conflict=rename")
    assert (status, answer["files"][0]["path"]) == (201, "a (2)")
    assert (file_site.files.read("a"), file_site.files.read("a (2)")) == (b"new", b"third")
    assert file_site.files.left_overs == []


async def test_a_browser_is_sent_on(file_site):
    here = f"/services/backendai/data/{file_site.folder}?path=x"
    status, _, headers = await send(file_site, ("a", b"1"), accept="text/html", next=here)
    assert (status, headers["Location"]) == (303, f"{here}&did=uploaded&count=1")
    for bad in ("https://evil.example/", "//evil.example", "/hub/logout", "/services/backendai/../../hub/logout"):
        status, _, headers = await send(file_site, (f"b{len(bad)}", b"1"), accept="text/html", next=bad)
        assert (status, headers["Location"]) == (303, f"/services/backendai/data/{file_site.folder}")
    status, body, headers = await send(file_site, ("a", b"1"), accept="text/html")
    assert (status, headers["Content-Type"].split(";")[0]) == (409, "text/html")
    assert "is there already" in body.decode()


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../../b", "a\u0085b", "a/", "\u202egnp.exe", "x" * 256, " a"])
async def test_names_that_are_none(file_site, name):
    status, _, _ = await send(file_site, (name, b"1"))
    assert status == 400
    assert file_site.files.left_overs == []
    assert not any((file_site.files.root / "data").iterdir())


async def test_no_form(file_site):
    assert (await file_site.ask("POST", "upload", data=b"{}", headers={"Content-Type": "application/json"}))[0] == 400
    cut = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert (await file_site.ask("POST", "upload", data=cut, headers=headers))[0] == 400
    assert file_site.files.left_overs == []
    assert not (file_site.files.root / "data" / "a").exists()
    assert (await file_site.ask("POST", "upload", data=b"garbage", headers=headers))[0] == 400


async def test_without_a_length(file_site):
    async def pieces():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(70):
            yield bytes(1_000_000)
        yield b"\r\n--x--\r\n"

    status, answer, _ = await file_site.ask(
        "POST", "upload", data=pieces(), headers={"Content-Type": "multipart/form-data; boundary=x", "Accept": "*/*"}
    )
    assert (status, answer["files"][0]["size"]) == (201, 70_000_000)


async def test_who_may(file_site):
    for user, expected in {"kim01": 201, "jung03": 201, "lee01": 403, "park04": 404, "choi01": 404, "root": 404}.items():
        assert (await send(file_site, (f"of {user}", b"1"), user=user))[0] == expected, user
