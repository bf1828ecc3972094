"""``rest/v1/folders/<id>/uploads``: TUS 1.0.0."""

from __future__ import annotations

import base64
from typing import Any

from tests.databases import sqlite_template
from tests.services.public import settings, site
from tests.services.storage.site import FileSite, file_site

__all__ = ["file_site", "settings", "site", "sqlite_template"]
TUS = {"Tus-Resumable": "1.0.0"}


def encode(**metadata: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in metadata.items())


async def begin(of: FileSite, size: int, user: str = "kim01", **metadata: str) -> Any:
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": encode(**(metadata or {"filename": "a.bin"}))}
    return await of.ask("POST", user=user, headers=headers)


async def patch(of: FileSite, location: str, offset: int, data: bytes, user: str = "kim01", **more: str) -> Any:
    headers = {**TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    return await of.ask("PATCH", location, user, headers=headers | {key.replace("_", "-"): value for key, value in more.items()}, data=data)


async def test_a_file_arrives_in_pieces(file_site):
    data = bytes(range(256)) * 12_000
    status, _, headers = await begin(file_site, len(data), filename="자료 1.bin")
    location = headers["Location"]
    assert (status, headers["Tus-Resumable"], headers["Upload-Offset"]) == (201, "1.0.0", "0")
    for at in range(0, len(data), 1_000_000):
        status, body, headers = await patch(file_site, location, at, data[at : at + 1_000_000])
        assert (status, headers.get("Upload-Offset")) == (204, str(min(len(data), at + 1_000_000))), body
    assert file_site.files.read("자료 1.bin") == data
    assert file_site.files.left_overs == []
    status, _, headers = await file_site.ask("HEAD", location, headers=TUS)
    assert (status, headers["Upload-Offset"], headers["Upload-Length"]) == (200, str(len(data)), str(len(data)))
