"""``GET rest/v1/folders/<id>/entries?path=``: everything in a directory in one answer, for programs; pages are ``files``'s matter."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

from ...core.files import ROW_FIELDS
from ...errors import N_, InvalidParameters
from ..auth import authenticated
from ..base import ApiHandler
from ..folder_files import open_folder, read_path


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
        head = f'{{"fields": {json.dumps(ROW_FIELDS)}, "entries": ['.encode()
        async for rows in folder.files.list_all(path):
            self.write(head + rows.lstrip(b"\n,") if head else rows)
            await self.flush()
            head = b""
        self.finish(head + b"]}")


default_handlers = [(r"rest/v1/folders/([0-9a-f]{32})/entries", EntriesHandler)]
