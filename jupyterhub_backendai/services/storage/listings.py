"""``GET rest/v1/folders/<id>/entries?path=``: everything in a directory in one answer, for programs; pages are ``files``'s matter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import parse_qs

from ...core.files import Entry
from ...errors import N_, InvalidParameters
from ..auth import authenticated
from ..base import ApiHandler
from ..folder_files import open_folder, read_path

FIELDS = ("name", "ref", "kind", "size", "mode", "mtime_ns")


class EntriesHandler(ApiHandler):
    """``{"fields": […], "entries": [[…], …]}``, in no order; it comes as it is read, so one that breaks off is no JSON."""

    @authenticated
    async def get(self, folder_id: str) -> None:
        try:
            fields = parse_qs(self.request.query, errors="strict", max_num_fields=10)
        except ValueError as exc:
            raise InvalidParameters(N_("The request could not be read.")) from exc
        path = read_path(fields.get("path", [""])[0], fields.get("path_ref", [""])[0])
        folder = await open_folder(self, folder_id)
        comma = f'{{"fields": {json.dumps(FIELDS)}, "entries": ['
        async for entries in folder.files.list_all(path):
            self.write(comma + _encode(entries)[1:-1])
            await self.flush()
            comma = ","
        self.finish("]}" if comma == "," else comma + "]}")


def _encode(entries: Sequence[Entry]) -> str:
    rows = [(entry.text, entry.ref, entry.kind.value, entry.size, entry.mode, entry.mtime_ns) for entry in entries]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


default_handlers = [(r"rest/v1/folders/([0-9a-f]{32})/entries", EntriesHandler)]
